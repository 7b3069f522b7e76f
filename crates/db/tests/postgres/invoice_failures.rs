//! `invoice_failures`: the earliest time wins.

use rolecall_db::invoice_failures::{list_invoice_failures, upsert_invoice_failures};
use rolecall_domain::ids::StripeInvoiceId;

use crate::support::{TestDb, at, parse};

#[tokio::test]
async fn the_earliest_failure_wins_in_any_order() {
    let db = TestDb::new().await;
    for (n, order) in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]]
        .into_iter()
        .enumerate()
    {
        let mut tx = db.begin().await;
        let invoice: StripeInvoiceId = parse(&format!("in_{n}"));
        for seconds in order {
            upsert_invoice_failures(&mut tx, &[(invoice.clone(), at(seconds))])
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
    // Of an invoice that is named twice the earliest time wins, too.
    let known = [("in_1", 1), ("in_3", 7), ("in_2", 2), ("in_3", 3)];
    let known = known.map(|(id, seconds)| (parse(id), at(seconds)));
    upsert_invoice_failures(&mut tx, &known).await.unwrap();
    let mut failures = list_invoice_failures(&mut tx, &[parse("in_3"), parse("in_1"), parse("in_9")])
        .await
        .unwrap();
    failures.sort();
    assert_eq!(failures, [(parse("in_1"), at(1)), (parse("in_3"), at(3))]);
    assert_eq!(list_invoice_failures(&mut tx, &[]).await.unwrap(), []);
}
