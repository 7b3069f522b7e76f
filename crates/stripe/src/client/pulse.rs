//! How Stripe has been doing, as the calls found it in passing: for `/ready`, and so that one that is
//! ill is not stormed. Pure: time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::StripeError;

/// Nothing was heard of Stripe for this long: nobody knows any more whether it is still ill.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// After so many failed calls in a row a call is not repeated by itself: whoever made it comes back.
const STORM: u32 = 3;

/// How the last calls went.
#[derive(Debug)]
pub(crate) struct Pulse {
    illness: Option<Illness>,
    /// How long nobody asks after the key was refused.
    refused_key: Duration,
}

#[derive(Debug)]
struct Illness {
    words: String,
    last: Instant,
    in_a_row: u32,
    /// Until then nobody asks: the key is refused.
    closed_until: Option<Instant>,
}

impl Pulse {
    pub(crate) const fn new(refused_key: Duration) -> Self {
        Self {
            illness: None,
            refused_key,
        }
    }

    /// What is wrong, if something is.
    pub(crate) fn complaint(&self, now: Instant) -> Option<&str> {
        let illness = self.illness.as_ref()?;
        (now.duration_since(illness.last) < FORGOTTEN_AFTER).then_some(illness.words.as_str())
    }

    /// Whether a failed call may be repeated within the same call.
    pub(crate) fn may_repeat(&self) -> bool {
        self.illness
            .as_ref()
            .is_none_or(|illness| illness.in_a_row < STORM)
    }

    /// Whether a call may be made now. With a refused key only one now and then, to see if it is
    /// taken again: whoever asks may go, and keeps the others waiting.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<(), StripeError> {
        let closed = self
            .illness
            .as_mut()
            .and_then(|illness| illness.closed_until.as_mut());
        match closed {
            Some(until) if now < *until => Err(StripeError::Unauthorized),
            Some(until) => {
                *until = now + self.refused_key;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A call came to its end.
    pub(crate) fn note(&mut self, failure: Option<&StripeError>, now: Instant) {
        let Some((error, words)) = failure.and_then(|error| Some((error, complaint(error)?))) else {
            if self.illness.take().is_some() {
                tracing::info!("Stripe does its work again");
            }
            return;
        };
        if self.illness.is_none() {
            tracing::warn!(%error, "Stripe does not do its work: trying until it does");
        }
        let in_a_row = self.illness.as_ref().map_or(0, |illness| illness.in_a_row);
        self.illness = Some(Illness {
            words,
            last: now,
            in_a_row: in_a_row.saturating_add(1),
            closed_until: matches!(error, StripeError::Unauthorized).then(|| now + self.refused_key),
        });
    }
}

/// What an error says of Stripe as a whole; nothing if it is only about one request.
fn complaint(error: &StripeError) -> Option<String> {
    Some(match error {
        // 409 is a lock on one object; and it is one object that cannot be read.
        StripeError::NotFound { .. }
        | StripeError::Invalid { .. }
        | StripeError::Decode { .. }
        | StripeError::TooLarge { .. }
        | StripeError::Unavailable { status: 409, .. } => return None,
        StripeError::Unauthorized => {
            "the key is refused (401): check STRIPE_SECRET_KEY, and that it was not revoked".to_owned()
        }
        StripeError::Forbidden { endpoint } => {
            format!("the key may not call {endpoint} (403): give the restricted key this permission")
        }
        StripeError::RateLimited { .. } => {
            "lets us make no more calls for now: its rate limit is reached (429)".to_owned()
        }
        StripeError::Unavailable { status, .. } => {
            format!("has a fault of its own (HTTP {status}): see status.stripe.com")
        }
        StripeError::Timeout { .. } => "does not answer in time".to_owned(),
        StripeError::Unreachable { .. } => {
            "cannot be reached: check the network and STRIPE_API_BASE".to_owned()
        }
        StripeError::NotStripe { .. } => {
            "gives answers that Stripe does not give: check STRIPE_API_BASE and what stands in between"
                .to_owned()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(30);

    fn unavailable() -> StripeError {
        StripeError::Unavailable {
            endpoint: "GET /v1/x",
            status: 503,
            retry_after: None,
        }
    }

    #[test]
    fn an_illness_is_told_until_a_call_works_or_nobody_knows_any_more() {
        let (mut pulse, now) = (Pulse::new(QUIET), Instant::now());
        assert_eq!(pulse.complaint(now), None);
        pulse.note(Some(&unavailable()), now);
        assert!(pulse.complaint(now).unwrap().contains("503"));
        assert_eq!(pulse.complaint(now + FORGOTTEN_AFTER), None);
        pulse.note(None, now);
        assert_eq!(pulse.complaint(now), None);
    }

    #[test]
    fn what_is_wrong_with_one_request_says_nothing_of_stripe() {
        let (mut pulse, now) = (Pulse::new(QUIET), Instant::now());
        pulse.note(Some(&unavailable()), now);
        let subject = || "subscription sub_1".to_owned();
        pulse.note(Some(&StripeError::NotFound { subject: subject() }), now);
        assert_eq!(pulse.complaint(now), None);
        let source = serde_json::from_str::<u8>("x").unwrap_err();
        let subject = subject();
        pulse.note(Some(&StripeError::Decode { subject, source }), now);
        assert_eq!(pulse.complaint(now), None);
    }

    #[test]
    fn with_a_refused_key_one_call_goes_now_and_then() {
        let (mut pulse, now) = (Pulse::new(QUIET), Instant::now());
        pulse.note(Some(&StripeError::Unauthorized), now);
        assert!(pulse.complaint(now).unwrap().contains("(401)"));
        assert!(pulse.admit(now + QUIET / 2).is_err());
        let later = now + QUIET;
        assert!(pulse.admit(later).is_ok(), "somebody looks");
        assert!(pulse.admit(later).is_err(), "one is enough");
        pulse.note(None, later);
        assert!(pulse.admit(later).is_ok());
    }

    #[test]
    fn after_a_few_failures_calls_do_not_repeat_themselves() {
        let (mut pulse, now) = (Pulse::new(QUIET), Instant::now());
        for _ in 0..STORM {
            assert!(pulse.may_repeat());
            pulse.note(Some(&unavailable()), now);
        }
        assert!(!pulse.may_repeat());
        pulse.note(None, now);
        assert!(pulse.may_repeat());
    }
}
