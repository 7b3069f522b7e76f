//! What a thin event is about, as Stripe has it now.

use serde_json::Value;

use crate::{
    client::{Client, call::Call},
    error::StripeError,
};

/// The objects that tell of a membership or a payment which their id does not name: how their ids begin, where
/// they are read, and that as errors and the pace name it.
const READABLE: [(&str, &str, &str); 7] = [
    ("in_", "/invoices/", "GET /v1/invoices/{id}"),
    ("re_", "/refunds/", "GET /v1/refunds/{id}"),
    ("pyr_", "/refunds/", "GET /v1/refunds/{id}"),
    ("du_", "/disputes/", "GET /v1/disputes/{id}"),
    ("dp_", "/disputes/", "GET /v1/disputes/{id}"),
    (
        "issfr_",
        "/radar/early_fraud_warnings/",
        "GET /v1/radar/early_fraud_warnings/{id}",
    ),
    (
        "sub_sched_",
        "/subscription_schedules/",
        "GET /v1/subscription_schedules/{id}",
    ),
];

impl Client {
    /// Whether [`Client::get_related`] can read an object with this id.
    pub fn is_related(id: &str) -> bool {
        find(id).is_some()
    }

    /// An object that a thin event names, as the event of the other kind would have told it.
    pub async fn get_related(&self, id: &str) -> Result<Value, StripeError> {
        let Some((_, path, endpoint)) = find(id) else {
            return Err(StripeError::NotFound {
                subject: format!("object {id}"),
            });
        };
        let call = Call::read_path(endpoint, format!("object {id}"), format!("{path}{id}"), &[]);
        self.transport.send(&call).await
    }
}

fn find(id: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let is_plain = id
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    READABLE
        .into_iter()
        .find(|(beginning, ..)| is_plain && id.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_is_related() {
        for id in ["in_1", "re_1", "du_1", "issfr_1", "sub_sched_1"] {
            assert!(Client::is_related(id), "{id}");
        }
        for id in ["sub_1", "cus_1", "in_1/pay", "in_1?expand[]=charge", "", "in"] {
            assert!(!Client::is_related(id), "{id}");
        }
    }
}
