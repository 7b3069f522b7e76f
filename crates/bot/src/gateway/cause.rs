//! Why a connection to the gateway ended, by name: for health, metrics and logs.

use rolecall_discord::unreached::Unreached;

/// Why a connection ended, if it may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Discord acknowledged no heartbeat.
    Zombie,
    /// The connection was there, and no session came of it.
    NoSession,
    /// There was no connection.
    Unreached(Unreached),
    /// Discord closed it with a code.
    Closed(u16),
    /// Op 9.
    InvalidSession,
    /// Op 7.
    Reconnect,
    /// It broke off.
    Broken,
}

impl Cause {
    /// Every label.
    pub(crate) const LABELS: [&str; 7] = [
        "zombie",
        "no_session",
        "unreached",
        "closed",
        "invalid_session",
        "reconnect",
        "broken",
    ];

    /// Its name in metrics.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Zombie => "zombie",
            Self::NoSession => "no_session",
            Self::Unreached(_) => "unreached",
            Self::Closed(_) => "closed",
            Self::InvalidSession => "invalid_session",
            Self::Reconnect => "reconnect",
            Self::Broken => "broken",
        }
    }

    /// What happened, in words that go on with "since".
    pub(crate) fn text(self) -> String {
        match self {
            Self::Zombie => "the gateway accepts us but acknowledges no heartbeat".to_owned(),
            Self::NoSession => "the gateway accepts us but says nothing".to_owned(),
            Self::Unreached(why) => format!("the gateway cannot be reached ({})", why.text()),
            Self::Closed(code) => format!("the gateway closes the connection (code {code})"),
            Self::InvalidSession => "the gateway does not take our session".to_owned(),
            Self::Reconnect => "the gateway asks us to connect again".to_owned(),
            Self::Broken => "the connection to the gateway breaks off".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_label_of_its_own() {
        let causes = [
            Cause::Zombie,
            Cause::NoSession,
            Cause::Unreached(Unreached::Dns),
            Cause::Closed(4000),
            Cause::InvalidSession,
            Cause::Reconnect,
            Cause::Broken,
        ];
        assert_eq!(causes.map(Cause::label), Cause::LABELS);
    }
}
