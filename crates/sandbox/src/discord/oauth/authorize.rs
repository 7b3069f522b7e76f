//! An authorisation request: checked before anybody is asked, and the redirect that ends it.

use serde::Deserialize;
use url::Url;

use crate::discord::{config::ApplicationSeed, oauth::pkce::Challenge};

/// Scopes that a web application of this kind may ask for.
const SCOPES: [&str; 8] = [
    "identify",
    "email",
    "guilds",
    "guilds.join",
    "guilds.members.read",
    "role_connections.write",
    "connections",
    "openid",
];

/// The query of `/oauth2/authorize`; the page's form sends it again.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct AuthorizeQuery {
    #[serde(default)]
    pub(crate) client_id: String,
    #[serde(default)]
    pub(crate) redirect_uri: String,
    #[serde(default)]
    pub(crate) response_type: String,
    #[serde(default)]
    pub(crate) scope: String,
    pub(crate) state: Option<String>,
    pub(crate) code_challenge: Option<String>,
    pub(crate) code_challenge_method: Option<String>,
}

/// A request that may be put before a person.
#[derive(Debug)]
pub(crate) struct Authorization {
    pub(crate) redirect_uri: Url,
    /// As it came: the token request must repeat it to the letter.
    pub(crate) redirect_text: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) state: Option<String>,
    pub(crate) challenge: Option<Challenge>,
}

impl AuthorizeQuery {
    /// Checks everything. A fault is told on the page and never redirected: the address to send
    /// the person to may be the very thing that is wrong.
    pub(crate) fn check(&self, application: &ApplicationSeed) -> Result<Authorization, String> {
        if self.client_id != application.client_id.to_string() {
            return Err(format!("Unknown application: client_id {:?}", self.client_id));
        }
        if self.response_type != "code" {
            return Err(format!(
                "Unsupported response_type {:?}; expected \"code\"",
                self.response_type
            ));
        }
        if !application.redirect_uris.contains(&self.redirect_uri) {
            return Err(format!("Invalid OAuth2 redirect_uri {:?}", self.redirect_uri));
        }
        let redirect_uri = Url::parse(&self.redirect_uri)
            .map_err(|error| format!("Invalid OAuth2 redirect_uri {:?}: {error}", self.redirect_uri))?;
        let scopes: Vec<String> = self.scope.split_whitespace().map(str::to_owned).collect();
        if scopes.is_empty() {
            return Err("No scope was asked for".to_owned());
        }
        if let Some(unknown) = scopes.iter().find(|scope| !SCOPES.contains(&scope.as_str())) {
            return Err(format!(
                "The requested scope is invalid, unknown, or malformed: {unknown:?}"
            ));
        }
        let challenge = Challenge::parse(
            self.code_challenge.as_deref(),
            self.code_challenge_method.as_deref(),
        )?;
        Ok(Authorization {
            redirect_uri,
            redirect_text: self.redirect_uri.clone(),
            scopes,
            state: self.state.clone(),
            challenge,
        })
    }
}

impl Authorization {
    /// Where the person goes after they said yes.
    pub(crate) fn granted(&self, code: &str) -> String {
        self.redirect(&[("code", code)])
    }

    /// Where the person goes after they said no.
    pub(crate) fn denied(&self) -> String {
        let told = "The resource owner or authorization server denied the request";
        self.redirect(&[("error", "access_denied"), ("error_description", told)])
    }

    fn redirect(&self, pairs: &[(&str, &str)]) -> String {
        let mut target = self.redirect_uri.clone();
        target.query_pairs_mut().extend_pairs(pairs);
        if let Some(state) = &self.state {
            target.query_pairs_mut().append_pair("state", state);
        }
        target.into()
    }
}
