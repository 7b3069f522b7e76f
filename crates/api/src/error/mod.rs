//! The one error of the service. A handler returns it; [`crate::http::observe`] logs it once and
//! renders it as a page or as problem+json (RFC 9457).

mod code;
pub(crate) mod page;
pub(crate) mod problem;

use std::{error::Error, sync::Arc, time::Duration};

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use rolecall_db::{DbError, policy_change::PolicyRefusal};
use rolecall_discord::oauth::OauthError;
use rolecall_domain::grant::GrantFault;
use rolecall_queue::PushError;
use rolecall_stripe::error::StripeError;

pub(crate) use code::Code;

use crate::webhook::outcome::Outcome;

/// A wait that a client is told where nothing better is known.
const SOON: Duration = Duration::from_secs(5);

type BoxError = Box<dyn Error + Send + Sync>;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("nothing is at this address")]
    NotFound,
    #[error("only {allow} is taken here")]
    MethodNotAllowed { allow: &'static str },
    #[error("{detail}")]
    BadRequest { detail: String },
    #[error("the body is longer than {limit} bytes")]
    BodyTooLarge { limit: usize },
    #[error("the body has to be {expected}")]
    UnsupportedMediaType { expected: &'static str },
    #[error("the body did not arrive in time")]
    RequestTimeout,
    #[error("too many requests from this address")]
    RateLimited { retry_after: Duration },
    #[error("a page of another origin may not write here")]
    ForeignOrigin,
    #[error("nobody is signed in")]
    NotSignedIn,
    #[error("the session has ended")]
    SessionEnded,
    #[error("only staff may see this")]
    NotStaff,
    #[error("the sign-in was begun too long ago, in another browser, or used before")]
    SignInExpired,
    #[error("signing in with Discord")]
    Discord(#[source] OauthError),
    #[error("the plan {plan:?} is not on sale")]
    PlanNotOnSale { plan: String },
    #[error("the price is not one of the plan's")]
    PriceNotOfPlan,
    #[error("seats for companies cannot be bought here yet")]
    CompanyPlanUnavailable,
    #[error("a plan for one person is bought once, not several times")]
    QuantityNotOne,
    #[error("the quantity has to be between 1 and {most}")]
    QuantityOutOfRange { most: i64 },
    #[error(
        "the plan is held already: send \"again\": true to buy it once more, or change the membership that is held \
         by POST /api/v1/billing/change"
    )]
    AlreadySubscribed,
    #[error("the price is not sold any more")]
    PriceGone,
    #[error("Stripe bills one account in one currency, and something that is held is paid in another one")]
    OtherCurrency,
    #[error("the code or the discount is not valid any more")]
    DiscountEnded,
    #[error("the card was declined, so nothing was changed")]
    CardDeclined,
    #[error("the bank wants the payment confirmed, so nothing was changed")]
    PaymentUnconfirmed,
    #[error("the subscription has ended")]
    SubscriptionEnded,
    #[error("a bill of the subscription is still open: it has to be paid first")]
    PaymentOwed,
    #[error("that is what the subscription is for already")]
    NothingToChange,
    #[error("{reason}")]
    PlanNotChangeable { reason: &'static str },
    #[error("the change comes to another sum than the preview did; ask for a new preview")]
    PreviewOutdated,
    #[error("nothing has been bought yet, so there is no billing to manage")]
    NoBillingAccount,
    #[error(transparent)]
    Grant(#[from] GrantFault),
    #[error(transparent)]
    Policy(PolicyRefusal),
    #[error("the scope {scope} cannot be reconciled by a run; ask for stripe")]
    ScopeNotAvailable { scope: &'static str },
    #[error("the run is neither held nor a dry run that found something")]
    NothingToApply,
    #[error("calling Stripe")]
    Stripe(#[source] StripeError),
    #[error("{reason}")]
    Webhook { outcome: Outcome, reason: String },
    #[error("Redis is not available")]
    Redis(#[source] redis::RedisError),
    #[error("telling the worker")]
    Push(#[source] PushError),
    #[error("the database")]
    Database(#[source] Arc<DbError>),
    #[error("{doing}")]
    Internal {
        doing: &'static str,
        #[source]
        source: BoxError,
    },
}

impl ApiError {
    /// A fault of ours, met while `doing` something.
    pub(crate) fn internal(doing: &'static str, source: impl Into<BoxError>) -> Self {
        Self::Internal {
            doing,
            source: source.into(),
        }
    }

    /// The code for programs.
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::NotFound => Code::NotFound,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::BadRequest { .. } => Code::BadRequest,
            Self::BodyTooLarge { .. } => Code::BodyTooLarge,
            Self::UnsupportedMediaType { .. } => Code::UnsupportedMediaType,
            Self::RequestTimeout => Code::RequestTimeout,
            Self::RateLimited { .. } => Code::RateLimited,
            Self::ForeignOrigin => Code::ForeignOrigin,
            Self::NotSignedIn => Code::NotSignedIn,
            Self::SessionEnded => Code::SessionEnded,
            Self::NotStaff => Code::NotStaff,
            Self::SignInExpired => Code::SignInExpired,
            Self::Discord(error) => discord_code(error),
            Self::PlanNotOnSale { .. } => Code::PlanNotOnSale,
            Self::PriceNotOfPlan => Code::PriceNotOfPlan,
            Self::CompanyPlanUnavailable => Code::CompanyPlanUnavailable,
            Self::QuantityNotOne => Code::QuantityNotOne,
            Self::QuantityOutOfRange { .. } => Code::QuantityOutOfRange,
            Self::AlreadySubscribed => Code::AlreadySubscribed,
            Self::PriceGone => Code::PriceGone,
            Self::OtherCurrency => Code::OtherCurrency,
            Self::DiscountEnded => Code::DiscountEnded,
            Self::CardDeclined => Code::CardDeclined,
            Self::PaymentUnconfirmed => Code::PaymentUnconfirmed,
            Self::SubscriptionEnded => Code::SubscriptionEnded,
            Self::PaymentOwed => Code::PaymentOwed,
            Self::NothingToChange => Code::NothingToChange,
            Self::PlanNotChangeable { .. } => Code::PlanNotChangeable,
            Self::PreviewOutdated => Code::PreviewOutdated,
            Self::NoBillingAccount => Code::NoBillingAccount,
            Self::Grant(fault) => grant_code(fault),
            Self::Policy(refusal) => policy_code(refusal),
            Self::ScopeNotAvailable { .. } => Code::ScopeNotAvailable,
            Self::NothingToApply => Code::NothingToApply,
            Self::Stripe(error) if error.is_transient() => Code::StripeUnavailable,
            Self::Stripe(_) => Code::StripeRefused,
            Self::Webhook { outcome, .. } => outcome.code(),
            Self::Redis(_) => Code::QueueUnavailable,
            Self::Push(error) if error.is_transient() => Code::QueueUnavailable,
            Self::Database(error) => database_code(error),
            Self::Push(_) | Self::Internal { .. } => Code::Internal,
        }
    }

    /// What a client is told beyond the code. A fault of ours or of others says nothing more.
    pub(crate) fn detail(&self) -> Option<String> {
        (!self.code().status().is_server_error()).then(|| self.to_string())
    }

    /// When to come back, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Discord(OauthError::RateLimited { retry_after }) => {
                Some(*retry_after)
            }
            Self::Stripe(error) if error.is_transient() => Some(error.retry_after().unwrap_or(SOON)),
            _ if self.code().status() == StatusCode::SERVICE_UNAVAILABLE => Some(SOON),
            _ => None,
        }
    }
}

const fn discord_code(error: &OauthError) -> Code {
    match error {
        OauthError::Denied => Code::SignInDenied,
        OauthError::InvalidGrant | OauthError::InvalidToken => Code::SignInCodeRefused,
        OauthError::InvalidClient | OauthError::InvalidRedirectUri => Code::DiscordMisconfigured,
        OauthError::RateLimited { .. } => Code::DiscordRateLimited,
        OauthError::Unavailable { .. } => Code::DiscordUnavailable,
        OauthError::Unexpected { .. } => Code::DiscordUnexpected,
    }
}

const fn grant_code(fault: &GrantFault) -> Code {
    match fault {
        GrantFault::UnknownPlan { .. } => Code::UnknownPlan,
        GrantFault::NoReason => Code::ReasonMissing,
        GrantFault::LongReason { .. } => Code::ReasonTooLong,
        GrantFault::Past { .. } => Code::EndInPast,
    }
}

fn policy_code(refusal: &PolicyRefusal) -> Code {
    match refusal {
        PolicyRefusal::Faults(_) => Code::PolicyInvalid,
        PolicyRefusal::Overtaken { .. } => Code::PolicyOvertaken,
        PolicyRefusal::LocksOut { .. } => Code::PolicyLocksOut,
        PolicyRefusal::Db(error) => database_code(error),
    }
}

fn database_code(error: &DbError) -> Code {
    if error.is_outage() {
        Code::DatabaseUnavailable
    } else {
        Code::Internal
    }
}

impl From<DbError> for ApiError {
    fn from(error: DbError) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl From<Arc<DbError>> for ApiError {
    fn from(error: Arc<DbError>) -> Self {
        Self::Database(error)
    }
}

impl From<PolicyRefusal> for ApiError {
    fn from(refusal: PolicyRefusal) -> Self {
        match refusal {
            PolicyRefusal::Db(error) => error.into(),
            refused => Self::Policy(refused),
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code().status()
    }

    /// Only the status: the body depends on who asked, which is known further out.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_tells_a_client_nothing() {
        let error = ApiError::internal("reading a template", "the secret is hunter2");
        assert_eq!((error.code(), error.detail()), (Code::Internal, None));
        assert!(chain(&error).contains("hunter2"), "the log has it");
    }

    #[test]
    fn what_passes_says_when_to_come_back() {
        let limited = ApiError::Discord(OauthError::RateLimited {
            retry_after: Duration::from_secs(7),
        });
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(ApiError::NotFound.retry_after(), None);
    }

    #[test]
    fn each_fault_of_discord_has_its_code() {
        for (error, code) in [
            (OauthError::Denied, Code::SignInDenied),
            (OauthError::InvalidGrant, Code::SignInCodeRefused),
            (OauthError::InvalidClient, Code::DiscordMisconfigured),
            (
                OauthError::Unavailable {
                    reason: "x".to_owned(),
                    source: None,
                },
                Code::DiscordUnavailable,
            ),
        ] {
            assert_eq!(ApiError::Discord(error).code(), code);
        }
    }
}
