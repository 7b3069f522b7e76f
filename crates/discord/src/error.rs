//! What can go wrong with a call of the bot, and what it means for the caller.

use std::time::Duration;

use crate::{
    http::{self, ErrorBody},
    limiter::{BudgetSpent, LimitScope, Limited},
};

pub use crate::http::SetupError;

/// A call to Discord that did not do what was asked.
///
/// Nothing in it, shown or debugged, contains a token.
#[derive(Debug, thiserror::Error)]
pub enum DiscordError {
    /// Discord answered no.
    #[error("Discord refused {call} with status {status}, code {code}: {message}")]
    Refused {
        /// What was called, such as `PUT guilds/{major}/members/{id}`.
        call: String,
        /// The HTTP status.
        status: u16,
        /// Discord's error code; 0 if it gave none.
        code: u64,
        /// Discord's words.
        message: String,
    },
    /// 429. The limiter has taken note: the next call waits by itself.
    #[error("Discord limits {call} for {:.1} s ({:?} scope)", limited.retry_after.as_secs_f64(), limited.scope)]
    RateLimited {
        /// What was called.
        call: String,
        /// How long, and whose limit.
        limited: Limited,
    },
    /// Too many refusals lately: nothing was sent.
    #[error(transparent)]
    BudgetSpent(#[from] BudgetSpent),
    /// Discord, or the way to it, is out of order.
    #[error("Discord answered {call} with status {status}")]
    Outage {
        /// What was called.
        call: String,
        /// The HTTP status.
        status: u16,
    },
    /// No answer came. The call may have taken effect.
    #[error("{call} got no answer: {}", http::describe(source))]
    NoAnswer {
        /// What was called.
        call: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The call took effect, but its answer was not understood.
    #[error("the answer to {call} was not understood")]
    Decode {
        /// What was called.
        call: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The call was called off while it waited for its turn: nothing was sent.
    #[error("{call} was called off before it was sent")]
    CalledOff {
        /// What was to be called.
        call: String,
    },
    /// The request could not be put together.
    #[error("{call} could not be put together")]
    Request {
        /// What was called.
        call: String,
        /// Why.
        #[source]
        source: twilight_http::Error,
    },
}

/// What an error means for the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorClass {
    /// The person is not in the server (10007, 10013): a state, not a fault.
    NotInGuild,
    /// The bot may not do this (50013) or cannot see it (50001): the server is not set up right.
    MissingPermission {
        /// Discord's error code.
        code: u64,
    },
    /// The role does not exist (10011): the plans file names a role that was deleted.
    UnknownRole,
    /// The server does not exist, or the bot is not in it (10004).
    UnknownGuild,
    /// The person is banned from the server (40007).
    Banned,
    /// The person is in as many servers as Discord allows (30001).
    GuildLimit,
    /// The person's OAuth token has expired, was revoked or lacks the scope (50025).
    InvalidOauthToken,
    /// The bot's own token was refused: nothing will work until it is replaced.
    TokenInvalid,
    /// 429: try again after the wait.
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
        /// Whose limit it was; [`LimitScope::is_global`] tells whether other calls wait too.
        scope: LimitScope,
    },
    /// Too many refusals lately, and nothing was sent: mend the cause, which the refusals before this name.
    BudgetSpent {
        /// When calls are possible again.
        retry_after: Duration,
    },
    /// Nothing was sent, because whoever called did not want it any more, or the token was refused meanwhile.
    CalledOff,
    /// Discord cannot be reached or is out of order: try again later.
    Unavailable,
    /// Anything else that Discord refuses: trying again will not help.
    Rejected {
        /// The HTTP status; 0 if the request was not even sent.
        status: u16,
        /// Discord's error code; 0 if it gave none.
        code: u64,
        /// Discord's words.
        message: String,
    },
}

impl DiscordError {
    /// What the error means for the caller.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Refused {
                status,
                code,
                message,
                ..
            } => classify(*status, *code, message),
            Self::RateLimited { limited, .. } => ErrorClass::RateLimited {
                retry_after: limited.retry_after,
                scope: limited.scope,
            },
            Self::BudgetSpent(spent) => ErrorClass::BudgetSpent {
                retry_after: spent.retry_after,
            },
            Self::Outage { .. } | Self::NoAnswer { .. } | Self::Decode { .. } => ErrorClass::Unavailable,
            Self::CalledOff { .. } => ErrorClass::CalledOff,
            Self::Request { source, .. } => ErrorClass::Rejected {
                status: 0,
                code: 0,
                message: source.to_string(),
            },
        }
    }

    /// How long Discord asks to wait, if it asks.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { limited, .. } => Some(limited.retry_after),
            Self::BudgetSpent(spent) => Some(spent.retry_after),
            _ => None,
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(
            self.class(),
            ErrorClass::RateLimited { .. } | ErrorClass::BudgetSpent { .. } | ErrorClass::Unavailable
        )
    }

    /// The error that an answer other than 2xx and 429 stands for.
    pub(crate) fn from_answer(call: String, status: u16, body: &[u8]) -> Self {
        match ErrorBody::parse(body) {
            // "API resource is currently overloaded", and "internal network error", which is 403.
            Some(body) if matches!(body.code, 130_000 | 40_333) => Self::Outage { call, status },
            Some(body) if status < 500 => Self::Refused {
                call,
                status,
                code: body.code,
                message: body.message,
            },
            // Discord refuses in JSON. HTML is the edge in front of it, which bans and breaks for a while; but its
            // 401 is as good as Discord's.
            None if status == 401 => Self::Refused {
                call,
                status,
                code: 0,
                message: "Unauthorized".to_owned(),
            },
            _ => Self::Outage { call, status },
        }
    }
}

fn classify(status: u16, code: u64, message: &str) -> ErrorClass {
    match code {
        10_007 | 10_013 => ErrorClass::NotInGuild,
        50_013 | 50_001 | 60_003 => ErrorClass::MissingPermission { code },
        10_011 => ErrorClass::UnknownRole,
        10_004 => ErrorClass::UnknownGuild,
        40_007 => ErrorClass::Banned,
        30_001 => ErrorClass::GuildLimit,
        50_025 => ErrorClass::InvalidOauthToken,
        _ if status == 401 => ErrorClass::TokenInvalid,
        _ if status == 408 => ErrorClass::Unavailable,
        _ => ErrorClass::Rejected {
            status,
            code,
            message: message.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, class: &ErrorClass) {
        let error = DiscordError::from_answer("PUT x".to_owned(), status, body.as_bytes());
        assert_eq!(&error.class(), class, "{error}");
    }

    #[test]
    fn each_code_has_its_class() {
        let body = |code: u64| format!(r#"{{"message":"No","code":{code}}}"#);
        check(404, &body(10_007), &ErrorClass::NotInGuild);
        check(404, &body(10_013), &ErrorClass::NotInGuild);
        check(
            403,
            &body(50_013),
            &ErrorClass::MissingPermission { code: 50_013 },
        );
        check(
            403,
            &body(50_001),
            &ErrorClass::MissingPermission { code: 50_001 },
        );
        check(404, &body(10_011), &ErrorClass::UnknownRole);
        check(404, &body(10_004), &ErrorClass::UnknownGuild);
        check(403, &body(40_007), &ErrorClass::Banned);
        check(400, &body(30_001), &ErrorClass::GuildLimit);
        check(403, &body(50_025), &ErrorClass::InvalidOauthToken);
        check(
            401,
            r#"{"message":"401: Unauthorized","code":0}"#,
            &ErrorClass::TokenInvalid,
        );
        let rejected = ErrorClass::Rejected {
            status: 400,
            code: 50_035,
            message: "No".to_owned(),
        };
        check(400, &body(50_035), &rejected);
    }

    #[test]
    fn what_is_not_discords_json_is_an_outage() {
        check(403, "<html>error code: 1020</html>", &ErrorClass::Unavailable);
        check(502, "<html>Bad Gateway</html>", &ErrorClass::Unavailable);
        check(
            503,
            r#"{"message":"upstream","code":0}"#,
            &ErrorClass::Unavailable,
        );
        check(
            400,
            r#"{"message":"overloaded","code":130000}"#,
            &ErrorClass::Unavailable,
        );
        check(
            403,
            r#"{"message":"internal network error","code":40333}"#,
            &ErrorClass::Unavailable,
        );
        check(401, "nope", &ErrorClass::TokenInvalid);
    }

    #[test]
    fn only_what_mends_itself_is_transient() {
        let error = |status, body: &str| DiscordError::from_answer("x".to_owned(), status, body.as_bytes());
        assert!(error(500, "").is_transient());
        assert!(!error(403, r#"{"code":50013,"message":""}"#).is_transient());
        assert!(!error(404, r#"{"code":10007,"message":""}"#).is_transient());
    }
}
