//! Reads that come in together are written together; and what goes wrong for one of them goes wrong for nobody else.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Transaction, member_guilds::lock_member_guild, members::lock_member, subscriptions::set_standing,
};
use rolecall_domain::{ids::MemberId, standing::Standing};
use rolecall_sandbox::stripe::{story::Action, world::Metadata};
use rolecall_worker::{
    error::WorkError,
    sync::{Hint, Synced, sync_subscription},
};
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::{
    pumping::updated,
    support::{
        Person, World,
        plans::{COUNCIL, PATRON, guild, member_role, patron_role},
        soon, until,
    },
};

/// A statement that waits for a lock for ten seconds fails, and then each is tried alone in any case.
const BEFORE_LOCKS_ARE_GIVEN_UP: Duration = Duration::from_secs(8);

/// Syncs that run, by their subscriptions.
type Syncs = JoinSet<(String, Result<Synced, WorkError>)>;

impl World {
    async fn ended_members(&self, count: usize) -> Vec<(Person, String)> {
        let mut people = Vec::new();
        for _ in 0..count {
            people.push(self.council_member().await);
        }
        for (_, subscription) in &people {
            self.silently(subscription, &Action::Cancel);
        }
        people
    }

    fn sync<'a>(&self, syncs: &mut Syncs, subscriptions: impl IntoIterator<Item = &'a String>) {
        for subscription in subscriptions {
            let (worker, subscription) = (Arc::clone(&self.worker), subscription.clone());
            // Whatever was read before, it is read again.
            let seen_at = DateTime::<Utc>::MAX_UTC;
            syncs.spawn(async move {
                let id = subscription.parse().unwrap();
                let outcome = sync_subscription(&worker, &id, Hint::seen(seen_at)).await;
                (subscription, outcome)
            });
        }
    }

    /// Somebody else is at work on these people until it is dropped.
    async fn hold(&self, people: &[MemberId]) -> Transaction {
        let mut tx = self.worker.db.begin().await.unwrap();
        for member_id in people {
            lock_member(&mut tx, *member_id).await.unwrap();
        }
        tx
    }

    pub(crate) async fn waits_for_locks(&self, count: usize) {
        let waiting = async || {
            self.rows(
                "SELECT to_jsonb(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .await
            .len()
        };
        until(async || waiting().await == count).await;
    }

    /// The first two of them come to a stop while they write, and the others after they were read.
    async fn gather(&self, people: &[(Person, String)]) -> (Transaction, Syncs) {
        let (first, others) = people.split_at(2);
        let held: Vec<MemberId> = first.iter().map(|(person, _)| person.id).collect();
        let gate = self.hold(&held).await;
        let mut syncs = Syncs::new();
        self.sync(&mut syncs, first.iter().map(|(_, subscription)| subscription));
        self.waits_for_locks(2).await;
        self.sync(&mut syncs, others.iter().map(|(_, subscription)| subscription));
        let all = i64::try_from(others.len()).unwrap();
        until(async || self.worker.metrics.unwritten_reads.get() == all).await;
        (gate, syncs)
    }

    /// In how many commits the subscriptions were last written.
    async fn commits(&self) -> usize {
        let writers = self.rows("SELECT to_jsonb(xmin::text) FROM subscriptions").await;
        let distinct: BTreeSet<String> = writers.iter().map(ToString::to_string).collect();
        distinct.len()
    }

    async fn losses(&self) -> usize {
        self.rows("SELECT detail FROM audit_log WHERE action = 'roles.change' AND detail->'lost' <> '[]'")
            .await
            .len()
    }
}

#[tokio::test]
async fn what_waits_to_be_written_is_written_in_few_commits_and_each_person_once() {
    let world = World::start().await;
    let people = world.ended_members(10).await;
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        let (subscription, outcome) = synced.unwrap();
        assert_eq!(outcome.unwrap(), Synced::Read, "{subscription}");
    }
    assert_eq!(world.commits().await, 3, "two alone, and the rest together");
    world.settle().await;
    for (person, subscription) in &people {
        assert_eq!(world.roles(person), [].into(), "{subscription}");
    }
    assert_eq!(world.losses().await, people.len());
}

#[tokio::test]
async fn whoever_somebody_else_is_at_work_on_keeps_nobody_waiting() {
    let world = World::start().await;
    let people = world.ended_members(8).await;
    let (busy, subscription) = &people[7];
    let other = world.hold(&[busy.id]).await;
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    for _ in 0..7 {
        let done = timeout(BEFORE_LOCKS_ARE_GIVEN_UP, syncs.join_next()).await;
        let (done, outcome) = done.expect("somebody is waited for").unwrap().unwrap();
        assert_ne!(done, *subscription);
        assert_eq!(outcome.unwrap(), Synced::Read, "{done}");
    }
    other.rollback().await.unwrap();
    let (done, outcome) = soon(syncs.join_next()).await.unwrap().unwrap();
    assert_eq!((done, outcome.unwrap()), (subscription.clone(), Synced::Read));
    world.settle().await;
    assert_eq!(world.roles(busy), [].into());
    assert_eq!(world.losses().await, 8);
}

#[tokio::test]
async fn what_postgres_refuses_of_one_is_the_failure_of_that_one_alone() {
    let world = World::start().await;
    let people = world.ended_members(8).await;
    world
        .postgres
        .tamper(
            "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               IF NEW.id = (SELECT max(id) FROM subscriptions) THEN RAISE EXCEPTION 'refused'; END IF;
               RETURN NEW; END $$;
             CREATE TRIGGER refused BEFORE UPDATE ON subscriptions FOR EACH ROW EXECUTE FUNCTION refused()",
        )
        .await
        .unwrap();
    let refused = people.iter().map(|(_, subscription)| subscription).max().unwrap();
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        let (subscription, outcome) = synced.unwrap();
        assert_eq!(
            outcome.is_err(),
            subscription == *refused,
            "{subscription}: {outcome:?}"
        );
    }
    world.settle().await;
    for (person, subscription) in &people {
        let roles = if subscription == refused {
            [member_role()].into()
        } else {
            [].into()
        };
        assert_eq!(world.roles(person), roles, "{subscription}");
    }
}

#[tokio::test]
async fn two_subscriptions_of_one_person_that_end_together_are_converged_once() {
    let world = World::start().await;
    let mut people = world.ended_members(3).await;
    let (person, council) = world.council_member().await;
    let patron = world.buy(&person, PATRON);
    world.follow().await;
    for subscription in [council, patron] {
        world.silently(&subscription, &Action::Cancel);
        people.push((person.clone(), subscription));
    }
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        assert_eq!(synced.unwrap().1.unwrap(), Synced::Read);
    }
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    assert_eq!(world.losses().await, 4, "each person lost what they had once");
}

#[tokio::test]
async fn new_customers_that_come_together_are_linked_and_given_their_roles() {
    let world = World::start().await;
    let mut people = world.ended_members(2).await;
    for _ in 0..6 {
        let person = world.person().await;
        let subscription = world.buy(&person, COUNCIL);
        people.push((person, subscription));
    }
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        assert_eq!(synced.unwrap().1.unwrap(), Synced::Read);
    }
    world.settle().await;
    for (person, subscription) in &people[2..] {
        assert_eq!(world.roles(person), [member_role()].into(), "{subscription}");
    }
}

#[tokio::test]
async fn whoever_loses_a_subscription_is_not_waited_for_while_others_are_held() {
    let world = World::start().await;
    let people = world.ended_members(6).await;
    let (former, moving) = world.council_member().await;
    let owner = world.person().await;
    let metadata = Metadata::from([("rolecall_member_id".to_owned(), owner.id.to_string())]);
    world.stripe.with(|stripe| {
        stripe.subscriptions.get_mut(&moving).unwrap().metadata = metadata;
    });
    let everybody: Vec<_> = people
        .iter()
        .cloned()
        .chain([(owner.clone(), moving.clone())])
        .collect();
    let busy = world.hold(&[former.id]).await;
    let (gate, mut syncs) = world.gather(&everybody).await;
    gate.rollback().await.unwrap();
    for _ in &people {
        let done = timeout(BEFORE_LOCKS_ARE_GIVEN_UP, syncs.join_next()).await;
        let (done, outcome) = done.expect("somebody is waited for").unwrap().unwrap();
        assert_ne!(done, moving);
        assert_eq!(outcome.unwrap(), Synced::Read, "{done}");
    }
    busy.rollback().await.unwrap();
    let (_, outcome) = soon(syncs.join_next()).await.unwrap().unwrap();
    assert_eq!(outcome.unwrap(), Synced::Read);
    world.settle().await;
    world.advance(TimeDelta::minutes(1));
    world.sweep().await;
    assert_eq!(world.roles(&owner), [member_role()].into());
    assert_eq!(world.roles(&former), [].into());
}

#[tokio::test]
async fn those_who_are_written_for_keep_nobody_from_writing() {
    let world = World::start().await;
    let mut people = world.ended_members(7).await;
    let (newcomer, subscription) = people.pop().unwrap();
    let (slow, _) = &people[5];
    let mut elsewhere = world.worker.db.begin().await.unwrap();
    lock_member_guild(&mut elsewhere, guild(), slow.user)
        .await
        .unwrap();
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    for _ in 0..2 {
        soon(syncs.join_next()).await.unwrap().unwrap().1.unwrap();
    }
    // All the others are in one batch, which waits for a row of one of them.
    world.waits_for_locks(1).await;
    world.sync(&mut syncs, [&subscription]);
    let (done, outcome) = soon(syncs.join_next()).await.unwrap().unwrap();
    assert_eq!((done, outcome.unwrap()), (subscription, Synced::Read));
    elsewhere.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        synced.unwrap().1.unwrap();
    }
    world.settle().await;
    assert_eq!(world.roles(&newcomer), [].into());
    assert_eq!(world.losses().await, 7);
}

#[tokio::test]
async fn a_read_that_was_given_up_never_takes_the_place_of_a_newer_one() {
    let world = World::start().await;
    let mut people = world.ended_members(2).await;
    let (person, subscription) = world.council_member().await;
    let (gate, mut syncs) = world.gather(&people).await;
    let mut given_up = Syncs::new();
    world.sync(&mut given_up, [&subscription]);
    until(async || world.worker.metrics.unwritten_reads.get() == 1).await;
    given_up.shutdown().await;
    world.silently(&subscription, &Action::Cancel);
    world.sync(&mut syncs, [&subscription]);
    until(async || world.worker.metrics.unwritten_reads.get() == 2).await;
    gate.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        assert_eq!(synced.unwrap().1.unwrap(), Synced::Read);
    }
    assert_eq!(world.worker.metrics.unwritten_reads.get(), 0);
    world.settle().await;
    people.push((person, subscription));
    for (person, subscription) in &people {
        assert_eq!(world.roles(person), [].into(), "{subscription}");
    }
}

#[tokio::test]
async fn what_one_customer_bought_goes_together_if_one_of_it_names_somebody() {
    let world = World::start().await;
    let mut people = world.ended_members(2).await;
    for names_first in [true, false] {
        let person = world.person().await;
        let mut bought = [world.buy(&person, COUNCIL), world.buy(&person, PATRON)];
        bought.sort();
        let [first, second] = &bought;
        world.same_customer(first, second);
        world.forget_name(if names_first { second } else { first });
        people.extend(bought.map(|subscription| (person.clone(), subscription)));
    }
    let (gate, mut syncs) = world.gather(&people).await;
    gate.rollback().await.unwrap();
    while let Some(synced) = soon(syncs.join_next()).await {
        assert_eq!(synced.unwrap().1.unwrap(), Synced::Read);
    }
    world.settle().await;
    for (person, subscription) in &people[2..] {
        let roles = [member_role(), patron_role()].into();
        assert_eq!(world.roles(person), roles, "{subscription}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_in_somebody_s_way_is_tried_again_and_spends_no_attempt() {
    let world = Arc::new(World::start().await);
    let (person, subscription) = world.council_member().await;
    world.silently(&subscription, &Action::Cancel);
    let object = world.stripe.object(&subscription).unwrap();
    let id = subscription.parse().unwrap();
    // In the wrong order: what is theirs before the person.
    let mut elsewhere = world.worker.db.begin().await.unwrap();
    set_standing(&mut elsewhere, &id, Standing::Active, None, true)
        .await
        .unwrap();
    let mut delivery = JoinSet::new();
    let worker = Arc::clone(&world);
    delivery.spawn(async move { worker.deliver(&updated("evt_1", &object)).await });
    world.waits_for_locks(1).await;
    // Whoever has waited longer is given up: that is not us, unless the machine is very busy.
    if let Err(error) = lock_member(&mut elsewhere, person.id).await {
        assert!(error.is_deadlock(), "{error:?}");
    }
    elsewhere.rollback().await.unwrap();
    soon(delivery.join_next()).await.unwrap().unwrap().ok();
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    let attempts = "SELECT jsonb_build_array(state, attempts) FROM inbox WHERE event_id = 'evt_1'";
    assert_eq!(world.rows(attempts).await, [json!(["done", 0])]);
}
