//! What the bots did, by the simulated Discord's own logs.

use std::collections::BTreeMap;

use rolecall_sandbox::discord::{
    demo,
    request_log::RequestEntry,
    state::audit::{AuditAction, AuditEntry},
};

use crate::chaos::{fault::Instance, installation::LEASE, ledger::Held};

/// How long an answer may have been on its way: a request is logged when it is answered.
const LATE: u64 = 1_000;

/// How often the bot gave and took each role of each person: changes, not attempts.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// How often it came.
    pub given: BTreeMap<Held, usize>,
    /// How often it went.
    pub taken: BTreeMap<Held, usize>,
}

/// The changes in the audit log that are the bot's.
pub fn changes(log: &[AuditEntry]) -> Changes {
    let mut changes = Changes::default();
    let by_the_bot = |entry: &&AuditEntry| {
        entry.actor.0 == demo::CLIENT_ID && entry.action == AuditAction::MemberRoleUpdate
    };
    for entry in log.iter().filter(by_the_bot) {
        for role in &entry.added {
            *changes.given.entry((entry.target.0, role.0)).or_default() += 1;
        }
        for role in &entry.removed {
            *changes.taken.entry((entry.target.0, role.0)).or_default() += 1;
        }
    }
    changes
}

/// Whether a request writes something about a member.
pub fn is_write(entry: &RequestEntry) -> bool {
    entry.method != "GET" && entry.path.contains("/members/")
}

/// The moments at which a bot wrote although another had written since its own last time, and both within the time
/// of one lease: so both held themselves for the one that acts.
///
/// Nobody gives a lease up during a day, so one that changes hands has run out first. Whoever writes, loses the lease
/// to another who writes, and writes again, must have waited for the other's lease to run out.
pub fn two_at_once(log: &[RequestEntry], bots: &BTreeMap<String, Instance>) -> Vec<String> {
    let lease = u64::try_from(LEASE.as_millis()).unwrap_or(u64::MAX);
    let mut last: BTreeMap<Instance, u64> = BTreeMap::new();
    let mut acting: Option<Instance> = None;
    let mut found = Vec::new();
    for entry in log.iter().filter(|entry| is_write(entry)) {
        let host = entry.host.as_deref().unwrap_or_default();
        let Some(bot) = bots.get(host) else {
            continue;
        };
        if acting.is_some_and(|acting| acting != *bot) {
            let between = last.get(bot).map(|at| entry.elapsed_ms.saturating_sub(*at));
            if let Some(between) = between.filter(|between| between + LATE < lease) {
                found.push(format!(
                    "{bot} wrote {between} ms after its last time, and the other in between"
                ));
            }
        }
        acting = Some(*bot);
        last.insert(*bot, entry.elapsed_ms);
    }
    found
}

/// Answers that Discord counts as invalid, and that no fault made: status by count.
pub fn refusals(log: &[RequestEntry]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.fault.is_none()) {
        if let Some(status @ (401 | 403 | 429)) = entry.status {
            *counts.entry(status).or_default() += 1;
        }
    }
    counts
}

/// Role writes that were carried out and changed nothing.
pub fn redundant(log: &[RequestEntry], changes: &Changes) -> usize {
    let is_role = |entry: &&RequestEntry| is_write(entry) && entry.path.contains("/roles/");
    let done = log.iter().filter(is_role).filter(|entry| match &entry.fault {
        Some(fault) if fault == "lose_answer" => true,
        Some(fault) if fault == "lie" => false,
        _ => entry.status == Some(204),
    });
    let changed: usize = changes.given.values().chain(changes.taken.values()).sum();
    done.count().saturating_sub(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/v10/guilds/1/members/2/roles/3";

    fn write(host: &str, at: u64) -> RequestEntry {
        RequestEntry {
            number: 0,
            at: "2027-01-01T00:00:00Z".parse().unwrap(),
            elapsed_ms: at,
            host: Some(host.to_owned()),
            method: "PUT".to_owned(),
            path: PATH.to_owned(),
            query: String::new(),
            status: Some(204),
            bucket: None,
            reason: None,
            fault: None,
        }
    }

    fn bots() -> BTreeMap<String, Instance> {
        let bots = Instance::ALL.into_iter().rev().take(2);
        ["a", "b"].into_iter().map(str::to_owned).zip(bots).collect()
    }

    #[test]
    fn a_lease_that_changes_hands_and_comes_back_in_its_time_is_no_fault() {
        let log = [
            write("a", 0),
            write("b", 3_100),
            write("b", 6_000),
            write("a", 9_000),
        ];
        assert_eq!(two_at_once(&log, &bots()), Vec::<String>::new());
    }

    #[test]
    fn bots_that_take_turns_within_a_lease_are_two_at_once() {
        let log = [write("a", 0), write("b", 100), write("a", 200)];
        assert_eq!(two_at_once(&log, &bots()).len(), 1);
    }

    #[test]
    fn a_write_that_changed_nothing_is_redundant_and_a_lie_is_not() {
        let mut lie = write("a", 2);
        lie.fault = Some("lie".to_owned());
        let mut lost = write("a", 3);
        (lost.fault, lost.status) = (Some("lose_answer".to_owned()), None);
        let log = [write("a", 0), write("a", 1), lie, lost];
        let changes = Changes {
            given: BTreeMap::from([((2, 3), 1)]),
            taken: BTreeMap::new(),
        };
        assert_eq!(redundant(&log, &changes), 2);
    }

    #[test]
    fn what_a_fault_answers_is_no_refusal_of_discords() {
        let mut own = write("a", 0);
        own.status = Some(429);
        let mut made = own.clone();
        made.fault = Some("too_many".to_owned());
        assert_eq!(refusals(&[own, made]), BTreeMap::from([(429, 1)]));
    }
}
