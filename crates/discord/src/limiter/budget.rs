//! Invalid requests (401, 403, 429) of the last ten minutes: at 10,000 Discord bans the address, we stop well before.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::limiter::Lane;

/// Discord counts over ten minutes.
const PERIOD: Duration = Duration::from_mins(10);

/// Requests are kept by slots of this length, each counted until its youngest request is ten minutes old.
const SLOT: Duration = Duration::from_secs(5);

/// So many invalid requests were made that sending more would risk a ban of the address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{spent} requests of the last ten minutes were refused (401, 403 or 429), and at {ban_line} Discord bans this \
     address: no more for {} s. Look for a wrong token, or for missing permissions",
    retry_after.as_secs()
)]
pub struct BudgetSpent {
    /// Refused requests in the last ten minutes.
    pub spent: u32,
    /// Where Discord bans.
    pub ban_line: u32,
    /// When enough of them are forgotten.
    pub retry_after: Duration,
}

/// The refused requests of the last ten minutes.
#[derive(Debug)]
pub(crate) struct InvalidBudget {
    ban_line: u32,
    /// When each slot stops to count, and its requests.
    slots: VecDeque<(Instant, u32)>,
}

impl InvalidBudget {
    pub(crate) const fn new(ban_line: u32) -> Self {
        Self {
            ban_line,
            slots: VecDeque::new(),
        }
    }

    pub(crate) fn count(&mut self, now: Instant) {
        match self.slots.back_mut() {
            // Still in the slot that the newest entry opened.
            Some((expiry, count)) if now + PERIOD < *expiry => *count = count.saturating_add(1),
            _ => self.slots.push_back((now + PERIOD + SLOT, 1)),
        }
    }

    /// Refuses if `lane` may not go on: bulk at half of the ban line, everything at four fifths.
    pub(crate) fn check(&mut self, lane: Lane, now: Instant) -> Result<(), BudgetSpent> {
        let spent = self.spent(now);
        let line = match lane {
            Lane::Now => self.ban_line / 5 * 4,
            Lane::Bulk => self.ban_line / 2,
        };
        if spent < line {
            return Ok(());
        }
        let mut left = spent;
        let free = self.slots.iter().find(|(_, count)| {
            left = left.saturating_sub(*count);
            left < line
        });
        let retry_after = free.map_or(PERIOD, |(expiry, _)| *expiry - now);
        Err(BudgetSpent {
            spent,
            ban_line: self.ban_line,
            retry_after,
        })
    }

    pub(crate) fn spent(&mut self, now: Instant) -> u32 {
        while self.slots.front().is_some_and(|(expiry, _)| *expiry <= now) {
            self.slots.pop_front();
        }
        self.slots
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The slots that still count, for a snapshot.
    pub(crate) fn slots(&mut self, now: Instant) -> impl Iterator<Item = (Instant, u32)> {
        self.spent(now);
        self.slots.iter().copied()
    }

    /// Takes over what is known from a snapshot, unless more is known already: who leads again finds the requests in it
    /// that they have counted themselves.
    pub(crate) fn restore(&mut self, slots: impl Iterator<Item = (Instant, u32)>) {
        let sum = |slots: &[(Instant, u32)]| slots.iter().map(|(_, count)| u64::from(*count)).sum::<u64>();
        let mut kept: Vec<_> = slots.collect();
        if sum(&kept) > sum(self.slots.make_contiguous()) {
            kept.sort_unstable();
            self.slots = kept.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &mut InvalidBudget, count: u32, now: Instant) {
        for _ in 0..count {
            budget.count(now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_stops_at_half_and_everything_at_four_fifths() {
        let now = Instant::now();
        let mut budget = InvalidBudget::new(100);
        spend(&mut budget, 49, now);
        assert!(budget.check(Lane::Bulk, now).is_ok());
        spend(&mut budget, 1, now);
        assert!(budget.check(Lane::Bulk, now).is_err());
        assert!(budget.check(Lane::Now, now).is_ok());
        spend(&mut budget, 30, now);
        assert_eq!(budget.check(Lane::Now, now).unwrap_err().spent, 80);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_forgotten_after_ten_minutes_and_not_before() {
        let start = Instant::now();
        let mut budget = InvalidBudget::new(100);
        spend(&mut budget, 40, start);
        let later = start + Duration::from_mins(5);
        spend(&mut budget, 20, later);
        let wait = budget.check(Lane::Bulk, later).unwrap_err().retry_after;
        assert_eq!(budget.spent(start + PERIOD - Duration::from_millis(1)), 60);
        assert!(budget.check(Lane::Bulk, later + wait).is_ok());
        assert_eq!(budget.spent(start + PERIOD + SLOT), 20);
        assert_eq!(budget.spent(later + PERIOD + SLOT), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_snapshot_holds_is_not_counted_twice_by_who_made_it() {
        let now = Instant::now();
        let mut budget = InvalidBudget::new(100);
        spend(&mut budget, 40, now);
        let snapshot: Vec<_> = budget.slots(now).collect();
        budget.restore(snapshot.clone().into_iter());
        assert_eq!(budget.spent(now), 40);
        let mut next = InvalidBudget::new(100);
        spend(&mut next, 1, now);
        next.restore(snapshot.into_iter());
        assert_eq!(next.spent(now), 40);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_storm_takes_little_memory() {
        let start = Instant::now();
        let mut budget = InvalidBudget::new(100_000);
        for tenth in 0..6000 {
            budget.count(start + Duration::from_millis(tenth * 100));
        }
        assert_eq!(budget.spent(start + Duration::from_secs(599)), 6000);
        assert!(budget.slots.len() <= 125, "{} slots", budget.slots.len());
    }
}
