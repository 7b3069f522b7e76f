//! What will happen and when: drawn from a seed alone, so that the same seed is the same day.

use std::{fmt, time::Duration};

use rolecall_sandbox::rng::Rng;

use crate::chaos::fault::{Fault, Instance};

/// How long nothing goes wrong at the beginning.
const CALM_BEFORE: u64 = 400;

/// A day: deeds in the order of their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A deed at its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// How long after the beginning.
    pub at: Duration,
    /// What is done.
    pub deed: Deed,
}

/// Something that is done. People go by their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// The person's subscription goes on with its life for some steps at once: which ones, the dice say.
    Money {
        /// Who.
        person: usize,
        /// What chooses among the steps that are possible.
        dice: u64,
        /// How many.
        steps: u8,
    },
    /// The person signs in and buys, with patience.
    Shop {
        /// Who.
        person: usize,
    },
    /// The person leaves the server, or comes back.
    Move {
        /// Who.
        person: usize,
    },
    /// Staff gives the person a role that is none of ours, or takes it.
    Favour {
        /// Who.
        person: usize,
    },
    /// Staff takes a role of ours by mistake.
    Mistake {
        /// Who.
        person: usize,
    },
    /// A fault begins.
    Begin(Fault),
    /// A fault ends.
    End(Fault),
}

/// The size of a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// How long things go wrong.
    pub lasts: Duration,
    /// How many people pay from the beginning.
    pub residents: usize,
    /// How many more come during the day.
    pub newcomers: usize,
}

impl Plan {
    /// The day of this seed.
    pub fn draw(seed: u64, size: Size) -> Self {
        let mut rng = Rng::new(seed);
        let end = u64::try_from(size.lasts.as_millis()).unwrap_or(u64::MAX);
        let mut steps = Vec::new();
        draw_load(&mut rng, size, end, &mut steps);
        draw_faults(&mut rng, end, &mut steps);
        // Stable: what was drawn first goes first within a millisecond.
        steps.sort_by_key(|step| step.at);
        Self { seed, steps }
    }
}

fn draw_load(rng: &mut Rng, size: Size, end: u64, steps: &mut Vec<Step>) {
    let mut at = 0;
    while at < end {
        let person = pick(rng, size.residents + size.newcomers);
        let deed = match rng.below(100) {
            0..72 => Deed::Money {
                person,
                dice: rng.next_u64(),
                // Several changes within one second: their events have one date.
                steps: if rng.chance(30) { 3 } else { 1 },
            },
            72..86 => Deed::Move { person },
            86..95 => Deed::Favour { person },
            _ => Deed::Mistake { person },
        };
        steps.push(step(at, deed));
        at += 30 + rng.below(220);
    }
    for newcomer in 0..size.newcomers {
        let person = size.residents + newcomer;
        steps.push(step(rng.below(end.max(1)), Deed::Shop { person }));
    }
}

fn draw_faults(rng: &mut Rng, end: u64, steps: &mut Vec<Step>) {
    let mut at = CALM_BEFORE;
    while at < end {
        let (fault, lasts) = Fault::draw(rng);
        steps.push(step(at, Deed::Begin(fault)));
        if lasts > 0 {
            steps.push(step((at + lasts).min(end), Deed::End(fault)));
        }
        at += 150 + rng.below(1_600);
    }
}

fn step(at: u64, deed: Deed) -> Step {
    Step {
        at: Duration::from_millis(at),
        deed,
    }
}

/// A place in a list of so many.
pub(crate) fn pick(rng: &mut Rng, count: usize) -> usize {
    let bound = u64::try_from(count).unwrap_or(u64::MAX);
    usize::try_from(rng.below(bound)).unwrap_or(0)
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Money { person, steps, .. } => write!(f, "person {person}: {steps} of money's ways"),
            Self::Shop { person } => write!(f, "person {person} shops"),
            Self::Move { person } => write!(f, "person {person} leaves or comes back"),
            Self::Favour { person } => write!(f, "person {person} gets or loses a role of staff's"),
            Self::Mistake { person } => write!(f, "staff takes a role of ours from person {person}"),
            Self::Begin(fault) => write!(f, "begins: {fault}"),
            Self::End(fault) => write!(f, "ends: {fault}"),
        }
    }
}

impl Plan {
    /// Every instance that the plan ever stops or kills.
    pub fn victims(&self) -> Vec<Instance> {
        let hit = self.steps.iter().filter_map(|step| match step.deed {
            Deed::Begin(Fault::Killed(instance) | Fault::Stopped(instance)) => Some(instance),
            _ => None,
        });
        let mut hit: Vec<Instance> = hit.collect();
        hit.sort_unstable();
        hit.dedup();
        hit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size {
        lasts: Duration::from_mins(10),
        residents: 20,
        newcomers: 10,
    };

    #[test]
    fn the_same_seed_is_the_same_day_and_another_seed_is_another() {
        assert_eq!(Plan::draw(7, SIZE), Plan::draw(7, SIZE));
        assert_ne!(Plan::draw(7, SIZE), Plan::draw(8, SIZE));
    }

    #[test]
    fn a_day_is_in_order_and_what_begins_has_ended_by_its_end() {
        let plan = Plan::draw(1, SIZE);
        assert!(plan.steps.is_sorted_by_key(|step| step.at));
        for step in &plan.steps {
            assert!(step.at <= SIZE.lasts);
            if let Deed::Begin(fault) = step.deed
                && fault.lasts()
            {
                let ends = |later: &Step| later.at >= step.at && later.deed == Deed::End(fault);
                assert!(plan.steps.iter().any(ends), "{fault} never ends");
            }
        }
    }

    #[test]
    fn a_long_day_has_everything_in_it() {
        let plan = Plan::draw(1, SIZE);
        assert_eq!(plan.victims().len(), Instance::ALL.len(), "{:?}", plan.victims());
        let shoppers = plan
            .steps
            .iter()
            .filter(|step| matches!(step.deed, Deed::Shop { .. }));
        assert_eq!(shoppers.count(), SIZE.newcomers);
        for kind in Fault::KINDS {
            let has = |step: &Step| matches!(step.deed, Deed::Begin(fault) if fault.kind() == kind);
            assert!(plan.steps.iter().any(has), "ten minutes without {kind}");
        }
    }
}
