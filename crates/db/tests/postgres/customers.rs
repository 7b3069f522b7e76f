//! `customers`: a link is made once and stays.

use rolecall_db::{
    Transaction,
    customers::{
        find_customer_of, find_member_of, link_unclaimed, list_customer_owners, set_customer_gone,
        upsert_customer,
    },
    purchases::{PurchaseRead, list_purchases_of, write_purchase},
    subscriptions::{SubscriptionRead, list_subscriptions_of},
};
use rolecall_domain::ids::MemberId;

use crate::{
    purchases::purchase,
    support::{TestDb, at, parse, person, read, subscribe, uuid},
};

#[tokio::test]
async fn a_link_is_kept_by_a_sync_that_knows_nobody_or_somebody_else() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (first, second) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let customer = parse("cus_1");
    assert_eq!(
        upsert_customer(&mut tx, &customer, None, at(0)).await.unwrap(),
        None
    );
    assert_eq!(
        upsert_customer(&mut tx, &customer, Some(first), at(1))
            .await
            .unwrap(),
        Some(first)
    );
    assert_eq!(
        upsert_customer(&mut tx, &customer, None, at(2)).await.unwrap(),
        Some(first)
    );
    assert_eq!(
        upsert_customer(&mut tx, &customer, Some(second), at(3))
            .await
            .unwrap(),
        Some(first)
    );
    assert_eq!(find_customer_of(&mut tx, first).await.unwrap(), Some(customer));
    assert_eq!(find_customer_of(&mut tx, second).await.unwrap(), None);
}

#[tokio::test]
async fn the_customer_of_a_person_is_the_one_linked_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    upsert_customer(&mut tx, &parse("cus_a"), Some(one), at(9))
        .await
        .unwrap();
    // Known for long, but linked only now.
    upsert_customer(&mut tx, &parse("cus_b"), None, at(1))
        .await
        .unwrap();
    upsert_customer(&mut tx, &parse("cus_b"), Some(one), at(10))
        .await
        .unwrap();
    upsert_customer(&mut tx, &parse("cus_z"), Some(one), at(5))
        .await
        .unwrap();
    upsert_customer(&mut tx, &parse("cus_0"), Some(other), at(0))
        .await
        .unwrap();
    assert_eq!(
        find_customer_of(&mut tx, one).await.unwrap(),
        Some(parse("cus_z"))
    );
    assert_eq!(
        find_customer_of(&mut tx, other).await.unwrap(),
        Some(parse("cus_0"))
    );
}

#[tokio::test]
async fn a_customer_is_whose_they_were_linked_to() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (customer, member_id) in [("cus_1", Some(one)), ("cus_2", Some(other)), ("cus_3", None)] {
        upsert_customer(&mut tx, &parse(customer), member_id, at(0))
            .await
            .unwrap();
        assert_eq!(
            find_member_of(&mut tx, &parse(customer)).await.unwrap(),
            member_id
        );
    }
    assert_eq!(find_member_of(&mut tx, &parse("cus_4")).await.unwrap(), None);
}

#[tokio::test]
async fn a_customer_that_is_gone_is_still_known_but_not_used() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for (id, seconds) in [("cus_a", 1), ("cus_b", 2)] {
        upsert_customer(&mut tx, &parse(id), Some(one), at(seconds))
            .await
            .unwrap();
    }
    set_customer_gone(&mut tx, &parse("cus_a"), at(9)).await.unwrap();
    assert_eq!(
        find_customer_of(&mut tx, one).await.unwrap(),
        Some(parse("cus_b"))
    );
    assert_eq!(find_member_of(&mut tx, &parse("cus_a")).await.unwrap(), Some(one));
    set_customer_gone(&mut tx, &parse("cus_b"), at(9)).await.unwrap();
    assert_eq!(find_customer_of(&mut tx, one).await.unwrap(), None);
}

#[tokio::test]
async fn the_owners_of_several_customers_are_told_in_their_order() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let nobody = MemberId::from_uuid(uuid(9));
    let [linked, free, unknown] = ["cus_1", "cus_2", "cus_3"].map(parse);
    upsert_customer(&mut tx, &linked, Some(one), at(0)).await.unwrap();
    upsert_customer(&mut tx, &free, None, at(0)).await.unwrap();
    let asked = [
        (&unknown, Some(other)),
        (&linked, Some(other)),
        (&free, None),
        (&linked, Some(nobody)),
        (&free, Some(one)),
    ];
    let owners = list_customer_owners(&mut tx, &asked).await.unwrap();
    let owners: Vec<_> = owners.iter().map(|owner| (owner.named, owner.linked)).collect();
    assert_eq!(
        owners,
        [
            (Some(other), None),
            (Some(other), Some(one)),
            (None, None),
            (None, Some(one)),
            (Some(one), None),
        ]
    );
}

#[tokio::test]
async fn what_nobody_had_of_a_customer_goes_to_who_is_linked() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (id, customer, member_id) in [
        ("sub_1", "cus_1", None),
        ("sub_2", "cus_1", Some(other)),
        ("sub_3", "cus_2", None),
        ("sub_4", "cus_4", Some(one)),
    ] {
        let subscription = SubscriptionRead {
            customer: parse(customer),
            member_id,
            ..read(id)
        };
        subscribe(&mut tx, &subscription).await;
    }
    for (id, customer, member_id) in [
        ("cs_1", "cus_1", Some(other)),
        ("cs_2", "cus_2", Some(one)),
        ("cs_3", "cus_3", None),
    ] {
        let customer = parse(customer);
        upsert_customer(&mut tx, &customer, None, at(0)).await.unwrap();
        let bought = PurchaseRead {
            customer: Some(customer),
            ..purchase(id, member_id, None)
        };
        assert!(write_purchase(&mut tx, &bought, None, at(0)).await.unwrap());
    }
    let customers = ["cus_1", "cus_2", "cus_3", "cus_4"].map(parse);
    let asked: Vec<_> = customers.iter().map(|customer| (customer, None)).collect();
    let unclaimed = async |tx: &mut Transaction| -> Vec<bool> {
        let owners = list_customer_owners(tx, &asked).await.unwrap();
        owners.iter().map(|owner| owner.has_unclaimed).collect()
    };
    assert_eq!(unclaimed(&mut tx).await, [true, true, true, false]);
    let [first, _, third, fourth] = &customers;
    let links = [(first, one), (third, other), (fourth, one)];
    let mut given = link_unclaimed(&mut tx, &links).await.unwrap();
    given.sort_unstable();
    assert_eq!(given, [one, other]);
    assert_eq!(unclaimed(&mut tx).await, [false, true, false, false]);
    let ids = async |tx: &mut Transaction, member_id| -> Vec<String> {
        let stored = list_subscriptions_of(tx, member_id).await.unwrap();
        let bought = list_purchases_of(tx, member_id).await.unwrap();
        let ids = stored.iter().map(|stored| stored.facts.id.as_str());
        ids.chain(bought.iter().map(|bought| bought.id.as_str()))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(ids(&mut tx, one).await, ["sub_1", "sub_4", "cs_2"]);
    assert_eq!(ids(&mut tx, other).await, ["sub_2", "cs_1", "cs_3"]);
    assert_eq!(
        link_unclaimed(&mut tx, &links).await.unwrap(),
        [],
        "nothing is left"
    );
}
