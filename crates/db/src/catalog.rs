//! Plans, their roles and prices, and the servers: `plans`, `plan_prices`, `plan_roles`, `guilds`.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_domain::{
    catalog::{Catalog, EndPolicy, GuildRole, GuildSettings, Plan, PlanKind, PlanSlug},
    ids::{ChannelId, GuildId, RoleId, StripePriceId},
};

use crate::{
    Connection, DbError,
    convert::{Snowflake, parse, seconds},
    error::one_row,
    policies::current_policy,
};

/// A plan as the plans file declares it, with what the domain does not decide by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// The plan.
    pub plan: Plan,
    /// One-time prices that sell it for ever.
    pub lifetime_prices: BTreeSet<StripePriceId>,
    /// Its place on pages.
    pub position: i32,
    /// What happens to too many seats: `grace` or `reject`.
    pub seat_policy: String,
    /// How long too many seats are kept, in seconds.
    pub seat_grace_seconds: Option<i64>,
    /// Whether changes are prorated: `always` or `none`.
    pub proration: String,
    /// Whether Checkout takes promotion codes.
    pub promotion_codes: bool,
    /// Whether Stripe Tax adds the tax.
    pub tax: bool,
}

/// The version of the catalog; it grows with every change.
pub async fn catalog_version(conn: &mut Connection) -> Result<i64, DbError> {
    Ok(sqlx::query_scalar!("SELECT version FROM catalog_version")
        .fetch_one(conn)
        .await?)
}

/// Raises the version, and locks the catalog against other writers until the transaction ends.
pub async fn raise_catalog_version(conn: &mut Connection) -> Result<i64, DbError> {
    Ok(
        sqlx::query_scalar!("UPDATE catalog_version SET version = version + 1 RETURNING version")
            .fetch_one(conn)
            .await?,
    )
}

/// The whole catalog.
pub async fn load_catalog(conn: &mut Connection) -> Result<Catalog, DbError> {
    let version = catalog_version(conn).await?;
    let plans = list_plans(conn).await?;
    Ok(Catalog {
        version,
        plans: plans
            .into_iter()
            .map(|row| (row.plan.slug.clone(), row.plan))
            .collect(),
        guilds: list_guilds(&mut *conn).await?,
        policy: current_policy(conn).await?.policy,
    })
}

/// Every plan in the order of its position, archived ones last.
pub async fn list_plans(conn: &mut Connection) -> Result<Vec<PlanRow>, DbError> {
    let rows = sqlx::query!("SELECT * FROM plans ORDER BY archived, position, slug")
        .fetch_all(&mut *conn)
        .await?;
    let (mut prices, mut lifetime) = list_price_ids(&mut *conn).await?;
    let mut roles = list_plan_roles(&mut *conn).await?;
    let mut plans = Vec::with_capacity(rows.len());
    for row in rows {
        let slug: PlanSlug = parse("plans", "slug", &row.slug)?;
        let corrupt = |column, detail: &str| DbError::Corrupt {
            table: "plans",
            column,
            detail: detail.to_owned(),
        };
        plans.push(PlanRow {
            lifetime_prices: lifetime.remove(&slug).unwrap_or_default(),
            plan: Plan {
                name: row.name,
                kind: match row.kind.as_str() {
                    "individual" => PlanKind::Individual,
                    "company" => PlanKind::Company,
                    other => return Err(corrupt("kind", other)),
                },
                prices: prices.remove(&slug).unwrap_or_default(),
                grace: row.grace_seconds.map(seconds),
                paused_keeps_access: row.paused_keeps_access,
                trial_days: u32::try_from(row.trial_days).map_err(|_| corrupt("trial_days", "negative"))?,
                end: match row.end_policy.as_str() {
                    "remove" => EndPolicy::Remove,
                    "alumni" => EndPolicy::Alumni,
                    "kick" => EndPolicy::Kick,
                    other => return Err(corrupt("end_policy", other)),
                },
                roles: roles.remove(&slug).unwrap_or_default(),
                archived: row.archived,
                slug,
            },
            position: row.position,
            seat_policy: row.seat_policy,
            seat_grace_seconds: row.seat_grace_seconds,
            proration: row.proration,
            promotion_codes: row.promotion_codes,
            tax: row.tax,
        });
    }
    Ok(plans)
}

type PricesByPlan = BTreeMap<PlanSlug, BTreeSet<StripePriceId>>;

/// The recurring and the lifetime prices by plan.
async fn list_price_ids(conn: &mut Connection) -> Result<(PricesByPlan, PricesByPlan), DbError> {
    let rows = sqlx::query!("SELECT price_id, plan_slug, lifetime FROM plan_prices")
        .fetch_all(conn)
        .await?;
    let (mut recurring, mut lifetime) = (PricesByPlan::new(), PricesByPlan::new());
    for row in rows {
        let slug = parse("plan_prices", "plan_slug", &row.plan_slug)?;
        let prices = if row.lifetime {
            &mut lifetime
        } else {
            &mut recurring
        };
        prices
            .entry(slug)
            .or_default()
            .insert(StripePriceId::new(row.price_id));
    }
    Ok((recurring, lifetime))
}

async fn list_plan_roles(conn: &mut Connection) -> Result<BTreeMap<PlanSlug, BTreeSet<GuildRole>>, DbError> {
    let rows = sqlx::query!("SELECT plan_slug, guild_id, role_id FROM plan_roles")
        .fetch_all(conn)
        .await?;
    let mut roles: BTreeMap<PlanSlug, BTreeSet<GuildRole>> = BTreeMap::new();
    for row in rows {
        roles
            .entry(parse("plan_roles", "plan_slug", &row.plan_slug)?)
            .or_default()
            .insert(GuildRole {
                guild: GuildId::from_sql("plan_roles", "guild_id", row.guild_id)?,
                role: RoleId::from_sql("plan_roles", "role_id", row.role_id)?,
            });
    }
    Ok(roles)
}

/// Every server with its special roles.
pub async fn list_guilds(conn: &mut Connection) -> Result<BTreeMap<GuildId, GuildSettings>, DbError> {
    let rows = sqlx::query!(
        "SELECT guild_id, debtor_role, introduced_role, introductions_channel, alumni_role FROM guilds"
    )
    .fetch_all(conn)
    .await?;
    let role = |column, id: Option<i64>| id.map(|id| RoleId::from_sql("guilds", column, id)).transpose();
    rows.into_iter()
        .map(|row| {
            let settings = GuildSettings {
                debtor_role: role("debtor_role", row.debtor_role)?,
                introduced_role: role("introduced_role", row.introduced_role)?,
                introductions_channel: row
                    .introductions_channel
                    .map(|id| ChannelId::from_sql("guilds", "introductions_channel", id))
                    .transpose()?,
                alumni_role: role("alumni_role", row.alumni_role)?,
            };
            Ok((GuildId::from_sql("guilds", "guild_id", row.guild_id)?, settings))
        })
        .collect()
}

/// Writes a plan's own row.
pub async fn upsert_plan(conn: &mut Connection, row: &PlanRow) -> Result<(), DbError> {
    let plan = &row.plan;
    let done = sqlx::query!(
        "INSERT INTO plans (slug, name, kind, position, grace_seconds, paused_keeps_access, trial_days,
                            end_policy, seat_policy, seat_grace_seconds, proration, archived, promotion_codes,
                            tax)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
         ON CONFLICT (slug) DO UPDATE
         SET name = excluded.name, kind = excluded.kind, position = excluded.position,
             grace_seconds = excluded.grace_seconds, paused_keeps_access = excluded.paused_keeps_access,
             trial_days = excluded.trial_days, end_policy = excluded.end_policy,
             seat_policy = excluded.seat_policy, seat_grace_seconds = excluded.seat_grace_seconds,
             proration = excluded.proration, archived = excluded.archived,
             promotion_codes = excluded.promotion_codes, tax = excluded.tax",
        plan.slug.as_str(),
        plan.name,
        plan.kind.as_str(),
        row.position,
        plan.grace.map(|grace| grace.num_seconds()),
        plan.paused_keeps_access,
        i32::try_from(plan.trial_days).unwrap_or(i32::MAX),
        plan.end.as_str(),
        row.seat_policy,
        row.seat_grace_seconds,
        row.proration,
        plan.archived,
        row.promotion_codes,
        row.tax,
    )
    .execute(conn)
    .await?;
    one_row("plans", &done)
}

/// Takes a plan off sale. People who hold it keep it.
pub async fn archive_plan(conn: &mut Connection, slug: &PlanSlug) -> Result<(), DbError> {
    let done = sqlx::query!("UPDATE plans SET archived = true WHERE slug = $1", slug.as_str())
        .execute(conn)
        .await?;
    one_row("plans", &done)
}

/// Writes the prices of a plan in their order. A price that moves between plans keeps what was read of it.
pub async fn upsert_plan_prices(
    conn: &mut Connection,
    slug: &PlanSlug,
    prices: &[StripePriceId],
    lifetime: bool,
) -> Result<(), DbError> {
    let ids: Vec<String> = prices.iter().map(|price| price.as_str().to_owned()).collect();
    sqlx::query!(
        "INSERT INTO plan_prices (price_id, plan_slug, lifetime, position)
         SELECT u.price_id, $2, $3, u.n::integer FROM unnest($1::text[]) WITH ORDINALITY AS u (price_id, n)
         ON CONFLICT (price_id) DO UPDATE
         SET plan_slug = excluded.plan_slug, lifetime = excluded.lifetime, position = excluded.position",
        &ids,
        slug.as_str(),
        lifetime,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets prices that no plan in the file names any more.
pub async fn delete_prices_except(conn: &mut Connection, kept: &[StripePriceId]) -> Result<(), DbError> {
    let ids: Vec<String> = kept.iter().map(|price| price.as_str().to_owned()).collect();
    sqlx::query!(
        "DELETE FROM plan_prices USING plans
         WHERE plans.slug = plan_prices.plan_slug AND NOT plans.archived AND price_id <> ALL($1)",
        &ids
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the roles that a plan gives.
pub async fn replace_plan_roles(
    conn: &mut Connection,
    slug: &PlanSlug,
    roles: &BTreeSet<GuildRole>,
) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM plan_roles WHERE plan_slug = $1", slug.as_str())
        .execute(&mut *conn)
        .await?;
    let guilds: Vec<i64> = roles.iter().map(|role| role.guild.to_sql()).collect();
    let ids: Vec<i64> = roles.iter().map(|role| role.role.to_sql()).collect();
    sqlx::query!(
        "INSERT INTO plan_roles (plan_slug, guild_id, role_id)
         SELECT $1, guild_id, role_id FROM unnest($2::bigint[], $3::bigint[]) AS u (guild_id, role_id)",
        slug.as_str(),
        &guilds,
        &ids,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Replaces the servers and their special roles.
pub async fn replace_guilds(
    conn: &mut Connection,
    guilds: &BTreeMap<GuildId, GuildSettings>,
) -> Result<(), DbError> {
    sqlx::query!("DELETE FROM guilds").execute(&mut *conn).await?;
    for (guild, settings) in guilds {
        sqlx::query!(
            "INSERT INTO guilds (guild_id, debtor_role, introduced_role, introductions_channel, alumni_role)
             VALUES ($1, $2, $3, $4, $5)",
            guild.to_sql(),
            settings.debtor_role.map(Snowflake::to_sql),
            settings.introduced_role.map(Snowflake::to_sql),
            settings.introductions_channel.map(Snowflake::to_sql),
            settings.alumni_role.map(Snowflake::to_sql),
        )
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
