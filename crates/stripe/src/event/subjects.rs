//! Which objects an event is about: the ids to read again.
//!
//! Found by shape, not by event type, in the shapes of before and since API version 2025-03-31, in
//! snapshot and in thin events, whether a reference is an id or an expanded object.

use std::str::FromStr;

use rolecall_domain::ids::{
    StripeCheckoutSessionId, StripeCustomerId, StripeInvoiceId, StripePriceId, StripeSubscriptionId,
};
use serde_json::Value;

/// The families of event types that can change a membership. Other events hint at nothing.
const FAMILIES: [&str; 14] = [
    "charge",
    "checkout.session",
    "customer",
    "entitlements.active_entitlement_summary",
    "invoice",
    "invoice_payment",
    "payment_intent",
    "plan",
    "price",
    "product",
    "radar.early_fraud_warning",
    "refund",
    "subscription_schedule",
    "v2.core.health.event_generation_failure",
];

/// Where an event names an object instead of telling of it: a thin one beside its data, a health event inside.
/// As it is delivered, a health event may be thin and have no data: then it hints at nothing, and the sweeps find
/// what it is about.
const RELATED_PATHS: [&str; 3] = [
    "/related_object",
    "/data/impact/related_object",
    "/data/related_object",
];

/// Where a subscription id stands, from the object of the event.
const SUBSCRIPTION_PATHS: [&str; 4] = [
    "/subscription",
    "/parent/subscription_details/subscription",
    "/released_subscription",
    "/subscription_details/subscription",
];

/// Where a subscription id stands in a line of an invoice.
const LINE_SUBSCRIPTION_PATHS: [&str; 3] = [
    "/subscription",
    "/parent/subscription_item_details/subscription",
    "/parent/invoice_item_details/subscription",
];

/// What an event hints at. Empty for what does not concern a membership.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subjects {
    /// The subscriptions, each once: more than one on an invoice that bills several.
    pub subscriptions: Vec<StripeSubscriptionId>,
    /// The customer.
    pub customer: Option<StripeCustomerId>,
    /// The Checkout Session.
    pub checkout_session: Option<StripeCheckoutSessionId>,
    /// The invoice.
    pub invoice: Option<StripeInvoiceId>,
    /// The charge, `ch_...` or `py_...`: of a refund, a dispute, a warning of fraud.
    pub charge: Option<String>,
    /// The payment, `pi_...`. Since 2025-03-31 it is the only way from a charge to its invoice.
    pub payment_intent: Option<String>,
    /// The price, or the plan of old accounts.
    pub price: Option<StripePriceId>,
    /// The product.
    pub product: Option<String>,
    /// The object that a thin event names instead of telling of it.
    pub related: Option<String>,
}

impl Subjects {
    /// Whether the event hints at nothing that we know.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the event `payload` hints at.
pub fn subjects(payload: &str) -> Result<Subjects, serde_json::Error> {
    let event: Value = serde_json::from_str(payload)?;
    Ok(subjects_of(&event))
}

fn subjects_of(event: &Value) -> Subjects {
    let event_type = event.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(family) = family(event_type) else {
        return Subjects::default();
    };
    let mut subjects = Subjects::default();
    if let Some(object) = event.pointer("/data/object") {
        subjects.add_object(object, family);
    }
    for path in RELATED_PATHS {
        if let Some(object) = event.pointer(path) {
            subjects.add_object(object, family);
            keep_text(&mut subjects.related, reference(event, path));
        }
    }
    subjects
}

/// The family of `event_type`; thin events of v1 resources carry the prefix `v1.`.
fn family(event_type: &str) -> Option<&'static str> {
    let event_type = event_type.strip_prefix("v1.").unwrap_or(event_type);
    FAMILIES.into_iter().find(|family| {
        event_type
            .strip_prefix(family)
            .is_some_and(|rest| rest.starts_with('.'))
    })
}

impl Subjects {
    fn add_object(&mut self, object: &Value, family: &str) {
        self.add_itself(object, family);
        for path in SUBSCRIPTION_PATHS {
            self.add_subscription(reference(object, path));
        }
        let lines = object.pointer("/lines/data").and_then(Value::as_array);
        for line in lines.into_iter().flatten() {
            for path in LINE_SUBSCRIPTION_PATHS {
                self.add_subscription(reference(line, path));
            }
        }
        keep_first(&mut self.customer, reference(object, "/customer"));
        keep_first(&mut self.invoice, reference(object, "/invoice"));
        keep_first(&mut self.checkout_session, reference(object, "/checkout_session"));
        keep_text(&mut self.charge, reference(object, "/charge"));
        keep_text(&mut self.charge, reference(object, "/latest_charge"));
        keep_text(&mut self.payment_intent, reference(object, "/payment_intent"));
        keep_text(
            &mut self.payment_intent,
            reference(object, "/payment/payment_intent"),
        );
        keep_text(&mut self.charge, reference(object, "/payment/charge"));
        if matches!(family, "price" | "plan") {
            keep_text(&mut self.product, reference(object, "/product"));
        }
    }

    /// The object's own id. Prices and products may bear any name, so there the family decides.
    fn add_itself(&mut self, object: &Value, family: &str) {
        let Some(id) = object.get("id").and_then(Value::as_str) else {
            return;
        };
        match family {
            "price" | "plan" => self.price = Some(StripePriceId::new(id)),
            "product" => self.product = Some(id.to_owned()),
            _ => {
                self.add_subscription(Some(id));
                keep_first(&mut self.customer, Some(id));
                keep_first(&mut self.checkout_session, Some(id));
                keep_first(&mut self.invoice, Some(id));
                keep_text(
                    &mut self.charge,
                    Some(id).filter(|id| id.starts_with("ch_") || id.starts_with("py_")),
                );
                keep_text(
                    &mut self.payment_intent,
                    Some(id).filter(|id| id.starts_with("pi_")),
                );
            }
        }
    }

    /// Schedules begin like subscriptions, `sub_sched_`, and are none.
    fn add_subscription(&mut self, id: Option<&str>) {
        let id = id
            .filter(|id| !id.starts_with("sub_sched_"))
            .and_then(|id| id.parse().ok());
        if let Some(id) = id.filter(|id| !self.subscriptions.contains(id)) {
            self.subscriptions.push(id);
        }
    }
}

/// The id at `path`, written as an id or as an object that has one.
fn reference<'a>(object: &'a Value, path: &str) -> Option<&'a str> {
    let value = object.pointer(path)?;
    value.as_str().or_else(|| value.get("id")?.as_str())
}

fn keep_first<I: FromStr>(slot: &mut Option<I>, id: Option<&str>) {
    if slot.is_none() {
        *slot = id.and_then(|id| id.parse().ok());
    }
}

fn keep_text(slot: &mut Option<String>, id: Option<&str>) {
    if slot.is_none() {
        *slot = id.map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(event_type: &str, object: &Value) -> Subjects {
        subjects(&json!({"type": event_type, "data": {"object": object}}).to_string()).unwrap()
    }

    fn subscription_ids(subjects: &Subjects) -> Vec<&str> {
        subjects
            .subscriptions
            .iter()
            .map(StripeSubscriptionId::as_str)
            .collect()
    }

    #[test]
    fn a_subscription_event_names_subscription_and_customer() {
        for customer in [json!("cus_1"), json!({"id": "cus_1", "object": "customer"})] {
            let object = json!({"id": "sub_1", "object": "subscription", "customer": customer});
            let subjects = of("customer.subscription.updated", &object);
            assert_eq!(subscription_ids(&subjects), ["sub_1"]);
            assert_eq!(subjects.customer, Some("cus_1".parse().unwrap()));
        }
    }

    /// S7.
    #[test]
    fn an_invoice_names_its_subscription_in_both_shapes() {
        for object in [
            json!({"id": "in_1", "customer": "cus_1", "subscription": "sub_1"}),
            json!({"id": "in_1", "customer": "cus_1", "subscription": {"id": "sub_1"}}),
            json!({"id": "in_1", "customer": "cus_1", "parent": {"type": "subscription_details",
                "subscription_details": {"subscription": "sub_1"}}}),
            json!({"id": "in_1", "customer": "cus_1", "parent": {"subscription_details":
                {"subscription": {"id": "sub_1", "object": "subscription"}}}}),
            json!({"id": "in_1", "customer": "cus_1", "lines": {"data": [{"subscription": "sub_1"}]}}),
            json!({"id": "in_1", "customer": "cus_1", "lines": {"data": [{"parent":
                {"subscription_item_details": {"subscription": "sub_1"}}}]}}),
        ] {
            let subjects = of("invoice.payment_failed", &object);
            assert_eq!(subscription_ids(&subjects), ["sub_1"], "{object}");
            assert_eq!(subjects.invoice, Some("in_1".parse().unwrap()));
            assert_eq!(subjects.customer, Some("cus_1".parse().unwrap()));
        }
    }

    #[test]
    fn an_invoice_for_two_subscriptions_names_both_once() {
        let object = json!({"id": "in_1", "subscription": "sub_1", "lines": {"data": [
            {"subscription": "sub_1"}, {"subscription": "sub_2"}, {"subscription": null}]}});
        assert_eq!(subscription_ids(&of("invoice.paid", &object)), ["sub_1", "sub_2"]);
    }

    #[test]
    fn an_upcoming_invoice_has_no_id_and_still_hints() {
        let subjects = of(
            "invoice.upcoming",
            &json!({"customer": "cus_1", "subscription": "sub_1"}),
        );
        assert_eq!(
            (subjects.invoice.is_none(), subscription_ids(&subjects)),
            (true, vec!["sub_1"])
        );
    }

    #[test]
    fn a_checkout_session_names_what_it_sold() {
        let object = json!({"id": "cs_test_1", "customer": "cus_1", "subscription": "sub_1", "invoice": "in_1",
            "payment_intent": null, "product": "not ours"});
        let subjects = of("checkout.session.completed", &object);
        assert_eq!(subjects.checkout_session, Some("cs_test_1".parse().unwrap()));
        assert_eq!(subjects.invoice, Some("in_1".parse().unwrap()));
        assert_eq!(subscription_ids(&subjects), ["sub_1"]);
        assert_eq!((subjects.payment_intent, subjects.product), (None, None));
    }

    #[test]
    fn money_events_name_the_charge_and_the_payment() {
        let charge = json!({"id": "ch_1", "customer": "cus_1", "payment_intent": "pi_1", "invoice": "in_1"});
        let dispute = json!({"id": "du_1", "charge": "ch_1", "payment_intent": {"id": "pi_1"}});
        for (event_type, object) in [
            ("charge.refunded", &charge),
            ("charge.dispute.closed", &dispute),
            (
                "refund.created",
                &json!({"id": "re_1", "charge": "ch_1", "payment_intent": "pi_1"}),
            ),
            (
                "payment_intent.succeeded",
                &json!({"id": "pi_1", "latest_charge": "ch_1"}),
            ),
        ] {
            let subjects = of(event_type, object);
            assert_eq!(subjects.charge.as_deref(), Some("ch_1"), "{event_type}");
            assert_eq!(subjects.payment_intent.as_deref(), Some("pi_1"), "{event_type}");
        }
        assert_eq!(
            of("charge.refunded", &charge).invoice,
            Some("in_1".parse().unwrap())
        );
        let warning = json!({"id": "issfr_1", "charge": {"id": "ch_1"}});
        assert_eq!(
            of("radar.early_fraud_warning.created", &warning)
                .charge
                .as_deref(),
            Some("ch_1")
        );
        let payment = json!({"id": "inpay_1", "invoice": "in_1", "payment": {"payment_intent": "pi_1"}});
        let subjects = of("invoice_payment.paid", &payment);
        assert_eq!(subjects.invoice, Some("in_1".parse().unwrap()));
        assert_eq!(subjects.payment_intent.as_deref(), Some("pi_1"));
    }

    #[test]
    fn a_schedule_is_not_a_subscription() {
        let schedule = json!({"id": "sub_sched_1", "customer": "cus_1", "subscription": "sub_1"});
        assert_eq!(
            subscription_ids(&of("subscription_schedule.updated", &schedule)),
            ["sub_1"]
        );
        let released = json!({"id": "sub_sched_1", "subscription": null, "released_subscription": "sub_2"});
        assert_eq!(
            subscription_ids(&of("subscription_schedule.released", &released)),
            ["sub_2"]
        );
    }

    #[test]
    fn prices_and_products_may_bear_any_name() {
        let subjects = of("price.updated", &json!({"id": "gold", "product": "prod_1"}));
        assert_eq!(subjects.price, Some(StripePriceId::new("gold")));
        assert_eq!(subjects.product.as_deref(), Some("prod_1"));
        assert_eq!(
            of("product.updated", &json!({"id": "club"})).product.as_deref(),
            Some("club")
        );
    }

    #[test]
    fn a_thin_event_names_its_related_object() {
        for (event_type, event) in [
            (
                "v1.customer.subscription.updated",
                json!({"related_object": {"id": "sub_1", "type": "subscription", "url": "/v1/subscriptions/sub_1"}}),
            ),
            (
                "v2.core.health.event_generation_failure.resolved",
                json!({"data": {"impact": {"event": "customer.subscription.updated",
                    "related_object": {"id": "sub_1", "type": "subscription"}}}}),
            ),
            (
                "v2.core.health.event_generation_failure.resolved",
                json!({"data": {"related_object": {"id": "sub_1", "type": "subscription"}}}),
            ),
        ] {
            let mut event = event;
            event["type"] = json!(event_type);
            let subjects = subjects(&event.to_string()).unwrap();
            assert_eq!(subscription_ids(&subjects), ["sub_1"], "{event_type}");
        }
    }

    #[test]
    fn what_we_do_not_know_hints_at_nothing() {
        let object = json!({"id": "sub_1", "customer": "cus_1"});
        for event_type in [
            "payout.paid",
            "customers.updated",
            "invoiceitem.created",
            "v3.customer.updated",
            "",
        ] {
            assert!(of(event_type, &object).is_empty(), "{event_type}");
        }
        for odd in [
            json!(null),
            json!([]),
            json!("sub_1"),
            json!({"id": 7, "customer": {}, "lines": "x"}),
        ] {
            assert!(of("invoice.paid", &odd).is_empty(), "{odd}");
        }
        assert!(subjects("[1]").unwrap().is_empty());
        assert!(subjects("{").is_err());
    }
}
