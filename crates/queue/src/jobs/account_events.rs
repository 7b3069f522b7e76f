//! People and purchases whose state has to be worked out again.

use std::time::Duration;

use rolecall_domain::ids::{MemberId, StripeCheckoutSessionId};
use serde::{Deserialize, Serialize};

use crate::{job::Job, jobs::A_DAY_OF_ATTEMPTS, keys::Queue};

/// Work out which roles a person should have, and make it so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvergeMember {
    /// The person.
    pub member_id: MemberId,
    /// What gave cause to it, for the audit log.
    pub reason: String,
}

impl Job for ConvergeMember {
    const KIND: &'static str = "converge_member";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    const TIMEOUT: Duration = Duration::from_secs(30);
    const QUEUES: &'static [Queue] = &[Queue::AccountEvents];

    fn queue(&self) -> Queue {
        Queue::AccountEvents
    }
}

/// Look a Checkout Session up at Stripe and give what was bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FulfillCheckout {
    /// The session.
    pub session_id: StripeCheckoutSessionId,
    /// What gave cause to it, for the audit log.
    pub reason: String,
}

impl Job for FulfillCheckout {
    const KIND: &'static str = "fulfill_checkout";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const QUEUES: &'static [Queue] = &[Queue::AccountEvents];

    fn queue(&self) -> Queue {
        Queue::AccountEvents
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::jobs::assert_golden;

    #[test]
    fn account_events_have_their_golden_shapes() {
        assert_golden(
            &ConvergeMember {
                member_id: MemberId::from_uuid(Uuid::nil()),
                reason: "grant".to_owned(),
            },
            r#"{"member_id":"00000000-0000-0000-0000-000000000000","reason":"grant"}"#,
        );
        assert_golden(
            &FulfillCheckout {
                session_id: "cs_1".parse().unwrap(),
                reason: "returned".to_owned(),
            },
            r#"{"session_id":"cs_1","reason":"returned"}"#,
        );
    }
}
