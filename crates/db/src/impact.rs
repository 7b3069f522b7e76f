//! What a change of plans or policy would do to everybody: counted by the function that decides roles, over
//! all that is stored, page by page.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::{
    catalog::{Catalog, GuildRole},
    ids::MemberId,
    impact::{Impact, Outlook},
};

use crate::{
    Connection, DbError,
    guild_snapshots::find_guild_snapshot,
    member_records::{MemberRecord, list_member_records},
};

/// So many people are read at a time.
const PAGE: i64 = 500;

/// What standings are derived with besides the catalog.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// `GRACE_PERIOD`.
    pub default_grace: TimeDelta,
    /// The time now.
    pub now: DateTime<Utc>,
}

impl Terms {
    fn outlook(self, record: &MemberRecord, catalog: &Catalog) -> Outlook {
        let facts = record.facts(catalog, self.default_grace, self.now);
        Outlook::of(&facts, catalog, self.now)
    }
}

/// What it would do to put `after` in the place of `before`, while what people hold stays as it is.
pub async fn weigh(
    conn: &mut Connection,
    before: &Catalog,
    after: &Catalog,
    terms: Terms,
) -> Result<Impact, DbError> {
    let mut impact = Impact::default();
    let mut last = None;
    loop {
        let page = list_member_records(conn, last, PAGE).await?;
        let Some((member_id, _)) = page.last() else {
            return Ok(impact.finish());
        };
        last = Some(*member_id);
        for (_, record) in &page {
            impact.count(&terms.outlook(record, before), &terms.outlook(record, after));
        }
    }
}

/// Everybody as they are under `catalog`, to be compared with a later look.
pub async fn list_outlooks(
    conn: &mut Connection,
    catalog: &Catalog,
    terms: Terms,
) -> Result<BTreeMap<MemberId, Outlook>, DbError> {
    let mut outlooks = BTreeMap::new();
    loop {
        let last = outlooks.last_key_value().map(|(member_id, _)| *member_id);
        let page = list_member_records(conn, last, PAGE).await?;
        if page.is_empty() {
            return Ok(outlooks);
        }
        let seen = page
            .iter()
            .map(|(member_id, record)| (*member_id, terms.outlook(record, catalog)));
        outlooks.extend(seen);
    }
}

/// What lies between two looks at everybody.
pub fn compare(before: &BTreeMap<MemberId, Outlook>, after: &BTreeMap<MemberId, Outlook>) -> Impact {
    let mut impact = Impact::default();
    let nothing = Outlook::default();
    for (member_id, outlook) in after {
        impact.count(before.get(member_id).unwrap_or(&nothing), outlook);
    }
    impact.finish()
}

/// An impact in words, with the names of roles as the bot last saw them.
pub async fn in_words(conn: &mut Connection, impact: &Impact) -> Result<String, DbError> {
    let mut names: BTreeMap<GuildRole, String> = BTreeMap::new();
    for guild in impact.roles.iter().map(|role| role.role.guild) {
        if names.keys().any(|known| known.guild == guild) {
            continue;
        }
        let seen = find_guild_snapshot(conn, guild).await?;
        for role in seen.into_iter().flat_map(|(seen, _)| seen.roles) {
            names.insert(GuildRole { guild, role: role.id }, role.name);
        }
    }
    let name = |role: GuildRole| {
        let known = names.get(&role).cloned();
        known.unwrap_or_else(|| format!("role {} in server {}", role.role, role.guild))
    };
    Ok(impact.in_words(name))
}
