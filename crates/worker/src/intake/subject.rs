//! What an event concerns: the objects that are read again for it. Looked up once, when it is kept.

use rolecall_domain::{
    ids::{StripeCheckoutSessionId, StripeInvoiceId, StripeSubscriptionId},
    standing::Standing,
};
use rolecall_stripe::{client::Client, event::subjects};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The type of event that says when a debt began, which nothing else tells.
const PAYMENT_FAILED: &str = "invoice.payment_failed";

/// The type of event that says that a bank waits for its customer.
const ACTION_REQUIRED: &str = "invoice.payment_action_required";

/// The beginnings of the types of event that say that something happened to a payment after it was made.
const REVERSALS: [&str; 4] = [
    "charge.refund",
    "charge.dispute.",
    "refund.",
    "radar.early_fraud_warning.",
];

/// What an event concerns. Events that wait and concern the same are done together. Stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// A purchase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkout_session: Option<StripeCheckoutSessionId>,
    /// Subscriptions: more than one on an invoice that bills several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subscriptions: Vec<StripeSubscriptionId>,
    /// A charge that was given back, disputed or warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<String>,
    /// An invoice whose payment has to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unconfirmed_invoice: Option<StripeInvoiceId>,
    /// What is sold.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub catalog: bool,
    /// What a thin event names: only a read of that says what else it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub related: Option<String>,
}

impl Subject {
    /// Finds it in the body of an event of this type.
    pub fn of(kind: &str, payload: &str) -> Result<Self, serde_json::Error> {
        let found = subjects(payload)?;
        let kind = snapshot_kind(kind);
        let reversed = REVERSALS.iter().any(|beginning| kind.starts_with(beginning));
        let subject = Self {
            charge: found.charge.filter(|_| reversed),
            unconfirmed_invoice: found.invoice.filter(|_| kind == ACTION_REQUIRED),
            catalog: found.price.is_some() || found.product.is_some(),
            checkout_session: found.checkout_session,
            subscriptions: found.subscriptions,
            related: None,
        };
        let related = found.related.filter(|id| Client::is_related(id));
        Ok(match related {
            Some(_) if subject.subscriptions.is_empty() && subject.charge.is_none() => Self {
                related,
                ..Self::default()
            },
            _ => subject,
        })
    }

    /// What a thin event of this type concerns, by the object that it names.
    pub fn of_related(kind: &str, object: &Value) -> Result<Self, serde_json::Error> {
        Self::of(kind, &as_snapshot(kind, object))
    }

    /// With what another event concerns.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for subscription in other.subscriptions {
            if !self.subscriptions.contains(&subscription) {
                self.subscriptions.push(subscription);
            }
        }
        Self {
            checkout_session: self.checkout_session.or(other.checkout_session),
            charge: self.charge.or(other.charge),
            unconfirmed_invoice: self.unconfirmed_invoice.or(other.unconfirmed_invoice),
            catalog: self.catalog || other.catalog,
            related: self.related.or(other.related),
            subscriptions: self.subscriptions,
        }
    }

    /// Whether it concerns nothing that we keep.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The subscription that is all it concerns, so that a read of that alone can cover it.
    pub fn only_subscription(&self) -> Option<&StripeSubscriptionId> {
        let more = self.checkout_session.is_some()
            || self.charge.is_some()
            || self.unconfirmed_invoice.is_some()
            || self.related.is_some();
        match self.subscriptions.as_slice() {
            [only] if !more => Some(only),
            _ => None,
        }
    }
}

/// Whether somebody may be waiting for access because of a subscription that stands so; `None` for one
/// that was never read. Who has full access lacks nothing, and what has ended does not begin again.
pub fn is_urgent(standing: Option<&str>) -> bool {
    let settled = [Standing::Active, Standing::Trial, Standing::Ended];
    standing.is_none_or(|standing| settled.iter().all(|settled| settled.name() != standing))
}

/// Whether the event may say when a debt began: then a read that began before it was kept does not
/// cover it, because that read may not have known.
pub fn dates_debt(kind: &str) -> bool {
    snapshot_kind(kind) == PAYMENT_FAILED
}

/// Thin events carry the type of the others with a prefix.
fn snapshot_kind(kind: &str) -> &str {
    kind.strip_prefix("v1.").unwrap_or(kind)
}

/// The body of the event that tells what a thin one only names.
fn as_snapshot(kind: &str, object: &Value) -> String {
    json!({ "type": kind, "data": { "object": object } }).to_string()
}

/// The same as [`first_failure`] for a thin event and the invoice that it names.
pub fn first_related_failure(kind: &str, object: &Value) -> Option<StripeInvoiceId> {
    first_failure(kind, &as_snapshot(kind, object))
}

/// The invoice whose first attempt the event says has failed. Later attempts do not date the debt.
pub fn first_failure(kind: &str, payload: &str) -> Option<StripeInvoiceId> {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        object: Invoice,
    }
    #[derive(Deserialize)]
    struct Invoice {
        id: StripeInvoiceId,
        attempt_count: u64,
    }
    if !dates_debt(kind) {
        return None;
    }
    let body: Body = serde_json::from_str(payload).ok()?;
    (body.data.object.attempt_count <= 1).then_some(body.data.object.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(kind: &str, object: &str) -> String {
        format!(r#"{{"type":"{kind}","data":{{"object":{object}}}}}"#)
    }

    #[test]
    fn only_a_failed_first_attempt_dates_the_debt() {
        let failure = |kind: &str, object: &str| first_failure(kind, &body(kind, object));
        let failed = "invoice.payment_failed";
        assert_eq!(
            failure(failed, r#"{"id":"in_1","attempt_count":1}"#),
            Some("in_1".parse().unwrap())
        );
        assert_eq!(failure(failed, r#"{"id":"in_1","attempt_count":2}"#), None);
        assert_eq!(
            failure("invoice.paid", r#"{"id":"in_1","attempt_count":1}"#),
            None
        );
        assert_eq!(failure(failed, r#"{"object":"invoice"}"#), None);
        let thin = "v1.invoice.payment_failed";
        assert!(dates_debt(thin));
        assert_eq!(
            first_related_failure(thin, &json!({"id": "in_1", "attempt_count": 1})),
            Some("in_1".parse().unwrap())
        );
        assert_eq!(
            first_related_failure(thin, &json!({"id": "in_1", "attempt_count": 2})),
            None
        );
    }

    #[test]
    fn a_thin_event_concerns_what_the_object_tells_that_it_names() {
        let of = |kind: &str, id: &str| {
            let body = json!({"type": kind, "related_object": {"id": id, "type": "riddle", "url": "/"}});
            Subject::of(kind, &body.to_string()).unwrap()
        };
        for (kind, id) in [
            ("v1.invoice.paid", "in_1"),
            ("v1.invoice.payment_action_required", "in_1"),
            ("v1.refund.created", "re_1"),
            ("v1.charge.dispute.created", "du_1"),
            ("v1.radar.early_fraud_warning.created", "issfr_1"),
        ] {
            let subject = of(kind, id);
            assert_eq!(subject.related.as_deref(), Some(id), "{kind}");
            assert!(subject.only_subscription().is_none());
            let json = serde_json::to_string(&subject).unwrap();
            assert_eq!(json, format!(r#"{{"related":"{id}"}}"#));
        }
        // What they name is all there is to know.
        let direct = of("v1.customer.subscription.updated", "sub_1");
        assert_eq!((direct.subscriptions.len(), direct.related), (1, None));
        assert_eq!(of("v1.charge.refunded", "ch_1").charge.as_deref(), Some("ch_1"));
        for (kind, id) in [("v1.customer.updated", "cus_1"), ("v1.payout.paid", "in_1")] {
            assert!(of(kind, id).is_empty(), "{kind}");
        }
        let paid = Subject::of_related("v1.invoice.paid", &json!({"id": "in_1", "subscription": "sub_1"}));
        let refunded = Subject::of_related("v1.refund.created", &json!({"id": "re_1", "charge": "ch_1"}));
        let both = paid.unwrap().and(refunded.unwrap());
        assert_eq!(
            serde_json::to_string(&both).unwrap(),
            r#"{"subscriptions":["sub_1"],"charge":"ch_1"}"#
        );
    }

    #[test]
    fn a_subject_is_stored_in_a_shape_that_stays() {
        let of = |kind: &str, object: &str| {
            let subject = Subject::of(kind, &body(kind, object)).unwrap();
            let json = serde_json::to_string(&subject).unwrap();
            assert_eq!(serde_json::from_str::<Subject>(&json).unwrap(), subject);
            json
        };
        assert_eq!(
            of("customer.subscription.updated", r#"{"id":"sub_1"}"#),
            r#"{"subscriptions":["sub_1"]}"#
        );
        assert_eq!(
            of(
                "checkout.session.completed",
                r#"{"id":"cs_1","subscription":"sub_1"}"#
            ),
            r#"{"checkout_session":"cs_1","subscriptions":["sub_1"]}"#
        );
        assert_eq!(of("price.updated", r#"{"id":"price_1"}"#), r#"{"catalog":true}"#);
        assert_eq!(of("customer.updated", r#"{"id":"cus_1"}"#), "{}");
        assert_eq!(
            of(
                "invoice.payment_action_required",
                r#"{"id":"in_1","subscription":"sub_1"}"#
            ),
            r#"{"subscriptions":["sub_1"],"unconfirmed_invoice":"in_1"}"#
        );
    }

    #[test]
    fn only_what_happens_to_a_payment_after_it_was_made_is_looked_at() {
        let charge = |kind: &str, object: &str| Subject::of(kind, &body(kind, object)).unwrap().charge;
        let made = r#"{"id":"ch_1","invoice":"in_1"}"#;
        for kind in ["charge.succeeded", "charge.failed", "payment_intent.succeeded"] {
            assert_eq!(charge(kind, made), None, "{kind}");
        }
        assert_eq!(charge("charge.refunded", made).as_deref(), Some("ch_1"));
        for kind in [
            "refund.created",
            "charge.refund.updated",
            "charge.dispute.closed",
            "radar.early_fraud_warning.created",
        ] {
            let after = charge(kind, r#"{"id":"x_1","charge":"ch_1"}"#);
            assert_eq!(after.as_deref(), Some("ch_1"), "{kind}");
        }
    }

    #[test]
    fn whoever_lacks_something_is_urgent() {
        for standing in [
            None,
            Some("pending"),
            Some("grace"),
            Some("debtor"),
            Some("paused"),
        ] {
            assert!(is_urgent(standing), "{standing:?}");
        }
        for standing in ["active", "trial", "ended"] {
            assert!(!is_urgent(Some(standing)), "{standing}");
        }
    }

    #[test]
    fn a_purchase_is_more_than_its_subscription() {
        let subject = |text: &str| serde_json::from_str::<Subject>(text).unwrap();
        assert!(
            subject(r#"{"subscriptions":["sub_1"]}"#)
                .only_subscription()
                .is_some()
        );
        for more in [
            r#"{"subscriptions":["sub_1","sub_2"]}"#,
            r#"{"checkout_session":"cs_1","subscriptions":["sub_1"]}"#,
            r#"{"charge":"ch_1","subscriptions":["sub_1"]}"#,
            r#"{"unconfirmed_invoice":"in_1","subscriptions":["sub_1"]}"#,
            "{}",
        ] {
            assert!(subject(more).only_subscription().is_none(), "{more}");
        }
    }
}
