//! Everything that a person may see about themselves, read in one transaction; and what they may ask
//! to be done about it.

pub(crate) mod fix_roles;
pub(crate) mod wishes;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection, DbError, catalog,
    customers::find_customer_of,
    discord_accounts::{DiscordAccount, find_account_of},
    grants::list_grants_of,
    guild_snapshots::find_guild_snapshot,
    member_guilds::{MemberGuild, list_member_guilds},
    member_roles::{MemberRole, list_member_roles},
    members::{Member, find_member},
    prices::{Price, list_prices_held_by},
    purchases::{StoredPurchase, list_purchases_of},
    subscriptions::{StoredSubscription, list_subscriptions_of},
};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::{GuildId, MemberId, RoleId, StripeSubscriptionId},
    member::{Grant, MemberFacts},
    standing::Standing,
};
use rolecall_queue::jobs::GuildObserved;

use crate::error::ApiError;

/// A person as they may see themselves.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) member: Member,
    pub(crate) discord: Option<DiscordAccount>,
    pub(crate) subscriptions: Vec<StoredSubscription>,
    /// What they bought once.
    pub(crate) purchases: Vec<StoredPurchase>,
    pub(crate) prices: BTreeMap<StripeSubscriptionId, Price>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) guilds: Vec<(MemberGuild, Vec<MemberRole>)>,
    pub(crate) names: Names,
    pub(crate) standing: Option<Standing>,
    pub(crate) has_customer: bool,
}

/// How plans, servers and roles are called.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) catalog: Catalog,
    pub(crate) servers: BTreeMap<GuildId, GuildObserved>,
}

impl Names {
    /// Reads the catalog and what the bot last saw of its servers.
    pub(crate) async fn load(conn: &mut Connection) -> Result<Self, DbError> {
        let catalog = catalog::load_catalog(conn).await?;
        let mut servers = BTreeMap::new();
        for guild in catalog.guild_ids() {
            if let Some((observed, _)) = find_guild_snapshot(conn, guild).await? {
                servers.insert(guild, observed);
            }
        }
        Ok(Self { catalog, servers })
    }

    /// A server's name.
    pub(crate) fn server(&self, guild: GuildId) -> String {
        self.servers
            .get(&guild)
            .map_or_else(|| format!("Server {guild}"), |server| server.name.clone())
    }

    /// A role's name.
    pub(crate) fn role(&self, guild: GuildId, role: RoleId) -> String {
        let roles = self
            .servers
            .get(&guild)
            .map(|server| server.roles.as_slice())
            .unwrap_or_default();
        let found = roles.iter().find(|known| known.id == role);
        found.map_or_else(|| format!("Role {role}"), |role| role.name.clone())
    }

    /// A plan's name.
    pub(crate) fn plan(&self, slug: Option<&PlanSlug>) -> String {
        let plan = slug.and_then(|slug| self.catalog.plans.get(slug));
        plan.map_or_else(
            || "A plan that is no longer offered".to_owned(),
            |plan| plan.name.clone(),
        )
    }

    /// What the community is called: its first server's name.
    pub(crate) fn community(&self) -> Option<&str> {
        self.servers
            .values()
            .next()
            .map(|server| server.name.as_str())
            .filter(|name| !name.is_empty())
    }
}

impl Account {
    /// Reads it; `None` for nobody.
    pub(crate) async fn load(
        conn: &mut Connection,
        member_id: MemberId,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>, ApiError> {
        let Some(member) = find_member(conn, member_id).await? else {
            return Ok(None);
        };
        let subscriptions = list_subscriptions_of(conn, member_id).await?;
        let purchases = list_purchases_of(conn, member_id).await?;
        let grants = list_grants_of(conn, member_id).await?;
        let mut guilds = Vec::new();
        for guild in list_member_guilds(conn, member_id).await? {
            let roles = list_member_roles(conn, guild.guild_id, guild.user_id).await?;
            guilds.push((guild, roles));
        }
        let mut prices = BTreeMap::new();
        for (subscription, price) in list_prices_held_by(conn, member_id).await? {
            // Of several items the first names the price.
            prices.entry(subscription).or_insert(price);
        }
        let facts = MemberFacts {
            holdings: subscriptions
                .iter()
                .map(StoredSubscription::last_holding)
                .chain(purchases.iter().map(StoredPurchase::last_holding))
                .collect(),
            grants: grants.clone(),
        };
        Ok(Some(Self {
            member,
            discord: find_account_of(conn, member_id).await?,
            prices,
            guilds,
            names: Names::load(conn).await?,
            standing: facts.standing(now),
            has_customer: find_customer_of(conn, member_id).await?.is_some(),
            subscriptions,
            purchases,
            grants,
        }))
    }
}
