//! Networks of IP addresses, for the list of trusted proxies; and what is near enough to be spoken to plainly.

use std::{fmt, net::IpAddr, str::FromStr};

use url::Url;

/// An address or a network in CIDR notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IpNetwork {
    address: IpAddr,
    prefix: u8,
}

/// A text that is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an IP address or network")]
pub struct InvalidNetwork;

impl IpNetwork {
    /// Whether `address` lies in this network. An IPv4 address in IPv6 clothes counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => shares_prefix(
                network.to_bits().into(),
                address.to_bits().into(),
                32,
                self.prefix,
            ),
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                shares_prefix(network.to_bits(), address.to_bits(), 128, self.prefix)
            }
            _ => false,
        }
    }
}

/// Whether an address is this machine's or one of a private network: nobody on the internet has it.
pub fn is_private(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            address.is_private() || address.is_loopback() || address.is_link_local() || is_shared
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

/// Whether a host is this machine, in a private network, or known by a name of the container network only.
pub(crate) fn is_near(host: &str) -> bool {
    const INSIDE: [&str; 3] = [".internal", ".local", ".localhost"];
    host.parse().map_or_else(
        |_| !host.contains('.') || INSIDE.iter().any(|suffix| host.ends_with(suffix)),
        is_private,
    )
}

/// The host as a name or an address can be told by, an IPv6 address without its brackets.
pub(crate) fn host_of(url: &Url) -> &str {
    url.host_str()
        .unwrap_or_default()
        .trim_start_matches('[')
        .trim_end_matches(']')
}

/// Whether two numbers of `width` bits agree in their first `prefix` bits.
fn shares_prefix(left: u128, right: u128, width: u32, prefix: u8) -> bool {
    let rest = width.saturating_sub(u32::from(prefix));
    // A shift by all 128 bits has no answer: nothing is compared then.
    (left ^ right).checked_shr(rest).unwrap_or_default() == 0
}

impl FromStr for IpNetwork {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= width)
                .ok_or(InvalidNetwork)?,
            None => width,
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, address: &str, inside: bool) {
        let parsed: IpNetwork = network.parse().unwrap();
        assert_eq!(
            parsed.contains(address.parse().unwrap()),
            inside,
            "{address} in {network}"
        );
    }

    #[test]
    fn a_network_contains_what_shares_its_prefix() {
        check("10.0.0.0/8", "10.255.1.2", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("172.16.0.0/12", "172.31.255.255", true);
        check("172.16.0.0/12", "172.32.0.0", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7", "192.0.2.8", false);
        check("fd00::/8", "fd12::1", true);
        check("fd00::/8", "fe80::1", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("::/0", "2001:db8::1", true);
    }

    #[test]
    fn an_ipv4_address_mapped_into_ipv6_is_ipv4() {
        check("10.0.0.0/8", "::ffff:10.1.2.3", true);
        check("::/0", "::ffff:10.1.2.3", false);
    }

    #[test]
    fn what_nobody_on_the_internet_has_is_private_and_near() {
        for (host, near) in [
            ("127.0.0.1", true),
            ("10.0.0.7", true),
            ("172.18.0.3", true),
            ("192.168.1.1", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("169.254.1.1", true),
            ("203.0.113.9", false),
            ("::1", true),
            ("fd00::1", true),
            ("fe80::1", true),
            ("::ffff:10.0.0.7", true),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_private(host.parse().unwrap()), near, "{host}");
            assert_eq!(is_near(host), near, "{host}");
        }
        for (host, near) in [
            ("postgres", true),
            ("localhost", true),
            ("db.internal", true),
            ("db.example.com", false),
            ("localhost.example.com", false),
        ] {
            assert_eq!(is_near(host), near, "{host}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "10.0.0.0/x",
            "proxy",
        ] {
            assert_eq!(text.parse::<IpNetwork>(), Err(InvalidNetwork), "{text:?}");
        }
    }
}
