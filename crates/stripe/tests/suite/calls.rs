//! What each call asks Stripe for, and how a write happens once.

use std::{collections::BTreeMap, time::Duration};

use crate::support::{Asked, FakeStripe, Reply};
use chrono::DateTime;
use futures::{StreamExt, TryStreamExt};
use rolecall_domain::ids::StripePriceId;
use rolecall_stripe::{
    client::{
        Client,
        checkout::{Buyer, NewCheckoutSession, Purchase},
        events::{EventCursor, EventFilter},
        preview::{Proration, SubscriptionChange},
        subscriptions::SubscriptionFilter,
    },
    error::StripeError,
    types::{expandable::Expandable, preview::PreviewLine},
};
use tokio::time::{Instant, timeout};

const SESSION: &str = r#"{"id":"cs_test_1","url":"https://checkout.stripe.com/c/pay/cs_test_1"}"#;

async fn within<F: Future>(call: F) -> F::Output {
    timeout(Duration::from_secs(20), call)
        .await
        .expect("the call hangs")
}

fn params(asked: &Asked) -> Vec<String> {
    asked
        .params()
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn new_session() -> NewCheckoutSession {
    NewCheckoutSession {
        purchase: Purchase::Subscription { trial_days: Some(14) },
        price: StripePriceId::new("price_1"),
        quantity: 5,
        buyer: Buyer::Customer("cus_1".parse().unwrap()),
        client_reference_id: Some("member-1".to_owned()),
        success_url: "https://example.com/checkout/success?session_id={CHECKOUT_SESSION_ID}".to_owned(),
        cancel_url: "https://example.com/plans".to_owned(),
        metadata: BTreeMap::from([("plan".to_owned(), "council & friends".to_owned())]),
        purchase_metadata: BTreeMap::from([("member_id".to_owned(), "m1".to_owned())]),
        allow_promotion_codes: true,
        automatic_tax: true,
    }
}

/// B6.
#[tokio::test]
async fn a_checkout_session_for_a_subscription_says_all_it_should() {
    let stripe = FakeStripe::start(vec![Reply::ok(SESSION)]);
    let session = within(
        stripe
            .client()
            .create_checkout_session(new_session(), "checkout-1"),
    )
    .await
    .unwrap();
    assert_eq!(
        session.url.as_deref(),
        Some("https://checkout.stripe.com/c/pay/cs_test_1")
    );
    let asked = &stripe.asked()[0];
    assert_eq!(asked.line, "POST /v1/checkout/sessions HTTP/1.1");
    assert_eq!(
        asked.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(asked.header("idempotency-key"), Some("checkout-1"));
    assert_eq!(
        params(asked),
        [
            "allow_promotion_codes=true",
            "automatic_tax[enabled]=true",
            "cancel_url=https://example.com/plans",
            "client_reference_id=member-1",
            "customer=cus_1",
            "customer_update[address]=auto",
            "line_items[0][price]=price_1",
            "line_items[0][quantity]=5",
            "metadata[plan]=council & friends",
            "mode=subscription",
            "subscription_data[metadata][member_id]=m1",
            "subscription_data[trial_period_days]=14",
            "success_url=https://example.com/checkout/success?session_id={CHECKOUT_SESSION_ID}",
        ]
    );
}

/// B6.
#[tokio::test]
async fn a_checkout_session_for_a_one_time_purchase_makes_a_customer() {
    let stripe = FakeStripe::start(vec![Reply::ok(SESSION)]);
    let session = NewCheckoutSession {
        purchase: Purchase::OneTime,
        buyer: Buyer::Email("buyer@example.com".to_owned()),
        quantity: 1,
        client_reference_id: None,
        metadata: BTreeMap::new(),
        allow_promotion_codes: false,
        automatic_tax: false,
        ..new_session()
    };
    within(stripe.client().create_checkout_session(session, "checkout-2"))
        .await
        .unwrap();
    assert_eq!(
        params(&stripe.asked()[0]),
        [
            "cancel_url=https://example.com/plans",
            "customer_creation=always",
            "customer_email=buyer@example.com",
            "line_items[0][price]=price_1",
            "line_items[0][quantity]=1",
            "mode=payment",
            "payment_intent_data[metadata][member_id]=m1",
            "success_url=https://example.com/checkout/success?session_id={CHECKOUT_SESSION_ID}",
        ]
    );
}

/// S10.
#[tokio::test]
async fn every_attempt_of_a_write_is_the_same_write() {
    let stripe = FakeStripe::start(vec![
        Reply::status(500, ""),
        Reply::Drop,
        Reply::status(409, ""),
        Reply::ok(SESSION),
    ]);
    within(
        stripe
            .client()
            .create_checkout_session(new_session(), "checkout-3"),
    )
    .await
    .unwrap();
    let asked = stripe.asked();
    assert_eq!(asked.len(), 4);
    for attempt in &asked {
        assert_eq!(attempt.header("idempotency-key"), Some("checkout-3"));
        assert_eq!(attempt.body, asked[0].body);
    }
}

/// S10.
#[tokio::test]
async fn a_write_that_hangs_or_is_told_to_wait_is_repeated_under_the_same_key() {
    let stripe = FakeStripe::start(vec![
        Reply::Hang,
        Reply::Stall,
        Reply::status(429, "{}").with("retry-after", "1"),
        Reply::ok(SESSION),
    ]);
    let mut config = stripe.config();
    config.request_timeout = Duration::from_millis(100);
    let client = Client::new(config).unwrap();
    let begin = Instant::now();
    within(client.create_checkout_session(new_session(), "checkout-4"))
        .await
        .unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    let asked = stripe.asked();
    let keys: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("idempotency-key"))
        .collect();
    assert_eq!(keys, [Some("checkout-4"); 4]);
}

/// S10. What is tried again has to happen once.
#[tokio::test]
async fn every_write_carries_an_idempotency_key_and_no_read_does() {
    let stripe = FakeStripe::start(vec![Reply::ok(
        r#"{"id":"cs_1","url":"https://billing.stripe.com/p/session/1","data":[]}"#,
    )]);
    let client = stripe.client();
    let customer = "cus_1".parse().unwrap();
    let change = SubscriptionChange {
        subscription: "sub_1".parse().unwrap(),
        item: "si_1".to_owned(),
        price: None,
        quantity: Some(3),
        proration: Proration::None,
        proration_date: None,
    };
    let return_url = "https://example.com/".parse().unwrap();
    let writes = async {
        // Whether the answer can be read is told by other tests.
        drop(client.create_checkout_session(new_session(), "k").await);
        drop(client.create_portal_session(&customer, &return_url).await);
        drop(client.create_customer(None, &BTreeMap::new(), "k").await);
        drop(client.create_preview(&change).await);
    };
    within(writes).await;
    let reads = async {
        drop(client.get_customer(&customer).await);
        drop(client.get_event(&"evt_1".parse().unwrap()).await);
        drop(
            client
                .list_events(&EventFilter::default(), &EventCursor::Newest)
                .await,
        );
    };
    within(reads).await;
    let asked = stripe.asked();
    assert_eq!(asked.len(), 7);
    for asked in asked {
        let has_key = asked.header("idempotency-key").is_some();
        assert_eq!(has_key, asked.line.starts_with("POST "), "{}", asked.line);
    }
}

#[tokio::test]
async fn a_key_that_stripe_would_refuse_is_refused_before_the_call() {
    let stripe = FakeStripe::start(vec![Reply::ok(SESSION)]);
    for key in [
        String::new(),
        "x".repeat(256),
        "a b".to_owned(),
        "a\r\nb".to_owned(),
        "é".to_owned(),
    ] {
        let error = within(stripe.client().create_checkout_session(new_session(), &key))
            .await
            .unwrap_err();
        assert!(matches!(error, StripeError::Invalid { .. }), "{key:?}: {error}");
    }
    assert!(stripe.asked().is_empty());
    within(
        stripe
            .client()
            .create_checkout_session(new_session(), &"x".repeat(255)),
    )
    .await
    .unwrap();
}

/// B7.
#[tokio::test]
async fn each_portal_session_has_its_own_key_and_keeps_it() {
    let portal = Reply::ok(r#"{"url":"https://billing.stripe.com/p/session/1"}"#);
    let stripe = FakeStripe::start(vec![Reply::status(500, ""), portal.clone(), portal]);
    let client = stripe.client();
    let return_url = "https://example.com/dashboard".parse().unwrap();
    for _ in 0..2 {
        let session = within(client.create_portal_session(&"cus_1".parse().unwrap(), &return_url))
            .await
            .unwrap();
        assert_eq!(session.url, "https://billing.stripe.com/p/session/1");
    }
    let asked = stripe.asked();
    assert_eq!(
        params(&asked[0]),
        ["customer=cus_1", "return_url=https://example.com/dashboard"]
    );
    let keys: Vec<_> = asked
        .iter()
        .map(|asked| asked.header("idempotency-key").unwrap())
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[1], keys[2]);
}

/// B8.
#[tokio::test]
async fn a_preview_changes_one_item() {
    let stripe = FakeStripe::start(vec![Reply::ok(
        r#"{"object":"invoice","amount_due":1250,"currency":"eur","lines":{"data":[
            {"amount":-500,"description":"Unused time","parent":{"subscription_item_details":{"proration":true}}},
            {"amount":1750,"description":"Remaining time"}]}}"#,
    )]);
    let change = SubscriptionChange {
        subscription: "sub_1".parse().unwrap(),
        item: "si_1".to_owned(),
        price: Some(StripePriceId::new("price_2")),
        quantity: Some(3),
        proration: Proration::AlwaysInvoice,
        proration_date: DateTime::from_timestamp(1_767_225_600, 0),
    };
    let preview = within(stripe.client().create_preview(&change)).await.unwrap();
    assert_eq!((preview.amount_due, preview.currency.as_str()), (1_250, "eur"));
    let prorations: Vec<_> = preview.lines.data.iter().map(PreviewLine::is_proration).collect();
    assert_eq!(prorations, [true, false]);
    let asked = &stripe.asked()[0];
    assert_eq!(asked.line, "POST /v1/invoices/create_preview HTTP/1.1");
    assert_eq!(
        params(asked),
        [
            "subscription=sub_1",
            "subscription_details[items][0][id]=si_1",
            "subscription_details[items][0][price]=price_2",
            "subscription_details[items][0][quantity]=3",
            "subscription_details[proration_behavior]=always_invoice",
            "subscription_details[proration_date]=1767225600",
        ]
    );
}

#[tokio::test]
async fn all_pages_of_subscriptions_are_read() {
    let stripe = FakeStripe::start(vec![
        Reply::ok(r#"{"data":[{"id":"sub_1"},{"id":"sub_2"}],"has_more":true}"#),
        Reply::ok(r#"{"data":[{"id":"sub_3"}],"has_more":true}"#),
        Reply::ok(r#"{"data":[],"has_more":true}"#),
    ]);
    let filter = SubscriptionFilter {
        customer: Some("cus_1".parse().unwrap()),
        created_since: DateTime::from_timestamp(1_767_225_600, 0),
    };
    let pages: Vec<_> = within(stripe.client().subscription_pages(filter).try_collect())
        .await
        .unwrap();
    let ids: Vec<_> = pages
        .iter()
        .flatten()
        .map(|subscription| subscription.id.as_str())
        .collect();
    assert_eq!(ids, ["sub_1", "sub_2", "sub_3"]);
    let asked = stripe.asked();
    assert_eq!(
        params(&asked[0]),
        [
            "created[gte]=1767225600",
            "customer=cus_1",
            "expand[0]=data.latest_invoice",
            "limit=100",
            "status=all"
        ]
    );
    assert!(params(&asked[1]).contains(&"starting_after=sub_2".to_owned()));
    assert!(params(&asked[2]).contains(&"starting_after=sub_3".to_owned()));
    assert_eq!(asked.len(), 3);
}

#[tokio::test]
async fn the_last_page_is_the_last() {
    let stripe = FakeStripe::start(vec![Reply::ok(r#"{"data":[{"id":"sub_1"}],"has_more":false}"#)]);
    let pages: Vec<_> = within(
        stripe
            .client()
            .subscription_pages(SubscriptionFilter::default())
            .try_collect(),
    )
    .await
    .unwrap();
    assert_eq!((pages.len(), stripe.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_page_that_fails_ends_the_list_with_its_error() {
    let stripe = FakeStripe::start(vec![
        Reply::ok(r#"{"data":[{"id":"sub_1"}],"has_more":true}"#),
        Reply::status(401, "{}"),
    ]);
    let pages: Vec<_> = within(
        stripe
            .client()
            .subscription_pages(SubscriptionFilter::default())
            .collect::<Vec<_>>(),
    )
    .await;
    assert!(
        matches!(&pages[..], [Ok(_), Err(StripeError::Unauthorized)]),
        "{pages:?}"
    );
}

#[tokio::test]
async fn items_that_did_not_fit_are_read_too() {
    let stripe = FakeStripe::start(vec![
        Reply::ok(r#"{"id":"sub_1","items":{"data":[{"id":"si_1"}],"has_more":true}}"#),
        Reply::ok(r#"{"data":[{"id":"si_2","quantity":7}],"has_more":false}"#),
    ]);
    let subscription = within(stripe.client().get_subscription(&"sub_1".parse().unwrap()))
        .await
        .unwrap();
    let ids: Vec<_> = subscription
        .items
        .data
        .iter()
        .map(|item| item.id.as_str())
        .collect();
    assert_eq!((ids, subscription.items.has_more), (vec!["si_1", "si_2"], false));
    let asked = stripe.asked();
    assert_eq!(params(&asked[0]), ["expand[0]=latest_invoice"]);
    assert!(
        asked[1].line.starts_with("GET /v1/subscription_items?"),
        "{}",
        asked[1].line
    );
    assert_eq!(
        params(&asked[1]),
        ["limit=100", "starting_after=si_1", "subscription=sub_1"]
    );
}

/// S8.
#[tokio::test]
async fn events_are_listed_word_for_word() {
    let event = r#"{"id":"evt_1","type":"invoice.paid","created":1767225600,"livemode":false,"data":{"object":{"total": 1.10}}}"#;
    let odd = r#"{"id":"evt_2","type":"odd"}"#;
    let stripe = FakeStripe::start(vec![Reply::ok(&format!(
        r#"{{"data":[{event},{odd}],"has_more":true}}"#
    ))]);
    let client = stripe.client();
    let filter = EventFilter {
        created_since: DateTime::from_timestamp(1_767_225_600, 0),
        created_before: DateTime::from_timestamp(1_767_229_200, 0),
        types: vec!["invoice.paid".to_owned(), "customer.updated".to_owned()],
    };
    let page = within(client.list_events(&filter, &EventCursor::Newest))
        .await
        .unwrap();
    assert!(page.has_more);
    let [first, second] = <[_; 2]>::try_from(page.data).unwrap();
    assert_eq!(first.envelope().unwrap().id.as_str(), "evt_1");
    assert_eq!(
        second.envelope().unwrap_err().to_string(),
        "the event has no `created`"
    );
    assert_eq!(first.into_payload().get(), event);
    assert_eq!(
        params(&stripe.asked()[0]),
        [
            "created[gte]=1767225600",
            "created[lt]=1767229200",
            "limit=100",
            "types[0]=invoice.paid",
            "types[1]=customer.updated"
        ]
    );
    let cursors = [
        (
            EventCursor::OlderThan("evt_1".parse().unwrap()),
            "starting_after=evt_1",
        ),
        (
            EventCursor::NewerThan("evt_1".parse().unwrap()),
            "ending_before=evt_1",
        ),
    ];
    for (cursor, expected) in cursors {
        within(client.list_events(&EventFilter::default(), &cursor))
            .await
            .unwrap();
        assert!(params(stripe.asked().last().unwrap()).contains(&expected.to_owned()));
    }
}

/// S9.
#[tokio::test]
async fn one_event_is_read_word_for_word() {
    let event = r#"{"id":"evt_1", "type":"invoice.paid","created":1767225600,"livemode":true}"#;
    let stripe = FakeStripe::start(vec![
        Reply::ok(event),
        Reply::status(
            404,
            r#"{"error":{"code":"resource_missing","message":"No such event"}}"#,
        ),
    ]);
    let client = stripe.client();
    let id = "evt_1".parse().unwrap();
    let read = within(client.get_event(&id)).await.unwrap();
    assert!(read.envelope().unwrap().livemode);
    assert_eq!(read.into_payload().get(), event);
    let line = &stripe.asked()[0].line;
    assert!(line.starts_with("GET /v1/events/evt_1?"), "{line}");
    let error = within(client.get_event(&id)).await.unwrap_err();
    assert!(matches!(error, StripeError::NotFound { subject } if subject == "event evt_1"));
}

#[tokio::test]
async fn the_other_reads_ask_for_the_right_thing() {
    let stripe = FakeStripe::start(vec![
        Reply::ok(r#"{"id":"in_1"}"#),
        Reply::ok(r#"{"data":[{"id":"in_1"}],"has_more":false}"#),
        Reply::ok(r#"{"id":"cus_1","deleted":true}"#),
        Reply::ok(r#"{"id":"cus_2"}"#),
        Reply::ok(r#"{"id":"gold","product":{"id":"prod_1","name":"Club","active":true}}"#),
        Reply::ok(r#"{"id":"cs_1"}"#),
        Reply::ok(r#"{"id":"acct_1","country":"DE"}"#),
        Reply::ok(r#"{"data":[{"id":"we_1","status":"disabled"}]}"#),
        Reply::ok(r#"{"id":"ch_1","amount_refunded":5}"#),
        Reply::ok(r#"{"data":[{"id":"inpay_1","invoice":"in_1"}]}"#),
    ]);
    let client = stripe.client();
    let email = Some("a@example.com");
    let metadata = BTreeMap::from([("member_id".to_owned(), "m1".to_owned())]);
    within(client.get_invoice(&"in_1".parse().unwrap()))
        .await
        .unwrap();
    within(client.list_invoices(&"sub_1".parse().unwrap(), Some(&"in_0".parse().unwrap())))
        .await
        .unwrap();
    assert!(
        within(client.get_customer(&"cus_1".parse().unwrap()))
            .await
            .unwrap()
            .deleted
    );
    within(client.create_customer(email, &metadata, "customer-m1"))
        .await
        .unwrap();
    let price = within(client.get_price(&StripePriceId::new("gold")))
        .await
        .unwrap();
    within(client.get_checkout_session(&"cs_1".parse().unwrap()))
        .await
        .unwrap();
    within(client.get_account()).await.unwrap();
    within(client.list_webhook_endpoints()).await.unwrap();
    within(client.get_charge("ch_1")).await.unwrap();
    let invoice = within(client.find_invoice_paid_by("pi_1")).await.unwrap();

    assert!(
        matches!(price.product, Some(Expandable::Object(product)) if product.name.as_deref() == Some("Club"))
    );
    assert_eq!(invoice, Some("in_1".parse().unwrap()));
    let asked: Vec<_> = stripe
        .asked()
        .iter()
        .map(|asked| {
            let path = asked.line.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
            format!("{path} {}", params(asked).join(" "))
        })
        .collect();
    assert_eq!(
        asked,
        [
            "GET /v1/invoices/in_1 ",
            "GET /v1/invoices limit=100 starting_after=in_0 subscription=sub_1",
            "GET /v1/customers/cus_1 ",
            "POST /v1/customers email=a@example.com metadata[member_id]=m1",
            "GET /v1/prices/gold expand[0]=product",
            "GET /v1/checkout/sessions/cs_1 ",
            "GET /v1/account ",
            "GET /v1/webhook_endpoints limit=100",
            "GET /v1/charges/ch_1 ",
            "GET /v1/invoice_payments payment[payment_intent]=pi_1 payment[type]=payment_intent",
        ]
    );
}

#[tokio::test]
async fn an_id_does_not_lead_to_another_path() {
    let stripe = FakeStripe::start(vec![Reply::ok(r#"{"id":"gold"}"#)]);
    let client = stripe.client();
    for id in ["", ".", "..", "../customers", "a/b", "a\\b"] {
        let error = within(client.get_price(&StripePriceId::new(id)))
            .await
            .unwrap_err();
        assert!(matches!(error, StripeError::NotFound { .. }), "{id:?}");
        assert!(
            matches!(
                within(client.get_charge(id)).await,
                Err(StripeError::NotFound { .. })
            ),
            "{id:?}"
        );
    }
    assert!(stripe.asked().is_empty());
    within(client.get_price(&StripePriceId::new("gold?a#b c%2e")))
        .await
        .unwrap();
    assert!(
        stripe.asked()[0]
            .line
            .starts_with("GET /v1/prices/gold%3Fa%23b%20c%"),
        "{}",
        stripe.asked()[0].line
    );
}
