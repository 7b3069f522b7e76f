//! The HTTP client that the bot and OAuth calls share: timeouts, no redirects, no proxy from the environment.

use std::{error::Error as _, time::Duration};

use reqwest::{Client, Response, redirect};
use serde::{Deserialize, de::Error as _};

use crate::unreached::Unreached;

/// Discord may refuse clients that do not name themselves in this form: `DiscordBot (url, version)` (its reference,
/// "User Agent").
const USER_AGENT: &str = concat!(
    "DiscordBot (https://rolecall.example, ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read. Discord's own, a thousand members, is about a megabyte.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// A client that could not be built: a fault of the installation, not of Discord.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The process has not chosen its TLS provider.
    #[error("no TLS provider: install rustls' aws-lc-rs provider at the start of main")]
    NoTlsProvider,
    /// The token contains something that cannot stand in a header. The token itself is not shown.
    #[error(
        "the bot token contains characters that no Discord token has (a line break, a quote?): copy it again"
    )]
    MalformedToken,
    /// The origin cannot carry paths.
    #[error("{origin} is not an origin such as https://discord.com")]
    Origin {
        /// What was given.
        origin: String,
    },
    /// The HTTP client could not be made, most often for want of CA certificates.
    #[error("the HTTP client could not be built: are CA certificates installed?")]
    Client(#[source] reqwest::Error),
}

/// The error body that Discord sends with nearly every refusal.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ErrorBody {
    #[serde(default)]
    pub(crate) code: u64,
    #[serde(default)]
    pub(crate) message: String,
}

impl ErrorBody {
    /// The body if it is Discord's; Cloudflare answers in HTML or plain text, which is `None`.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }
}

/// An HTTP client with `timeout` over each call, body included.
pub(crate) fn client(timeout: Duration) -> Result<Client, SetupError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(SetupError::NoTlsProvider);
    }
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        // A redirect would carry the token to another host.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .build()
        .map_err(SetupError::Client)
}

/// The body of an answer; `None` if it is longer than any of Discord's.
pub(crate) async fn body(mut response: Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > MOST_BYTES {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Why a body was not understood that is longer than that.
pub(crate) fn too_long() -> serde_json::Error {
    serde_json::Error::custom(format_args!("longer than {MOST_BYTES} bytes"))
}

/// `origin` as the text before a path: `https://discord.com`.
pub(crate) fn origin(url: &url::Url) -> Result<String, SetupError> {
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    if !is_origin {
        return Err(SetupError::Origin {
            origin: redacted(url),
        });
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// A short, safe text for what went wrong on the wire.
pub(crate) fn describe(error: &reqwest::Error) -> &'static str {
    if error.is_connect() {
        error.source().map_or(Unreached::Other, Unreached::of).text()
    } else if error.is_timeout() {
        "no answer in time"
    } else if error.is_body() || error.is_decode() {
        "the answer broke off"
    } else if error.source().is_some() {
        "the connection broke"
    } else {
        "the request could not be sent"
    }
}

fn redacted(url: &url::Url) -> String {
    let mut url = url.clone();
    // Both fail only for URLs that cannot have credentials, and then there is nothing to hide.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_host_and_nothing_after_it() {
        let check = |text: &str| origin(&text.parse().unwrap()).ok();
        assert_eq!(
            check("https://discord.com").as_deref(),
            Some("https://discord.com")
        );
        assert_eq!(
            check("http://127.0.0.1:8080/").as_deref(),
            Some("http://127.0.0.1:8080")
        );
        assert_eq!(check("https://proxy:8443").as_deref(), Some("https://proxy:8443"));
        for bad in [
            "https://discord.com/api",
            "ftp://discord.com",
            "https://discord.com/?a",
            "mailto:a@b",
            "https://u:p@h",
        ] {
            assert_eq!(check(bad), None, "{bad} was taken");
        }
    }

    #[test]
    fn a_refused_origin_is_shown_without_its_password() {
        let error = origin(&"https://user:hunter2@discord.com".parse().unwrap()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn an_error_body_that_is_not_json_is_none() {
        assert!(ErrorBody::parse(b"<html>error 1015</html>").is_none());
        let body = ErrorBody::parse(br#"{"message":"Unknown Member","code":10007}"#).unwrap();
        assert_eq!((body.code, body.message.as_str()), (10007, "Unknown Member"));
    }
}
