//! Refunds, disputes, early fraud warnings, and how payments are found by their invoices.

use reqwest::Method;
use rolecall_sandbox::stripe::story::Action;
use rolecall_sandbox::stripe::world::customer::Card;
use rolecall_sandbox::stripe::world::dispute::{DisputeReason, DisputeStatus};

use crate::shapes::check;
use crate::support::{Fixture, answer};

#[tokio::test]
async fn refunds_in_part_add_up_until_nothing_is_left() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let part = [
        ("charge", charge.as_str()),
        ("amount", "900"),
        ("reason", "requested_by_customer"),
    ];
    let refund = fixture.ok("/v1/refunds", &part).await;
    check(include_str!("shapes/refund.json"), &refund);
    assert_eq!(
        (&refund["status"], &refund["reason"]),
        (&"succeeded".into(), &"requested_by_customer".into())
    );
    let told = fixture.newest("charge.refunded");
    assert_eq!(told["data"]["object"]["amount_refunded"], 900);
    assert_eq!(told["data"]["object"]["refunded"], false);
    let error = fixture
        .refused("/v1/refunds", &[("charge", &charge), ("amount", "2001")])
        .await;
    assert_eq!(error["param"], "amount");
    fixture.ok("/v1/refunds", &[("charge", &charge)]).await;
    let told = fixture.newest("charge.refunded");
    assert_eq!(told["data"]["object"]["amount_refunded"], 2_900);
    assert_eq!(told["data"]["object"]["refunded"], true);
    let listed = fixture.show(&format!("/v1/refunds?charge={charge}")).await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 2);
    let path = format!("/v1/charges/{charge}?expand[]=refunds");
    assert_eq!(fixture.show(&path).await["refunds"]["data"], listed["data"]);
}

#[tokio::test]
async fn a_refund_that_comes_back_leaves_the_charge_paid() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let refund = fixture.stripe.refund(&charge, None).unwrap();
    let events = fixture.caused(|| fixture.stripe.fail_refund(&refund).unwrap());
    assert_eq!(
        events,
        ["refund.updated", "charge.refund.updated", "refund.failed"]
    );
    let shown = fixture.show(&format!("/v1/charges/{charge}")).await;
    assert_eq!(
        (&shown["amount_refunded"], &shown["refunded"]),
        (&0.into(), &false.into())
    );
    let failed = fixture.show(&format!("/v1/refunds/{refund}")).await;
    assert_eq!(failed["status"], "failed");
    assert!(fixture.stripe.fail_refund(&refund).is_err());
}

#[tokio::test]
async fn a_slow_refund_can_be_called_off_until_it_has_arrived() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let slow = |amount| {
        fixture
            .stripe
            .with(|world| world.refund_slowly(&charge, Some(amount)))
    };
    let (first, second) = (slow(100).unwrap(), slow(200).unwrap());
    let path = format!("/v1/refunds/{first}");
    assert_eq!(fixture.show(&path).await["status"], "pending");
    let canceled = fixture.ok(&format!("{path}/cancel"), &[]).await;
    assert_eq!(canceled["status"], "canceled");
    fixture.stripe.with(|world| world.finish_refund(&second)).unwrap();
    let shown = fixture.show(&format!("/v1/charges/{charge}")).await;
    assert_eq!(shown["amount_refunded"], 200);
    assert_eq!(
        fixture
            .refused(&format!("/v1/refunds/{second}/cancel"), &[])
            .await["type"],
        "invalid_request_error"
    );
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_a_win_brings_it_back() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let mut dispute = String::new();
    let events = fixture.caused(|| {
        dispute = fixture
            .stripe
            .open_dispute(&charge, DisputeReason::Fraudulent, false)
            .unwrap();
    });
    assert_eq!(
        events,
        ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    );
    let path = format!("/v1/disputes/{dispute}");
    let shown = fixture.show(&path).await;
    check(include_str!("shapes/dispute.json"), &shown);
    assert_eq!(shown["status"], "needs_response");
    assert_eq!(
        fixture.show(&format!("/v1/charges/{charge}")).await["disputed"],
        true
    );
    assert_eq!(
        fixture.refused("/v1/refunds", &[("charge", &charge)]).await["code"],
        "charge_disputed"
    );
    let evidence = [("evidence[product_description]", "A year of talks")];
    assert_eq!(fixture.ok(&path, &evidence).await["status"], "under_review");
    let events = fixture.caused(|| {
        fixture.stripe.move_dispute(&dispute, DisputeStatus::Won).unwrap();
    });
    assert_eq!(
        events,
        ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
    );
    assert_eq!(
        fixture.newest("charge.dispute.closed")["data"]["object"]["status"],
        "won"
    );
    assert!(
        fixture
            .stripe
            .move_dispute(&dispute, DisputeStatus::Lost)
            .is_err()
    );
}

#[tokio::test]
async fn a_dispute_is_lost_by_time_by_evidence_or_by_giving_in() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::IsDisputed);
    let listed = fixture.show("/v1/disputes").await;
    let dispute = listed["data"][0]["id"].as_str().unwrap().to_owned();
    let closed = fixture.ok(&format!("/v1/disputes/{dispute}/close"), &[]).await;
    assert_eq!(closed["status"], "lost");
    assert_eq!(fixture.stripe.object(&id).unwrap()["status"], "active");

    let id = fixture.subscribe(Card::IsDisputed);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let listed = fixture.show(&format!("/v1/disputes?charge={charge}")).await;
    let path = format!("/v1/disputes/{}", listed["data"][0]["id"].as_str().unwrap());
    let evidence = [("evidence[uncategorized_text]", "losing_evidence")];
    assert_eq!(fixture.ok(&path, &evidence).await["status"], "lost");
}

#[tokio::test]
async fn an_inquiry_takes_no_money_until_it_becomes_a_dispute() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::IsInquired);
    let types = fixture.event_types();
    assert!(types.contains(&"charge.dispute.created".to_owned()));
    assert!(!types.contains(&"charge.dispute.funds_withdrawn".to_owned()));
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let listed = fixture.show(&format!("/v1/disputes?charge={charge}")).await;
    assert_eq!(listed["data"][0]["status"], "warning_needs_response");
    let events = fixture.caused(|| {
        let to = DisputeStatus::NeedsResponse;
        fixture.stripe.act(&id, &Action::MoveDispute { to }).unwrap();
    });
    assert_eq!(
        events,
        ["charge.dispute.funds_withdrawn", "charge.dispute.updated"]
    );
    let back = DisputeStatus::WarningClosed;
    assert!(
        fixture
            .stripe
            .act(&id, &Action::MoveDispute { to: back })
            .is_err()
    );
}

#[tokio::test]
async fn a_fraud_warning_asks_for_nothing_more_once_the_charge_is_refunded() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::IsReportedAsFraud);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let warning = fixture.newest("radar.early_fraud_warning.created");
    let warning = &warning["data"]["object"];
    check(include_str!("shapes/early_fraud_warning.json"), warning);
    assert_eq!(
        (&warning["actionable"], &warning["charge"]),
        (&true.into(), &charge.as_str().into())
    );
    fixture
        .stripe
        .act(&id, &Action::RefundPart { amount: 1 })
        .unwrap();
    assert!(
        !fixture
            .event_types()
            .contains(&"radar.early_fraud_warning.updated".to_owned())
    );
    fixture.stripe.act(&id, &Action::RefundLatest).unwrap();
    let updated = fixture.newest("radar.early_fraud_warning.updated");
    assert_eq!(updated["data"]["object"]["actionable"], false);
    let path = format!(
        "/v1/radar/early_fraud_warnings/{}",
        warning["id"].as_str().unwrap()
    );
    assert_eq!(fixture.show(&path).await["actionable"], false);
}

#[tokio::test]
async fn a_payment_leads_to_its_invoice_in_the_new_shape_and_in_the_old() {
    let fixture = Fixture::start().await;
    let id = fixture.subscribe(Card::Works);
    let charge = fixture.stripe.latest_charge(&id).unwrap();
    let invoice = fixture.stripe.object(&id).unwrap()["latest_invoice"].clone();
    let new = fixture
        .show(&format!("/v1/charges/{charge}?expand[]=payment_intent"))
        .await;
    assert!(new.get("invoice").is_none());
    check(include_str!("shapes/payment_intent.json"), &new["payment_intent"]);
    let intent = new["payment_intent"]["id"].as_str().unwrap();
    let query = format!("payment[type]=payment_intent&payment[payment_intent]={intent}");
    let found = fixture.show(&format!("/v1/invoice_payments?{query}")).await;
    check(include_str!("shapes/invoice_payment.json"), &found["data"][0]);
    assert_eq!(found["data"][0]["invoice"], invoice);
    let path = format!(
        "/v1/invoices/{}?expand[]=payments.data.payment.payment_intent.latest_charge",
        invoice.as_str().unwrap()
    );
    let payment = &fixture.show(&path).await["payments"]["data"][0]["payment"];
    assert_eq!(payment["payment_intent"]["latest_charge"]["id"], charge.as_str());

    let path = format!("/v1/charges/{charge}?expand[]=invoice.payment_intent");
    let old = fixture
        .request(Method::GET, &path)
        .header("stripe-version", "2024-06-20");
    let (_, old) = answer(old).await;
    assert_eq!(old["invoice"]["id"], invoice);
    assert_eq!(old["invoice"]["charge"], charge.as_str());
    assert_eq!(old["invoice"]["payment_intent"]["id"], intent);
}

#[tokio::test]
async fn equal_cards_have_equal_fingerprints_on_the_charge_and_on_file() {
    let fixture = Fixture::start().await;
    let fingerprint = async |id: &str| {
        let charge = fixture.stripe.latest_charge(id).unwrap();
        let path = format!("/v1/charges/{charge}?expand[]=payment_method");
        let charge = fixture.show(&path).await;
        check(include_str!("shapes/charge.json"), &plain(&charge));
        check(
            include_str!("shapes/payment_method.json"),
            &charge["payment_method"],
        );
        let of_charge = charge["payment_method_details"]["card"]["fingerprint"].clone();
        assert_eq!(of_charge, charge["payment_method"]["card"]["fingerprint"]);
        of_charge
    };
    let (first, second) = (fixture.subscribe(Card::Works), fixture.subscribe(Card::Works));
    let other = fixture.subscribe(Card::FailsLater);
    assert_eq!(fingerprint(&first).await, fingerprint(&second).await);
    assert_ne!(fingerprint(&first).await, fingerprint(&other).await);
}

fn plain(charge: &serde_json::Value) -> serde_json::Value {
    let mut plain = charge.clone();
    plain["payment_method"] = charge["payment_method"]["id"].clone();
    plain
}
