//! Codes, access tokens and refresh tokens that were given out.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::discord::{ids::IdSource, oauth::pkce::Challenge};

const CODE_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// Seven days, as Discord's tokens.
pub(crate) const TOKEN_LIFETIME: TimeDelta = TimeDelta::seconds(604_800);

/// What a person allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Consent {
    pub(crate) user: u64,
    pub(crate) scopes: Vec<String>,
}

impl Consent {
    pub(crate) fn allows(&self, scope: &str) -> bool {
        self.scopes.iter().any(|allowed| allowed == scope)
    }
}

/// A code that waits to be exchanged.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) consent: Consent,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<Challenge>,
    expires_at: DateTime<Utc>,
}

/// What a token answer carries.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
    pub(crate) consent: Consent,
}

/// An access token.
#[derive(Debug, Clone)]
pub(crate) struct AccessToken {
    pub(crate) consent: Consent,
    pub(crate) expires_at: DateTime<Utc>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    codes: HashMap<String, Code>,
    access: HashMap<String, AccessToken>,
    refresh: HashMap<String, Consent>,
}

impl Grants {
    /// A code for the redirect.
    pub(crate) fn issue_code(
        &mut self,
        ids: &mut IdSource,
        consent: Consent,
        redirect_uri: String,
        challenge: Option<Challenge>,
        now: DateTime<Utc>,
    ) -> String {
        let code = ids.secret("code");
        let expires_at = now + CODE_LIFETIME;
        self.codes.insert(
            code.clone(),
            Code {
                consent,
                redirect_uri,
                challenge,
                expires_at,
            },
        );
        code
    }

    /// Takes a code: it is good once, and not for long.
    pub(crate) fn take_code(&mut self, code: &str, now: DateTime<Utc>) -> Option<Code> {
        self.codes.remove(code).filter(|code| now < code.expires_at)
    }

    /// Takes a refresh token: it is good once.
    pub(crate) fn take_refresh(&mut self, token: &str) -> Option<Consent> {
        self.refresh.remove(token)
    }

    /// New tokens for what a person allowed.
    pub(crate) fn issue_tokens(
        &mut self,
        ids: &mut IdSource,
        consent: Consent,
        now: DateTime<Utc>,
    ) -> Tokens {
        let (access, refresh) = (ids.secret("access"), ids.secret("refresh"));
        let token = AccessToken {
            consent: consent.clone(),
            expires_at: now + TOKEN_LIFETIME,
        };
        self.access.insert(access.clone(), token);
        self.refresh.insert(refresh.clone(), consent.clone());
        Tokens {
            access,
            refresh,
            consent,
        }
    }

    /// The access token, while it is good.
    pub(crate) fn find_access(&self, token: &str, now: DateTime<Utc>) -> Option<&AccessToken> {
        self.access.get(token).filter(|token| now < token.expires_at)
    }

    /// Revokes a token, and with it all of the person's: that is what Discord does.
    pub(crate) fn revoke(&mut self, token: &str) {
        let access = self.access.get(token).map(|token| token.consent.user);
        let user = access.or_else(|| self.refresh.get(token).map(|consent| consent.user));
        if let Some(user) = user {
            self.revoke_user(user);
        }
    }

    /// Ends everything that a person allowed.
    pub(crate) fn revoke_user(&mut self, user: u64) {
        self.codes.retain(|_, code| code.consent.user != user);
        self.access.retain(|_, token| token.consent.user != user);
        self.refresh.retain(|_, consent| consent.user != user);
    }

    /// Lets the access tokens of a person expire; the refresh tokens stay good.
    pub(crate) fn expire_access(&mut self, user: u64) {
        self.access.retain(|_, token| token.consent.user != user);
    }

    /// Whether the person has let the application in.
    pub(crate) fn has_consent(&self, user: u64) -> bool {
        self.refresh.values().any(|consent| consent.user == user)
    }
}
