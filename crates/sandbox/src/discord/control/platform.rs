//! What Discord itself does to the API: settings, limits, faults.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::discord::{
    config::PrivilegedIntents, control::ActionError, error::ApiError, faults::Fault,
    gateway::close::CloseCode, ids::Snowflake, limits::rules::LimitRule, state::World,
};

/// An action of the platform on its API.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum PlatformAction {
    /// The privileged intents that are switched on in the developer portal.
    SetPrivilegedIntents(PrivilegedIntents),
    /// The redirect URIs that are registered.
    SetRedirectUris {
        /// All of them.
        redirect_uris: Vec<String>,
    },
    /// The bot token changes; sessions of the old one end with 4004.
    ResetBotToken {
        /// The new one.
        token: String,
    },
    /// The access tokens of a person expire; refresh tokens stay good.
    ExpireAccessTokens {
        /// Whose.
        user: Snowflake,
    },
    /// A bucket gets a limit from now on. Routes may be left out for a bucket that exists.
    SetLimit {
        /// The bucket's name.
        bucket: String,
        /// Its routes, as `METHOD /path/{parameter}`.
        #[serde(default)]
        routes: Vec<String>,
        /// Requests in a window.
        limit: u32,
        /// The window.
        window_ms: u64,
    },
    /// The limit over all routes.
    SetGlobalLimit {
        /// Requests per second.
        per_second: u32,
    },
    /// Switches a fault on.
    AddFault {
        /// It.
        fault: Fault,
    },
    /// Switches all faults of the API off; requests that hang are cut.
    ClearFaults,
}

impl World {
    pub(crate) fn act_as_platform(&mut self, action: PlatformAction) -> Result<(), ActionError> {
        match action {
            PlatformAction::SetPrivilegedIntents(intents) => self.application.privileged_intents = intents,
            PlatformAction::SetRedirectUris { redirect_uris } => {
                self.application.redirect_uris = redirect_uris;
            }
            PlatformAction::ResetBotToken { token } => {
                self.bot_token = Some(token);
                self.gateway.end_sessions(CloseCode::AuthenticationFailed);
            }
            PlatformAction::ExpireAccessTokens { user } => {
                if !self.grants.has_consent(user.0) {
                    return Err(ApiError::unknown_user().into());
                }
                self.grants.expire_access(user.0);
            }
            PlatformAction::SetLimit {
                bucket,
                routes,
                limit,
                window_ms,
            } => {
                if routes.is_empty() && !self.limiter.rules().iter().any(|rule| rule.bucket == bucket) {
                    return Err(ActionError::Invalid(format!(
                        "no bucket {bucket:?}, and no routes for it"
                    )));
                }
                let window = Duration::from_millis(window_ms);
                self.limiter.set_rule(LimitRule {
                    bucket,
                    routes,
                    limit,
                    window,
                });
            }
            PlatformAction::SetGlobalLimit { per_second } => self.limiter.set_global(per_second),
            PlatformAction::AddFault { fault } => self.faults.add(fault),
            PlatformAction::ClearFaults => self.faults.clear(),
        }
        Ok(())
    }
}
