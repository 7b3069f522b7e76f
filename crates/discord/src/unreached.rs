//! Why no connection to Discord came about, by name: each has another remedy.

use std::{error::Error, io};

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreached {
    /// Its name could not be resolved.
    Dns,
    /// Nobody listens there, or something on the way says no.
    Refused,
    /// The other side is not who it should be, or does not speak TLS.
    Tls,
    /// Nothing came back in time.
    Timeout,
    /// Something is there, and answers with an error.
    Failing,
    /// Anything else.
    Other,
}

impl Unreached {
    /// What `error` and its causes say about it. Only kinds and fixed words count; none of it is shown.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        std::iter::successors(Some(error), |error| (*error).source())
            .find_map(named)
            .unwrap_or(Self::Other)
    }

    /// What it is, and where to look.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Dns => "its name could not be resolved: look at this machine's DNS",
            Self::Refused => "the connection was refused: look at firewall and proxy, or wait",
            Self::Tls => "TLS failed: look at this machine's clock, certificates and proxy",
            Self::Timeout => "no connection in time: look at this machine's network, or wait",
            Self::Failing => "it answers with an error: wait, or look at the proxy",
            Self::Other => "no connection: look at this machine's network, or wait",
        }
    }
}

fn named(error: &(dyn Error + 'static)) -> Option<Unreached> {
    let text = error.to_string().to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // The resolver tells only in words.
    if says(&["dns error", "dns lookup failed", "lookup address"]) {
        return Some(Unreached::Dns);
    }
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    match kind {
        Some(io::ErrorKind::ConnectionRefused) => Some(Unreached::Refused),
        Some(io::ErrorKind::TimedOut) => Some(Unreached::Timeout),
        // rustls hides in it.
        Some(io::ErrorKind::InvalidData) => Some(Unreached::Tls),
        _ if says(&["certificate", "handshake alert", "invalid dns name"]) => Some(Unreached::Tls),
        _ if says(&["status code", "switching protocols", "did not switch"]) => Some(Unreached::Failing),
        _ if says(&["deadline has elapsed", "timed out"]) => Some(Unreached::Timeout),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Wrapped(&'static str, #[source] Option<io::Error>);

    #[test]
    fn each_cause_is_known_however_deep_it_lies() {
        let io = |kind, words: &'static str| Some(io::Error::new(kind, words));
        let table = [
            (
                Wrapped(
                    "client error",
                    io(
                        io::ErrorKind::Other,
                        "failed to lookup address information: no such name",
                    ),
                ),
                Unreached::Dns,
            ),
            (Wrapped("client DNS lookup failed", None), Unreached::Dns),
            (
                Wrapped("connect", io(io::ErrorKind::ConnectionRefused, "refused")),
                Unreached::Refused,
            ),
            (
                Wrapped("connect", io(io::ErrorKind::InvalidData, "corrupt message")),
                Unreached::Tls,
            ),
            (Wrapped("invalid peer certificate: Expired", None), Unreached::Tls),
            (
                Wrapped("connect", io(io::ErrorKind::TimedOut, "")),
                Unreached::Timeout,
            ),
            (Wrapped("deadline has elapsed", None), Unreached::Timeout),
            (
                Wrapped("connect", io(io::ErrorKind::BrokenPipe, "")),
                Unreached::Other,
            ),
        ];
        for (error, expected) in table {
            assert_eq!(Unreached::of(&error), expected, "{error:?}");
        }
    }
}
