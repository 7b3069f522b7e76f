//! `checkout_sessions`: what was bought, and what became of it.

use rolecall_db::checkout_sessions::{
    Checkout, CheckoutState, find_checkout, insert_checkout, list_open_checkouts, set_checkout_state,
    touch_checkout,
};

use crate::support::{TestDb, at, parse, person, plan};

#[tokio::test]
async fn a_session_is_found_as_it_was_opened() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (council, guest) = (
        plan(&mut tx, "council", &[]).await,
        plan(&mut tx, "guest", &[]).await,
    );
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    insert_checkout(&mut tx, &parse("cs_1"), one, &council, 0, at(0))
        .await
        .unwrap();
    insert_checkout(&mut tx, &parse("cs_2"), other, &guest, 7, at(0))
        .await
        .unwrap();
    let open = |id: &str, member_id, plan, trial_days| Checkout {
        id: parse(id),
        member_id,
        plan,
        trial_days,
        state: CheckoutState::Open,
        subscription: None,
    };
    assert_eq!(
        find_checkout(&mut tx, &parse("cs_1")).await.unwrap(),
        Some(open("cs_1", one, council, 0))
    );
    assert_eq!(
        find_checkout(&mut tx, &parse("cs_2")).await.unwrap(),
        Some(open("cs_2", other, guest, 7))
    );
    assert_eq!(find_checkout(&mut tx, &parse("cs_3")).await.unwrap(), None);
}

#[tokio::test]
async fn a_complete_session_stays_complete_and_an_expired_one_may_still_complete() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &[]).await;
    let one = person(&mut tx, 1).await;
    for id in ["cs_1", "cs_2", "cs_3"] {
        insert_checkout(&mut tx, &parse(id), one, &council, 0, at(0))
            .await
            .unwrap();
    }
    let subscription = parse("sub_1");
    for (id, state, subscription) in [
        ("cs_1", CheckoutState::Complete, Some(&subscription)),
        ("cs_1", CheckoutState::Expired, None),
        ("cs_2", CheckoutState::Expired, None),
        ("cs_2", CheckoutState::Complete, Some(&subscription)),
        ("cs_9", CheckoutState::Complete, Some(&subscription)),
    ] {
        set_checkout_state(&mut tx, &parse(id), state, subscription, at(1))
            .await
            .unwrap();
    }
    for (id, state, bought) in [
        ("cs_1", CheckoutState::Complete, Some(&subscription)),
        ("cs_2", CheckoutState::Complete, Some(&subscription)),
        ("cs_3", CheckoutState::Open, None),
    ] {
        let stored = find_checkout(&mut tx, &parse(id)).await.unwrap().unwrap();
        assert_eq!(
            (stored.state, stored.subscription.as_ref()),
            (state, bought),
            "{id}"
        );
    }
}

#[tokio::test]
async fn open_sessions_of_a_time_are_listed_those_first_that_nobody_looked_at() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &[]).await;
    let one = person(&mut tx, 1).await;
    for (id, seconds) in [
        ("cs_1", 10),
        ("cs_2", 11),
        ("cs_3", 12),
        ("cs_4", 20),
        ("cs_5", 21),
        ("cs_6", 13),
    ] {
        insert_checkout(&mut tx, &parse(id), one, &council, 0, at(seconds))
            .await
            .unwrap();
    }
    set_checkout_state(&mut tx, &parse("cs_6"), CheckoutState::Expired, None, at(14))
        .await
        .unwrap();
    // Neither the one at the begin, nor one after the end, nor one that is not open.
    let list = ["cs_2", "cs_3", "cs_4"].map(parse);
    assert_eq!(
        list_open_checkouts(&mut tx, at(10), at(20), 9).await.unwrap(),
        list
    );
    touch_checkout(&mut tx, &parse("cs_2"), at(30)).await.unwrap();
    let list = ["cs_3", "cs_4", "cs_2"].map(parse);
    assert_eq!(
        list_open_checkouts(&mut tx, at(10), at(20), 9).await.unwrap(),
        list
    );
    assert_eq!(
        list_open_checkouts(&mut tx, at(10), at(20), 1).await.unwrap(),
        [parse("cs_3")]
    );
}
