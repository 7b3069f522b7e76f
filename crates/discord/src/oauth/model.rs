//! What Discord gives for a person's consent.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::ids::DiscordUserId;
use secrecy::SecretString;
use serde::Deserialize;

/// Something that a person may consent to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OauthScope {
    /// Who they are.
    Identify,
    /// Their e-mail address.
    Email,
    /// To be added to servers.
    GuildsJoin,
    /// To carry linked-role badges.
    RoleConnectionsWrite,
    /// Any other, as Discord writes it.
    Other(String),
}

impl OauthScope {
    /// The scope as Discord writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Identify => "identify",
            Self::Email => "email",
            Self::GuildsJoin => "guilds.join",
            Self::RoleConnectionsWrite => "role_connections.write",
            Self::Other(scope) => scope,
        }
    }

    /// The scope that Discord writes so.
    pub fn parse(text: &str) -> Self {
        match text {
            "identify" => Self::Identify,
            "email" => Self::Email,
            "guilds.join" => Self::GuildsJoin,
            "role_connections.write" => Self::RoleConnectionsWrite,
            other => Self::Other(other.to_owned()),
        }
    }

    /// `scopes` as one text, the way Discord takes and gives them.
    pub(crate) fn join(scopes: &[Self]) -> String {
        scopes.iter().map(Self::as_str).collect::<Vec<_>>().join(" ")
    }
}

/// A person's tokens. Each refresh gives new ones and voids the old.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// For calls on the person's behalf.
    pub access: SecretString,
    /// For the next pair.
    pub refresh: SecretString,
    /// When the access token expires.
    pub expires_at: DateTime<Utc>,
    /// What the person agreed to, which may be less than was asked for.
    pub scopes: Vec<OauthScope>,
}

#[derive(Deserialize)]
pub(crate) struct RawTokens {
    access_token: String,
    refresh_token: String,
    expires_in: i64,
    #[serde(default)]
    scope: String,
}

impl RawTokens {
    pub(crate) fn into_tokens(self, now: DateTime<Utc>) -> Tokens {
        let lifetime = TimeDelta::try_seconds(self.expires_in.max(0)).unwrap_or_default();
        Tokens {
            access: self.access_token.into(),
            refresh: self.refresh_token.into(),
            expires_at: now.checked_add_signed(lifetime).unwrap_or(now),
            scopes: self.scope.split_whitespace().map(OauthScope::parse).collect(),
        }
    }
}

/// A signed-in person. Debug output shows the id only.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct OauthUser {
    /// The account.
    pub id: DiscordUserId,
    /// The unique name.
    pub username: String,
    /// The display name, if they set one.
    #[serde(default)]
    pub global_name: Option<String>,
    /// The e-mail address, if they agreed to show it.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether Discord has verified that address.
    #[serde(default)]
    pub verified: bool,
    /// The picture's hash.
    #[serde(default)]
    pub avatar: Option<String>,
}

impl OauthUser {
    /// What to call them.
    pub fn display_name(&self) -> &str {
        self.global_name
            .as_deref()
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.username)
    }

    /// The e-mail address if it proves anything: Discord lets people enter any address.
    pub fn verified_email(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.verified)
    }
}

impl fmt::Debug for OauthUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OauthUser")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_the_way_they_are_read() {
        let text = "identify email guilds.join role_connections.write bot";
        let scopes: Vec<_> = text.split(' ').map(OauthScope::parse).collect();
        assert_eq!(OauthScope::join(&scopes), text);
        assert_eq!(scopes[4], OauthScope::Other("bot".to_owned()));
    }

    #[test]
    fn an_unverified_address_proves_nothing_and_none_is_printed() {
        let json =
            r#"{"id":"5","username":"ann","email":"ann@example.com","verified":false,"global_name":null}"#;
        let mut user: OauthUser = serde_json::from_str(json).unwrap();
        assert_eq!(user.verified_email(), None);
        user.verified = true;
        assert_eq!(user.verified_email(), Some("ann@example.com"));
        assert_eq!(user.display_name(), "ann");
        assert!(!format!("{user:?}").contains("ann"));
    }
}
