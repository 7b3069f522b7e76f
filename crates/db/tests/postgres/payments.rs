//! `payments`: what became of charges, and whose they were.

use rolecall_db::{
    Transaction,
    customers::link_unclaimed,
    payments::{
        PaidFor, PaymentRead, find_payer, find_payment_mark, list_payments_of, lock_free_paid_for,
        lock_paid_for, lock_unclaimed, write_payment,
    },
    purchases::write_purchase,
    subscriptions::{ReadMark, SubscriptionRead},
};
use rolecall_domain::reversal::{DisputeStage, Payment};

use crate::{
    purchases::purchase,
    support::{TestDb, at, parse, person, read, soon, subscribe},
};

fn payment(id: &str, paid_for: PaidFor) -> PaymentRead {
    PaymentRead {
        id: id.to_owned(),
        paid_for,
        payment: Payment {
            amount: 4900,
            amount_refunded: 0,
            created_at: at(1),
            dispute: None,
            fraud_warning_at: None,
        },
        currency: "usd".to_owned(),
        livemode: false,
        read_started_at: at(2),
    }
}

fn of_subscription(id: &str) -> PaidFor {
    PaidFor {
        payment_intent: Some("pi_9".to_owned()),
        subscription: Some(parse(id)),
        period_end: Some(at(50)),
    }
}

async fn mark(tx: &mut Transaction, id: &str) -> Option<ReadMark> {
    find_payment_mark(tx, id).await.unwrap()
}

#[tokio::test]
async fn a_read_replaces_only_the_write_that_was_there_when_it_began() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let first = payment("ch_1", of_subscription("sub_1"));
    assert_eq!(mark(&mut tx, "ch_1").await, None);
    assert!(write_payment(&mut tx, &first, None, at(3)).await.unwrap());
    assert!(
        !write_payment(&mut tx, &first, None, at(3)).await.unwrap(),
        "another first read was faster"
    );
    let neighbour = payment("ch_2", of_subscription("sub_1"));
    assert!(write_payment(&mut tx, &neighbour, None, at(3)).await.unwrap());
    let old = mark(&mut tx, "ch_1").await;
    let expected = ReadMark {
        version: 1,
        read_started_at: at(2),
    };
    assert_eq!(old, Some(expected));

    let mut second = first.clone();
    second.payment.amount_refunded = 4900;
    second.payment.dispute = Some((DisputeStage::Open, at(4)));
    second.payment.fraud_warning_at = Some(at(5));
    second.read_started_at = at(6);
    assert!(write_payment(&mut tx, &second, old, at(7)).await.unwrap());
    assert!(!write_payment(&mut tx, &first, old, at(8)).await.unwrap());
    assert_eq!(mark(&mut tx, "ch_1").await.map(|mark| mark.version), Some(2));
    assert_eq!(mark(&mut tx, "ch_2").await.map(|mark| mark.version), Some(1));

    let member = person(&mut tx, 1).await;
    let subscription = SubscriptionRead {
        member_id: Some(member),
        ..read("sub_1")
    };
    subscribe(&mut tx, &subscription).await;
    let listed = list_payments_of(&mut tx, &[member]).await.unwrap();
    let expected = [second, neighbour].map(|read| (read.paid_for, read.payment));
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn a_payment_belongs_to_who_holds_what_it_paid_for() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (id, member) in [("sub_1", Some(one)), ("sub_2", Some(other)), ("sub_3", None)] {
        let subscription = SubscriptionRead {
            member_id: member,
            ..read(id)
        };
        subscribe(&mut tx, &subscription).await;
    }
    let bought = purchase("cs_1", Some(other), Some("pi_1"));
    assert!(write_purchase(&mut tx, &bought, None, at(0)).await.unwrap());
    let once = PaidFor {
        payment_intent: Some("pi_1".to_owned()),
        ..PaidFor::default()
    };
    let table = [
        ("ch_1", of_subscription("sub_1"), Some(one)),
        ("ch_2", of_subscription("sub_2"), Some(other)),
        ("ch_3", of_subscription("sub_3"), None),
        ("ch_4", once, Some(other)),
        ("ch_5", PaidFor::default(), None),
    ];
    for (id, paid_for, payer) in &table {
        let read = payment(id, paid_for.clone());
        assert!(write_payment(&mut tx, &read, None, at(0)).await.unwrap());
        assert_eq!(find_payer(&mut tx, paid_for).await.unwrap(), *payer, "{id}");
    }
    let of = async |tx: &mut Transaction, member| {
        let listed = list_payments_of(tx, &[member]).await.unwrap();
        listed
            .into_iter()
            .map(|(paid_for, _)| paid_for)
            .collect::<Vec<_>>()
    };
    assert_eq!(of(&mut tx, one).await, [table[0].1.clone()]);
    assert_eq!(of(&mut tx, other).await, [table[1].1.clone(), table[3].1.clone()]);
}

#[tokio::test]
async fn who_writes_a_payment_and_who_writes_what_it_paid_for_come_one_after_the_other() {
    let db = TestDb::new().await;
    let mut first = db.begin().await;
    lock_paid_for(&mut first, &of_subscription("sub_1"))
        .await
        .unwrap();
    let mut other = db.begin().await;
    let subscriptions = ["sub_1", "sub_2"].map(parse);
    let [taken, free] = &subscriptions;
    assert_eq!(
        lock_free_paid_for(&mut other, &[taken, free]).await.unwrap(),
        vec![free.clone()]
    );
    // Of a subscription or by itself: it is the same payment.
    let once = PaidFor {
        payment_intent: Some("pi_9".to_owned()),
        ..PaidFor::default()
    };
    let second = Box::pin(async {
        let mut tx = db.begin().await;
        lock_paid_for(&mut tx, &once).await.unwrap();
        find_payment_mark(&mut tx, "ch_1").await.unwrap()
    });
    let finish_first = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        let read = payment("ch_1", of_subscription("sub_1"));
        assert!(write_payment(&mut first, &read, None, at(0)).await.unwrap());
        first.commit().await.unwrap();
    });
    let (seen, ()) = soon(async { tokio::join!(second, finish_first) }).await;
    assert!(seen.is_some(), "who waited sees what was written meanwhile");
    assert_eq!(
        lock_free_paid_for(&mut other, &[taken]).await.unwrap(),
        vec![taken.clone()]
    );
}

#[tokio::test]
async fn who_is_just_being_given_what_a_payment_was_for_is_its_payer() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    subscribe(&mut tx, &read("sub_1")).await;
    tx.commit().await.unwrap();
    let paid_for = of_subscription("sub_1");
    let mut link = db.begin().await;
    let customer = read("sub_1").customer;
    assert_eq!(
        link_unclaimed(&mut link, &[(&customer, one)]).await.unwrap(),
        [one]
    );
    let refund = Box::pin(async {
        let mut tx = db.begin().await;
        let seen = find_payer(&mut tx, &paid_for).await.unwrap();
        (seen, lock_unclaimed(&mut tx, &paid_for).await.unwrap())
    });
    let finish_link = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        link.commit().await.unwrap();
    });
    let (payers, ()) = soon(async { tokio::join!(refund, finish_link) }).await;
    assert_eq!(payers, (None, Some(one)));
    let mut tx = db.begin().await;
    let nobodys = of_subscription("sub_2");
    assert_eq!(lock_unclaimed(&mut tx, &nobodys).await.unwrap(), None);
}
