//! Times as Redis keeps them: whole milliseconds since 1970.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

/// The millisecond that lies `wait` after `now`, rounded up.
pub(crate) fn millis_after(now: DateTime<Utc>, wait: Duration) -> i64 {
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    let at = now.checked_add_signed(wait).unwrap_or(DateTime::<Utc>::MAX_UTC);
    at.timestamp_micros().saturating_add(999).div_euclid(1000)
}

/// A duration in whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_never_rounded_to_before_it() {
        let now = DateTime::from_timestamp_micros(1_000_001).unwrap();
        assert_eq!(millis_after(now, Duration::ZERO), 1_001);
        assert_eq!(millis_after(now, Duration::from_secs(2)), 3_001);
        assert!(millis_after(now, Duration::MAX) > 0);
    }
}
