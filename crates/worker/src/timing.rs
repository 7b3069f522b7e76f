//! How long a hint may take before the sweeper sends it again.

use chrono::{DateTime, TimeDelta, Utc};

/// A hint that has had no effect for this long is taken for lost.
pub const HINT_OVERDUE: TimeDelta = TimeDelta::seconds(20);

/// The longest wait between two sendings of the same command.
const LONGEST_WAIT: TimeDelta = TimeDelta::minutes(30);

/// When a command is sent again after it was sent `sends` times: a wait that doubles, since a bot that
/// is away does not come back sooner for more commands.
pub fn send_again_at(now: DateTime<Utc>, sends: i32) -> DateTime<Utc> {
    let doublings = u32::try_from(sends.saturating_sub(1)).unwrap_or_default().min(10);
    now + (HINT_OVERDUE * 2_i32.pow(doublings)).min(LONGEST_WAIT)
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
}
