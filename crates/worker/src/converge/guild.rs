//! One person in one server: what should be against what was last seen there.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_line},
    breakers::list_breakers,
    discord_accounts::DiscordAccount,
    member_guilds::{Due, GuildState, MemberGuild, insert_member_guild, lock_member_guild, set_due},
    member_roles::{MemberRole, list_member_roles, set_desired},
};
use rolecall_domain::{
    clock::Rng,
    ids::{AuditId, GuildId, RoleId},
    roles::Reason,
};
use rolecall_queue::jobs::ApplyRoles;
use serde_json::{Value, json};

use crate::{
    converge::{Cause, command},
    error::WorkError,
    timing::send_again_at,
};

/// A look at one person in one server.
pub(super) struct Visit<'a> {
    pub(super) guild_id: GuildId,
    pub(super) account: &'a DiscordAccount,
    /// There is a row of them here already.
    pub(super) is_known: bool,
    pub(super) cause: Cause,
    pub(super) now: DateTime<Utc>,
    pub(super) rng: &'a dyn Rng,
}

impl Visit<'_> {
    /// Keeps what the person should have here; if that is not what was seen, makes a new revision
    /// due and returns its command.
    pub(super) async fn converge(
        &self,
        conn: &mut Connection,
        wanted: &BTreeMap<RoleId, BTreeSet<Reason>>,
    ) -> Result<Option<ApplyRoles>, WorkError> {
        let (guild_id, user_id) = (self.guild_id, self.account.user_id);
        if !self.is_known {
            insert_member_guild(conn, guild_id, user_id, self.account.member_id).await?;
        }
        let Some(row) = lock_member_guild(conn, guild_id, user_id).await? else {
            return Ok(None);
        };
        let before = list_member_roles(conn, guild_id, user_id).await?;
        let after = if desired(&before) == *wanted {
            before.clone()
        } else {
            set_desired(conn, guild_id, user_id, wanted).await?;
            list_member_roles(conn, guild_id, user_id).await?
        };
        let changed = !desired(&before).into_keys().eq(wanted.keys().copied());
        if !self.is_due(conn, &row, &after, changed).await? {
            return Ok(None);
        }
        let due = Due {
            lane: self.cause.lane(),
            reason: self.cause.trigger.as_str(),
            join_wanted: self.cause.join,
            send_at: send_again_at(self.now, 1),
        };
        set_due(conn, guild_id, user_id, &due).await?;
        if changed {
            self.audit(conn, &before, wanted).await?;
        }
        command::build(conn, guild_id, user_id, self.now).await
    }

    /// Notes what the person gains and loses, and why.
    async fn audit(
        &self,
        conn: &mut Connection,
        before: &[MemberRole],
        wanted: &BTreeMap<RoleId, BTreeSet<Reason>>,
    ) -> Result<(), WorkError> {
        let had = desired(before);
        let gained: BTreeMap<_, _> = wanted
            .iter()
            .filter(|(role, _)| !had.contains_key(role))
            .collect();
        let lost: Vec<RoleId> = had
            .into_keys()
            .filter(|role| !wanted.contains_key(role))
            .collect();
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
                let breakers = list_breakers(conn, row.guild_id).await?;
                roles
                    .iter()
                    .any(|role| !role.is_in_sync() && !breakers.contains_key(&role.role_id))
            }
        })
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
