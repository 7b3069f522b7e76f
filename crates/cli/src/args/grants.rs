//! `rolecall grants ...`

use std::time::Duration;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use clap::{Args, Subcommand};
use rolecall_domain::ids::GrantId;
use rolecall_runtime::env::parse;

/// The longest duration of a grant that ends.
const LONGEST: Duration = Duration::from_hours(100 * 366 * 24);

#[derive(Debug, Subcommand)]
pub(crate) enum Grants {
    /// Give somebody a plan without payment: for ever, or until an end after which it goes by itself.
    Add(Add),
    /// The grants that give, or will give, something; the newest first.
    List {
        /// Only this member's: a member id, a Discord user id or an e-mail address.
        who: Option<String>,
        /// Also those that have ended or were taken back.
        #[arg(long)]
        all: bool,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// Take a grant back. Roles that nothing else gives go.
    Revoke {
        /// Its id, as the list prints it.
        #[arg(value_parser = grant_id)]
        grant_id: GrantId,
    },
}

/// What is given.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// A member id, a Discord user id or an e-mail address.
    pub(crate) who: String,
    /// The slug of the plan, as `rolecall plans show` prints it.
    pub(crate) plan: String,
    /// Why, for whoever looks at it later.
    #[arg(long)]
    pub(crate) reason: String,
    /// Through this day, `2026-12-31` (UTC), or until this moment, `2026-12-31T18:00:00Z`.
    #[arg(long, value_name = "DATE", value_parser = until, conflicts_with = "duration")]
    pub(crate) until: Option<DateTime<Utc>>,
    /// For so long from now: `30d`, `12h`.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
}

impl Add {
    /// When it ends, when it is `now`.
    pub(crate) fn ends_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.until.or_else(|| Some(now + self.duration?))
    }
}

fn grant_id(text: &str) -> Result<GrantId, &'static str> {
    text.parse()
        .map_err(|_| "expected the id of a grant, as `rolecall grants list` prints it")
}

fn duration(text: &str) -> Result<Duration, String> {
    parse::duration(Duration::from_secs(1)..=LONGEST)(text)
}

fn until(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let expected = "expected a day such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z";
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let day: NaiveDate = text.parse().map_err(|_| expected)?;
    // Through that day: until the next one begins.
    let next = day.checked_add_signed(TimeDelta::days(1)).ok_or(expected)?;
    Ok(next.and_time(chrono::NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_day_a_moment_or_so_long_from_now() {
        for (text, expected) in [
            ("2026-12-31", "2027-01-01T00:00:00Z"),
            ("2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00Z"),
        ] {
            assert_eq!(
                until(text).unwrap(),
                expected.parse::<DateTime<Utc>>().unwrap(),
                "{text}"
            );
        }
        for wrong in ["", "soon", "31.12.2026", "2026-13-01", "2026-12-31 18:00"] {
            assert!(until(wrong).is_err(), "{wrong}");
        }
        let now: DateTime<Utc> = "2026-11-20T12:00:00Z".parse().unwrap();
        let add = |duration| Add {
            who: String::new(),
            plan: String::new(),
            reason: String::new(),
            until: None,
            duration,
        };
        assert_eq!(add(None).ends_at(now), None, "for ever");
        let thirty_days = Some(Duration::from_hours(30 * 24));
        assert_eq!(
            add(thirty_days).ends_at(now),
            Some("2026-12-20T12:00:00Z".parse().unwrap())
        );
    }
}
