//! Faults on demand, decided by a seed in the order of events, so that a run can be repeated.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// What goes wrong with webhooks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliveryFaults {
    /// Of a hundred deliveries, how many are never made, not even on retry.
    pub drop_percent: u8,
    /// Of a hundred deliveries, how many are made more than once.
    pub duplicate_percent: u8,
    /// How often a duplicated delivery is made in all.
    pub copies: u8,
    /// Deliveries are gathered in groups of this size and leave in random order; 0 and 1 keep the order.
    pub shuffle_window: usize,
    /// Each delivery waits up to this long, by chance.
    pub max_delay_ms: u64,
    /// Of a hundred events, how many Stripe never generates: not delivered and not in the list either.
    pub lose_event_percent: u8,
}

/// What goes wrong with requests to the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestFault {
    /// Only requests whose path contains this, such as an object's id. With a `*`, or after a method and
    /// a space, it is the whole path: `GET /v1/subscriptions` is the list, and no single one.
    #[serde(default)]
    pub path_contains: Option<String>,
    /// How many requests; `None` is all of them until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub fault: FaultKind,
}

/// A fault of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// An error in Stripe's shape. One of an endpoint is saved under the idempotency key of the call, as
    /// any answer is; limits, keys and gateways stand before the endpoints unless the call takes effect.
    Status {
        /// The HTTP status.
        status: u16,
        /// Seconds in `Retry-After`.
        #[serde(default)]
        retry_after: Option<u64>,
        /// Whether the call takes effect before the error is answered.
        #[serde(default)]
        applied: bool,
    },
    /// No answer ever comes.
    Hang {
        /// Whether the call takes effect all the same.
        #[serde(default)]
        applied: bool,
    },
    /// 200 with a body that is no JSON.
    Garbage,
    /// The right answer, with a status that no version of today knows.
    NewStatus,
    /// A list that says there is nothing.
    EmptyList,
    /// A list that ends in the middle of its page and says there is no more.
    HalfList,
    /// A list that says there is more, and begins again from its start whatever is asked for.
    EndlessList,
    /// Another fault, after so many requests that fit have gone well: on page four, say.
    After {
        /// How many go well.
        requests: u32,
        /// What happens then.
        then: Box<FaultKind>,
    },
    /// The right answer, late.
    Slow {
        /// How late.
        delay_ms: u64,
        /// Whether it tells the state from before or after the wait.
        snapshot: Snapshot,
    },
    /// The right answer, once it is let go: the oldest first, one by one or all with the end of the faults.
    Held {
        /// Whether it tells the state from before or after the wait.
        snapshot: Snapshot,
    },
}

/// Which moment a slow answer tells about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Snapshot {
    /// When the request came: an old truth that arrives late.
    Before,
    /// When the answer leaves.
    After,
}

/// How one delivery will go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryPlan {
    /// Never made.
    pub dropped: bool,
    /// How often it is made.
    pub copies: u8,
    /// How long it waits.
    pub delay: Duration,
}

/// The faults in force.
#[derive(Debug)]
pub struct Faults {
    rng: Rng,
    deliveries: DeliveryFaults,
    requests: Vec<RequestFault>,
    /// How many answers have been held.
    held: u64,
    /// How many of them have been let go.
    let_go: u64,
}

impl Faults {
    /// No faults, yet.
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed ^ 0xFA17),
            deliveries: DeliveryFaults::default(),
            requests: Vec::new(),
            held: 0,
            let_go: 0,
        }
    }

    /// Replaces the faults of webhooks; `seed` starts their chances anew.
    pub fn set_deliveries(&mut self, faults: DeliveryFaults, seed: Option<u64>) {
        if let Some(seed) = seed {
            self.rng = Rng::new(seed);
        }
        self.deliveries = faults;
    }

    /// The faults of webhooks in force.
    pub fn deliveries(&self) -> &DeliveryFaults {
        &self.deliveries
    }

    /// Adds a fault of the API; the first one that fits a request is used.
    pub fn add_request(&mut self, fault: RequestFault) {
        self.requests.push(fault);
    }

    /// Ends all faults of the API, and lets go what they held.
    pub fn clear_requests(&mut self) {
        self.requests.clear();
        self.let_go = self.held;
    }

    /// A place among the answers that are held.
    pub fn hold(&mut self) -> u64 {
        self.held += 1;
        self.held
    }

    /// Whether the answer with this place has been let go.
    pub fn is_let_go(&self, place: u64) -> bool {
        place <= self.let_go
    }

    /// How many answers are held.
    pub fn held(&self) -> u64 {
        self.held - self.let_go
    }

    /// Lets the answer go that was held first.
    pub fn let_one_go(&mut self) {
        self.let_go = self.held.min(self.let_go + 1);
    }

    /// The fault for a request, counted off.
    pub fn take_request(&mut self, method: &str, path: &str) -> Option<FaultKind> {
        let fits = |fault: &RequestFault| {
            let pattern = fault.path_contains.as_deref();
            fault.times != Some(0) && pattern.is_none_or(|pattern| names(pattern, method, path))
        };
        let fault = self.requests.iter_mut().find(|fault| fits(fault))?;
        let kind = match &mut fault.fault {
            FaultKind::After { requests, .. } if *requests > 0 => {
                *requests -= 1;
                return None;
            }
            FaultKind::After { then, .. } => (**then).clone(),
            kind => kind.clone(),
        };
        if let Some(times) = fault.times.as_mut() {
            *times = times.saturating_sub(1);
        }
        self.requests.retain(|fault| fault.times != Some(0));
        Some(kind)
    }

    /// Whether the next event is never generated.
    pub fn loses_event(&mut self) -> bool {
        let percent = self.deliveries.lose_event_percent;
        percent > 0 && self.rng.chance(percent)
    }

    /// How the next delivery goes.
    pub fn plan_delivery(&mut self) -> DeliveryPlan {
        let dropped = self.rng.chance(self.deliveries.drop_percent);
        let duplicated = self.rng.chance(self.deliveries.duplicate_percent);
        let copies = if duplicated {
            self.deliveries.copies.max(2)
        } else {
            1
        };
        let delay = match self.deliveries.max_delay_ms {
            0 => 0,
            most => self.rng.below(most.saturating_add(1)),
        };
        DeliveryPlan {
            dropped,
            copies,
            delay: Duration::from_millis(delay),
        }
    }

    /// Where a delivery stands within its group.
    pub fn order_key(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

/// Whether a pattern names a request: part of its path, or all of it where it says so.
fn names(pattern: &str, method: &str, path: &str) -> bool {
    if let Some((wanted, whole)) = pattern.split_once(' ') {
        return wanted == method && fits_whole(whole, path);
    }
    if pattern.contains('*') {
        fits_whole(pattern, path)
    } else {
        path.contains(pattern)
    }
}

/// `*` stands for any text within one part of the path.
fn fits_whole(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if fits_part(wanted, given) => {}
            _ => return false,
        }
    }
}

fn fits_part(pattern: &str, part: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == part,
        Some((before, after)) => {
            part.len() >= before.len() + after.len() && part.starts_with(before) && part.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plans(seed: u64) -> Vec<DeliveryPlan> {
        let mut faults = Faults::new(0);
        let chosen = DeliveryFaults {
            drop_percent: 30,
            duplicate_percent: 30,
            copies: 3,
            max_delay_ms: 50,
            ..DeliveryFaults::default()
        };
        faults.set_deliveries(chosen, Some(seed));
        (0..200).map(|_| faults.plan_delivery()).collect()
    }

    #[test]
    fn the_same_seed_makes_the_same_faults_and_another_seed_makes_others() {
        assert_eq!(plans(1), plans(1));
        assert_ne!(plans(1), plans(2));
    }

    #[test]
    fn shares_are_near_what_was_asked() {
        let dropped = plans(3).iter().filter(|plan| plan.dropped).count();
        assert!((40..80).contains(&dropped), "{dropped} of 200 dropped");
    }

    #[test]
    fn a_counted_fault_ends_by_itself() {
        let mut faults = Faults::new(0);
        let fault = FaultKind::Garbage;
        faults.add_request(RequestFault {
            path_contains: Some("sub_1".to_owned()),
            times: Some(2),
            fault: fault.clone(),
        });
        assert_eq!(faults.take_request("GET", "/v1/subscriptions/sub_2"), None);
        assert_eq!(
            faults.take_request("GET", "/v1/subscriptions/sub_1"),
            Some(fault.clone())
        );
        assert_eq!(faults.take_request("GET", "/v1/subscriptions/sub_1"), Some(fault));
        assert_eq!(faults.take_request("GET", "/v1/subscriptions/sub_1"), None);
    }

    #[test]
    fn a_pattern_names_a_part_or_the_whole_of_a_path() {
        let list = "GET /v1/subscriptions";
        assert!(names(list, "GET", "/v1/subscriptions"));
        assert!(!names(list, "POST", "/v1/subscriptions"));
        assert!(!names(list, "GET", "/v1/subscriptions/sub_1"));
        assert!(names("/v1/subscriptions/*", "GET", "/v1/subscriptions/sub_1"));
        assert!(!names(
            "/v1/subscriptions/*",
            "GET",
            "/v1/subscriptions/sub_1/resume"
        ));
        assert!(names("sub_1", "POST", "/v1/subscriptions/sub_1/resume"));
    }

    #[test]
    fn a_fault_can_wait_for_its_turn() {
        let mut faults = Faults::new(0);
        let then = Box::new(FaultKind::Garbage);
        faults.add_request(RequestFault {
            path_contains: Some("GET /v1/subscriptions".to_owned()),
            times: Some(1),
            fault: FaultKind::After { requests: 2, then },
        });
        let mut take = || faults.take_request("GET", "/v1/subscriptions");
        assert_eq!(
            [take(), take(), take(), take()],
            [None, None, Some(FaultKind::Garbage), None]
        );
    }
}
