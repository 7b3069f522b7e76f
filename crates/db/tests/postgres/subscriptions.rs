//! `subscriptions`: a write replaces exactly the version that its read began after.

use rolecall_db::{
    customers::upsert_customer,
    subscriptions::{
        ReadMark, StoredSubscription, SubscriptionRead, Written, find_owed_since, find_read_mark,
        insert_subscription, list_other_statuses, list_subscriptions_of, rematch_plans, set_standing,
        update_subscriptions,
    },
};
use rolecall_domain::{
    ids::MemberId,
    standing::Standing,
    subscription::{Subscription, SubscriptionStatus},
};

use crate::support::{
    TestDb, at, at_once, parse, person, plan, price, read, subscribe, update_subscription, uuid,
};

#[tokio::test]
async fn a_read_is_kept_as_it_came() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let council = plan(&mut tx, "council", &["price_1"]).await;
    let first = SubscriptionRead {
        member_id: Some(one),
        plan: Some(council.clone()),
        prices: vec![price("price_1"), price("price_2")],
        quantity: 3,
        status: SubscriptionStatus::PastDue,
        collection_paused: true,
        current_period_end: Some(at(50)),
        cancel_at_period_end: true,
        owed_since: Some(at(4)),
        owed_invoice_url: Some("https://pay".to_owned()),
        read_started_at: at(7),
        ..read("sub_1")
    };
    subscribe(&mut tx, &first).await;
    subscribe(
        &mut tx,
        &SubscriptionRead {
            member_id: Some(other),
            ..read("sub_2")
        },
    )
    .await;
    let expected = StoredSubscription {
        facts: Subscription {
            id: parse("sub_1"),
            plan: Some(council),
            status: SubscriptionStatus::PastDue,
            collection_paused: true,
            owed_since: Some(at(4)),
            reversal: None,
            last_standing: Some(Standing::Pending),
        },
        prices: first.prices.clone(),
        quantity: 3,
        current_period_end: Some(at(50)),
        cancel_at_period_end: true,
        owed_invoice_url: Some("https://pay".to_owned()),
        had_access: false,
        standing: Standing::Pending,
        standing_since: None,
    };
    assert_eq!(list_subscriptions_of(&mut tx, one).await.unwrap(), [expected]);
    assert_eq!(
        list_subscriptions_of(&mut tx, other).await.unwrap()[0].facts.id,
        parse("sub_2")
    );
    let mark = ReadMark {
        version: 1,
        read_started_at: at(7),
    };
    assert_eq!(
        find_read_mark(&mut tx, &parse("sub_1")).await.unwrap(),
        Some(mark)
    );
    assert_eq!(find_read_mark(&mut tx, &parse("sub_3")).await.unwrap(), None);
    assert_eq!(
        find_owed_since(&mut tx, &parse("sub_1")).await.unwrap(),
        Some(at(4))
    );
    assert_eq!(find_owed_since(&mut tx, &parse("sub_2")).await.unwrap(), None);
    assert_eq!(find_owed_since(&mut tx, &parse("sub_3")).await.unwrap(), None);
}

#[tokio::test]
async fn every_part_of_a_read_is_written_over_the_version_before() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    let (council, guest) = (
        plan(&mut tx, "council", &[]).await,
        plan(&mut tx, "guest", &[]).await,
    );
    let full = |n: i64, id: &str| SubscriptionRead {
        id: parse(id),
        customer: parse(&format!("cus_{n}")),
        member_id: Some(one),
        plan: Some(if n == 1 { council.clone() } else { guest.clone() }),
        prices: vec![price(&format!("price_{n}"))],
        quantity: n,
        status: if n == 1 {
            SubscriptionStatus::Active
        } else {
            SubscriptionStatus::Unknown("new".to_owned())
        },
        collection_paused: n == 2,
        current_period_end: Some(at(n)),
        cancel_at_period_end: n == 2,
        cancel_at: Some(at(10 + n)),
        ended_at: Some(at(20 + n)),
        trial_end: Some(at(30 + n)),
        owed_since: Some(at(40 + n)),
        owed_invoice_url: Some(format!("https://{n}")),
        livemode: n == 2,
        read_started_at: at(50 + n),
    };
    subscribe(&mut tx, &full(1, "sub_1")).await;
    subscribe(&mut tx, &full(1, "sub_9")).await;
    subscribe(&mut tx, &full(2, "sub_2")).await;
    assert!(
        update_subscription(&mut tx, &full(2, "sub_1"), 1, at(0))
            .await
            .unwrap()
            .is_some()
    );
    // Everything but its id, and the version that counts writes.
    let sql = "SELECT (to_jsonb(s) - 'id' - 'version')::text FROM subscriptions s WHERE id = $1";
    let mut rows = Vec::new();
    for id in ["sub_1", "sub_2", "sub_9"] {
        rows.push(
            sqlx::query_scalar::<_, String>(sql)
                .bind(id)
                .fetch_one(&mut *tx)
                .await
                .unwrap(),
        );
    }
    assert_eq!(rows[0], rows[1], "as if it had been the first read");
    assert_ne!(rows[0], rows[2], "its neighbour is as it was");
    let mark = ReadMark {
        version: 2,
        read_started_at: at(52),
    };
    assert_eq!(
        find_read_mark(&mut tx, &parse("sub_1")).await.unwrap(),
        Some(mark)
    );
    let mark = ReadMark {
        version: 1,
        read_started_at: at(51),
    };
    assert_eq!(
        find_read_mark(&mut tx, &parse("sub_9")).await.unwrap(),
        Some(mark)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_writes_over_one_version_exactly_one_wins() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    subscribe(&mut tx, &read("sub_1")).await;
    tx.commit().await.unwrap();
    for version in 1..=5 {
        let wins = at_once(12, |task| {
            let database = db.database();
            async move {
                let read = SubscriptionRead {
                    quantity: task.into(),
                    ..read("sub_1")
                };
                let mut tx = database.begin().await.unwrap();
                let won = update_subscription(&mut tx, &read, version, at(0))
                    .await
                    .unwrap()
                    .is_some();
                tx.commit().await.unwrap();
                won.then_some(read.quantity)
            }
        });
        let wins: Vec<_> = wins.await.into_iter().flatten().collect();
        assert_eq!(wins.len(), 1, "version {version}");
        let mut tx = db.begin().await;
        let sql = "SELECT version, quantity FROM subscriptions";
        let row: (i64, i64) = sqlx::query_as(sql).fetch_one(&mut *tx).await.unwrap();
        assert_eq!(row, (version + 1, wins[0]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_first_reads_exactly_one_is_the_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    upsert_customer(&mut tx, &parse("cus_1"), None, at(0))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let firsts = at_once(12, |_| {
        let database = db.database();
        async move {
            let mut tx = database.begin().await.unwrap();
            let first = insert_subscription(&mut tx, &read("sub_1"), at(0)).await.unwrap();
            tx.commit().await.unwrap();
            first
        }
    });
    assert_eq!(firsts.await.into_iter().filter(|first| *first).count(), 1);
}

#[tokio::test]
async fn a_read_that_says_what_was_known_is_told_from_one_that_says_something_new() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let first = read("sub_1");
    subscribe(&mut tx, &first).await;
    let later = SubscriptionRead {
        read_started_at: at(500),
        ..first.clone()
    };
    let written = update_subscription(&mut tx, &later, 1, at(500)).await.unwrap();
    assert_eq!(written, Some(Written::Unchanged));
    let changes: [fn(&mut SubscriptionRead); 5] = [
        |read| read.quantity += 1,
        |read| read.current_period_end = Some(at(12_345)),
        |read| read.owed_invoice_url = Some("https://elsewhere".to_owned()),
        |read| read.cancel_at_period_end = !read.cancel_at_period_end,
        |read| read.collection_paused = !read.collection_paused,
    ];
    let mut read = first;
    for (version, change) in (2..).zip(changes) {
        change(&mut read);
        let written = update_subscription(&mut tx, &read, version, at(0)).await.unwrap();
        assert_eq!(
            written,
            Some(Written::Changed { taken_from: None }),
            "change {version}"
        );
    }
    let mark = find_read_mark(&mut tx, &read.id).await.unwrap();
    assert_eq!(
        mark.map(|mark| mark.version),
        Some(7),
        "each of them counts as a write"
    );
}

#[tokio::test]
async fn a_write_over_a_version_that_is_gone_changes_nothing() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    subscribe(&mut tx, &read("sub_1")).await;
    let newer = SubscriptionRead {
        quantity: 2,
        ..read("sub_1")
    };
    assert!(
        update_subscription(&mut tx, &newer, 1, at(0))
            .await
            .unwrap()
            .is_some()
    );
    let older = SubscriptionRead {
        quantity: 1,
        ..read("sub_1")
    };
    for version in [0, 1, 3] {
        assert!(
            update_subscription(&mut tx, &older, version, at(0))
                .await
                .unwrap()
                .is_none()
        );
    }
    assert!(!insert_subscription(&mut tx, &older, at(0)).await.unwrap());
    assert!(
        update_subscription(&mut tx, &read("sub_2"), 1, at(0))
            .await
            .unwrap()
            .is_none(),
        "never read"
    );
    let quantity: i64 = sqlx::query_scalar("SELECT quantity FROM subscriptions")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(quantity, 2);
}

#[tokio::test]
async fn a_read_that_knows_nobody_keeps_whose_it_is() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    subscribe(
        &mut tx,
        &SubscriptionRead {
            member_id: Some(one),
            ..read("sub_1")
        },
    )
    .await;
    assert!(
        update_subscription(&mut tx, &read("sub_1"), 1, at(0))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(list_subscriptions_of(&mut tx, one).await.unwrap().len(), 1);
    let moved = SubscriptionRead {
        member_id: Some(other),
        ..read("sub_1")
    };
    assert!(
        update_subscription(&mut tx, &moved, 2, at(0))
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(list_subscriptions_of(&mut tx, one).await.unwrap(), []);
    assert_eq!(list_subscriptions_of(&mut tx, other).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_standing_is_kept_with_its_date_and_access_is_never_forgotten() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for id in ["sub_1", "sub_2"] {
        subscribe(
            &mut tx,
            &SubscriptionRead {
                member_id: Some(one),
                ..read(id)
            },
        )
        .await;
    }
    let all = [
        (Standing::Trial, false),
        (Standing::Grace { until: at(9) }, true),
        (Standing::Debtor, false),
        (Standing::Paused, false),
        (Standing::Ended, false),
        (Standing::Active, true),
    ];
    let mut had_access = false;
    for (standing, gives_access) in all {
        had_access |= gives_access;
        set_standing(&mut tx, &parse("sub_1"), standing, Some(at(1)), gives_access)
            .await
            .unwrap();
        let stored = list_subscriptions_of(&mut tx, one).await.unwrap();
        assert_eq!((stored[0].standing, stored[0].had_access), (standing, had_access));
        assert_eq!(stored[0].facts.last_standing, Some(standing));
        assert_eq!(
            (stored[1].standing, stored[1].had_access),
            (Standing::Pending, false)
        );
    }
    // What a convergence derived is not what the next read replaces.
    assert!(
        update_subscription(&mut tx, &read("sub_1"), 1, at(0))
            .await
            .unwrap()
            .is_some()
    );
    let stored = list_subscriptions_of(&mut tx, one).await.unwrap();
    assert_eq!(
        (stored[0].standing, stored[0].had_access),
        (Standing::Active, true)
    );
    assert!(
        set_standing(&mut tx, &parse("sub_3"), Standing::Active, None, true)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_changed_catalog_moves_subscriptions_to_the_plan_that_sells_their_price() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (council, guest) = (
        plan(&mut tx, "council", &["price_c"]).await,
        plan(&mut tx, "guest", &["price_g", "price_unsold"]).await,
    );
    rolecall_db::catalog::upsert_plan_prices(&mut tx, &guest, &[price("price_life")], true)
        .await
        .unwrap();
    let one = person(&mut tx, 1).await;
    for (id, prices, before) in [
        ("sub_1", vec!["price_c"], Some(&guest)),
        ("sub_2", vec!["price_g"], Some(&guest)),
        ("sub_3", vec!["price_x", "price_g", "price_c"], None),
        ("sub_4", vec!["price_c", "price_g"], None),
        ("sub_5", vec!["price_x"], Some(&council)),
        ("sub_6", vec!["price_life"], None),
        ("sub_7", vec![], None),
    ] {
        let prices = prices.into_iter().map(price).collect();
        let plan = before.cloned();
        subscribe(
            &mut tx,
            &SubscriptionRead {
                member_id: Some(one),
                prices,
                plan,
                ..read(id)
            },
        )
        .await;
    }
    assert_eq!(rematch_plans(&mut tx).await.unwrap(), 3);
    let stored = list_subscriptions_of(&mut tx, one).await.unwrap();
    let plans: Vec<_> = stored.into_iter().map(|stored| stored.facts.plan).collect();
    let expected = [
        Some(&council),
        Some(&guest),
        // The first of its prices that is sold, in Stripe's order.
        Some(&guest),
        Some(&council),
        // Taken off sale: whoever has it keeps it.
        Some(&council),
        None,
        None,
    ];
    assert_eq!(plans, expected.map(Option::<&_>::cloned));
    assert_eq!(rematch_plans(&mut tx).await.unwrap(), 0);
}

#[tokio::test]
async fn a_standing_that_makes_no_sense_is_reported_with_its_column() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    subscribe(
        &mut tx,
        &SubscriptionRead {
            member_id: Some(one),
            ..read("sub_1")
        },
    )
    .await;
    sqlx::query("UPDATE subscriptions SET standing = 'grace'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let error = list_subscriptions_of(&mut tx, MemberId::from_uuid(uuid(1)))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("subscriptions.standing"), "{error}");
}

#[tokio::test]
async fn a_read_keeps_the_plan_of_a_price_that_is_no_longer_named_and_not_of_another_price() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &["price_c"]).await;
    let one = person(&mut tx, 1).await;
    let bought = SubscriptionRead {
        member_id: Some(one),
        prices: vec![price("price_old")],
        plan: Some(council.clone()),
        ..read("sub_1")
    };
    subscribe(&mut tx, &bought).await;
    let again = SubscriptionRead {
        plan: None,
        ..bought.clone()
    };
    assert!(
        update_subscription(&mut tx, &again, 1, at(1))
            .await
            .unwrap()
            .is_some()
    );
    let stored = list_subscriptions_of(&mut tx, one).await.unwrap();
    assert_eq!(stored[0].facts.plan, Some(council));
    let switched = SubscriptionRead {
        prices: vec![price("price_foreign")],
        ..again
    };
    assert!(
        update_subscription(&mut tx, &switched, 2, at(2))
            .await
            .unwrap()
            .is_some()
    );
    let stored = list_subscriptions_of(&mut tx, one).await.unwrap();
    assert_eq!(stored[0].facts.plan, None);
}

#[tokio::test]
async fn of_reads_that_are_written_together_each_has_its_own_fate() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for id in ["sub_1", "sub_2", "sub_3", "sub_4"] {
        let owned = SubscriptionRead {
            member_id: Some(one),
            ..read(id)
        };
        subscribe(&mut tx, &owned).await;
    }
    let unchanged = read("sub_1");
    let changed = SubscriptionRead {
        prices: vec![price("a price, with {signs}"), price("price_2")],
        quantity: 7,
        ..read("sub_2")
    };
    let taken = SubscriptionRead {
        member_id: Some(other),
        ..read("sub_3")
    };
    let overtaken = SubscriptionRead {
        quantity: 9,
        ..read("sub_4")
    };
    let unknown = read("sub_5");
    let reads = [
        (&unchanged, 1),
        (&changed, 1),
        (&taken, 1),
        (&overtaken, 2),
        (&unknown, 1),
    ];
    let mut written = update_subscriptions(&mut tx, &reads, at(1)).await.unwrap();
    written.sort_by(|(a, _), (b, _)| a.cmp(b));
    let taken_from = |former| Written::Changed { taken_from: former };
    assert_eq!(
        written,
        [
            (parse("sub_1"), Written::Unchanged),
            (parse("sub_2"), taken_from(None)),
            (parse("sub_3"), taken_from(Some(one))),
        ]
    );
    let stored = list_subscriptions_of(&mut tx, one).await.unwrap();
    let stored: Vec<_> = stored
        .iter()
        .map(|stored| (stored.facts.id.as_str(), stored.quantity, stored.prices.clone()))
        .collect();
    assert_eq!(
        stored,
        [
            ("sub_1", unchanged.quantity, unchanged.prices.clone()),
            ("sub_2", 7, changed.prices.clone()),
            ("sub_4", read("sub_4").quantity, read("sub_4").prices),
        ]
    );
    assert_eq!(list_subscriptions_of(&mut tx, other).await.unwrap().len(), 1);
}

#[tokio::test]
async fn statuses_that_are_not_known_are_listed_with_how_many_have_them() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (id, status) in [
        ("sub_1", "active"),
        ("sub_4", "hibernating"),
        ("sub_3", "hibernating"),
        ("sub_2", "asleep"),
    ] {
        let read = SubscriptionRead {
            status: parse(status),
            ..read(id)
        };
        subscribe(&mut tx, &read).await;
    }
    let others = list_other_statuses(&mut tx, &["active", "paused"]).await.unwrap();
    let told: Vec<_> = others
        .iter()
        .map(|other| (other.status.as_str(), other.count, other.first.as_str()))
        .collect();
    assert_eq!(told, [("asleep", 1, "sub_2"), ("hibernating", 2, "sub_3")]);
    let all = ["active", "asleep", "hibernating"];
    assert_eq!(list_other_statuses(&mut tx, &all).await.unwrap(), []);
}
