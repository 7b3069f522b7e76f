//! Medians, percentiles and ratios: noise of one run must not become a figure.

use std::time::Duration;

/// The middle value, or the mean of the two in the middle; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *sorted.get(middle.checked_sub(1)?)?;
    Some(f64::midpoint(lower, upper))
}

/// The value that `percent` of all values do not exceed (nearest rank); `None` of nothing.
pub fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let sorted = sorted(values);
    let rank = (sorted.len() * percent.min(100)).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// The median of `ours / limit` over runs that were made one after the other, so that what slowed a pair
/// down slowed both. `None` where there are no pairs.
pub fn ratio(ours: &[f64], limit: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = ours
        .iter()
        .zip(limit)
        .filter(|(_, limit)| **limit > 0.0)
        .map(|(ours, limit)| ours / limit)
        .collect();
    median(&ratios)
}

/// A count as a number to divide by.
pub fn count(of: usize) -> f64 {
    u32::try_from(of).map_or(f64::INFINITY, f64::from)
}

/// How many a second.
pub fn rate(done: usize, took: Duration) -> f64 {
    count(done) / took.as_secs_f64()
}

/// Durations in milliseconds.
pub fn millis(durations: &[Duration]) -> Vec<f64> {
    durations.iter().map(|took| took.as_secs_f64() * 1e3).collect()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(found: Option<f64>, expected: f64) {
        let found = found.expect("a value");
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn the_median_is_in_the_middle_whatever_the_order() {
        check(median(&[3.0, 1.0, 2.0]), 2.0);
        check(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        check(median(&[7.0]), 7.0);
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_run_that_was_disturbed_does_not_move_the_median() {
        check(median(&[10.0, 11.0, 10.5, 9.5, 1_000.0]), 10.5);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        check(percentile(&values, 50), 100.0);
        check(percentile(&values, 99), 198.0);
        check(percentile(&values, 100), 200.0);
        check(percentile(&values, 0), 1.0);
        check(percentile(&[5.0], 99), 5.0);
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn the_ratio_is_of_pairs_so_that_a_slow_minute_cancels_out() {
        // The machine was half as fast in the second and third pair.
        check(ratio(&[80.0, 40.0, 40.0], &[100.0, 50.0, 50.0]), 0.8);
        assert_eq!(ratio(&[1.0], &[]), None);
        assert_eq!(ratio(&[1.0], &[0.0]), None);
    }

    #[test]
    fn a_rate_is_per_second() {
        check(Some(rate(500, Duration::from_millis(250))), 2_000.0);
    }
}
