//! `catalog`: plans, their roles and prices, and the servers.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use rolecall_db::{
    Transaction,
    catalog::{
        PlanRow, archive_plan, catalog_version, delete_prices_except, list_guilds, list_plans, load_catalog,
        raise_catalog_version, replace_guilds, replace_plan_roles, upsert_plan, upsert_plan_prices,
    },
    prices::{PriceRead, list_stale_prices, set_price_read},
};
use rolecall_domain::{
    catalog::{EndPolicy, GuildRole, GuildSettings, PlanKind, PlanSlug},
    ids::ChannelId,
};

use crate::support::{TestDb, at, guild, parse, plan, plan_row, price, role, soon};

async fn prices_of(tx: &mut Transaction, slug: &PlanSlug) -> Vec<String> {
    let plans = list_plans(tx).await.unwrap();
    let row = plans.into_iter().find(|row| row.plan.slug == *slug).unwrap();
    row.plan
        .prices
        .iter()
        .map(|price| price.as_str().to_owned())
        .collect()
}

#[tokio::test]
async fn a_plan_is_read_as_it_was_written_and_written_over() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let mut row = plan_row("council", 3);
    upsert_plan(&mut tx, &row).await.unwrap();
    upsert_plan(&mut tx, &plan_row("guest", 1)).await.unwrap();
    assert_eq!(
        list_plans(&mut tx).await.unwrap(),
        [plan_row("guest", 1), row.clone()]
    );

    row.plan.name = "Council member".to_owned();
    row.plan.kind = PlanKind::Company;
    row.plan.grace = Some(TimeDelta::days(9));
    row.plan.paused_keeps_access = true;
    row.plan.trial_days = 14;
    row.plan.end = EndPolicy::Alumni;
    row.position = 0;
    row.seat_policy = "reject".to_owned();
    row.seat_grace_seconds = Some(60);
    row.proration = "none".to_owned();
    row.promotion_codes = false;
    row.tax = true;
    upsert_plan(&mut tx, &row).await.unwrap();
    assert_eq!(list_plans(&mut tx).await.unwrap(), [row, plan_row("guest", 1)]);
}

#[tokio::test]
async fn an_archived_plan_comes_last_and_keeps_what_its_holders_have() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (old, live) = (
        plan(&mut tx, "a_old", &["price_old"]).await,
        plan(&mut tx, "b_live", &["price_live"]).await,
    );
    let given = BTreeSet::from([GuildRole {
        guild: guild(1),
        role: role(1),
    }]);
    replace_plan_roles(&mut tx, &old, &given).await.unwrap();
    archive_plan(&mut tx, &old).await.unwrap();
    // The plans file no longer names it, nor its prices.
    delete_prices_except(&mut tx, &[price("price_live")])
        .await
        .unwrap();

    let plans = list_plans(&mut tx).await.unwrap();
    let listed: Vec<_> = plans
        .iter()
        .map(|row| (&row.plan.slug, row.plan.archived))
        .collect();
    assert_eq!(listed, [(&live, false), (&old, true)]);
    assert_eq!(
        (&plans[1].plan.roles, &plans[1].plan.prices),
        (&given, &BTreeSet::from([price("price_old")]))
    );
    let catalog = load_catalog(&mut tx).await.unwrap();
    assert_eq!(
        catalog
            .plans_selling(&[price("price_old")])
            .first()
            .map(|plan| &plan.slug),
        Some(&old)
    );
    assert!(archive_plan(&mut tx, &parse("unknown")).await.is_err());
    upsert_plan(&mut tx, &plan_row("a_old", 0)).await.unwrap();
    assert!(
        list_plans(&mut tx)
            .await
            .unwrap()
            .iter()
            .all(|row| !row.plan.archived),
        "back on sale"
    );
}

#[tokio::test]
async fn prices_that_no_plan_names_any_more_are_forgotten() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &["price_1", "price_2"]).await;
    let guest = plan(&mut tx, "guest", &["price_3"]).await;
    delete_prices_except(&mut tx, &[price("price_2"), price("price_3")])
        .await
        .unwrap();
    assert_eq!(prices_of(&mut tx, &council).await, ["price_2"]);
    assert_eq!(prices_of(&mut tx, &guest).await, ["price_3"]);
    delete_prices_except(&mut tx, &[]).await.unwrap();
    assert_eq!(prices_of(&mut tx, &guest).await, [""; 0]);
}

#[tokio::test]
async fn a_price_moves_to_the_plan_that_names_it_last_and_keeps_what_was_read_of_it() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (council, guest) = (
        plan(&mut tx, "council", &["price_1", "price_2"]).await,
        plan(&mut tx, "guest", &[]).await,
    );
    let id = price("price_1");
    let read = PriceRead {
        id: &id,
        active: true,
        unit_amount: Some(1),
        currency: "eur",
        interval: None,
        interval_count: None,
    };
    set_price_read(&mut tx, &read, at(5)).await.unwrap();
    upsert_plan_prices(&mut tx, &guest, &[price("price_1")], false)
        .await
        .unwrap();
    assert_eq!(prices_of(&mut tx, &council).await, ["price_2"]);
    assert_eq!(prices_of(&mut tx, &guest).await, ["price_1"]);
    assert_eq!(
        list_stale_prices(&mut tx, at(5), 9).await.unwrap(),
        [price("price_2")]
    );
}

#[tokio::test]
async fn a_lifetime_price_does_not_sell_its_plan_by_subscription() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &["price_month"]).await;
    upsert_plan_prices(&mut tx, &council, &[price("price_life")], true)
        .await
        .unwrap();
    let PlanRow {
        plan,
        lifetime_prices,
        ..
    } = list_plans(&mut tx).await.unwrap().remove(0);
    assert_eq!(
        (plan.prices, lifetime_prices),
        (
            BTreeSet::from([price("price_month")]),
            BTreeSet::from([price("price_life")]),
        )
    );
    assert_eq!(
        load_catalog(&mut tx)
            .await
            .unwrap()
            .plans_selling(&[price("price_life")]),
        Vec::<&rolecall_domain::catalog::Plan>::new()
    );
}

#[tokio::test]
async fn roles_are_replaced_for_one_plan_only() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (council, guest) = (
        plan(&mut tx, "council", &[]).await,
        plan(&mut tx, "guest", &[]).await,
    );
    let given = |pairs: &[(u64, u64)]| -> BTreeSet<GuildRole> {
        pairs
            .iter()
            .map(|(g, r)| GuildRole {
                guild: guild(*g),
                role: role(*r),
            })
            .collect()
    };
    replace_plan_roles(&mut tx, &council, &given(&[(1, 1), (2, 1)]))
        .await
        .unwrap();
    replace_plan_roles(&mut tx, &guest, &given(&[(1, 1)]))
        .await
        .unwrap();
    replace_plan_roles(&mut tx, &council, &given(&[(2, 1), (2, 3)]))
        .await
        .unwrap();
    let catalog = load_catalog(&mut tx).await.unwrap();
    assert_eq!(catalog.plans[&council].roles, given(&[(2, 1), (2, 3)]));
    assert_eq!(catalog.plans[&guest].roles, given(&[(1, 1)]));
    replace_plan_roles(&mut tx, &council, &BTreeSet::new())
        .await
        .unwrap();
    let catalog = load_catalog(&mut tx).await.unwrap();
    assert_eq!(catalog.plans[&council].roles, given(&[]));
    assert_eq!(catalog.plans[&guest].roles, given(&[(1, 1)]));
}

#[tokio::test]
async fn servers_are_replaced_with_their_special_roles() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let all = GuildSettings {
        debtor_role: Some(role(1)),
        introduced_role: Some(role(2)),
        introductions_channel: ChannelId::new(9),
        alumni_role: Some(role(3)),
    };
    let servers = BTreeMap::from([(guild(1), all), (guild(2), GuildSettings::default())]);
    replace_guilds(&mut tx, &servers).await.unwrap();
    assert_eq!(list_guilds(&mut tx).await.unwrap(), servers);
    let fewer = BTreeMap::from([(
        guild(2),
        GuildSettings {
            alumni_role: Some(role(4)),
            ..GuildSettings::default()
        },
    )]);
    replace_guilds(&mut tx, &fewer).await.unwrap();
    assert_eq!(list_guilds(&mut tx).await.unwrap(), fewer);
    assert_eq!(load_catalog(&mut tx).await.unwrap().guilds, fewer);
}

#[tokio::test]
async fn the_version_grows_with_every_change_and_keeps_writers_apart() {
    let db = TestDb::new().await;
    let mut first = db.begin().await;
    assert_eq!(catalog_version(&mut first).await.unwrap(), 0);
    assert_eq!(raise_catalog_version(&mut first).await.unwrap(), 1);
    let second = Box::pin(async {
        let mut tx = db.begin().await;
        assert_eq!(
            soon(catalog_version(&mut tx)).await.unwrap(),
            0,
            "readers do not wait"
        );
        let version = raise_catalog_version(&mut tx).await.unwrap();
        tx.commit().await.unwrap();
        version
    });
    let finish_first = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        first.commit().await.unwrap();
    });
    let (version, ()) = soon(async { tokio::join!(second, finish_first) }).await;
    assert_eq!(version, 2);
    let mut tx = db.begin().await;
    assert_eq!(load_catalog(&mut tx).await.unwrap().version, 2);
}
