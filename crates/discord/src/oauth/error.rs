//! What can go wrong on the way through Discord's sign-in.

use std::time::Duration;

use serde::Deserialize;

use crate::http::{self, ErrorBody};

/// A sign-in, or a call with a person's token, that failed. Contains no token and no code.
#[derive(Debug, thiserror::Error)]
pub enum OauthError {
    /// The person pressed Cancel.
    #[error("the person did not agree")]
    Denied,
    /// The code or refresh token is expired, used, revoked, or not ours: the person has to sign in again.
    #[error("the code or refresh token is expired, used or revoked")]
    InvalidGrant,
    /// The person's access token is expired or revoked, or lacks the scope.
    #[error("the access token is expired or revoked, or lacks the scope")]
    InvalidToken,
    /// Discord does not know our client id and secret: a fault of the installation.
    #[error(
        "Discord does not accept DISCORD_CLIENT_ID with DISCORD_CLIENT_SECRET: copy both again from the OAuth2 page of \
         the application in Discord's developer portal (a reset there makes the old secret void)"
    )]
    InvalidClient,
    /// Discord does not know the redirect address: a fault of the installation.
    #[error(
        "Discord does not accept the redirect address: DISCORD_REDIRECT_URI has to stand, letter by letter, among the \
         redirects on the OAuth2 page of the application in Discord's developer portal"
    )]
    InvalidRedirectUri,
    /// 429.
    #[error("Discord limits sign-ins for {} s", retry_after.as_secs())]
    RateLimited {
        /// How long to wait.
        retry_after: Duration,
    },
    /// Discord cannot be reached or is out of order.
    #[error("Discord is not available: {}", reason)]
    Unavailable {
        /// In short.
        reason: String,
        /// Why, where the connection failed.
        #[source]
        source: Option<reqwest::Error>,
    },
    /// An answer that is in no contract.
    #[error("Discord answered something unexpected: status {status}, {reason}")]
    Unexpected {
        /// The HTTP status; 0 for an error in the callback's address.
        status: u16,
        /// In short.
        reason: String,
        /// Why, where a body was not understood.
        #[source]
        source: Option<serde_json::Error>,
    },
}

/// The error body of the token endpoint, after RFC 6749.
#[derive(Debug, Default, Deserialize)]
struct GrantErrorBody {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

impl OauthError {
    /// The error that Discord put into the callback's address (`?error=access_denied&error_description=...`).
    pub fn from_callback(error: &str, description: Option<&str>) -> Self {
        match error {
            "access_denied" => Self::Denied,
            "temporarily_unavailable" | "server_error" => Self::Unavailable {
                reason: error.to_owned(),
                source: None,
            },
            _ => {
                let reason = format!("{error}: {}", description.unwrap_or("no description"));
                Self::Unexpected {
                    status: 0,
                    reason,
                    source: None,
                }
            }
        }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable { .. })
    }

    pub(crate) fn no_answer(source: reqwest::Error) -> Self {
        Self::Unavailable {
            reason: http::describe(&source).to_owned(),
            source: Some(source.without_url()),
        }
    }

    pub(crate) fn not_understood(status: u16, source: serde_json::Error) -> Self {
        Self::Unexpected {
            status,
            reason: "a body that was not understood".to_owned(),
            source: Some(source),
        }
    }

    pub(crate) fn outage(status: u16) -> Self {
        Self::Unavailable {
            reason: format!("status {status}"),
            source: None,
        }
    }

    /// The error that a refusal of the token endpoint stands for.
    pub(crate) fn from_token_endpoint(status: u16, body: &[u8]) -> Self {
        if status >= 500 {
            return Self::outage(status);
        }
        let parsed: Option<GrantErrorBody> = serde_json::from_slice(body).ok();
        let grant = parsed.unwrap_or_default();
        match grant.error.as_str() {
            "invalid_grant" => Self::InvalidGrant,
            "invalid_client" | "unauthorized_client" => Self::InvalidClient,
            "access_denied" => Self::Denied,
            // Older answers to a code that was used, or is none.
            "invalid_request" if grant.error_description.starts_with("Invalid \"code\"") => {
                Self::InvalidGrant
            }
            "invalid_request" if grant.error_description.contains("redirect_uri") => Self::InvalidRedirectUri,
            "" if status == 401 => Self::InvalidClient,
            // Not JSON: the edge in front of Discord.
            "" if ErrorBody::parse(body).is_none() => Self::outage(status),
            "" => Self::Unexpected {
                status,
                reason: "no error code".to_owned(),
                source: None,
            },
            error => Self::Unexpected {
                status,
                reason: format!("{error}: {}", grant.error_description),
                source: None,
            },
        }
    }

    /// The error that a refusal of an endpoint behind the person's token stands for.
    pub(crate) fn from_user_endpoint(status: u16, body: &[u8]) -> Self {
        match ErrorBody::parse(body) {
            _ if status >= 500 => Self::outage(status),
            _ if status == 401 => Self::InvalidToken,
            Some(body) if body.code == 50_025 || body.code == 50_001 => Self::InvalidToken,
            Some(body) => Self::Unexpected {
                status,
                reason: format!("code {}: {}", body.code, body.message),
                source: None,
            },
            None => Self::outage(status),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callbacks_error_is_told_apart() {
        assert!(matches!(
            OauthError::from_callback("access_denied", None),
            OauthError::Denied
        ));
        assert!(matches!(
            OauthError::from_callback("server_error", None),
            OauthError::Unavailable { .. }
        ));
        let error = OauthError::from_callback("invalid_scope", Some("no such scope"));
        assert!(error.to_string().contains("invalid_scope: no such scope"));
    }

    #[test]
    fn the_token_endpoints_refusals_are_told_apart() {
        let error = |status, body: &str| OauthError::from_token_endpoint(status, body.as_bytes());
        assert!(matches!(
            error(400, r#"{"error":"invalid_grant"}"#),
            OauthError::InvalidGrant
        ));
        assert!(matches!(
            error(401, r#"{"error":"invalid_client"}"#),
            OauthError::InvalidClient
        ));
        assert!(matches!(
            error(401, r#"{"message":"401: Unauthorized","code":0}"#),
            OauthError::InvalidClient
        ));
        let code = r#"{"error":"invalid_request","error_description":"Invalid \"code\" in request."}"#;
        assert!(matches!(error(400, code), OauthError::InvalidGrant));
        let redirect =
            r#"{"error":"invalid_request","error_description":"Invalid \"redirect_uri\" in request."}"#;
        assert!(matches!(error(400, redirect), OauthError::InvalidRedirectUri));
        assert!(matches!(
            error(400, r#"{"error":"unsupported"}"#),
            OauthError::Unexpected { .. }
        ));
        assert!(matches!(error(403, "<html>"), OauthError::Unavailable { .. }));
        assert!(matches!(error(502, "{}"), OauthError::Unavailable { .. }));
    }

    #[test]
    fn a_setup_fault_says_what_to_do() {
        assert!(
            OauthError::InvalidClient
                .to_string()
                .contains("DISCORD_CLIENT_SECRET")
        );
        assert!(
            OauthError::InvalidRedirectUri
                .to_string()
                .contains("DISCORD_REDIRECT_URI")
        );
    }
}
