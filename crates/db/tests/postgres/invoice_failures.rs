//! `invoice_failures`: the earliest time wins.

use rolecall_db::invoice_failures::{list_invoice_failures, upsert_invoice_failure};

use crate::support::{TestDb, at, parse};

#[tokio::test]
async fn the_earliest_failure_wins_in_any_order() {
    let db = TestDb::new().await;
    for (n, order) in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]]
        .into_iter()
        .enumerate()
    {
        let mut tx = db.begin().await;
        let invoice = parse(&format!("in_{n}"));
        for seconds in order {
            upsert_invoice_failure(&mut tx, &invoice, at(seconds))
                .await
                .unwrap();
        }
        let failures = list_invoice_failures(&mut tx, std::slice::from_ref(&invoice))
            .await
            .unwrap();
        assert_eq!(failures, [(invoice, at(1))], "{order:?}");
    }
}

#[tokio::test]
async fn only_failures_of_the_invoices_asked_for_are_listed() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (id, seconds) in [("in_1", 1), ("in_2", 2), ("in_3", 3)] {
        upsert_invoice_failure(&mut tx, &parse(id), at(seconds))
            .await
            .unwrap();
    }
    let mut failures = list_invoice_failures(&mut tx, &[parse("in_3"), parse("in_1"), parse("in_9")])
        .await
        .unwrap();
    failures.sort();
    assert_eq!(failures, [(parse("in_1"), at(1)), (parse("in_3"), at(3))]);
    assert_eq!(list_invoice_failures(&mut tx, &[]).await.unwrap(), []);
}
