//! What is sold in the tests, and where.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use rolecall_db::{
    Connection,
    catalog::{
        PlanRow, raise_catalog_version, replace_guilds, replace_plan_roles, upsert_plan, upsert_plan_prices,
    },
};
use rolecall_domain::{
    catalog::{EndPolicy, GuildRole, GuildSettings, Plan, PlanKind},
    ids::{GuildId, RoleId, StripePriceId},
};

/// How long access stays after a failed payment, in every plan.
pub(crate) const GRACE: TimeDelta = TimeDelta::days(7);

/// The price of the plan `council`, which gives [`member_role`].
pub(crate) const COUNCIL: &str = "price_council";
/// The price of the plan `patron`, which gives [`member_role`] and [`patron_role`].
pub(crate) const PATRON: &str = "price_patron";

pub(crate) fn guild() -> GuildId {
    GuildId::new(111).unwrap()
}

pub(crate) fn role(id: u64) -> RoleId {
    RoleId::new(id).unwrap()
}

pub(crate) fn member_role() -> RoleId {
    role(222)
}

pub(crate) fn patron_role() -> RoleId {
    role(223)
}

pub(crate) fn debtor_role() -> RoleId {
    role(333)
}

/// Writes the plans `council` and `patron`.
pub(crate) async fn apply(conn: &mut Connection) {
    let settings = GuildSettings {
        debtor_role: Some(debtor_role()),
        ..GuildSettings::default()
    };
    replace_guilds(conn, &BTreeMap::from([(guild(), settings)]))
        .await
        .unwrap();
    apply_plan(conn, "council", COUNCIL, &[member_role()]).await;
    apply_plan(conn, "patron", PATRON, &[member_role(), patron_role()]).await;
    raise_catalog_version(conn).await.unwrap();
}

/// Writes one plan; the version of the catalog is for the caller to raise.
pub(crate) async fn apply_plan(conn: &mut Connection, slug: &str, price: &str, roles: &[RoleId]) {
    let price = StripePriceId::new(price);
    let roles = roles.iter().map(|role| GuildRole {
        guild: guild(),
        role: *role,
    });
    let plan = Plan {
        slug: slug.parse().unwrap(),
        name: slug.to_owned(),
        kind: PlanKind::Individual,
        prices: BTreeSet::from([price.clone()]),
        grace: None,
        paused_keeps_access: false,
        trial_days: 0,
        end: EndPolicy::Remove,
        roles: roles.collect(),
        archived: false,
    };
    let row = PlanRow {
        plan: plan.clone(),
        lifetime_prices: BTreeSet::new(),
        position: 1,
        seat_policy: "grace".to_owned(),
        seat_grace_seconds: None,
        proration: "always".to_owned(),
        promotion_codes: true,
        tax: false,
    };
    upsert_plan(conn, &row).await.unwrap();
    upsert_plan_prices(conn, &plan.slug, &[price], false)
        .await
        .unwrap();
    replace_plan_roles(conn, &plan.slug, &plan.roles).await.unwrap();
}
