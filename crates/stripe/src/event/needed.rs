//! The types of events that a webhook endpoint has to send, in one list.

/// Without any of these something is learned late: by the sweep, and not when it happens.
///
/// `invoice.created` is missing on purpose: whoever takes it makes Stripe wait before it charges.
pub const NEEDED_EVENTS: [&str; 22] = [
    "charge.dispute.closed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.refunded",
    "checkout.session.async_payment_failed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.completed",
    "checkout.session.expired",
    "customer.subscription.created",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.updated",
    "invoice.marked_uncollectible",
    "invoice.paid",
    "invoice.payment_action_required",
    "invoice.payment_failed",
    "invoice.voided",
    "radar.early_fraud_warning.created",
    "refund.created",
    "refund.failed",
    "refund.updated",
];

/// Those that an endpoint with these `enabled` types does not send.
pub fn missing_events(enabled: &[String]) -> Vec<&'static str> {
    let sends = |wanted: &str| enabled.iter().any(|kind| kind == "*" || kind == wanted);
    NEEDED_EVENTS.into_iter().filter(|kind| !sends(kind)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::event::subjects;

    #[test]
    fn no_type_stands_twice_and_each_can_hint_at_something() {
        let unique: BTreeSet<&str> = NEEDED_EVENTS.into_iter().collect();
        assert_eq!(unique.len(), NEEDED_EVENTS.len());
        let object = json!({"id": "x", "customer": "cus_1", "charge": "ch_1", "subscription": "sub_1"});
        for kind in NEEDED_EVENTS {
            let event = json!({"type": kind, "data": {"object": object}}).to_string();
            assert!(!subjects(&event).unwrap().is_empty(), "{kind}");
        }
        assert!(
            !NEEDED_EVENTS.contains(&"invoice.created"),
            "it holds payments up"
        );
    }

    #[test]
    fn an_endpoint_lacks_what_it_does_not_name() {
        let all: Vec<String> = NEEDED_EVENTS.map(str::to_owned).into();
        assert_eq!(missing_events(&all), Vec::<&str>::new());
        assert_eq!(missing_events(&["*".to_owned()]), Vec::<&str>::new());
        assert_eq!(missing_events(&all[1..]), [NEEDED_EVENTS[0]]);
        assert_eq!(missing_events(&[]).len(), NEEDED_EVENTS.len());
    }
}
