//! What is stored of people when they are converged: read for all of them at once.

use std::collections::{BTreeMap, HashMap, hash_map::Entry};

use rolecall_db::{
    Connection,
    breakers::{Breaker, list_breakers},
    discord_accounts::{DiscordAccount, list_accounts_of},
    member_guilds::{MemberGuild, lock_member_guilds},
    member_records::{MemberRecord, load_member_records},
    member_roles::{MemberRole, list_roles_in},
};
use rolecall_domain::ids::{DiscordUserId, GuildId, MemberId, RoleId};

use crate::error::WorkError;

/// One person.
#[derive(Default)]
pub(super) struct Picture {
    /// What decides their roles.
    pub(super) record: MemberRecord,
    /// Their Discord account.
    pub(super) account: Option<DiscordAccount>,
    /// Their rows in servers, which are locked, each with its roles.
    pub(super) rows: BTreeMap<GuildId, (MemberGuild, Vec<MemberRole>)>,
}

/// The pictures of people who are locked.
pub(super) async fn load(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<BTreeMap<MemberId, Picture>, WorkError> {
    let records = load_member_records(conn, members).await?;
    let mut pictures: BTreeMap<MemberId, Picture> = records
        .into_iter()
        .map(|(member_id, record)| {
            let picture = Picture {
                record,
                ..Picture::default()
            };
            (member_id, picture)
        })
        .collect();
    for account in list_accounts_of(conn, members).await? {
        let picture = pictures.entry(account.member_id).or_default();
        picture.account = Some(account);
    }
    let rows = lock_member_guilds(conn, members).await?;
    let places = rows.iter().map(|row| (row.guild_id, row.user_id));
    let mut roles: HashMap<(GuildId, DiscordUserId), Vec<MemberRole>> = HashMap::new();
    for (place, role) in list_roles_in(conn, places).await? {
        roles.entry(place).or_default().push(role);
    }
    for row in rows {
        let picture = pictures.entry(row.member_id).or_default();
        // An account that they had before is not theirs any more.
        let is_theirs = |account: &DiscordAccount| account.user_id == row.user_id;
        if picture.account.as_ref().is_some_and(is_theirs) {
            let roles = roles.remove(&(row.guild_id, row.user_id)).unwrap_or_default();
            picture.rows.insert(row.guild_id, (row, roles));
        }
    }
    Ok(pictures)
}

/// The open breakers of each server, as they were when they were first asked for.
#[derive(Default)]
pub(super) struct Breakers(HashMap<GuildId, BTreeMap<RoleId, Breaker>>);

impl Breakers {
    pub(super) async fn of(
        &mut self,
        conn: &mut Connection,
        guild_id: GuildId,
    ) -> Result<&BTreeMap<RoleId, Breaker>, WorkError> {
        Ok(match self.0.entry(guild_id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(list_breakers(conn, guild_id).await?),
        })
    }
}
