//! Writes a file into the catalog: all of it, or nothing.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection, DbError,
    catalog::{
        PlanRow, archive_plan, delete_prices_except, raise_catalog_version, replace_guilds,
        replace_plan_roles, upsert_plan, upsert_plan_prices,
    },
    members::set_converge_due_for_all,
    subscriptions::rematch_plans,
};
use rolecall_domain::ids::StripePriceId;

use crate::plans::file::PlansFile;

/// What has become of the catalog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    /// Its new version.
    pub(crate) version: i64,
    /// How many people are converged for it.
    pub(crate) members: u64,
}

/// Makes the catalog what the file says, and owes everybody a convergence.
pub(crate) async fn apply(
    conn: &mut Connection,
    now_sold: &[PlanRow],
    file: &PlansFile,
    now: DateTime<Utc>,
) -> Result<Applied, DbError> {
    let version = raise_catalog_version(conn).await?;
    for row in &file.plans {
        let slug = &row.plan.slug;
        upsert_plan(conn, row).await?;
        replace_plan_roles(conn, slug, &row.plan.roles).await?;
        for lifetime in [false, true] {
            let prices = file.price_order.get(slug).into_iter().flatten();
            let prices: Vec<StripePriceId> = prices
                .filter(|price| price.lifetime == lifetime)
                .map(|price| price.id.clone())
                .collect();
            upsert_plan_prices(conn, slug, &prices, lifetime).await?;
        }
    }
    let kept: Vec<StripePriceId> = file
        .price_order
        .values()
        .flatten()
        .map(|price| price.id.clone())
        .collect();
    delete_prices_except(conn, &kept).await?;
    let named = |old: &&PlanRow| !file.plans.iter().any(|plan| plan.plan.slug == old.plan.slug);
    for old in now_sold.iter().filter(|old| !old.plan.archived).filter(named) {
        archive_plan(conn, &old.plan.slug).await?;
    }
    replace_guilds(conn, &file.guilds).await?;
    // People before their subscriptions, in the order of every convergence.
    let members = set_converge_due_for_all(conn, now).await?;
    rematch_plans(conn).await?;
    Ok(Applied { version, members })
}
