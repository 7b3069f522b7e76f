//! S8: events that no webhook brought are found in Stripe's own list.

use std::{collections::BTreeSet, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::cron_runs::{find_run, insert_manual_run};
use rolecall_domain::ids::uuid_v7;
use rolecall_queue::{Queue, jobs::RunCron};
use rolecall_sandbox::stripe::{
    faults::{FaultKind, Snapshot},
    story::Action,
};
use rolecall_worker::{cron, ctx::Ctx, handlers};
use serde_json::json;

use crate::support::{
    Person, World,
    plans::{COUNCIL, member_role},
    soon,
};

const SWEEP: &str = "stripe_events_sweep";

/// The numbers of an outcome: listed, missing, taken in.
fn numbers(outcome: &str) -> [usize; 3] {
    let numbers: Vec<usize> = outcome
        .split(' ')
        .filter_map(|word| word.parse().ok())
        .take(3)
        .collect();
    numbers.try_into().unwrap_or_else(|_| panic!("{outcome}"))
}

impl World {
    /// Sweeps; what was listed, missing and taken in.
    async fn sweep_events(&self) -> [usize; 3] {
        numbers(self.cron(SWEEP).await.as_str().unwrap())
    }

    /// Sweeps as this worker, however it ends; the state of the run and its outcome.
    async fn try_sweep(&self, ctx: &Ctx) -> (String, String) {
        let id = uuid_v7(self.now(), &*self.rng);
        let mut tx = ctx.db.begin().await.unwrap();
        insert_manual_run(&mut tx, id, SWEEP, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        cron::run_and_note(ctx, cron::find(SWEEP).unwrap(), id)
            .await
            .unwrap();
        let mut tx = ctx.db.begin().await.unwrap();
        let run = find_run(&mut tx, id).await.unwrap().unwrap();
        (run.state, run.outcome.unwrap())
    }

    /// Has somebody ask for a sweep; its outcome.
    async fn sweep_by_hand(&self) -> String {
        let run_id = uuid_v7(self.now(), &*self.rng);
        let mut tx = self.worker.db.begin().await.unwrap();
        insert_manual_run(&mut tx, run_id, SWEEP, self.now())
            .await
            .unwrap();
        tx.commit().await.unwrap();
        let asked = RunCron {
            job: SWEEP.to_owned(),
            run_id,
            requested_at: self.now(),
        };
        handlers::run_cron::run(Arc::clone(&self.worker), asked, self.attempt())
            .await
            .unwrap();
        let mut tx = self.worker.db.begin().await.unwrap();
        find_run(&mut tx, run_id).await.unwrap().unwrap().outcome.unwrap()
    }

    async fn kept(&self) -> BTreeSet<String> {
        let rows = self.rows("SELECT to_jsonb(event_id) FROM inbox").await;
        rows.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    async fn swept_to(&self) -> Option<DateTime<Utc>> {
        let rows = self.rows("SELECT to_jsonb(swept_to) FROM event_sweeps").await;
        rows.first().map(|time| time.as_str().unwrap().parse().unwrap())
    }

    /// What the sweep has asked Stripe for.
    fn lists(&self) -> Vec<Vec<(String, String)>> {
        let requests = self.stripe.requests();
        let lists = requests
            .into_iter()
            .filter(|request| request.path == "/v1/events");
        lists.map(|request| request.params).collect()
    }

    /// So many people buy; nobody is told.
    async fn buyers(&self, count: usize) -> Vec<(Person, String)> {
        let mut people = Vec::new();
        for _ in 0..count {
            let person = self.person().await;
            let subscription = self.buy(&person, COUNCIL);
            people.push((person, subscription));
        }
        people
    }

    /// Stripe makes an event of a time that has passed, about a subscription as it is now.
    fn late_event(&self, subscription: &str, ago: TimeDelta) {
        let object = self.stripe.object(subscription).unwrap();
        self.advance(-ago);
        self.stripe
            .with(|stripe| stripe.emit("customer.subscription.deleted", object, None));
        self.advance(ago);
    }

    fn fail_one_list(&self, after: u32) {
        if after > 0 {
            let slow = FaultKind::Slow {
                delay_ms: 0,
                snapshot: Snapshot::After,
            };
            self.fault("/v1/events", after, slow);
        }
        let down = FaultKind::Status {
            status: 500,
            retry_after: None,
            applied: false,
        };
        self.fault("/v1/events", 1, down);
    }

    fn assert_all_have_the_role(&self, people: &[(Person, String)]) {
        for (person, subscription) in people {
            assert_eq!(self.roles(person), [member_role()].into(), "{subscription}");
        }
    }
}

#[tokio::test]
async fn a_tenth_of_all_webhooks_is_lost_and_everybody_gets_their_role() {
    let world = World::start().await;
    let people = world.buyers(8).await;
    let (lost, told): (Vec<_>, Vec<_>) = world
        .new_events()
        .into_iter()
        .enumerate()
        // One in ten by chance, and all that was about the first of them.
        .partition(|(n, event)| n % 10 == 3 || event.payload.get().contains(&people[0].1));
    for (_, event) in &told {
        world.deliver(event).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.roles(&people[0].0), [].into());
    assert!(lost.len() >= 5, "{}", lost.len());

    let [listed, missing, taken_in] = world.sweep_events().await;
    assert_eq!(listed, lost.len() + told.len());
    assert!(missing == taken_in && missing > 0, "{missing} {taken_in}");
    let counted = world.worker.metrics.swept_events.get();
    assert_eq!(usize::try_from(counted).unwrap(), taken_in);
    world.settle().await;
    world.assert_all_have_the_role(&people);
    assert_eq!(world.mail.messages().len(), 8, "each was welcomed once");
    let open = "SELECT to_jsonb(event_id) FROM inbox WHERE state = 'pending'";
    assert!(world.rows(open).await.is_empty());

    // Now the inbox lacks nothing: a second sweep has nothing to do.
    let [listed_again, missing, _] = world.sweep_events().await;
    assert_eq!((listed_again, missing), (listed, 0));
    // An event that comes after all is known.
    for (_, event) in &lost {
        world.deliver(event).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.mail.messages().len(), 8);
}

#[tokio::test]
async fn two_sweeps_at_once_double_nothing() {
    let world = World::start().await;
    let people = world.buyers(4).await;
    let other = world.another_worker("worker-1");
    let both = async { tokio::join!(world.try_sweep(&world.worker), world.try_sweep(&other)) };
    let ((one, first), (two, second)) = soon(Box::pin(both)).await;
    assert_eq!((one.as_str(), two.as_str()), ("succeeded", "succeeded"));
    let taken_in = numbers(&first)[2] + numbers(&second)[2];
    assert_eq!(taken_in, world.kept().await.len());
    assert!(taken_in > 0);
    world.settle().await;
    world.assert_all_have_the_role(&people);
    assert_eq!(world.mail.messages().len(), 4);
}

#[tokio::test]
async fn more_events_than_a_page_are_read_page_by_page_and_a_failing_page_loses_nothing() {
    let world = World::start().await;
    let people = world.buyers(2).await;
    let events = |world: &World| world.stripe.read(|stripe| stripe.events.rows().len());
    while events(&world) <= 200 {
        for (_, subscription) in &people {
            world.stripe.renew(subscription).unwrap();
        }
    }
    // Of a month of days without events, and three pages of the last moment, the two oldest pages fail: the
    // events that made the subscriptions are on the last one.
    world.fail_one_list(1 + 30 + 1);
    let (state, outcome) = world.try_sweep(&world.worker).await;
    assert_eq!(state, "failed");
    assert!(outcome.contains("HTTP 500"), "{outcome}");
    let kept = world.kept().await;
    assert!(!kept.is_empty(), "the pages before were taken in");

    let [listed, missing, taken_in] = world.sweep_events().await;
    assert_eq!(listed, events(&world));
    assert!(missing > 0 && missing == taken_in);
    assert_eq!(
        world.kept().await.len(),
        kept.len() + taken_in,
        "nothing was taken in twice"
    );
    let newest = world
        .stripe
        .read(|stripe| stripe.events.rows().last().unwrap().created);
    assert_eq!(world.swept_to().await.unwrap().timestamp(), newest);
    let sizes: BTreeSet<_> = world
        .lists()
        .iter()
        .flatten()
        .filter(|(name, _)| name == "limit")
        .map(|(_, value)| value.clone())
        .collect();
    assert_eq!(sizes, ["100".to_owned()].into());
    world.settle().await;
    world.assert_all_have_the_role(&people);
}

#[tokio::test]
async fn an_event_of_the_other_mode_is_not_taken() {
    let world = World::start().await;
    world.buyers(1).await;
    let live = Ctx {
        livemode: true,
        ..world.another_worker("worker-live")
    };
    let (state, outcome) = world.try_sweep(&live).await;
    let [listed, missing, taken_in] = numbers(&outcome);
    assert_eq!((state.as_str(), missing, taken_in), ("succeeded", 0, 0));
    assert!(
        outcome.contains(&format!("{listed} of the other mode")),
        "{outcome}"
    );
    assert!(world.kept().await.is_empty());
    // What was swept in live mode does not count as swept in test mode.
    world.advance(TimeDelta::days(2));
    assert!(world.sweep_events().await[2] > 0);
}

#[tokio::test]
async fn an_event_that_appears_late_is_found() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.sweep_events().await;
    world.settle().await;
    let newest = world.swept_to().await.unwrap();
    // It ends, and the only event about it appears later among older ones.
    world
        .stripe
        .with(|stripe| stripe.quietly(|stripe| stripe.act(&subscription, &Action::Cancel)))
        .unwrap();
    world.late_event(&subscription, world.now() - newest + TimeDelta::minutes(50));
    assert_eq!(world.sweep_events().await[1..], [1, 1]);
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
}

#[tokio::test]
async fn a_gap_of_weeks_is_closed_piece_by_piece_from_where_the_last_run_ended() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.sweep_events().await;
    world.settle().await;
    let began = world.swept_to().await.unwrap();
    // The endpoint is disabled for a week, and something happens every day.
    for _ in 0..7 {
        world.advance(TimeDelta::days(1));
        world.stripe.renew(&subscription).unwrap();
    }
    world.stripe.cancel(&subscription).unwrap();
    world.new_events();
    // The list that tells the newest, and three days; then Stripe is away.
    world.fail_one_list(4);
    assert_eq!(world.try_sweep(&world.worker).await.0, "failed");
    let middle = world.swept_to().await.unwrap();
    assert_eq!(middle, began - TimeDelta::hours(1) + TimeDelta::days(3));
    let before = world.lists().len();
    assert!(world.sweep_events().await[2] > 0);
    let rest = &world.lists()[before..];
    assert!((5..=6).contains(&rest.len()), "the days that are left: {rest:?}");
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    // A day's piece ends where the next begins, and after the gap one list is enough.
    let before = world.lists().len();
    assert_eq!(world.sweep_events().await[1], 0);
    assert_eq!(world.lists().len(), before + 1);
}

#[tokio::test]
async fn the_first_sweep_takes_in_all_that_stripe_still_lists() {
    let world = World::start().await;
    let mut people = world.buyers(1).await;
    world.advance(TimeDelta::days(20));
    people.extend(world.buyers(1).await);
    world.sweep_events().await;
    assert_eq!(world.lists().len(), 1, "all of it is on one page");
    world.settle().await;
    world.assert_all_have_the_role(&people);
}

#[tokio::test]
async fn a_first_sweep_that_is_cut_off_goes_on_where_it_ended() {
    let world = World::start().await;
    let people = world.buyers(20).await;
    world.advance(TimeDelta::days(20));
    world.stripe.renew(&people[0].1).unwrap();
    world.fail_one_list(15);
    assert_eq!(world.try_sweep(&world.worker).await.0, "failed");
    let swept_to = world.swept_to().await.unwrap();
    let days = (world.now() - swept_to).num_days();
    assert!((1..20).contains(&days), "{days} days are left");
    let before = world.lists().len();
    world.sweep_events().await;
    let rest = i64::try_from(world.lists().len() - before).unwrap();
    assert!((days..=days + 3).contains(&rest), "{rest} lists for {days} days");
    world.settle().await;
    world.assert_all_have_the_role(&people);
}

#[tokio::test]
async fn a_sweep_by_hand_compares_all_that_stripe_still_lists() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(25));
    world.stripe.renew(&subscription).unwrap();
    world.sweep_events().await;
    world.settle().await;
    // What ended weeks ago was told by one event, which got lost after it had been compared.
    world
        .stripe
        .with(|stripe| stripe.quietly(|stripe| stripe.act(&subscription, &Action::Cancel)))
        .unwrap();
    world.late_event(&subscription, TimeDelta::days(20));
    assert_eq!(
        world.sweep_events().await[1],
        0,
        "by the clock only what is new is compared"
    );
    assert_eq!(numbers(&world.sweep_by_hand().await)[1..], [1, 1]);
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    assert_eq!(numbers(&world.sweep_by_hand().await)[1], 0, "it is known now");
}

#[tokio::test]
async fn without_any_event_there_is_nothing_to_do() {
    let world = World::start().await;
    assert_eq!(world.sweep_events().await, [0, 0, 0]);
    assert_eq!(world.swept_to().await, None);
}

#[tokio::test]
async fn what_was_taken_in_waits_in_the_inbox_and_not_in_redis() {
    let world = World::start().await;
    let people = world.buyers(1).await;
    world.sweep_events().await;
    assert!(world.redis.take(Queue::Jobs).await.is_empty());
    world.redis.flush().await;
    world.settle().await;
    world.assert_all_have_the_role(&people);
}

#[tokio::test]
async fn an_event_that_hints_at_nothing_of_ours_is_not_kept() {
    let world = World::start().await;
    world.stripe.with(|stripe| {
        stripe.emit(
            "topup.created",
            json!({ "id": "tu_1", "object": "topup", "amount": 5 }),
            None,
        );
    });
    assert_eq!(world.sweep_events().await, [1, 0, 0]);
    assert!(world.kept().await.is_empty());
}

#[tokio::test]
async fn stripe_says_no_and_the_next_run_tries_again() {
    let world = World::start().await;
    let people = world.buyers(1).await;
    for (fault, words) in [
        (
            FaultKind::Status {
                status: 401,
                retry_after: None,
                applied: false,
            },
            "STRIPE_SECRET_KEY",
        ),
        (
            FaultKind::Status {
                status: 429,
                retry_after: None,
                applied: false,
            },
            "rate limit",
        ),
        (
            FaultKind::Garbage,
            "was answered with HTTP 200, not as Stripe does",
        ),
    ] {
        world.fault("/v1/events", 1, fault);
        let (state, outcome) = world.try_sweep(&world.worker).await;
        assert_eq!(state, "failed", "{outcome}");
        assert!(outcome.contains(words), "{outcome}");
    }
    world.sweep_events().await;
    world.settle().await;
    world.assert_all_have_the_role(&people);
}

#[tokio::test]
async fn what_the_inbox_forgets_is_too_old_for_stripe_to_list() {
    let world = World::start().await;
    let people = world.buyers(1).await;
    world.deliver_new().await;
    let old = world.kept().await;
    // When an event came in is noted by the database's clock.
    world
        .postgres
        .tamper("UPDATE inbox SET seen_at = seen_at - interval '44 days'")
        .await
        .unwrap();
    assert_eq!(
        world.cron("retention").await,
        "0 runs, 0 sessions and 0 events forgotten"
    );
    world.advance(TimeDelta::days(31));
    world.stripe.renew(&people[0].1).unwrap();
    world.deliver_new().await;
    world
        .postgres
        .tamper("UPDATE inbox SET seen_at = seen_at - interval '2 days'")
        .await
        .unwrap();
    let forgotten = world.cron("retention").await;
    let expected = format!("and {} events forgotten", old.len());
    assert!(forgotten.as_str().unwrap().ends_with(&expected), "{forgotten}");
    let left = world.kept().await;
    assert!(left.is_disjoint(&old) && !left.is_empty(), "{left:?}");
    assert_eq!(world.sweep_events().await[1], 0, "nothing comes in again");
}

#[tokio::test]
async fn ten_workers_sweep_once_a_tick() {
    let world = World::start().await;
    world.buyers(1).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let mut tickers = tokio::task::JoinSet::new();
    for n in 0..10 {
        let ctx = Arc::new(world.another_worker(&format!("worker-{n}")));
        tickers.spawn(cron::ticker::run(ctx, stop.clone()));
    }
    tokio::task::yield_now().await;
    world.advance(TimeDelta::minutes(5));
    crate::support::until(async || world.swept_to().await.is_some()).await;
    stop.cancel();
    soon(tickers.join_all()).await;
    let runs = world
        .rows("SELECT to_jsonb(t) FROM cron_runs t WHERE job = 'stripe_events_sweep'")
        .await;
    assert_eq!(runs.len(), 1, "{runs:?}");
}
