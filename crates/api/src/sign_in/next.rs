//! Where somebody goes after signing in: a path of this site, never another site.

use actix_web::{
    HttpRequest,
    http::{Method, uri::PathAndQuery},
};
use serde::{Deserialize, Serialize};
use url::form_urlencoded::byte_serialize;

const HOME: &str = "/dashboard";
const MOST_BYTES: usize = 512;

/// A path of this site, with its query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Next(String);

impl Next {
    /// What was asked for if it is safe, else the dashboard.
    pub(crate) fn parse(text: Option<&str>) -> Self {
        let safe = text.filter(|text| is_local(text)).unwrap_or(HOME);
        Self(safe.to_owned())
    }

    /// The page that is asked for now.
    pub(crate) fn of_request(request: &HttpRequest) -> Self {
        let target = request.uri().path_and_query().map(PathAndQuery::as_str);
        let is_page = request.method() == Method::GET;
        Self::parse(target.filter(|_| is_page))
    }

    /// The path.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The path, to stand in a query.
    pub(crate) fn encoded(&self) -> String {
        byte_serialize(self.0.as_bytes()).collect()
    }

    /// Where signing in begins.
    pub(crate) fn login_path(&self) -> String {
        format!("/auth/discord/login?next={}", self.encoded())
    }
}

/// Browsers take `//host` and `/\host` for other sites, and drop tabs and line breaks on the way.
fn is_local(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts_well = bytes.next() == Some(b'/') && !matches!(bytes.next(), Some(b'/' | b'\\'));
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    // Back into the sign-in would go round in circles.
    starts_well && plain && text.len() <= MOST_BYTES && !text.starts_with("/auth/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_followed() {
        for good in ["/", "/plans", "/claim?session_id=cs_1", "/plans?chosen=a#b"] {
            assert_eq!(Next::parse(Some(good)).as_str(), good);
        }
        for bad in [
            "",
            "plans",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "https://evil.example",
            "/\t/evil.example",
            "/a\nb",
            "/ü",
            "javascript:alert(1)",
            "/auth/logout",
            &format!("/{}", "x".repeat(600)),
        ] {
            assert_eq!(
                Next::parse(Some(bad)).as_str(),
                "/dashboard",
                "{bad:?} was followed"
            );
        }
        assert_eq!(Next::parse(None).as_str(), "/dashboard");
    }

    #[test]
    fn a_path_is_encoded_for_the_query() {
        let next = Next::parse(Some("/claim?session_id=cs_1&x=2"));
        assert_eq!(
            next.login_path(),
            "/auth/discord/login?next=%2Fclaim%3Fsession_id%3Dcs_1%26x%3D2"
        );
    }
}
