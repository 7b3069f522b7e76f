//! How a call to Stripe fails, in the classes that a caller acts on differently.
//!
//! No message holds the API key: not ours, and not one that Stripe sent back.

use std::time::Duration;

/// A call to Stripe that gave no usable answer.
///
/// `subject` is what the call was about, for instance `subscription sub_123`.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// Stripe says that there is no such object.
    #[error("Stripe has no {subject}: check that it exists in this account and in the mode of the key")]
    NotFound {
        /// What was asked for.
        subject: String,
    },
    /// The API key is wrong, revoked or expired.
    #[error("Stripe refused the API key: check STRIPE_SECRET_KEY and that the key was not revoked")]
    Unauthorized,
    /// The API key is a restricted one and may not do this.
    #[error("the Stripe API key may not call {endpoint}: give the restricted key this permission")]
    Forbidden {
        /// The method and path.
        endpoint: &'static str,
    },
    /// The account's rate limit is reached, or our own pace before it.
    #[error("Stripe's rate limit is reached{}", after(*.retry_after))]
    RateLimited {
        /// When to come back, if it is known.
        retry_after: Option<Duration>,
    },
    /// The request itself is wrong: the same request will be refused again.
    #[error("Stripe refused the request about {subject}: {message}{}", details(.param.as_deref(), .code.as_deref()))]
    Invalid {
        /// What it was about.
        subject: String,
        /// Why, in Stripe's words. It may name what a person typed in.
        message: String,
        /// The parameter that is wrong.
        param: Option<String>,
        /// Stripe's error code.
        code: Option<String>,
    },
    /// Stripe has a fault, or is busy with the same object.
    #[error("Stripe could not answer {endpoint} (HTTP {status}){}", after(*.retry_after))]
    Unavailable {
        /// The method and path.
        endpoint: &'static str,
        /// The HTTP status.
        status: u16,
        /// When to come back, if Stripe said so.
        retry_after: Option<Duration>,
    },
    /// No answer in time. What the call asks for may have happened: repeat it with the same key.
    #[error("no answer from Stripe to {endpoint} within {} ms", .after.as_millis())]
    Timeout {
        /// The method and path.
        endpoint: &'static str,
        /// How long one attempt waited.
        after: Duration,
    },
    /// No connection, or one that broke.
    #[error("could not reach Stripe for {endpoint}: check the network and STRIPE_API_BASE")]
    Unreachable {
        /// The method and path.
        endpoint: &'static str,
        /// What happened.
        #[source]
        source: reqwest::Error,
    },
    /// A success whose body is one of Stripe's objects, and cannot be read as what was asked for. The operation did
    /// happen.
    #[error("could not read Stripe's answer about {subject}")]
    Decode {
        /// What it was about.
        subject: String,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// A success whose body is too long to be what was asked for.
    #[error("Stripe's answer about {subject} is longer than {limit} bytes")]
    TooLarge {
        /// What it was about.
        subject: String,
        /// The limit.
        limit: usize,
    },
    /// An answer that does not come from Stripe's API, whatever its status.
    #[error("{endpoint} was answered with HTTP {status}, not as Stripe does: check STRIPE_API_BASE")]
    NotStripe {
        /// The method and path.
        endpoint: &'static str,
        /// The HTTP status.
        status: u16,
    },
}

impl StripeError {
    /// Whether the same call may succeed later without anybody mending anything.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Unavailable { .. }
            | Self::Timeout { .. }
            | Self::Unreachable { .. } => true,
            Self::NotFound { .. }
            | Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::Invalid { .. }
            | Self::Decode { .. }
            | Self::TooLarge { .. }
            | Self::NotStripe { .. } => false,
        }
    }

    /// Whether Stripe has answered that it does not answer this: not with this key, not for this object, or not
    /// in this way. What an account lacks is refused like this, too.
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. } | Self::Forbidden { .. } | Self::Invalid { .. }
        )
    }

    /// Whether Stripe has this answer saved under the idempotency key of the call, and gives it again for a day,
    /// whatever has been mended: who tries again takes another key. Limits, locks and keys that are refused
    /// stand before that; and where no answer came that can be understood, the call may have taken effect: it
    /// is repeated under its own key, so that it does so once.
    pub const fn is_saved(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Invalid { .. } => true,
            Self::Unavailable { status, .. } => *status != 409,
            Self::Unauthorized
            | Self::Forbidden { .. }
            | Self::RateLimited { .. }
            | Self::Timeout { .. }
            | Self::Unreachable { .. }
            | Self::Decode { .. }
            | Self::TooLarge { .. }
            | Self::NotStripe { .. } => false,
        }
    }

    /// When to come back, if it is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

fn after(wait: Option<Duration>) -> String {
    wait.map(|wait| format!("; it can be tried again in {} ms", wait.as_millis()))
        .unwrap_or_default()
}

fn details(param: Option<&str>, code: Option<&str>) -> String {
    match (param, code) {
        (Some(param), Some(code)) => format!(" (parameter {param}, code {code})"),
        (Some(param), None) => format!(" (parameter {param})"),
        (None, Some(code)) => format!(" (code {code})"),
        (None, None) => String::new(),
    }
}
