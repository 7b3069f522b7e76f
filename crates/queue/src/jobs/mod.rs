//! Every kind of job there is, a file per family. Arguments are ids and the reason, not state;
//! the exceptions are what their consumer cannot look up: a raw event, a role command, an outcome.
//!
//! Each shape that was ever shipped stays as a golden test in its file; new fields get
//! `#[serde(default)]`.

mod account_events;
mod chores;
mod discord_events;
mod messages;
mod role_commands;
mod role_outcomes;
mod stripe_events;

use std::time::Duration;

pub use crate::jobs::{
    account_events::{ConvergeMember, FulfillCheckout},
    chores::{CRON_JOBS, ProcessEvent, Reconcile, RunCron, SendNotification, SyncPlans, SyncSubscription},
    discord_events::{GuildObserved, MemberJoined, MemberLeft, MemberRolesChanged, ObservedRole},
    messages::{MessageOutcome, MessageResult, SendDirectMessage},
    role_commands::{ApplyRoles, Lane},
    role_outcomes::{RoleOutcome, RoleResult},
    stripe_events::StripeEvent,
};
use crate::{job::Job, keys::Queue};

/// Attempts that use every wait of the default schedule: about a day.
const A_DAY_OF_ATTEMPTS: u32 = 9;

/// How a kind of job is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The name on the wire.
    pub kind: &'static str,
    /// Names it had before.
    pub aliases: &'static [&'static str],
    /// The queues it travels on.
    pub queues: &'static [Queue],
    /// After this many attempts it is given up.
    pub max_attempts: u32,
    /// The most an attempt may take.
    pub timeout: Duration,
}

impl Policy {
    /// The policy of a kind.
    pub const fn of<J: Job>() -> Self {
        Self {
            kind: J::KIND,
            aliases: J::ALIASES,
            queues: J::QUEUES,
            max_attempts: J::MAX_ATTEMPTS,
            timeout: J::TIMEOUT,
        }
    }
}

/// The policies of all kinds.
pub const POLICIES: [Policy; 17] = [
    Policy::of::<StripeEvent>(),
    Policy::of::<ConvergeMember>(),
    Policy::of::<FulfillCheckout>(),
    Policy::of::<MemberJoined>(),
    Policy::of::<MemberLeft>(),
    Policy::of::<MemberRolesChanged>(),
    Policy::of::<GuildObserved>(),
    Policy::of::<ApplyRoles>(),
    Policy::of::<RoleOutcome>(),
    Policy::of::<SendDirectMessage>(),
    Policy::of::<MessageOutcome>(),
    Policy::of::<SyncSubscription>(),
    Policy::of::<ProcessEvent>(),
    Policy::of::<SendNotification>(),
    Policy::of::<RunCron>(),
    Policy::of::<Reconcile>(),
    Policy::of::<SyncPlans>(),
];

/// Checks that a job is written as `golden` and read back from it as the same job.
#[cfg(test)]
#[track_caller]
fn assert_golden<J: Job + std::fmt::Debug>(job: &J, golden: &str) {
    assert_eq!(serde_json::to_string(job).unwrap(), golden);
    let read: J = serde_json::from_str(golden).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), golden);
    assert!(
        J::QUEUES.contains(&job.queue()),
        "{} is not on {:?}",
        J::KIND,
        J::QUEUES
    );
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_kinds_share_a_name() {
        let mut names = HashSet::new();
        for policy in POLICIES {
            for name in std::iter::once(&policy.kind).chain(policy.aliases) {
                assert!(names.insert(*name), "{name} is taken twice");
                let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
                assert!(plain, "{name} is not in snake case");
            }
        }
    }

    #[test]
    fn every_kind_has_attempts_time_and_a_queue() {
        for policy in POLICIES {
            assert!(policy.max_attempts >= 3, "{}", policy.kind);
            assert!(policy.timeout >= Duration::from_secs(1), "{}", policy.kind);
            assert!(
                !policy.queues.is_empty() && policy.queues.len() <= 2,
                "{}",
                policy.kind
            );
        }
    }
}
