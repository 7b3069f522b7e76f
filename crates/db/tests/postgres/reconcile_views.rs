//! What a sweep compares: what is kept, whose it is, what lives, what was not read for long, and silence.

use chrono::TimeDelta;
use rolecall_db::{
    customers::upsert_customer,
    inbox::{NewInboxEvent, insert_event},
    reconcile_money::{list_known_payments, list_known_purchases, list_opened_checkouts},
    reconcile_views::{
        Staleness, count_known_subscriptions, end_unknown_subscription, find_owner, find_silence,
        list_existing_members, list_known_subscriptions, list_living_subscriptions, list_owners,
        list_stale_subscriptions,
    },
    subscriptions::{SubscriptionRead, find_read_mark},
};
use rolecall_domain::subscription::SubscriptionStatus;
use serde_json::value::RawValue;

use crate::support::{TestDb, at, parse, person, plan, read, subscribe};

#[tokio::test]
async fn what_is_kept_is_told_with_whose_it_is_and_nothing_else() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let ada = person(&mut tx, 1).await;
    let stranger = person(&mut tx, 2).await;
    let kept = SubscriptionRead {
        member_id: Some(ada),
        quantity: 3,
        ..read("sub_1")
    };
    subscribe(&mut tx, &kept).await;
    subscribe(&mut tx, &read("sub_2")).await;
    let ids = [parse("sub_1"), parse("sub_9")];
    let known = list_known_subscriptions(&mut tx, &[&ids[0], &ids[1]])
        .await
        .unwrap();
    assert_eq!(known.len(), 1);
    assert_eq!(
        (known[0].terms.quantity, known[0].terms.member_id),
        (3, Some(ada))
    );
    assert_eq!(known[0].terms.status, kept.status);
    assert_eq!(known[0].read_started_at, kept.read_started_at);
    assert_eq!(find_owner(&mut tx, &parse("sub_1")).await.unwrap(), Some(ada));
    assert_eq!(find_owner(&mut tx, &parse("sub_2")).await.unwrap(), None);
    assert_eq!(find_owner(&mut tx, &parse("sub_9")).await.unwrap(), None);

    let (hers, nobodys) = (parse("cus_hers"), parse("cus_nobodys"));
    upsert_customer(&mut tx, &hers, Some(ada), at(1)).await.unwrap();
    upsert_customer(&mut tx, &nobodys, None, at(1)).await.unwrap();
    let owners = list_owners(&mut tx, &[&hers, &nobodys]).await.unwrap();
    assert_eq!(owners, [(hers, ada)]);
    let nobody = rolecall_domain::ids::MemberId::from_uuid(uuid::Uuid::from_u128(99));
    assert_eq!(
        list_existing_members(&mut tx, &[stranger, nobody]).await.unwrap(),
        [stranger]
    );
    let session = parse("cs_1");
    assert_eq!(list_known_purchases(&mut tx, &[&session]).await.unwrap(), []);
    assert_eq!(list_opened_checkouts(&mut tx, &[&session]).await.unwrap(), []);
    assert_eq!(
        list_known_payments(&mut tx, &["ch_1".to_owned()]).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn the_living_are_listed_page_by_page_in_their_mode_and_read_before() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let with = |id: &str, change: fn(&mut SubscriptionRead)| {
        let mut read = read(id);
        read.read_started_at = at(100);
        read.livemode = false;
        change(&mut read);
        read
    };
    for read in [
        with("sub_1", |_| {}),
        with("sub_2", |read| read.status = SubscriptionStatus::Canceled),
        with("sub_3", |read| read.livemode = true),
        with("sub_4", |read| read.read_started_at = at(200)),
        with("sub_5", |read| read.status = SubscriptionStatus::PastDue),
        with("sub_6", |read| {
            read.status = SubscriptionStatus::IncompleteExpired;
        }),
    ] {
        subscribe(&mut tx, &read).await;
    }
    assert_eq!(count_known_subscriptions(&mut tx, false).await.unwrap(), 5);
    let living = list_living_subscriptions(&mut tx, false, at(150), None, 9)
        .await
        .unwrap();
    assert_eq!(living, [parse("sub_1"), parse("sub_5")]);
    let first = list_living_subscriptions(&mut tx, false, at(150), None, 1)
        .await
        .unwrap();
    let rest = list_living_subscriptions(&mut tx, false, at(150), first.last(), 9)
        .await
        .unwrap();
    assert_eq!(rest, [parse("sub_5")]);
}

#[tokio::test]
async fn what_stripe_does_not_know_ends_over_the_version_that_was_there() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for id in ["sub_1", "sub_2"] {
        subscribe(&mut tx, &read(id)).await;
    }
    let id = parse("sub_1");
    let mark = find_read_mark(&mut tx, &id).await.unwrap().unwrap();
    assert!(
        !end_unknown_subscription(&mut tx, &id, mark.version + 1, at(500), at(501))
            .await
            .unwrap()
    );
    assert!(
        end_unknown_subscription(&mut tx, &id, mark.version, at(500), at(501))
            .await
            .unwrap()
    );
    assert!(
        !end_unknown_subscription(&mut tx, &id, mark.version, at(500), at(501))
            .await
            .unwrap()
    );
    let known = list_known_subscriptions(&mut tx, &[&id, &parse("sub_2")])
        .await
        .unwrap();
    let ended = known.iter().find(|known| known.id == id).unwrap();
    assert_eq!(
        (&ended.terms.status, ended.terms.ended_at, ended.read_started_at),
        (&SubscriptionStatus::Canceled, Some(at(501)), at(500))
    );
    assert!(
        known
            .iter()
            .any(|known| known.terms.status != SubscriptionStatus::Canceled)
    );
}

#[tokio::test]
async fn what_was_not_read_for_long_or_should_have_renewed_is_stale() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (day, now) = (86_400, 100 * 86_400);
    for (id, read_at, ends, status) in [
        ("sub_fresh", now - day, now + day, "active"),
        ("sub_unread", now - 8 * day, now + day, "active"),
        ("sub_unread_ended", now - 8 * day, now - 9 * day, "canceled"),
        ("sub_renewed", now - 3 * day, now - 2 * day, "active"),
        ("sub_read_since", now - day, now - 2 * day, "past_due"),
        ("sub_just_over", now - day, now - 3_600, "active"),
    ] {
        let read = SubscriptionRead {
            read_started_at: at(read_at),
            current_period_end: Some(at(ends)),
            status: status.parse().unwrap(),
            livemode: false,
            ..read(id)
        };
        subscribe(&mut tx, &read).await;
    }
    let stale = Staleness {
        read_before: at(now - 7 * day),
        ended_before: at(now) - TimeDelta::hours(12),
        now: at(now),
    };
    let found = list_stale_subscriptions(&mut tx, false, &stale, 9).await.unwrap();
    assert_eq!(found, [parse("sub_unread"), parse("sub_renewed")]);
    assert_eq!(
        list_stale_subscriptions(&mut tx, false, &stale, 1)
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        list_stale_subscriptions(&mut tx, true, &stale, 9).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn silence_begins_with_the_last_webhook_and_counts_what_must_have_been_heard() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    plan(&mut tx, "council", &["price_1"]).await;
    let now = chrono::DateTime::<chrono::Utc>::MAX_UTC - TimeDelta::days(400);
    assert_eq!(
        find_silence(&mut tx, false, now).await.unwrap().since,
        None,
        "nothing is kept"
    );
    for (id, ends, status) in [
        ("sub_1", at(4_000_000_000), "active"),
        ("sub_2", at(4_000_000_000), "canceled"),
        ("sub_3", at(10), "active"),
    ] {
        let read = SubscriptionRead {
            current_period_end: Some(ends),
            status: status.parse().unwrap(),
            livemode: false,
            ..read(id)
        };
        subscribe(&mut tx, &read).await;
    }
    assert_eq!(
        find_silence(&mut tx, false, now).await.unwrap().since,
        Some(read("sub_1").read_started_at)
    );
    let payload = RawValue::from_string("{}".to_owned()).unwrap();
    let event = NewInboxEvent {
        id: &parse("evt_1"),
        kind: "invoice.paid",
        livemode: false,
        occurred_at: at(1),
        payload: &payload,
        next_attempt_at: at(60),
    };
    let seen = insert_event(&mut tx, &event).await.unwrap();
    let silence = find_silence(&mut tx, false, now).await.unwrap();
    assert_eq!((silence.since, silence.renewals, silence.swept), (seen, 1, 0));
    let swept = NewInboxEvent {
        id: &parse("evt_2"),
        ..event
    };
    rolecall_db::event_sweeps::insert_missing_events(&mut tx, &[swept])
        .await
        .unwrap();
    let silence = find_silence(&mut tx, false, now).await.unwrap();
    assert_eq!((silence.since, silence.swept), (seen, 1), "no webhook brought it");
}
