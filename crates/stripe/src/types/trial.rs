//! A subscription in its trial, with what it is going to be charged to.

use chrono::{DateTime, Utc, serde::ts_seconds_option};
use rolecall_domain::ids::StripeSubscriptionId;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::types::{expandable::Expandable, subscription::SubscriptionStatus, tolerant};

/// A subscription with its payment method expanded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TrialSubscription {
    /// `sub_...`
    pub id: StripeSubscriptionId,
    /// The status.
    #[serde(default)]
    pub status: SubscriptionStatus,
    /// When the trial ends or ended.
    #[serde(default, with = "ts_seconds_option")]
    pub trial_end: Option<DateTime<Utc>>,
    #[serde(default, deserialize_with = "tolerant::expandable")]
    default_payment_method: Option<Expandable<String, PaymentMethod>>,
    #[serde(default, deserialize_with = "tolerant::expandable")]
    customer: Option<Expandable<String, Payer>>,
}

impl TrialSubscription {
    /// Whether the trial still runs.
    pub fn is_running(&self) -> bool {
        self.status == SubscriptionStatus::Trialing
    }

    /// Whether nothing more comes of it.
    pub fn is_over(&self) -> bool {
        matches!(
            self.status,
            SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired
        )
    }

    /// What Stripe knows the card's number by, or the bank account's: the same for the same number, whoever
    /// types it in. None for ways of paying that have no number, and where nothing is on file.
    pub fn fingerprint(&self) -> Option<&str> {
        let own = self.default_payment_method.as_ref().and_then(Expandable::object);
        let of_customer = || {
            let settings = self.customer.as_ref()?.object()?.invoice_settings.as_ref()?;
            settings.default_payment_method.as_ref()?.object()
        };
        own.or_else(of_customer)?.fingerprint()
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Payer {
    #[serde(default)]
    invoice_settings: Option<InvoiceSettings>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct InvoiceSettings {
    #[serde(default, deserialize_with = "tolerant::expandable")]
    default_payment_method: Option<Expandable<String, PaymentMethod>>,
}

/// A payment method: what it is stands under the name of its type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct PaymentMethod {
    #[serde(default, rename = "type", deserialize_with = "tolerant::or_default")]
    kind: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl PaymentMethod {
    fn fingerprint(&self) -> Option<&str> {
        self.fields.get(&self.kind)?.get("fingerprint")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(json: &str) -> Option<String> {
        let trial: TrialSubscription = serde_json::from_str(json).unwrap();
        trial.fingerprint().map(str::to_owned)
    }

    #[test]
    fn the_subscription_s_own_card_counts_before_its_customer_s() {
        let customer = r#""customer":{"id":"cus_1","invoice_settings":{"default_payment_method":
            {"id":"pm_2","type":"card","card":{"fingerprint":"theirs"}}}}"#;
        let own = r#""default_payment_method":{"id":"pm_1","type":"us_bank_account","us_bank_account":{"fingerprint":"own"}}"#;
        assert_eq!(
            fingerprint(&format!(r#"{{"id":"sub_1",{own},{customer}}}"#)).as_deref(),
            Some("own")
        );
        assert_eq!(
            fingerprint(&format!(
                r#"{{"id":"sub_1","default_payment_method":null,{customer}}}"#
            ))
            .as_deref(),
            Some("theirs")
        );
    }

    #[test]
    fn what_has_no_number_has_no_fingerprint() {
        for rest in [
            "",
            r#","customer":"cus_1""#,
            r#","customer":{"id":"cus_1","deleted":true}"#,
            r#","default_payment_method":{"id":"pm_1","type":"paypal","paypal":{}}"#,
            r#","default_payment_method":{"id":"pm_1","type":"card","card":{"fingerprint":null}}"#,
        ] {
            assert_eq!(fingerprint(&format!(r#"{{"id":"sub_1"{rest}}}"#)), None, "{rest}");
        }
    }
}
