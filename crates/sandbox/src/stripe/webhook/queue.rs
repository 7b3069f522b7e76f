//! Which delivery leaves when: order of emission, groups to shuffle, delays, retries, and a hold.

use std::time::Duration;

use tokio::time::Instant;

/// How long a group that is not full waits for more before it leaves.
const GROUP_PATIENCE: Duration = Duration::from_millis(150);

/// Deliveries that wait.
#[derive(Debug, Default)]
pub struct Queue {
    /// New deliveries in the order of emission.
    fresh: Vec<Waiting>,
    /// Deliveries whose order is settled.
    ready: Vec<Ready>,
    held: bool,
    shuffle_window: usize,
}

#[derive(Debug)]
struct Waiting {
    delivery: usize,
    order: u64,
    delay: Duration,
    since: Instant,
}

#[derive(Debug)]
struct Ready {
    delivery: usize,
    at: Instant,
}

/// What the sender does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Send this one.
    Send(usize),
    /// Nothing is due before this moment.
    WaitUntil(Instant),
    /// Nothing waits, or all is held.
    Idle,
}

impl Queue {
    /// Adds a new delivery.
    pub fn push(&mut self, delivery: usize, order: u64, delay: Duration, now: Instant) {
        self.fresh.push(Waiting {
            delivery,
            order,
            delay,
            since: now,
        });
    }

    /// Adds a delivery that no fault touches.
    pub fn push_at_once(&mut self, delivery: usize, now: Instant) {
        self.ready.push(Ready { delivery, at: now });
    }

    /// Adds the next attempt of a delivery.
    pub fn retry(&mut self, delivery: usize, wait: Duration, now: Instant) {
        self.ready.push(Ready {
            delivery,
            at: now + wait,
        });
    }

    /// Keeps everything back, or lets it go.
    pub fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether everything is kept back.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// Sets the size of the groups that are shuffled.
    pub fn set_shuffle_window(&mut self, window: usize) {
        self.shuffle_window = window;
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.fresh.len() + self.ready.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes what is due.
    pub fn next(&mut self, now: Instant) -> Next {
        if self.held {
            return Next::Idle;
        }
        self.settle(now);
        let due = self.ready.iter().position(|ready| ready.at <= now);
        if let Some(place) = due {
            return Next::Send(self.ready.remove(place).delivery);
        }
        let group = self.fresh.first().map(|waiting| waiting.since + GROUP_PATIENCE);
        let soonest = self.ready.iter().map(|ready| ready.at).chain(group).min();
        soonest.map_or(Next::Idle, Next::WaitUntil)
    }

    /// Moves new deliveries on: one by one, or a group at a time in the order of their keys.
    fn settle(&mut self, now: Instant) {
        let window = self.shuffle_window.max(1);
        while let Some(oldest) = self.fresh.first() {
            let full = self.fresh.len() >= window;
            if !full && now < oldest.since + GROUP_PATIENCE {
                return;
            }
            let size = window.min(self.fresh.len());
            let mut group: Vec<Waiting> = self.fresh.drain(..size).collect();
            if window > 1 {
                group.sort_by_key(|waiting| waiting.order);
            }
            let settled = group.into_iter().map(|waiting| Ready {
                delivery: waiting.delivery,
                at: waiting.since + waiting.delay,
            });
            self.ready.extend(settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut Queue, now: Instant) -> Vec<usize> {
        std::iter::from_fn(|| match queue.next(now) {
            Next::Send(delivery) => Some(delivery),
            Next::WaitUntil(_) | Next::Idle => None,
        })
        .collect()
    }

    #[test]
    fn without_faults_the_order_of_emission_is_kept() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        for delivery in 0..5 {
            queue.push(
                delivery,
                99 - u64::try_from(delivery).unwrap(),
                Duration::ZERO,
                now,
            );
        }
        assert_eq!(drain(&mut queue, now), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn a_group_leaves_in_the_order_of_its_keys_when_it_is_full_or_has_waited() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.set_shuffle_window(3);
        for (delivery, order) in [(0, 9), (1, 5), (2, 7), (3, 1)] {
            queue.push(delivery, order, Duration::ZERO, now);
        }
        assert_eq!(drain(&mut queue, now), [1, 2, 0]);
        assert_eq!(drain(&mut queue, now + GROUP_PATIENCE), [3]);
    }

    #[test]
    fn a_hold_keeps_everything_back_until_it_is_released() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.hold(true);
        queue.push(0, 0, Duration::ZERO, now);
        assert_eq!(queue.next(now), Next::Idle);
        queue.hold(false);
        assert_eq!(drain(&mut queue, now), [0]);
    }

    #[test]
    fn a_retry_waits_for_its_time() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.retry(4, Duration::from_secs(2), now);
        assert!(matches!(queue.next(now), Next::WaitUntil(_)));
        assert_eq!(drain(&mut queue, now + Duration::from_secs(2)), [4]);
    }
}
