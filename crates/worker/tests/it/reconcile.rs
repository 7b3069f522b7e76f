//! The full sweep: what differs is found and said, mended by the way of every event, and nobody loses anything to
//! a list that lies.

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use rolecall_db::{
    reconcile_findings::{Finding, FindingState, list_findings},
    reconcile_runs::{
        NewRun, Run, RunState, Scope, approve_reconcile_run, find_reconcile_run, insert_reconcile_run,
    },
};
use rolecall_domain::ids::uuid_v7;
use rolecall_queue::Queue;
use rolecall_sandbox::stripe::{
    faults::{FaultKind, RequestFault},
    story::Action,
    world::Metadata,
};
use rolecall_worker::{ctx::Ctx, reconcile::work_on};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{
    Person, World,
    plans::{COUNCIL, member_role, patron_role},
    soon, until,
};

/// The list, and no single subscription.
const LIST: &str = "GET /v1/subscriptions";

/// What is asked of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    DryRun,
    Apply,
    Yes,
}

impl World {
    async fn request_run(&self, ask: Ask) -> Uuid {
        let run = NewRun {
            id: uuid_v7(self.now(), &*self.rng),
            scope: Scope::Stripe,
            dry_run: ask == Ask::DryRun,
            requested_by: "cli",
            approved: ask == Ask::Yes,
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_reconcile_run(&mut tx, &run, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        run.id
    }

    /// Who works on the only run, or did.
    async fn hands(&self) -> Vec<serde_json::Value> {
        self.rows("SELECT to_jsonb(worker) FROM reconcile_runs").await
    }

    /// How many answers Stripe keeps back.
    fn held(&self) -> u64 {
        self.stripe.read(|stripe| stripe.faults.held())
    }

    pub(crate) async fn reconcile(&self, ask: Ask) -> (Run, BTreeMap<String, Finding>) {
        let id = self.request_run(ask).await;
        work_on(&self.worker, id)
            .await
            .unwrap()
            .expect("nobody else has it");
        let run = self.run(id).await;
        let findings = self.findings(id).await;
        self.settle().await;
        (run, findings)
    }

    async fn run(&self, id: Uuid) -> Run {
        let mut tx = self.worker.db.begin().await.unwrap();
        find_reconcile_run(&mut tx, id).await.unwrap().unwrap()
    }

    async fn findings(&self, id: Uuid) -> BTreeMap<String, Finding> {
        let mut tx = self.worker.db.begin().await.unwrap();
        let findings = list_findings(&mut tx, id, None, 1_000).await.unwrap();
        findings
            .into_iter()
            .map(|finding| (finding.object_id.clone(), finding))
            .collect()
    }

    async fn approve(&self, id: Uuid) -> bool {
        let mut tx = self.worker.db.begin().await.unwrap();
        let approved = approve_reconcile_run(&mut tx, id, "staff:1", self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        approved
    }

    /// Something happens at Stripe, and no event ever tells.
    pub(crate) fn silently(&self, subscription: &str, action: &Action) {
        self.stripe
            .with(|stripe| stripe.quietly(|stripe| stripe.act(subscription, action)))
            .unwrap();
    }

    async fn council_members(&self, count: usize) -> Vec<(Person, String)> {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(self.council_member().await);
        }
        people
    }

    fn list_fault(&self, fault: FaultKind) {
        self.stripe.add_request_fault(RequestFault {
            path_contains: Some(LIST.to_owned()),
            times: Some(1),
            fault,
        });
    }

    fn all_have_the_role(&self, people: &[(Person, String)]) {
        for (person, subscription) in people {
            assert_eq!(self.roles(person), [member_role()].into(), "{subscription}");
        }
    }

    /// Every subscription as it is kept, with the version of its last write.
    async fn stored(&self) -> Vec<serde_json::Value> {
        self.rows("SELECT to_jsonb(s) FROM subscriptions s ORDER BY id")
            .await
    }
}

fn after(requests: u32, then: FaultKind) -> FaultKind {
    FaultKind::After {
        requests,
        then: Box::new(then),
    }
}

const SERVER_ERROR: FaultKind = FaultKind::Status {
    status: 503,
    retry_after: None,
    applied: false,
};

#[tokio::test]
async fn where_nothing_differs_nothing_is_found_and_nothing_is_read_alone() {
    let world = World::start().await;
    let people = world.council_members(3).await;
    let statuses = [Action::FailPayment, Action::Cancel, Action::PauseCollection];
    for ((_, subscription), action) in people.iter().zip(&statuses) {
        world.stripe.act(subscription, action).unwrap();
    }
    world.follow().await;
    let (kept, requests) = (world.stored().await, world.stripe.requests().len());
    let (run, findings) = world.reconcile(Ask::DryRun).await;
    assert_eq!((run.state, findings.len()), (RunState::Done, 0), "{findings:?}");
    assert_eq!(
        (run.figures.known, run.figures.listed),
        (3, 3),
        "those that ended too"
    );
    assert_eq!(
        world.stripe.requests().len(),
        requests + 4,
        "one page of each list and no more"
    );
    assert_eq!(world.stored().await, kept);
}

#[tokio::test]
async fn a_dry_run_says_what_differs_and_what_it_would_change_and_changes_nothing() {
    let world = World::start().await;
    let people = world.council_members(4).await;
    let [(gone, ended), (_, more), (up, upgraded), _] = people.as_slice() else {
        panic!("four people")
    };
    world.silently(ended, &Action::Cancel);
    world.silently(more, &Action::SetQuantity { quantity: 3 });
    let price = crate::support::plans::PATRON.to_owned();
    world.silently(upgraded, &Action::SetPrice { price });
    let newcomer = world.person().await;
    let missing = world.buy(&newcomer, COUNCIL);
    let kept = world.stored().await;

    let (run, findings) = world.reconcile(Ask::DryRun).await;
    assert_eq!(run.state, RunState::Done);
    assert_eq!((run.figures.findings, run.figures.removals), (4, 1));
    let of = |id: &str| findings.get(id).unwrap_or_else(|| panic!("{id} in {findings:?}"));
    let ends = of(ended);
    assert_eq!(ends.kind.as_str(), "status_differs");
    assert!(
        ends.reason
            .starts_with("status differs: active here, canceled at Stripe"),
        "{}",
        ends.reason
    );
    assert_eq!((ends.member_id, ends.removes_access), (Some(gone.id), true));
    assert_eq!(
        ends.losses.iter().map(|role| role.role).collect::<Vec<_>>(),
        [member_role()]
    );
    assert_eq!(ends.ours.as_ref().unwrap()["status"], "active");
    assert_eq!(ends.theirs.as_ref().unwrap()["status"], "canceled");
    assert_eq!(of(more).kind.as_str(), "quantity_differs");
    assert!(
        of(more).reason.contains("1 here, 3 at Stripe"),
        "{}",
        of(more).reason
    );
    assert!(of(more).gains.is_empty() && of(more).losses.is_empty());
    assert_eq!(of(upgraded).kind.as_str(), "price_differs");
    assert_eq!(of(upgraded).member_id, Some(up.id));
    assert_eq!(
        of(upgraded)
            .gains
            .iter()
            .map(|role| role.role)
            .collect::<Vec<_>>(),
        [patron_role()]
    );
    assert_eq!(of(&missing).kind.as_str(), "missing_here");
    assert_eq!(of(&missing).member_id, Some(newcomer.id), "by its metadata");
    assert_eq!(of(&missing).ours, None);

    assert_eq!(world.stored().await, kept, "nothing is written");
    world.all_have_the_role(&people);
}

#[tokio::test]
async fn what_no_event_ever_told_is_mended_and_nothing_else_is_touched() {
    let world = World::start().await;
    let people = world.council_members(4).await;
    let (gone, ended) = &people[0];
    world.silently(ended, &Action::Cancel);
    world.silently(&people[1].1, &Action::SetQuantity { quantity: 3 });
    let newcomer = world.person().await;
    world.buy(&newcomer, COUNCIL);
    world.new_events();
    let before = world.stored().await;
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!(run.state, RunState::Done, "{run:?}");
    assert!(
        findings
            .values()
            .all(|finding| finding.state == FindingState::Applied),
        "{findings:?}"
    );
    assert_eq!((run.figures.applied, run.figures.failed), (3, 0));
    assert_eq!(world.roles(gone), [].into());
    assert_eq!(world.roles(&newcomer), [member_role()].into());
    assert_eq!(world.subscriptions(&people[1].0).await[0].quantity, 3);
    world.all_have_the_role(&people[1..]);
    let kept = world.stored().await;
    let touched = |id: &str| before.iter().any(|row| row["id"] == id && !kept.contains(row));
    for (_, subscription) in &people {
        assert_eq!(
            touched(subscription),
            findings.contains_key(subscription),
            "{subscription}"
        );
    }
    let (again, findings) = world.reconcile(Ask::DryRun).await;
    assert_eq!((again.figures.findings, findings.len()), (0, 0), "{findings:?}");
}

#[tokio::test]
async fn one_percent_of_drift_among_many_is_healed_and_the_rest_is_left_alone() {
    let world = World::start().await;
    let ids = world.stripe.seed_many(COUNCIL, 300).unwrap();
    let (first, _) = world.reconcile(Ask::Apply).await;
    assert_eq!((first.figures.listed, first.figures.applied), (300, 300));
    for id in ids.iter().step_by(100) {
        world.silently(id, &Action::Cancel);
    }
    let reads = |world: &World| world.stripe.requests().len();
    let before = reads(&world);
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!((run.figures.findings, run.figures.applied), (3, 3));
    assert_eq!(findings.len(), 3);
    assert_eq!(
        reads(&world),
        before + 3 + 3 + 3,
        "three pages, the lists of money, and three reads"
    );
    let ended = world
        .rows("SELECT to_jsonb(id) FROM subscriptions WHERE status = 'canceled'")
        .await;
    assert_eq!(ended.len(), 3);
    let rewritten = world
        .rows("SELECT to_jsonb(id) FROM subscriptions WHERE version > 1")
        .await;
    assert_eq!(rewritten.len(), 3);
}

#[tokio::test]
async fn what_stripe_does_not_know_any_more_ends() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let other = world.council_members(2).await;
    // It is kept under an id that Stripe has never given, and what Stripe has is over.
    world
        .postgres
        .tamper("UPDATE subscriptions SET id = 'sub_gone' WHERE id = (SELECT min(s.id) FROM subscriptions s JOIN discord_accounts d USING (member_id) WHERE d.user_id = 900001)")
        .await
        .unwrap();
    world.silently(&subscription, &Action::Cancel);
    let (dry, findings) = world.reconcile(Ask::DryRun).await;
    let unknown = &findings["sub_gone"];
    assert_eq!(unknown.kind.as_str(), "unknown_at_stripe");
    assert!(unknown.removes_access && unknown.theirs.is_none(), "{unknown:?}");
    assert_eq!(dry.figures.removals, 1);
    assert_eq!(world.roles(&person), [member_role()].into());
    let (run, _) = world.reconcile(Ask::Apply).await;
    assert_eq!((run.state, run.figures.failed), (RunState::Done, 0));
    assert_eq!(world.roles(&person), [].into());
    world.all_have_the_role(&other);
    assert_eq!(world.reconcile(Ask::DryRun).await.0.figures.findings, 0);
}

#[tokio::test]
async fn another_persons_subscription_goes_to_whom_stripe_names() {
    let world = World::start().await;
    let (former, subscription) = world.council_member().await;
    let owner = world.person().await;
    let metadata = Metadata::from([("rolecall_member_id".to_owned(), owner.id.to_string())]);
    world.stripe.with(|stripe| {
        stripe.subscriptions.get_mut(&subscription).unwrap().metadata = metadata;
    });
    let (dry, findings) = world.reconcile(Ask::DryRun).await;
    let finding = &findings[&subscription];
    assert_eq!(finding.kind.as_str(), "another_persons");
    assert_eq!(
        (finding.member_id, finding.other_member_id),
        (Some(former.id), Some(owner.id))
    );
    assert_eq!(dry.figures.removals, 1, "the former owner would lose it");
    world.reconcile(Ask::Apply).await;
    assert_eq!(world.roles(&former), [].into());
    assert_eq!(world.roles(&owner), [member_role()].into());
}

#[tokio::test]
async fn a_price_that_no_plan_sells_is_noted_for_the_owner() {
    let world = World::start().await;
    let seed = rolecall_sandbox::stripe::PriceSeed::usd(
        "price_mug",
        "Mug",
        900,
        Some(rolecall_sandbox::stripe::world::catalog::Interval::Month),
    );
    world.stripe.seed_price(&seed);
    let person = world.person().await;
    let subscription = world.buy(&person, "price_mug");
    world.follow().await;
    let (run, findings) = world.reconcile(Ask::Apply).await;
    let finding = &findings[&subscription];
    assert_eq!(
        (finding.kind.as_str(), finding.state),
        ("price_without_plan", FindingState::Noted)
    );
    assert!(finding.reason.contains("price_mug"), "{}", finding.reason);
    assert_eq!((run.state, run.figures.noted), (RunState::Done, 1));
}

#[tokio::test]
async fn an_empty_list_removes_nobody_not_even_with_a_yes() {
    let world = World::start().await;
    let people = world.council_members(3).await;
    world.list_fault(FaultKind::EmptyList);
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!(run.state, RunState::Held);
    assert!(
        run.hold_reasons[0].contains("no subscription at all, and 3 are known"),
        "{run:?}"
    );
    assert!(
        findings
            .values()
            .all(|finding| finding.state == FindingState::Open
                && finding.kind.as_str() == "not_listed"
                && finding.removes_access),
        "{findings:?}"
    );
    world.all_have_the_role(&people);
    // Each is asked for alone before anything is changed.
    assert!(world.approve(run.id).await);
    work_on(&world.worker, run.id).await.unwrap();
    world.settle().await;
    let run = world.run(run.id).await;
    assert_eq!((run.state, run.figures.applied), (RunState::Done, 3));
    world.all_have_the_role(&people);
}

#[tokio::test]
async fn half_a_list_removes_nobody() {
    let world = World::start().await;
    let people = world.council_members(4).await;
    world.list_fault(FaultKind::HalfList);
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!((run.state, findings.len()), (RunState::Done, 0), "{findings:?}");
    assert_eq!(
        (run.figures.listed, run.figures.unlisted),
        (2, 2),
        "they were asked for alone"
    );
    world.all_have_the_role(&people);
}

#[tokio::test]
async fn less_than_half_a_list_is_held_although_everybody_is_still_there() {
    let world = World::start().await;
    let people = world.council_members(5).await;
    world.list_fault(FaultKind::HalfList);
    let (run, _) = world.reconcile(Ask::Apply).await;
    assert_eq!(run.state, RunState::Held);
    assert!(
        run.hold_reasons[0].contains("listed 2") && run.hold_reasons[0].contains("5 are known"),
        "{run:?}"
    );
    world.all_have_the_role(&people);
}

#[tokio::test]
async fn the_key_of_another_account_removes_nobody_although_its_list_is_long() {
    let world = World::start().await;
    let people = world.council_members(3).await;
    // What is kept is of an account that Stripe's answers do not come from.
    world
        .postgres
        .tamper("UPDATE subscriptions SET id = 'sub_other' || substr(id, 5)")
        .await
        .unwrap();
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!(run.state, RunState::Held);
    assert_eq!(
        (run.figures.listed, run.figures.removals),
        (3, 0),
        "they would be given back"
    );
    assert!(
        run.hold_reasons[0].contains("of 3 subscriptions that live here Stripe's list names 0"),
        "{run:?}"
    );
    assert_eq!(findings.len(), 6);
    world.all_have_the_role(&people);
}

#[tokio::test]
async fn a_list_that_fails_on_a_later_page_changes_nothing() {
    let world = World::start().await;
    let people = world.council_members(2).await;
    world.stripe.seed_many(COUNCIL, 260).unwrap();
    // There is something to mend, on the first page.
    let newcomer = world.person().await;
    world.buy(&newcomer, COUNCIL);
    world.new_events();
    let kept = world.stored().await;
    for (fault, words) in [
        (after(2, SERVER_ERROR), "HTTP 503"),
        (after(1, FaultKind::Garbage), "not as Stripe does"),
        (after(1, FaultKind::EndlessList), "goes round in circles"),
    ] {
        world.stripe.clear_request_faults();
        world.list_fault(fault);
        let (run, _) = world.reconcile(Ask::Yes).await;
        assert_eq!(run.state, RunState::Failed, "{words}");
        let error = run.error.unwrap();
        assert!(error.contains(words), "{error}");
        assert_eq!(world.stored().await, kept, "{words}");
        world.all_have_the_role(&people);
    }
    world.stripe.clear_request_faults();
    let (run, _) = world.reconcile(Ask::Apply).await;
    assert_eq!((run.state, run.figures.applied), (RunState::Done, 261));
}

#[tokio::test]
async fn more_removals_than_may_be_wait_for_a_yes() {
    let world = World::start().await;
    let people = world.council_members(12).await;
    for (_, subscription) in &people[..11] {
        world.silently(subscription, &Action::Cancel);
    }
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!(run.state, RunState::Held);
    assert_eq!((run.figures.removals, run.figures.removal_limit), (11, 10));
    assert!(run.hold_reasons[0].contains("11 of 12 people"), "{run:?}");
    assert_eq!(findings.len(), 11);
    world.all_have_the_role(&people);
    // Nobody works on it, however often it is hinted at.
    assert!(work_on(&world.worker, run.id).await.unwrap().is_none());
    world.sweep().await;
    world.all_have_the_role(&people);

    assert!(world.approve(run.id).await);
    assert!(!world.approve(run.id).await, "it is under way");
    world.sweep().await;
    let run = world.run(run.id).await;
    assert_eq!((run.state, run.figures.applied), (RunState::Done, 11), "{run:?}");
    assert_eq!(run.approved_by.as_deref(), Some("staff:1"));
    for (person, _) in &people[..11] {
        assert_eq!(world.roles(person), [].into());
    }
    world.all_have_the_role(&people[11..]);
}

#[tokio::test]
async fn the_owners_own_limit_counts_people_and_not_subscriptions() {
    let world = World::start().await;
    let (person, first) = world.council_member().await;
    let second = world.buy(&person, COUNCIL);
    world.follow().await;
    let limited = Ctx {
        max_removals: Some(0),
        ..world.another_worker("worker-limited")
    };
    // One of two is no loss.
    world.silently(&first, &Action::Cancel);
    let id = world.request_run(Ask::Apply).await;
    let run = work_on(&limited, id).await.unwrap().unwrap();
    assert_eq!((run.state, run.figures.removals), (RunState::Done, 0));
    world.silently(&second, &Action::Cancel);
    let id = world.request_run(Ask::Apply).await;
    let run = work_on(&limited, id).await.unwrap().unwrap();
    assert_eq!((run.state, run.figures.removals), (RunState::Held, 1));
}

#[tokio::test]
async fn the_findings_of_a_dry_run_are_applied_with_a_yes() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.silently(&subscription, &Action::Cancel);
    let (run, _) = world.reconcile(Ask::DryRun).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert!(world.approve(run.id).await);
    work_on(&world.worker, run.id).await.unwrap();
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    assert_eq!(world.run(run.id).await.state, RunState::Done);
    assert!(!world.approve(run.id).await, "once");
}

#[tokio::test]
async fn a_worker_that_dies_while_it_mends_leaves_the_rest_to_the_next() {
    let world = World::start().await;
    let people = world.council_members(10).await;
    for (_, subscription) in &people {
        world.silently(subscription, &Action::Cancel);
    }
    // Some are never answered: the worker hangs on them and dies.
    let mut ids: Vec<&String> = people.iter().map(|(_, subscription)| subscription).collect();
    ids.sort_unstable();
    for id in &ids[4..8] {
        world.fault(id, 1, FaultKind::Hang { applied: false });
    }
    let id = world.request_run(Ask::Yes).await;
    let doomed = Arc::new(world.another_worker("worker-doomed"));
    let mut working = JoinSet::new();
    working.spawn(async move { work_on(&doomed, id).await });
    let settled = async || {
        let findings = world.findings(id).await;
        findings
            .values()
            .filter(|finding| finding.state == FindingState::Applied)
            .count()
    };
    until(async || settled().await == 4).await;
    soon(working.shutdown()).await;
    world.stripe.clear_request_faults();

    // Its claim still stands.
    assert!(work_on(&world.worker, id).await.unwrap().is_none());
    let reads: Vec<usize> = ids[..4].iter().map(|id| world.reads(id)).collect();
    world.advance(TimeDelta::minutes(3));
    world.cron("due_sweep").await;
    world.settle().await;
    let run = world.run(id).await;
    assert_eq!(
        (run.state, run.figures.applied, run.figures.failed),
        (RunState::Done, 10, 0)
    );
    let again: Vec<usize> = ids[..4].iter().map(|id| world.reads(id)).collect();
    assert_eq!(again, reads, "what was mended is not mended twice");
    for (person, _) in &people {
        assert_eq!(world.roles(person), [].into());
    }
    let lost = world
        .rows("SELECT detail FROM audit_log WHERE action = 'roles.change' AND detail->'lost' <> '[]'")
        .await;
    assert_eq!(lost.len(), 10, "each person lost their role once");
}

#[tokio::test]
async fn two_workers_that_work_on_the_same_run_do_it_once() {
    let world = World::start().await;
    let people = world.council_members(8).await;
    for (_, subscription) in &people {
        world.silently(subscription, &Action::Cancel);
        world.hold_reads(subscription, 1);
    }
    let id = world.request_run(Ask::Yes).await;
    let slow = Arc::new(world.another_worker("worker-slow"));
    let mut working = JoinSet::new();
    working.spawn(async move { work_on(&slow, id).await });
    until(async || world.held() > 0).await;
    // It is taken for dead, and is not.
    let first = world.hands().await;
    world.advance(TimeDelta::minutes(1));
    let other = Arc::clone(&world.worker);
    working.spawn(async move { work_on(&other, id).await });
    until(async || world.hands().await != first).await;
    world.stripe.clear_request_faults();
    for ended in soon(working.join_all()).await {
        ended.unwrap();
    }
    world.settle().await;
    let run = world.run(id).await;
    assert_eq!(
        (run.state, run.figures.applied, run.figures.failed),
        (RunState::Done, 8, 0),
        "{run:?}"
    );
    for (person, _) in &people {
        assert_eq!(world.roles(person), [].into());
    }
    let lost = world
        .rows("SELECT detail FROM audit_log WHERE action = 'roles.change' AND detail->'lost' <> '[]'")
        .await;
    assert_eq!(lost.len(), 8, "each person lost their role once");
}

#[tokio::test]
async fn who_was_too_slow_with_a_run_leaves_it_to_another_task_of_the_same_process() {
    let world = World::start().await;
    world.council_members(2).await;
    let id = world.request_run(Ask::DryRun).await;
    world.hold_reads(LIST, 2);
    let work = || {
        let ctx = Arc::clone(&world.worker);
        async move { work_on(&ctx, id).await.unwrap() }
    };
    let mut working = JoinSet::new();
    for both in [1, 2] {
        working.spawn(work());
        until(async || world.held() == both).await;
        world.advance(TimeDelta::minutes(1));
    }
    for (state, why) in [
        (RunState::Reading, "the second is still at it"),
        (RunState::Done, "the second has done it"),
    ] {
        world.stripe.answer_held();
        let run = soon(working.join_next()).await.unwrap().unwrap();
        assert_eq!(run.map(|run| run.state), Some(state), "{why}");
    }
}

#[tokio::test]
async fn a_worker_that_is_told_to_stop_leaves_its_run_to_another_at_once() {
    let world = World::start().await;
    world.council_members(2).await;
    let id = world.request_run(Ask::DryRun).await;
    let stopping = world.another_worker("worker-stopping");
    stopping.stop.cancel();
    let left = soon(work_on(&stopping, id)).await.unwrap();
    assert_eq!(left.map(|run| run.state), Some(RunState::Reading));
    let taken_up = work_on(&world.worker, id).await.unwrap();
    assert_eq!(taken_up.map(|run| run.state), Some(RunState::Done));
}

#[tokio::test]
async fn what_was_committed_but_not_noted_is_covered_when_it_is_taken_up_again() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.silently(&subscription, &Action::Cancel);
    let (run, _) = world.reconcile(Ask::Apply).await;
    assert_eq!(world.roles(&person), [].into());
    let reads = world.reads(&subscription);
    world
        .postgres
        .tamper("UPDATE reconcile_findings SET state = 'open', settled_at = NULL; UPDATE reconcile_runs SET state = 'applying', finished_at = NULL")
        .await
        .unwrap();
    work_on(&world.worker, run.id).await.unwrap();
    let run = world.run(run.id).await;
    assert_eq!((run.state, run.figures.applied), (RunState::Done, 1));
    assert_eq!(world.reads(&subscription), reads, "no second read");
}

#[tokio::test]
async fn a_stripe_that_is_away_in_the_middle_is_waited_for() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.silently(&subscription, &Action::Cancel);
    world.fault(&subscription, 2, SERVER_ERROR);
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!(run.state, RunState::Applying);
    assert!(findings[&subscription].error.as_deref().unwrap().contains("503"));
    assert_eq!(world.roles(&person), [member_role()].into());
    for _ in 0..2 {
        world.advance(TimeDelta::minutes(1));
        world.cron("due_sweep").await;
        world.settle().await;
    }
    assert_eq!(world.run(run.id).await.state, RunState::Done);
    assert_eq!(world.roles(&person), [].into());
}

#[tokio::test]
async fn a_run_whose_hint_was_lost_is_taken_up_and_the_clock_asks_for_runs_by_itself() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.silently(&subscription, &Action::Cancel);
    let id = world.request_run(Ask::Apply).await;
    world.advance(TimeDelta::minutes(1));
    world.cron("due_sweep").await;
    let hints = world.redis.take(Queue::Jobs).await;
    assert_eq!(hints.iter().filter(|job| job.kind == "reconcile").count(), 1);
    assert_eq!(world.run(id).await.state, RunState::Requested);

    let outcome = world.cron("reconcile").await;
    assert!(
        outcome.as_str().unwrap().contains("1 findings: 1 mended"),
        "{outcome}"
    );
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    world.list_fault(FaultKind::EmptyList);
    let outcome = world.cron("reconcile").await;
    assert!(outcome.as_str().unwrap().starts_with("held: "), "{outcome}");
}
