//! `purchases`: what was bought once.

use rolecall_db::{
    purchases::{
        PurchaseRead, StoredPurchase, find_purchase_mark, list_purchases_of, set_purchase_standing,
        write_purchase,
    },
    subscriptions::ReadMark,
};
use rolecall_domain::{ids::MemberId, standing::Standing};

use crate::support::{TestDb, at, parse, person, plan};

/// A paid purchase of nothing that we sell, without a customer.
pub(crate) fn purchase(id: &str, member_id: Option<MemberId>, payment_intent: Option<&str>) -> PurchaseRead {
    PurchaseRead {
        id: parse(id),
        customer: None,
        member_id,
        plan: None,
        payment_intent: payment_intent.map(str::to_owned),
        paid: true,
        amount: 49_900,
        currency: "eur".to_owned(),
        bought_at: at(1),
        livemode: false,
        read_started_at: at(2),
    }
}

#[tokio::test]
async fn a_purchase_is_read_as_it_was_written_and_only_a_newer_read_replaces_it() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let council = plan(&mut tx, "council", &[]).await;
    let mut unpaid = purchase("cs_1", Some(one), Some("pi_1"));
    unpaid.plan = Some(council.clone());
    unpaid.paid = false;
    assert_eq!(find_purchase_mark(&mut tx, &unpaid.id).await.unwrap(), None);
    assert!(write_purchase(&mut tx, &unpaid, None, at(3)).await.unwrap());
    assert!(!write_purchase(&mut tx, &unpaid, None, at(3)).await.unwrap());
    let neighbour = purchase("cs_2", Some(other), None);
    assert!(write_purchase(&mut tx, &neighbour, None, at(3)).await.unwrap());
    let mark = find_purchase_mark(&mut tx, &unpaid.id).await.unwrap();
    let expected = ReadMark {
        version: 1,
        read_started_at: at(2),
    };
    assert_eq!(mark, Some(expected));

    // A later read knows neither the plan nor the person: what was known stays.
    let mut paid = purchase("cs_1", None, Some("pi_1"));
    paid.read_started_at = at(4);
    assert!(write_purchase(&mut tx, &paid, mark, at(5)).await.unwrap());
    assert!(!write_purchase(&mut tx, &unpaid, mark, at(6)).await.unwrap());
    let stored = StoredPurchase {
        id: parse("cs_1"),
        plan: Some(council),
        payment_intent: Some("pi_1".to_owned()),
        paid: true,
        amount: 49_900,
        currency: "eur".to_owned(),
        bought_at: at(1),
        had_access: false,
        standing: Standing::Pending,
        standing_since: None,
    };
    assert_eq!(list_purchases_of(&mut tx, one).await.unwrap(), [stored]);
    assert_eq!(list_purchases_of(&mut tx, other).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_a_convergence_derived_is_kept_with_its_purchase() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for id in ["cs_1", "cs_2"] {
        assert!(
            write_purchase(&mut tx, &purchase(id, Some(one), None), None, at(0))
                .await
                .unwrap()
        );
    }
    let grace = Standing::Grace { until: at(9) };
    let mut had_access = false;
    for (standing, gives_access) in [(Standing::Active, true), (grace, true), (Standing::Ended, false)] {
        had_access |= gives_access;
        set_purchase_standing(&mut tx, &parse("cs_1"), standing, Some(at(3)), gives_access)
            .await
            .unwrap();
        let stored = list_purchases_of(&mut tx, one).await.unwrap();
        assert_eq!(
            (stored[0].standing, stored[0].standing_since, stored[0].had_access),
            (standing, Some(at(3)), had_access)
        );
        assert_eq!(
            (stored[1].standing, stored[1].had_access),
            (Standing::Pending, false)
        );
    }
    assert!(
        set_purchase_standing(&mut tx, &parse("cs_3"), grace, None, true)
            .await
            .is_err()
    );
}
