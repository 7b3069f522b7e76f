//! The address of the client: what the connection says, unless a trusted proxy says better.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use actix_web::http::header::HeaderMap;
use rolecall_runtime::config::{IpNetwork, is_private};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Whose forwarded headers are believed.
#[derive(Debug)]
pub(crate) struct TrustedProxies {
    networks: Vec<IpNetwork>,
    /// Whether a proxy that is not among them was told of.
    told: AtomicBool,
}

impl TrustedProxies {
    pub(crate) fn new(networks: Vec<IpNetwork>) -> Self {
        Self {
            networks,
            told: AtomicBool::new(false),
        }
    }

    /// The nearest address on the way that is not one of our proxies. What stands further left in
    /// `X-Forwarded-For` was written by the client itself.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.is_trusted(peer) {
            if self.is_forgotten(peer, headers) {
                tracing::warn!(
                    proxy = %peer.to_canonical(),
                    "a proxy is not in TRUSTED_PROXIES: everybody behind it counts as one client, limits included"
                );
            }
            return peer.to_canonical();
        }
        let forwarded: Vec<&str> = headers
            .get_all(FORWARDED_FOR)
            .filter_map(|header| header.to_str().ok())
            .flat_map(|header| header.split(','))
            .map(str::trim)
            .collect();
        let mut client = peer;
        for text in forwarded.into_iter().rev() {
            let Ok(address) = text.parse::<IpAddr>() else {
                break;
            };
            client = address;
            if !self.is_trusted(address) {
                break;
            }
        }
        client.to_canonical()
    }

    /// Whether this looks like a proxy that somebody forgot to list. Once: it says so with each request.
    fn is_forgotten(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        is_private(peer) && headers.contains_key(FORWARDED_FOR) && !self.told.swap(true, Ordering::Relaxed)
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[track_caller]
    fn check(peer: &str, forwarded: &[&str], expected: &str) {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let mut request = TestRequest::default();
        for value in forwarded {
            request = request.append_header(("x-forwarded-for", *value));
        }
        let request = request.to_http_request();
        let client = proxies.client(peer.parse().unwrap(), request.headers());
        assert_eq!(
            client,
            expected.parse::<IpAddr>().unwrap(),
            "{peer} {forwarded:?}"
        );
    }

    #[test]
    fn strangers_are_not_believed() {
        check("203.0.113.9", &["198.51.100.1"], "203.0.113.9");
    }

    #[test]
    fn a_trusted_proxy_names_the_client_and_the_client_cannot_name_another() {
        check("10.0.0.1", &["198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["1.2.3.4, 198.51.100.1"], "198.51.100.1");
        check("10.0.0.1", &["1.2.3.4, 198.51.100.1, 10.9.9.9"], "198.51.100.1");
        check("10.0.0.1", &["1.2.3.4", "198.51.100.1"], "198.51.100.1");
    }

    #[test]
    fn a_proxy_that_nobody_listed_is_told_of_once() {
        let forgotten = |proxies: &TrustedProxies, peer: &str, forwarded: bool| {
            let mut request = TestRequest::default();
            if forwarded {
                request = request.insert_header((FORWARDED_FOR, "198.51.100.1"));
            }
            proxies.is_forgotten(peer.parse().unwrap(), request.to_http_request().headers())
        };
        let proxies = TrustedProxies::new(Vec::new());
        assert!(!forgotten(&proxies, "172.18.0.2", false), "no proxy");
        assert!(
            !forgotten(&proxies, "203.0.113.9", true),
            "a stranger who pretends"
        );
        assert!(forgotten(&proxies, "172.18.0.2", true));
        assert!(!forgotten(&proxies, "172.18.0.2", true), "told before");
    }

    #[test]
    fn nonsense_and_silence_leave_the_proxy_itself() {
        check("10.0.0.1", &[], "10.0.0.1");
        check("10.0.0.1", &["unknown"], "10.0.0.1");
        check("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1");
    }
}
