//! One person in one server: what should be against what was last seen there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_lines},
    discord_accounts::DiscordAccount,
    member_guilds::{
        Due, GuildState, MemberGuild, insert_member_guild, lock_member_guild, set_due, set_kick,
    },
    member_roles::{Desired, MemberRole, list_member_roles, set_desired},
    staff::is_staff,
};
use rolecall_domain::{
    clock::Rng,
    ids::{AuditId, DiscordUserId, GuildId, MemberId, RoleId},
    roles::{Departure, Reason},
};
use rolecall_queue::jobs::ApplyRoles;
use serde_json::{Value, json};

use crate::{
    converge::{Cause, command, picture::Breakers},
    error::WorkError,
    timing::send_again_at,
};

/// A look at one person in one server.
pub(super) struct Visit<'a> {
    pub(super) guild_id: GuildId,
    pub(super) account: &'a DiscordAccount,
    /// Whether they are to be removed from it when what they hold has ended, and whether it has.
    pub(super) departure: Option<&'a Departure>,
    pub(super) cause: Cause,
    pub(super) now: DateTime<Utc>,
}

impl Visit<'_> {
    /// What there is to write about the person here, if anything: what they should have has changed, or is not what was
    /// seen.
    pub(super) async fn converge(
        &self,
        conn: &mut Connection,
        known: Option<(MemberGuild, Vec<MemberRole>)>,
        wanted: BTreeMap<RoleId, BTreeSet<Reason>>,
        breakers: &mut Breakers,
    ) -> Result<Option<Step>, WorkError> {
        let known = if known.is_some() {
            known
        } else {
            self.begin(conn).await?
        };
        let Some((row, before)) = known else {
            return Ok(None);
        };
        let had = desired(&before);
        let changed = !had.keys().eq(wanted.keys());
        let roles = with_desired(before, &wanted);
        // Whether to remove somebody is part of what a command says: if that changes, a newer one has to say so.
        let kick = self.kick(conn, &row).await?;
        let due_as_before = kick.due_at.is_some() == Kick::of(&row).due_at.is_some();
        let is_due = !due_as_before || self.is_due(conn, &row, &roles, changed, breakers).await?;
        self.keep_kick(conn, &row, kick).await?;
        let step = Step {
            guild_id: row.guild_id,
            user_id: row.user_id,
            member_id: row.member_id,
            cause: self.cause,
            is_due,
            had,
            wanted,
            roles,
        };
        Ok((is_due || step.had != step.wanted).then_some(step))
    }

    /// Makes their row here.
    async fn begin(
        &self,
        conn: &mut Connection,
    ) -> Result<Option<(MemberGuild, Vec<MemberRole>)>, WorkError> {
        let (guild_id, user_id) = (self.guild_id, self.account.user_id);
        insert_member_guild(conn, guild_id, user_id, self.account.member_id).await?;
        let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
            return Ok(None);
        };
        let roles = list_member_roles(conn, guild_id, user_id).await?;
        Ok(Some((row, roles)))
    }

    /// Whether the person is to be removed from the server: once, when what gave them access there has ended. Who
    /// comes back without anything new is left in peace, and so is our own staff.
    async fn kick(&self, conn: &mut Connection, row: &MemberGuild) -> Result<Kick, WorkError> {
        let before = Kick::of(row);
        Ok(match self.departure {
            Some(Departure::Ahead) => Kick::AHEAD,
            Some(Departure::Waiting) if before.ahead || before.due_at.is_some() => Kick::AHEAD,
            Some(Departure::Here(last)) if before.ahead => {
                if is_staff(conn, self.account.member_id).await? {
                    tracing::warn!(member.id = %self.account.member_id, guild.id = %self.guild_id, "somebody's membership has ended who is staff: they are not removed from the server");
                    return Ok(Kick::NEVER);
                }
                tracing::info!(member.id = %self.account.member_id, guild.id = %self.guild_id, holding = %last, "a membership has ended whose plan removes people from the server");
                Kick {
                    ahead: false,
                    due_at: Some(self.now),
                }
            }
            Some(Departure::Here(_)) => before,
            Some(Departure::Waiting) | None => Kick::NEVER,
        })
    }

    async fn keep_kick(&self, conn: &mut Connection, row: &MemberGuild, kick: Kick) -> Result<(), WorkError> {
        if (kick.ahead, kick.due_at) != (row.kick_ahead, row.kick_due_at) {
            set_kick(conn, row.guild_id, row.user_id, kick.ahead, kick.due_at).await?;
        }
        Ok(())
    }

    async fn is_due(
        &self,
        conn: &mut Connection,
        row: &MemberGuild,
        roles: &[MemberRole],
        changed: bool,
        breakers: &mut Breakers,
    ) -> Result<bool, WorkError> {
        let anything = roles.iter().any(|role| role.desired || role.must_go());
        if changed || (self.cause.forced && anything) {
            return Ok(true);
        }
        Ok(match row.state {
            // Its command is on the way, or will be sent again by the sweeper; but not one that may add
            // the person to the server, if only now they asked for it.
            GuildState::Due => self.cause.join && !row.join_wanted && anything,
            GuildState::Held => false,
            // Waits for the person to join, unless they have just asked for it.
            GuildState::WaitingForMember => self.cause.join && anything,
            GuildState::InSync => roles.iter().any(|role| !role.is_in_sync()),
            GuildState::Blocked => {
                let breakers = breakers.of(conn, row.guild_id).await?;
                roles
                    .iter()
                    .any(|role| !role.is_in_sync() && !breakers.contains_key(&role.role_id))
            }
        })
    }
}

/// What is written about a person in a server.
pub(super) struct Step {
    guild_id: GuildId,
    user_id: DiscordUserId,
    member_id: MemberId,
    cause: Cause,
    /// Whether a new revision is.
    is_due: bool,
    had: BTreeMap<RoleId, BTreeSet<Reason>>,
    wanted: BTreeMap<RoleId, BTreeSet<Reason>>,
    /// As they are afterwards.
    roles: Vec<MemberRole>,
}

impl Step {
    fn due(&self, now: DateTime<Utc>) -> Due<'static> {
        Due {
            guild_id: self.guild_id,
            user_id: self.user_id,
            lane: self.cause.lane(),
            reason: self.cause.trigger.as_str(),
            join_wanted: self.cause.join,
            send_at: send_again_at(now, 1),
        }
    }

    /// Notes the revision in which roles are asked for that never were. Returns what has to be kept of it.
    fn desired(&mut self, asked_in: Option<i64>) -> Option<Desired<'_>> {
        let mut is_new = self.had != self.wanted;
        if asked_in.is_some() {
            let never_asked = |role: &&mut MemberRole| role.desired && role.first_revision.is_none();
            for role in self.roles.iter_mut().filter(never_asked) {
                role.first_revision = asked_in;
                is_new = true;
            }
        }
        is_new.then_some(Desired {
            guild_id: self.guild_id,
            user_id: self.user_id,
            roles: &self.wanted,
            asked_in,
        })
    }

    /// What the person gains and loses, and why.
    fn change(&self) -> Option<Value> {
        let gained: BTreeMap<_, _> = self
            .wanted
            .iter()
            .filter(|(role, _)| !self.had.contains_key(role))
            .collect();
        let lost: Vec<&RoleId> = self
            .had
            .keys()
            .filter(|role| !self.wanted.contains_key(role))
            .collect();
        let is_any = !gained.is_empty() || !lost.is_empty();
        is_any.then(|| json!({ "gained": gained_json(&gained), "lost": lost, "trigger": self.cause.trigger }))
    }
}

/// Writes all of it: makes the revisions due that are, keeps what people should have, and notes what they gain and lose.
/// Returns the command of each step that has one, in their order.
pub(super) async fn write(
    conn: &mut Connection,
    mut steps: Vec<Step>,
    breakers: &mut Breakers,
    now: DateTime<Utc>,
    rng: &dyn Rng,
) -> Result<Vec<Option<ApplyRoles>>, WorkError> {
    let dues: Vec<Due<'_>> = steps
        .iter()
        .filter(|step| step.is_due)
        .map(|step| step.due(now))
        .collect();
    let mut rows = HashMap::new();
    if !dues.is_empty() {
        let written = set_due(conn, &dues).await?;
        rows.extend(written.into_iter().map(|row| ((row.guild_id, row.user_id), row)));
    }
    let desired: Vec<Desired<'_>> = steps
        .iter_mut()
        .filter_map(|step| {
            let row = rows.get(&(step.guild_id, step.user_id));
            step.desired(row.map(|row| row.revision))
        })
        .collect();
    if !desired.is_empty() {
        set_desired(conn, &desired).await?;
    }
    audit(conn, &steps, now, rng).await?;
    let mut commands = Vec::with_capacity(steps.len());
    for step in steps {
        commands.push(match rows.remove(&(step.guild_id, step.user_id)) {
            Some(row) => {
                let breakers = breakers.of(conn, row.guild_id).await?;
                Some(command::of(conn, row, &step.roles, breakers, now).await?)
            }
            None => None,
        });
    }
    Ok(commands)
}

/// Notes what people gain and lose by the commands that are due.
async fn audit(
    conn: &mut Connection,
    steps: &[Step],
    now: DateTime<Utc>,
    rng: &dyn Rng,
) -> Result<(), WorkError> {
    let changes: Vec<(&Step, Value)> = steps
        .iter()
        .filter(|step| step.is_due)
        .filter_map(|step| Some((step, step.change()?)))
        .collect();
    let subjects: Vec<String> = changes
        .iter()
        .map(|(step, _)| format!("guild {}", step.guild_id))
        .collect();
    let lines: Vec<AuditLine<'_>> = changes
        .into_iter()
        .zip(&subjects)
        .map(|((step, detail), subject)| AuditLine {
            id: AuditId::generate(now, rng),
            at: now,
            actor: "system",
            action: "roles.change",
            member_id: Some(step.member_id),
            subject,
            detail,
        })
        .collect();
    if !lines.is_empty() {
        insert_audit_lines(conn, &lines).await?;
    }
    Ok(())
}

/// Whether somebody is to be removed from a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kick {
    /// When what they hold has ended.
    ahead: bool,
    /// Now, because it had ended by then.
    due_at: Option<DateTime<Utc>>,
}

impl Kick {
    const NEVER: Self = Self {
        ahead: false,
        due_at: None,
    };
    const AHEAD: Self = Self {
        ahead: true,
        due_at: None,
    };

    fn of(row: &MemberGuild) -> Self {
        Self {
            ahead: row.kick_ahead,
            due_at: row.kick_due_at.filter(|_| row.state == GuildState::Due),
        }
    }
}

/// The gained roles by id, each with its reasons.
fn gained_json(gained: &BTreeMap<&RoleId, &BTreeSet<Reason>>) -> Value {
    gained
        .iter()
        .map(|(role, reasons)| (role.to_string(), json!(reasons)))
        .collect()
}

fn desired(roles: &[MemberRole]) -> BTreeMap<RoleId, BTreeSet<Reason>> {
    roles
        .iter()
        .filter(|role| role.desired)
        .map(|role| (role.role_id, role.reasons.clone()))
        .collect()
}

/// The roles as they are when exactly these are desired.
fn with_desired(mut roles: Vec<MemberRole>, wanted: &BTreeMap<RoleId, BTreeSet<Reason>>) -> Vec<MemberRole> {
    let known: BTreeSet<RoleId> = roles.iter().map(|role| role.role_id).collect();
    for role in &mut roles {
        role.reasons = wanted.get(&role.role_id).cloned().unwrap_or_default();
        role.desired = wanted.contains_key(&role.role_id);
    }
    let new = wanted.iter().filter(|(role_id, _)| !known.contains(role_id));
    roles.extend(new.map(|(role_id, reasons)| MemberRole {
        role_id: *role_id,
        desired: true,
        reasons: reasons.clone(),
        observed: None,
        provenance: None,
        first_revision: None,
    }));
    roles.sort_unstable_by_key(|role| role.role_id);
    roles
}
