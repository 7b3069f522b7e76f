//! One person in one server: what should be against what was last seen there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_line},
    discord_accounts::DiscordAccount,
    member_guilds::{
        Due, GuildState, MemberGuild, insert_member_guild, lock_member_guild, set_due, set_kick,
    },
    member_roles::{MemberRole, list_member_roles, set_desired},
    staff::is_staff,
};
use rolecall_domain::{
    clock::Rng,
    ids::{AuditId, GuildId, RoleId},
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
    pub(super) rng: &'a dyn Rng,
}

impl Visit<'_> {
    /// Keeps what the person should have here, in their row if they have one already; if that is not what was seen,
    /// makes a new revision due and returns its command.
    pub(super) async fn converge(
        &self,
        conn: &mut Connection,
        known: Option<(MemberGuild, Vec<MemberRole>)>,
        wanted: &BTreeMap<RoleId, BTreeSet<Reason>>,
        breakers: &mut Breakers,
    ) -> Result<Option<ApplyRoles>, WorkError> {
        let (guild_id, user_id) = (self.guild_id, self.account.user_id);
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
        let mut after = with_desired(before, wanted);
        // Whether to remove somebody is part of what a command says: if that changes, a newer one has to say so.
        let kick = self.kick(conn, &row).await?;
        let due_as_before = kick.due_at.is_some() == Kick::of(&row).due_at.is_some();
        let is_due = !due_as_before || self.is_due(conn, &row, &after, changed, breakers).await?;
        self.keep_kick(conn, &row, kick).await?;
        let due_row = if is_due {
            let due = Due {
                lane: self.cause.lane(),
                reason: self.cause.trigger.as_str(),
                join_wanted: self.cause.join,
                send_at: send_again_at(self.now, 1),
            };
            Some(set_due(conn, guild_id, user_id, &due).await?)
        } else {
            None
        };
        let asked_in = due_row.as_ref().map(|row| row.revision);
        let is_first = |role: &MemberRole| role.desired && role.first_revision.is_none();
        if had != *wanted || asked_in.is_some() && after.iter().any(is_first) {
            set_desired(conn, guild_id, user_id, wanted, asked_in).await?;
            for role in after.iter_mut().filter(|role| is_first(role)) {
                role.first_revision = asked_in;
            }
        }
        let Some(row) = due_row else {
            return Ok(None);
        };
        if changed {
            self.audit(conn, &had, wanted).await?;
        }
        let breakers = breakers.of(conn, guild_id).await?;
        command::of(conn, row, &after, breakers, self.now).await.map(Some)
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

    /// Notes what the person gains and loses, and why.
    async fn audit(
        &self,
        conn: &mut Connection,
        had: &BTreeMap<RoleId, BTreeSet<Reason>>,
        wanted: &BTreeMap<RoleId, BTreeSet<Reason>>,
    ) -> Result<(), WorkError> {
        let gained: BTreeMap<_, _> = wanted
            .iter()
            .filter(|(role, _)| !had.contains_key(role))
            .collect();
        let lost: Vec<&RoleId> = had.keys().filter(|role| !wanted.contains_key(role)).collect();
        let line = AuditLine {
            id: AuditId::generate(self.now, self.rng),
            at: self.now,
            actor: "system",
            action: "roles.change",
            member_id: Some(self.account.member_id),
            subject: &format!("guild {}", self.guild_id),
            detail: json!({ "gained": gained_json(&gained), "lost": lost, "trigger": self.cause.trigger }),
        };
        Ok(insert_audit_line(conn, &line).await?)
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
