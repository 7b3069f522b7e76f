//! `rolecall events ...`

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args, Subcommand};
use rolecall_db::{inbox::InboxState, inbox_admin::state_named};
use rolecall_domain::ids::StripeEventId;
use rolecall_runtime::env::parse;

#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// The events that came in last, with the errors of those that failed.
    List {
        /// Only those that are `pending`, `done`, `ignored` or `dead`.
        #[arg(long, value_parser = state)]
        state: Option<InboxState>,
        /// Only those of this type, such as `invoice.paid`.
        #[arg(long = "type", value_name = "TYPE")]
        kind: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Let events take effect once more, as if they came in now. Harmless: what they are about is read again.
    Replay(Replay),
}

/// Which events.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true).multiple(true).args(["event_id", "since", "dead"])))]
pub(crate) struct Replay {
    /// One event, `evt_...`. One that never came in is fetched from Stripe.
    #[arg(value_parser = event_id, conflicts_with_all = ["since", "dead", "kind"])]
    pub(crate) event_id: Option<StripeEventId>,
    /// Those that Stripe made at this time or later: `2026-11-20T08:00:00Z`, or so long ago: `3h`.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Since>,
    /// Only those that were given up.
    #[arg(long)]
    pub(crate) dead: bool,
    /// Only those of this type.
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) kind: Option<String>,
}

/// A time in the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    At(DateTime<Utc>),
    Ago(Duration),
}

impl Since {
    /// The time, when it is `now`.
    pub(crate) fn time(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::At(time) => time,
            Self::Ago(duration) => now - duration,
        }
    }
}

fn state(name: &str) -> Result<InboxState, &'static str> {
    state_named(name).ok_or("expected pending, done, ignored or dead")
}

fn event_id(text: &str) -> Result<StripeEventId, &'static str> {
    text.parse()
        .map_err(|_| "expected an id evt_..., as `rolecall events list` and Stripe's dashboard show it")
}

fn since(text: &str) -> Result<Since, &'static str> {
    let year = Duration::from_hours(366 * 24);
    if let Ok(ago) = parse::duration(Duration::ZERO..=year)(text) {
        return Ok(Since::Ago(ago));
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| Since::At(time.to_utc()))
        .map_err(|_| "expected a time such as 2026-11-20T08:00:00Z, or a duration such as 3h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_moment_or_so_long_ago() {
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("3h", "2026-11-20T09:00:00Z"),
            ("90s", "2026-11-20T11:58:30Z"),
            ("2026-11-19T01:00:00+02:00", "2026-11-18T23:00:00Z"),
        ] {
            let time: DateTime<Utc> = expected.parse().unwrap();
            assert_eq!(since(text).unwrap().time(now), time, "{text}");
        }
        for wrong in ["", "yesterday", "2026-11-19", "3", "-1h"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
