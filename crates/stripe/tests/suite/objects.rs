//! Stripe's objects, in the shapes of before and since API version 2025-03-31. S7.

use rolecall_stripe::{
    event::{EventEnvelope, subjects},
    types::{
        charge::Charge,
        checkout::{CheckoutMode, CheckoutSession, CheckoutStatus, PaymentStatus},
        customer::Customer,
        invoice::{BillingReason, Invoice, InvoiceStatus},
        page::Page,
        preview::InvoicePreview,
        price::{Interval, Price},
        subscription::{PauseBehavior, PauseReason, Subscription, SubscriptionStatus},
        webhook_endpoint::WebhookEndpoint,
    },
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

macro_rules! fixture {
    ($name:literal) => {
        serde_json::from_str::<Value>(include_str!(concat!("../fixtures/", $name, ".json"))).unwrap()
    };
}

fn read<T: DeserializeOwned>(value: &Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn refusal<T: DeserializeOwned>(value: &Value) -> String {
    serde_json::from_str::<T>(&value.to_string())
        .err()
        .expect("it was read")
        .to_string()
}

#[test]
fn a_subscription_says_the_same_in_both_shapes() {
    for fixture in [
        fixture!("subscription"),
        fixture!("subscription_before_2025_03_31"),
    ] {
        let subscription: Subscription = read(&fixture);
        assert_eq!(subscription.id.as_str(), "sub_1Pgc6rB7WZ01zgkWNy0Cn5nw");
        assert_eq!(
            subscription.customer.as_ref().unwrap().as_str(),
            "cus_QXg1o8vcGmoR32"
        );
        assert_eq!(subscription.status, SubscriptionStatus::Active);
        assert_eq!(
            subscription.current_period_start().unwrap().timestamp(),
            1_767_225_600
        );
        assert_eq!(
            subscription.current_period_end().unwrap().timestamp(),
            1_769_904_000
        );
        let item = &subscription.items.data[0];
        assert_eq!(
            item.price_id().unwrap().as_str(),
            "price_1PgafmB7WZ01zgkW6dKueIc5"
        );
        assert_eq!(item.price().unwrap().unit_amount, Some(2_000));
        assert_eq!(item.quantity, Some(1));
        assert!(subscription.cancel_at_period_end);
        assert_eq!(
            subscription.pause_collection.unwrap().behavior,
            PauseBehavior::MarkUncollectible
        );
    }
}

#[test]
fn an_invoice_says_the_same_in_both_shapes() {
    for fixture in [fixture!("invoice"), fixture!("invoice_before_2025_03_31")] {
        let invoice: Invoice = read(&fixture);
        assert_eq!(
            invoice.subscription().unwrap().as_str(),
            "sub_1Pgc6rB7WZ01zgkWNy0Cn5nw"
        );
        assert_eq!(invoice.status, InvoiceStatus::Open);
        assert_eq!(invoice.billing_reason, BillingReason::SubscriptionCycle);
        assert_eq!(
            (invoice.amount_due, invoice.amount_paid, invoice.amount_remaining),
            (1_000, 0, 1_000)
        );
        assert_eq!((invoice.attempted, invoice.attempt_count), (true, 2));
        assert!(invoice.next_payment_attempt.is_some() && invoice.status_transitions.paid_at.is_none());
    }
}

#[test]
fn a_preview_has_no_id_and_says_the_same_in_both_shapes() {
    for fixture in [fixture!("invoice"), fixture!("invoice_before_2025_03_31")] {
        let mut fixture = fixture;
        fixture.as_object_mut().unwrap().remove("id");
        let preview: InvoicePreview = read(&fixture);
        assert_eq!((preview.amount_due, preview.currency.as_str()), (1_000, "usd"));
        assert!(preview.lines.data[0].is_proration());
        assert!(preview.lines.data[0].description.is_some());
    }
    assert!(refusal::<InvoicePreview>(&json!({"lines": {"data": []}})).contains("amount_due"));
}

#[test]
fn the_other_objects_are_read() {
    let session: CheckoutSession = read(&fixture!("checkout_session"));
    assert_eq!(session.mode, CheckoutMode::Payment);
    assert_eq!(session.status, CheckoutStatus::Open);
    assert_eq!(session.payment_status, PaymentStatus::Unpaid);
    assert_eq!(
        session.customer_details.email.as_deref(),
        Some("example@example.com")
    );
    assert!(session.url.is_some() && !session.is_fulfillable());

    let customer: Customer = read(&fixture!("customer"));
    assert_eq!(
        (customer.id.as_str(), customer.deleted),
        ("cus_QXg1o8vcGmoR32", false)
    );
    let customer: Customer = read(&fixture!("deleted_customer"));
    assert_eq!(
        (customer.id.as_str(), customer.deleted),
        ("cus_QXg1o8vcGmoR32", true)
    );

    let price: Price = read(&fixture!("price"));
    let recurring = price.recurring.unwrap();
    assert_eq!(
        (recurring.interval, recurring.interval_count),
        (Interval::Month, 1)
    );
    assert_eq!((price.unit_amount, price.currency.as_str()), (Some(2_000), "usd"));

    let charge: Charge = read(&fixture!("charge"));
    assert!(charge.id.starts_with("ch_") && charge.invoice.is_none());
    let endpoint: WebhookEndpoint = read(&fixture!("webhook_endpoint"));
    assert!(endpoint.id.starts_with("we_") && !endpoint.enabled_events.is_empty());
}

#[test]
fn an_event_is_read() {
    let event = include_str!("../fixtures/event.json");
    let envelope = EventEnvelope::parse(event).unwrap();
    assert_eq!(envelope.id.as_str(), "evt_1Pgc76B7WZ01zgkWwyRHS12y");
    assert_eq!(
        (envelope.event_type.as_str(), envelope.livemode),
        ("plan.created", false)
    );
    let subjects = subjects(event).unwrap();
    assert_eq!(subjects.price.unwrap().as_str(), "price_1PgafmB7WZ01zgkW6dKueIc5");
    assert_eq!(subjects.product.as_deref(), Some("prod_QXg1hqf4jFNsqG"));
}

#[test]
fn an_id_alone_is_enough() {
    let subscription: Subscription = read(&json!({"id": "sub_1"}));
    assert_eq!(subscription.status, SubscriptionStatus::Unknown(String::new()));
    assert_eq!(subscription.livemode, None);
    assert!(subscription.items.data.is_empty() && subscription.current_period_end().is_none());
    assert_eq!(read::<Invoice>(&json!({"id": "in_1"})).amount_due, 0);
    assert!(!read::<CheckoutSession>(&json!({"id": "cs_1"})).is_fulfillable());
    assert!(!read::<Customer>(&json!({"id": "cus_1"})).deleted);
    assert_eq!(read::<Price>(&json!({"id": "gold"})).recurring, None);
    assert_eq!(read::<Charge>(&json!({"id": "ch_1"})).amount_refunded, 0);
    assert!(read::<WebhookEndpoint>(&json!({"id": "we_1"})).url.is_empty());
    let page: Page<Customer> = read(&json!({}));
    assert!(page.data.is_empty() && !page.has_more);
}

#[test]
fn null_is_as_good_as_missing() {
    let mut subscription = fixture!("subscription");
    for (name, value) in subscription.as_object_mut().unwrap() {
        if name != "id" {
            *value = Value::Null;
        }
    }
    assert_eq!(
        read::<Subscription>(&subscription),
        read(&json!({"id": subscription["id"]}))
    );
    let mut invoice = fixture!("invoice");
    for (name, value) in invoice.as_object_mut().unwrap() {
        if name != "id" {
            *value = Value::Null;
        }
    }
    assert_eq!(read::<Invoice>(&invoice), read(&json!({"id": invoice["id"]})));
    let price: Price = read(&json!({"id": "p", "recurring": {"interval": "week", "interval_count": null}}));
    assert_eq!(price.recurring.unwrap().interval_count, 1);
}

#[test]
fn without_its_own_id_an_object_is_refused() {
    let object = json!({"status": "active", "customer": "cus_1"});
    assert!(refusal::<Subscription>(&object).contains("missing field `id`"));
    assert!(refusal::<Invoice>(&object).contains("missing field `id`"));
    assert!(refusal::<CheckoutSession>(&object).contains("missing field `id`"));
    assert!(refusal::<Customer>(&object).contains("missing field `id`"));
    assert!(refusal::<Price>(&object).contains("missing field `id`"));
    assert!(refusal::<Subscription>(&json!({"id": "cus_1"})).contains("Stripe subscription id"));
}

#[test]
fn values_that_stripe_adds_later_are_kept() {
    let subscription: Subscription =
        read(&json!({"id": "sub_1", "status": "hibernating", "pause_collection": {"behavior": "hum"}}));
    assert_eq!(
        subscription.status,
        SubscriptionStatus::Unknown("hibernating".to_owned())
    );
    assert_eq!(subscription.status.to_string(), "hibernating");
    assert_eq!(subscription.pause_collection.unwrap().behavior.as_str(), "hum");
}

#[test]
fn references_may_be_expanded() {
    let subscription: Subscription = read(&json!({
        "id": "sub_1",
        "customer": {"id": "cus_1", "object": "customer"},
        "latest_invoice": {"id": "in_1", "status": "open", "parent": {"subscription_details": {"subscription": {"id": "sub_1"}}}},
        "items": {"data": [{"id": "si_1", "price": "price_1"}, {"id": "si_2", "plan": {"id": "gold"}}]},
    }));
    assert_eq!(subscription.customer.as_ref().unwrap().as_str(), "cus_1");
    let invoice = subscription.expanded_invoice().unwrap();
    assert_eq!(invoice.status, InvoiceStatus::Open);
    assert_eq!(invoice.subscription(), Some(&subscription.id));
    let prices: Vec<_> = subscription
        .items
        .data
        .iter()
        .map(|item| item.price_id().unwrap().as_str())
        .collect();
    assert_eq!(prices, ["price_1", "gold"]);
    let subscription: Subscription = read(&json!({"id": "sub_1", "latest_invoice": "in_1"}));
    assert!(subscription.latest_invoice.is_some() && subscription.expanded_invoice().is_none());
}

#[test]
fn an_odd_reference_does_not_cost_the_object() {
    let invoice: Invoice = read(
        &json!({"id": "in_1", "customer": {}, "parent": {"subscription_details": {"subscription": "subscription"}}}),
    );
    assert_eq!((invoice.customer.as_ref(), invoice.subscription()), (None, None));
    let subscription: Subscription =
        read(&json!({"id": "sub_1", "latest_invoice": "", "customer": "acct_1"}));
    assert_eq!((subscription.latest_invoice, subscription.customer), (None, None));
}

#[test]
fn the_period_spans_items_that_differ() {
    let subscription: Subscription = read(
        &json!({"id": "sub_1", "current_period_end": 9, "items": {"data": [
            {"id": "si_1", "current_period_start": 200, "current_period_end": 300},
            {"id": "si_2", "current_period_start": 100, "current_period_end": 400},
            {"id": "si_3"},
        ]}}),
    );
    assert_eq!(subscription.current_period_start().unwrap().timestamp(), 100);
    assert_eq!(subscription.current_period_end().unwrap().timestamp(), 400);
}

#[test]
fn a_pause_tells_its_reason() {
    let paused = |status_details: Value| -> Option<PauseReason> {
        read::<Subscription>(&json!({"id": "sub_1", "status": "paused", "status_details": status_details}))
            .pause_reason()
    };
    let by = |reason: &str| json!({"paused": {"type": "subscription", "subscription": {"type": reason}}});
    assert_eq!(
        paused(by("final_payment_failure")),
        Some(PauseReason::FinalPaymentFailure)
    );
    assert_eq!(paused(by("pause_requested")), Some(PauseReason::PauseRequested));
    assert_eq!(paused(by("new")), Some(PauseReason::Unknown("new".to_owned())));
    assert_eq!(paused(Value::Null), None);
    assert_eq!(paused(json!({"paused": null})), None);
}

#[test]
fn a_session_is_fulfilled_when_done_and_paid_or_free() {
    for (status, payment_status, expected) in [
        ("complete", "paid", true),
        ("complete", "no_payment_required", true),
        ("complete", "unpaid", false),
        ("open", "unpaid", false),
        ("expired", "unpaid", false),
        ("complete", "new", false),
    ] {
        let session: CheckoutSession =
            read(&json!({"id": "cs_1", "status": status, "payment_status": payment_status}));
        assert_eq!(session.is_fulfillable(), expected, "{status} {payment_status}");
    }
}
