//! Role by role: what a person should have, what was seen, and who gave it: `member_roles`.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_domain::{
    catalog::GuildRole,
    ids::{DiscordUserId, GuildId, RoleId},
    roles::Reason,
};

use crate::{
    Connection, DbError,
    convert::{Snowflake, from_json, to_json},
    error::one_row,
};

const TABLE: &str = "member_roles";

/// Who gave a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// We did, and only therefore may take it.
    Ours,
    /// Staff or another bot did, before we ever asked for it.
    Foreign,
}

impl Provenance {
    /// The word for it in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Foreign => "foreign",
        }
    }

    fn from_sql(text: &str) -> Result<Self, DbError> {
        match text {
            "ours" => Ok(Self::Ours),
            "foreign" => Ok(Self::Foreign),
            other => Err(DbError::Corrupt {
                table: TABLE,
                column: "provenance",
                detail: other.to_owned(),
            }),
        }
    }
}

/// One role of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRole {
    /// The role.
    pub role_id: RoleId,
    /// Whether they should have it.
    pub desired: bool,
    /// Why.
    pub reasons: BTreeSet<Reason>,
    /// Whether they were last seen with it.
    pub observed: Option<bool>,
    /// Who gave it.
    pub provenance: Option<Provenance>,
    /// The revision of the first command that asked for it.
    pub first_revision: Option<i64>,
}

impl MemberRole {
    /// Whether what was seen is what should be. A role that is not desired is only wrong if it is
    /// ours.
    pub fn is_in_sync(&self) -> bool {
        if self.desired {
            self.observed == Some(true)
        } else {
            !self.must_go()
        }
    }

    /// Whether a command has to take it away: it is not desired, not known to be gone, and ours, or
    /// asked for by a command of which nobody knows yet whether it was carried out.
    pub fn must_go(&self) -> bool {
        let may_be_ours = match self.provenance {
            Some(provenance) => provenance == Provenance::Ours,
            None => self.first_revision.is_some(),
        };
        !self.desired && may_be_ours && self.observed != Some(false)
    }
}

macro_rules! member_role {
    ($row:expr) => {{
        let row = $row;
        Ok::<_, DbError>(MemberRole {
            role_id: RoleId::from_sql(TABLE, "role_id", row.role_id)?,
            desired: row.desired,
            reasons: from_json(TABLE, "reasons", row.reasons)?,
            observed: row.observed,
            provenance: row.provenance.as_deref().map(Provenance::from_sql).transpose()?,
            first_revision: row.first_revision,
        })
    }};
}

/// The roles of a person in a server.
pub async fn list_member_roles(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
) -> Result<Vec<MemberRole>, DbError> {
    let rows = sqlx::query!(
        "SELECT role_id, desired, reasons, observed, provenance, first_revision FROM member_roles
         WHERE guild_id = $1 AND user_id = $2 ORDER BY role_id",
        guild_id.to_sql(),
        user_id.to_sql()
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| member_role!(row)).collect()
}

/// The roles of several people, each in a server.
pub async fn list_roles_in(
    conn: &mut Connection,
    places: impl Iterator<Item = (GuildId, DiscordUserId)>,
) -> Result<Vec<((GuildId, DiscordUserId), MemberRole)>, DbError> {
    let (guilds, users): (Vec<i64>, Vec<i64>) = places
        .map(|(guild, user)| (guild.to_sql(), user.to_sql()))
        .unzip();
    let rows = sqlx::query!(
        "SELECT m.guild_id, m.user_id, role_id, desired, reasons, observed, provenance, first_revision
         FROM unnest($1::bigint[], $2::bigint[]) AS u (guild_id, user_id)
         JOIN member_roles m ON m.guild_id = u.guild_id AND m.user_id = u.user_id
         ORDER BY m.guild_id, m.user_id, role_id",
        &guilds,
        &users,
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let place = (
                GuildId::from_sql(TABLE, "guild_id", row.guild_id)?,
                DiscordUserId::from_sql(TABLE, "user_id", row.user_id)?,
            );
            Ok((place, member_role!(row)?))
        })
        .collect()
}

/// The roles that somebody has of us or is to have, whatever the catalog says, in order.
pub async fn list_roles_of_ours(conn: &mut Connection) -> Result<Vec<GuildRole>, DbError> {
    let rows = sqlx::query!(
        "SELECT DISTINCT guild_id, role_id FROM member_roles
         WHERE provenance IS DISTINCT FROM 'foreign' AND (desired OR observed IS DISTINCT FROM false)
         ORDER BY guild_id, role_id"
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(GuildRole {
                guild: GuildId::from_sql(TABLE, "guild_id", row.guild_id)?,
                role: RoleId::from_sql(TABLE, "role_id", row.role_id)?,
            })
        })
        .collect()
}

/// What a person should have in a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired<'a> {
    /// The server.
    pub guild_id: GuildId,
    /// The person's account.
    pub user_id: DiscordUserId,
    /// The roles, each with its reasons. Those that are not named are not desired.
    pub roles: &'a BTreeMap<RoleId, BTreeSet<Reason>>,
    /// The revision of the command that asks for them, if there is one.
    pub asked_in: Option<i64>,
}

/// Replaces what people should have.
#[expect(
    clippy::as_conversions,
    reason = "how sqlx is told the type of a parameter: nothing is converted"
)]
pub async fn set_desired(conn: &mut Connection, all: &[Desired<'_>]) -> Result<(), DbError> {
    let places: (Vec<i64>, Vec<i64>) = all
        .iter()
        .map(|desired| (desired.guild_id.to_sql(), desired.user_id.to_sql()))
        .unzip();
    let (mut guilds, mut users, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    let (mut reasons, mut asked_in) = (Vec::new(), Vec::new());
    for desired in all {
        for (role, why) in desired.roles {
            guilds.push(desired.guild_id.to_sql());
            users.push(desired.user_id.to_sql());
            roles.push(role.to_sql());
            reasons.push(to_json(why)?);
            asked_in.push(desired.asked_in);
        }
    }
    sqlx::query!(
        "WITH wanted AS MATERIALIZED (
           SELECT * FROM unnest($3::bigint[], $4::bigint[], $5::bigint[], $6::jsonb[], $7::bigint[])
             AS u (guild_id, user_id, role_id, reasons, asked_in)),
         dropped AS (
           UPDATE member_roles AS m SET desired = false, reasons = '[]'
           FROM unnest($1::bigint[], $2::bigint[]) AS p (guild_id, user_id)
           WHERE m.guild_id = p.guild_id AND m.user_id = p.user_id AND m.desired
             AND NOT EXISTS (
               SELECT FROM wanted w
               WHERE w.guild_id = m.guild_id AND w.user_id = m.user_id AND w.role_id = m.role_id))
         INSERT INTO member_roles AS m (guild_id, user_id, role_id, desired, reasons, first_revision)
         SELECT guild_id, user_id, role_id, true, reasons, asked_in FROM wanted
         ON CONFLICT (guild_id, user_id, role_id) DO UPDATE
         SET desired = true, reasons = excluded.reasons,
             first_revision = coalesce(m.first_revision, excluded.first_revision)",
        &places.0,
        &places.1,
        &guilds,
        &users,
        &roles,
        &reasons,
        &asked_in as &[Option<i64>],
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the first command that asks for the roles which are desired and were never asked for.
pub async fn set_first_revision(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    revision: i64,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE member_roles SET first_revision = $3
         WHERE guild_id = $1 AND user_id = $2 AND desired AND first_revision IS NULL",
        guild_id.to_sql(),
        user_id.to_sql(),
        revision,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps what was seen of one role.
pub async fn set_role_observed(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
    role: &MemberRole,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE member_roles SET observed = $4, provenance = $5, first_revision = $6
         WHERE guild_id = $1 AND user_id = $2 AND role_id = $3",
        guild_id.to_sql(),
        user_id.to_sql(),
        role.role_id.to_sql(),
        role.observed,
        role.provenance.map(Provenance::as_str),
        role.first_revision,
    )
    .execute(conn)
    .await?;
    one_row("member_roles", &done)
}

/// Forgets roles that are neither desired nor there.
pub async fn delete_settled(
    conn: &mut Connection,
    guild_id: GuildId,
    user_id: DiscordUserId,
) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM member_roles WHERE guild_id = $1 AND user_id = $2 AND NOT desired
           AND (observed = false OR provenance IS DISTINCT FROM 'ours' AND first_revision IS NULL)",
        guild_id.to_sql(),
        user_id.to_sql(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
