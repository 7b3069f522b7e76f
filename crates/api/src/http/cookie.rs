//! Cookies, read and written by hand: two names, fixed attributes.

use actix_web::http::header::{COOKIE, HeaderMap};

/// The values that the browser sent under this name.
pub(crate) fn values<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(COOKIE)
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(move |pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The first value under this name that is not empty.
pub(crate) fn value<'a>(headers: &'a HeaderMap, name: &'a str) -> Option<&'a str> {
    values(headers, name).find(|value| !value.is_empty())
}

/// How cookies of this site are called and protected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CookieJar {
    is_https: bool,
}

impl CookieJar {
    pub(crate) const fn new(is_https: bool) -> Self {
        Self { is_https }
    }

    /// The full name: the prefix makes browsers insist on TLS, this host, and the whole path. Plain
    /// http, which production does not start with, cannot have it.
    pub(crate) fn name(self, name: &str) -> String {
        if self.is_https {
            format!("__Host-{name}")
        } else {
            name.to_owned()
        }
    }

    /// A `Set-Cookie` that keeps `value` for so many seconds.
    pub(crate) fn set(self, name: &str, value: &str, seconds: i64) -> String {
        let secure = if self.is_https { "; Secure" } else { "" };
        let name = self.name(name);
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// A `Set-Cookie` that removes it.
    pub(crate) fn clear(self, name: &str) -> String {
        self.set(name, "", 0)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let request = TestRequest::default()
            .insert_header((COOKIE, "x_rolecall=no; rolecall=; rolecall=yes; rolecall_x=no"))
            .to_http_request();
        assert_eq!(value(request.headers(), "rolecall"), Some("yes"));
        assert_eq!(value(request.headers(), "other"), None);
    }

    #[test]
    fn over_tls_a_cookie_has_the_host_prefix_and_all_attributes() {
        assert_eq!(
            CookieJar::new(true).set("a", "b", 9),
            "__Host-a=b; Path=/; Max-Age=9; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(
            CookieJar::new(false).set("a", "b", 9),
            "a=b; Path=/; Max-Age=9; HttpOnly; SameSite=Lax"
        );
        assert!(CookieJar::new(true).clear("a").contains("Max-Age=0"));
    }
}
