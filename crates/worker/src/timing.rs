//! How long a hint may take before the sweeper sends it again, and when a message is tried again.

use chrono::{DateTime, TimeDelta, Utc};

/// A hint that has had no effect for this long is taken for lost.
pub const HINT_OVERDUE: TimeDelta = TimeDelta::seconds(20);

/// The longest wait between two sendings of the same command.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(30);

/// When a command is sent again after it was sent `sends` times: a wait that doubles, since a bot that
/// is away does not come back sooner for more commands.
pub fn send_again_at(now: DateTime<Utc>, sends: i32) -> DateTime<Utc> {
    now + doubled(HINT_OVERDUE, sends).min(LONGEST_WAIT)
}

/// The longest wait between two tries of a message.
const LONGEST_REST: TimeDelta = TimeDelta::hours(4);

/// A message that did not leave in so many tries is given up: that is after three and a half days, and
/// nobody is told then what was true before.
const MOST_TRIES: i32 = 30;

/// The bot waits for Discord's rate limits, so it is given longer until it is asked again.
const HANDED_ON: TimeDelta = TimeDelta::minutes(5);

/// When a message is tried again that could not leave for now and was tried `tries` times, so that a
/// server that takes messages without saying so gets few of them; `None` once there is no point. And what
/// is noted with it.
pub fn next_try(now: DateTime<Utc>, tries: i32, error: &str) -> (Option<DateTime<Utc>>, String) {
    if tries < MOST_TRIES {
        let again = now + doubled(HINT_OVERDUE, tries).min(LONGEST_REST);
        (Some(again), error.to_owned())
    } else {
        (None, format!("given up after {tries} tries: {error}"))
    }
}

/// Until when the bot has a message that was handed to it for the `tries`-th time: each time for longer,
/// since what it was handed waits for it, and a copy more is a message more to be told from the others.
pub fn handed_on_until(now: DateTime<Utc>, tries: i32) -> DateTime<Utc> {
    now + doubled(HANDED_ON, tries).min(LONGEST_REST)
}

/// The wait after the `times`-th time.
fn doubled(first: TimeDelta, times: i32) -> TimeDelta {
    let doublings = u32::try_from(times.saturating_sub(1)).unwrap_or_default().min(10);
    first * 2_i32.pow(doublings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_half_an_hour() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let waits: Vec<i64> = [0, 1, 2, 3, 8, 1000]
            .map(|sends| (send_again_at(now, sends) - now).num_seconds())
            .into();
        assert_eq!(waits, [20, 20, 40, 80, 1800, 1800]);
    }

    #[test]
    fn a_message_is_given_up_after_days_and_few_tries() {
        let mut now = DateTime::<Utc>::UNIX_EPOCH;
        let mut tries = 1;
        while let (Some(again), _) = next_try(now, tries, "busy") {
            assert!(again - now <= LONGEST_REST);
            (now, tries) = (again, tries + 1);
        }
        assert_eq!(tries, MOST_TRIES);
        assert_eq!(next_try(now, tries, "busy").1, "given up after 30 tries: busy");
        let days = (now - DateTime::<Utc>::UNIX_EPOCH).num_days();
        assert!((3..=4).contains(&days), "{days} days");
    }

    #[test]
    fn the_bot_is_asked_again_less_and_less_often() {
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let waits = [1, 2, 3, 6, 7, 1000].map(|tries| (handed_on_until(now, tries) - now).num_minutes());
        assert_eq!(waits, [5, 10, 20, 160, 240, 240]);
    }
}
