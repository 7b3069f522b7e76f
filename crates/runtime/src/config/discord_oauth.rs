//! How members sign in through Discord.

use std::num::NonZeroU64;

use secrecy::SecretString;
use url::Url;

use crate::{
    config::{Origin, http::public_url},
    env::{Read, Reader, parse, registry},
};

const CALLBACK_PATH: &str = "/auth/discord/callback";

/// Where Discord's API is.
#[derive(Debug, Clone)]
pub struct DiscordApiConfig {
    /// `DISCORD_API_BASE`, without `/api/v10`.
    pub api_base: Origin,
}

impl DiscordApiConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            api_base: reader.get(&registry::DISCORD_API_BASE, Origin::parse)?,
        })
    }
}

/// The sign-in side of the Discord application.
#[derive(Debug, Clone)]
pub struct DiscordOauthConfig {
    /// `DISCORD_CLIENT_ID`.
    pub client_id: NonZeroU64,
    /// `DISCORD_CLIENT_SECRET`.
    pub client_secret: SecretString,
    /// `DISCORD_REDIRECT_URI`, checked against `PUBLIC_URL`.
    pub redirect_uri: Url,
    /// `DISCORD_API_BASE`, without `/api/v10`.
    pub api_base: Origin,
}

impl DiscordOauthConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let client_id = reader.get(
            &registry::DISCORD_CLIENT_ID,
            parse::from_str("an application id: digits, as shown in the developer portal"),
        );
        let client_secret = reader.get(&registry::DISCORD_CLIENT_SECRET, parse::secret);
        let redirect_uri = reader.get(&registry::DISCORD_REDIRECT_URI, parse::url(&["http", "https"]));
        let api_base = DiscordApiConfig::from_env(reader);
        let public_url = public_url(reader);

        let redirect_uri = redirect_uri?;
        // Discord compares letter by letter, and the route is fixed: a member would only see its
        // error page, so every difference is found here.
        if redirect_uri.path() != CALLBACK_PATH
            || redirect_uri.query().is_some()
            || redirect_uri.fragment().is_some()
        {
            let problem = format!("must end in {CALLBACK_PATH} and nothing after it");
            return Err(reader.fault(&registry::DISCORD_REDIRECT_URI, problem));
        }
        if !public_url?.holds(&redirect_uri) {
            return Err(reader.fault(
                &registry::DISCORD_REDIRECT_URI,
                "is not on the origin of PUBLIC_URL",
            ));
        }
        Ok(Self {
            client_id: client_id?,
            client_secret: client_secret?,
            redirect_uri,
            api_base: api_base?.api_base,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Service};

    fn env(redirect_uri: &str) -> Env {
        Env::from_pairs([
            ("PUBLIC_URL", "https://a.b"),
            ("DISCORD_CLIENT_ID", "42"),
            ("DISCORD_CLIENT_SECRET", "s"),
            ("DISCORD_REDIRECT_URI", redirect_uri),
        ])
    }

    #[test]
    fn the_redirect_is_the_callback_on_the_public_origin() {
        let config =
            env("https://a.b/auth/discord/callback").read(Service::Api, DiscordOauthConfig::from_env);
        assert_eq!(
            config.unwrap().redirect_uri.as_str(),
            "https://a.b/auth/discord/callback"
        );
    }

    #[test]
    fn every_other_redirect_is_refused() {
        for uri in [
            "http://a.b/auth/discord/callback",
            "https://a.b:8443/auth/discord/callback",
            "https://c.d/auth/discord/callback",
            "https://a.b/auth/discord/callback/",
            "https://a.b/auth/discord/callback?x=1",
            "https://a.b/auth/discord/callback#x",
            "https://a.b/callback",
            "/auth/discord/callback",
        ] {
            let error = env(uri)
                .read(Service::Api, DiscordOauthConfig::from_env)
                .unwrap_err();
            assert!(
                error
                    .faults()
                    .iter()
                    .all(|fault| fault.name() == "DISCORD_REDIRECT_URI"),
                "{uri}: {error}"
            );
        }
    }

    #[test]
    fn a_fault_of_the_public_url_is_told_once() {
        let env = env("https://a.b/auth/discord/callback").with("PUBLIC_URL", "nonsense");
        let both = env.read(Service::Api, |reader| {
            let http = crate::config::HttpConfig::from_env(reader);
            let oauth = DiscordOauthConfig::from_env(reader);
            Ok((http?, oauth?))
        });
        assert_eq!(both.unwrap_err().faults().len(), 1);
    }
}
