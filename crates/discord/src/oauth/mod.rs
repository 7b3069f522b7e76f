//! Sign-in with Discord: the address to send people to, the exchange of codes for tokens, and who they are.

mod error;
mod model;
mod pkce;

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

pub use crate::oauth::{
    error::OauthError,
    model::{OauthScope, OauthUser, Tokens},
    pkce::Pkce,
};
use crate::{
    http::{self, SetupError},
    limiter::Answer,
    oauth::model::RawTokens,
};

/// Somebody waits in front of a browser: no call takes longer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What an [`OauthClient`] is made of.
#[derive(Debug, Clone)]
pub struct OauthConfig {
    /// Where Discord is: `https://discord.com`, or a simulator.
    pub origin: Url,
    /// The application's client id.
    pub client_id: String,
    /// The application's client secret.
    pub client_secret: SecretString,
}

/// The application's side of Discord's OAuth. Clones share their connections.
#[derive(Debug, Clone)]
pub struct OauthClient {
    http: reqwest::Client,
    origin: String,
    authorize: Url,
    client_id: String,
    client_secret: SecretString,
}

impl OauthClient {
    /// A client for one application. The process must have installed its TLS provider.
    pub fn new(config: OauthConfig) -> Result<Self, SetupError> {
        let origin = http::origin(&config.origin)?;
        let mut authorize = config.origin;
        authorize.set_path("/oauth2/authorize");
        Ok(Self {
            http: http::client(TIMEOUT)?,
            origin,
            authorize,
            client_id: config.client_id,
            client_secret: config.client_secret,
        })
    }

    /// Where to send the browser. Discord sends it back to `redirect_uri` with `state` and a code, or an error.
    pub fn authorize_url(
        &self,
        state: &str,
        code_challenge: &str,
        redirect_uri: &str,
        scopes: &[OauthScope],
    ) -> Url {
        let mut url = self.authorize.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("scope", &OauthScope::join(scopes))
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("state", state)
            .append_pair("code_challenge", code_challenge)
            .append_pair("code_challenge_method", "S256");
        url
    }

    /// Exchanges the callback's code, which works once.
    pub async fn exchange_code(
        &self,
        code: &str,
        verifier: &SecretString,
        redirect_uri: &str,
        now: DateTime<Utc>,
    ) -> Result<Tokens, OauthError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier.expose_secret()),
        ];
        self.tokens(&form, now).await
    }

    /// Exchanges a refresh token for a new pair. Save it before anything else: the old one is void.
    pub async fn refresh(&self, refresh: &SecretString, now: DateTime<Utc>) -> Result<Tokens, OauthError> {
        self.tokens(
            &[
                ("grant_type", "refresh_token"),
                ("refresh_token", refresh.expose_secret()),
            ],
            now,
        )
        .await
    }

    /// Ends the consent that `token`, access or refresh, stands for: all its tokens are void.
    pub async fn revoke(&self, token: &SecretString) -> Result<(), OauthError> {
        let request = self.form(
            "/api/v10/oauth2/token/revoke",
            &[("token", token.expose_secret())],
        );
        exchange(request, OauthError::from_token_endpoint).await.map(drop)
    }

    /// Whose access token it is.
    pub async fn current_user(&self, access: &SecretString) -> Result<OauthUser, OauthError> {
        let request = self
            .http
            .get(format!("{}/api/v10/users/@me", self.origin))
            .bearer_auth(access.expose_secret());
        json(&exchange(request, OauthError::from_user_endpoint).await?)
    }

    async fn tokens(&self, form: &[(&str, &str)], now: DateTime<Utc>) -> Result<Tokens, OauthError> {
        let request = self.form("/api/v10/oauth2/token", form);
        let raw: RawTokens = json(&exchange(request, OauthError::from_token_endpoint).await?)?;
        Ok(raw.into_tokens(now))
    }

    fn form(&self, path: &str, form: &[(&str, &str)]) -> RequestBuilder {
        self.http
            .post(format!("{}{path}", self.origin))
            .basic_auth(&self.client_id, Some(self.client_secret.expose_secret()))
            .form(form)
    }
}

struct Body {
    status: u16,
    bytes: Vec<u8>,
}

async fn exchange(
    request: RequestBuilder,
    refused: fn(u16, &[u8]) -> OauthError,
) -> Result<Body, OauthError> {
    let response: Response = request.send().await.map_err(OauthError::no_answer)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let read = http::body(response).await.map_err(OauthError::no_answer)?;
    let is_too_long = read.is_none();
    let bytes = read.unwrap_or_default();
    if let Some(limited) = Answer::new(status, &headers, &bytes).limited() {
        return Err(OauthError::RateLimited {
            retry_after: limited.retry_after,
        });
    }
    if (200..300).contains(&status) {
        if is_too_long {
            return Err(OauthError::not_understood(status, http::too_long()));
        }
        Ok(Body { status, bytes })
    } else {
        Err(refused(status, &bytes))
    }
}

fn json<T: DeserializeOwned>(body: &Body) -> Result<T, OauthError> {
    serde_json::from_slice(&body.bytes).map_err(|source| OauthError::not_understood(body.status, source))
}
