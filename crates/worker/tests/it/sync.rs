//! Stripe's events become subscriptions: each once in effect, in any order, by the newest read.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::inbox::{InboxState, find_seen};
use rolecall_domain::{ids::StripeEventId, standing::Standing};
use rolecall_queue::jobs::StripeEvent;
use rolecall_sandbox::stripe::{EndpointConfig, faults::FaultKind, story::Action, world};
use rolecall_stripe::error::StripeError;
use rolecall_worker::{error::WorkError, handlers::stripe_event, intake::refill};
use serde_json::{Value, json, value::RawValue};
use tokio::{task::JoinSet, time::Instant};

use crate::support::{
    PATIENCE, World, event,
    plans::{COUNCIL, PATRON, member_role},
    receiver::Receiver,
    soon, work_off,
};

impl World {
    async fn inbox_state(&self, id: &StripeEventId) -> Option<InboxState> {
        let mut tx = self.worker.db.begin().await.unwrap();
        find_seen(&mut tx, id).await.unwrap().map(|seen| seen.state)
    }

    async fn inbox_row(&self, id: &str) -> Value {
        let rows = self.rows("SELECT to_jsonb(t) - 'payload' FROM inbox t").await;
        let mut rows = rows.into_iter();
        rows.find(|row| row["event_id"] == id).unwrap()
    }

    /// The newest event of a type.
    fn newest(&self, kind: &str) -> StripeEvent {
        self.events()
            .into_iter()
            .rev()
            .find(|event| event.event_type == kind)
            .unwrap()
    }
}

/// An event of any kind about any object, as Stripe would send it.
fn made_up(id: &str, kind: &str, object: &serde_json::Value) -> StripeEvent {
    event(&json!({
        "id": id, "object": "event", "type": kind, "created": 1_790_000_000, "livemode": false,
        "data": { "object": object },
    }))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_delivered_three_times_at_once_is_in_effect_once() {
    let world = Arc::new(World::start().await);
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    let mut set = JoinSet::new();
    for event in world.events() {
        for _ in 0..3 {
            let (world, event) = (Arc::clone(&world), event.clone());
            set.spawn(async move { world.deliver(&event).await.unwrap() });
        }
    }
    soon(set.join_all()).await;
    world.settle().await;
    let inbox = world.rows("SELECT to_jsonb(t) FROM inbox t").await;
    assert_eq!(inbox.len(), world.events().len());
    assert!(
        inbox
            .iter()
            .all(|row| row["state"] == "done" || row["state"] == "ignored"),
        "{inbox:?}"
    );
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.mail.messages().len(), 1, "welcome mails");
    world
        .deliver(&world.newest("customer.subscription.created"))
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(
        world.mail.messages().len(),
        1,
        "welcome mails after one more delivery"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_with_the_old_state_never_overwrites_a_newer_one() {
    for is_stored_before in [false, true] {
        let world = Arc::new(World::start().await);
        let other = Arc::new(world.another_worker("worker-1"));
        let person = world.person().await;
        let subscription = world.buy(&person, COUNCIL);
        let created = world.newest("customer.subscription.created");
        if is_stored_before {
            world.deliver(&created).await.unwrap();
            world
                .stripe
                .act(&subscription, &Action::CancelAtPeriodEnd)
                .unwrap();
        }
        let told = if is_stored_before {
            world.newest("customer.subscription.updated")
        } else {
            created
        };
        let before = world.reads(&subscription);

        // The first worker asks while it is active, and hears the answer late.
        world.hold_reads(&subscription, 1);
        let mut slow = JoinSet::new();
        let first = Arc::clone(&world);
        slow.spawn(async move { first.deliver(&told).await });
        let path = format!("/v1/subscriptions/{subscription}");
        let asked = |stripe: &world::World| {
            stripe
                .requests
                .iter()
                .filter(|request| request.path == path)
                .count()
                > before
        };
        world.stripe.wait_for("a read", PATIENCE, asked).await.unwrap();
        // The second one does not hear of the first one's turn, and reads that it has ended.
        world.redis.flush().await;
        world.stripe.cancel(&subscription).unwrap();
        let ended = world.newest("customer.subscription.deleted");
        world.deliver_to(&other, &ended).await.unwrap();
        assert_eq!(world.subscriptions(&person).await[0].standing, Standing::Ended);

        world.stripe.answer_held();
        soon(slow.join_next()).await.unwrap().unwrap().unwrap();
        assert_eq!(
            world.subscriptions(&person).await[0].standing,
            Standing::Ended,
            "stored: {is_stored_before}"
        );
        // The slow one sees that it lost, and that the winner's read covers its event.
        assert_eq!(world.reads(&subscription), before + 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_events_at_once_cost_at_most_three_reads() {
    let world = Arc::new(World::start().await);
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    let object = world.stripe.object(&subscription).unwrap();
    let mut set = JoinSet::new();
    for n in 0..50 {
        let world = Arc::clone(&world);
        let event = made_up(&format!("evt_burst{n}"), "customer.subscription.updated", &object);
        set.spawn(async move { world.deliver(&event).await.unwrap() });
    }
    soon(set.join_all()).await;
    work_off(&world.worker).await.unwrap();
    let reads = world.reads(&subscription);
    assert!((1..=3).contains(&reads), "{reads} reads");
    let open = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE state <> 'done'")
        .await;
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn an_event_that_says_nothing_new_is_read_and_leaves_the_person_as_they_are() {
    let world = World::start().await;
    let (_, subscription) = world.council_member().await;
    let person =
        || world.rows("SELECT jsonb_build_object('row', m.ctid, 'written', m.xmin::text) FROM members m");
    let (before, reads) = (person().await, world.reads(&subscription));
    let object = world.stripe.object(&subscription).unwrap();
    let again = made_up("evt_again", "customer.subscription.updated", &object);
    world.deliver(&again).await.unwrap();
    assert_eq!(world.reads(&subscription), reads + 1);
    assert_eq!(person().await, before, "nobody is converged for it");
    assert_eq!(world.count("pending").await, 0);
    // And the next one that says something is not overlooked.
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    assert_ne!(person().await, before);
}

#[tokio::test]
async fn a_subscription_that_becomes_somebody_elses_gives_to_one_and_takes_from_the_other() {
    let world = World::start().await;
    let (former, subscription) = world.council_member().await;
    let owner = world.person().await;
    let metadata = world::Metadata::from([("rolecall_member_id".to_owned(), owner.id.to_string())]);
    world.stripe.with(|stripe| {
        stripe.subscriptions.get_mut(&subscription).unwrap().metadata = metadata;
    });
    let object = world.stripe.object(&subscription).unwrap();
    let moved = made_up("evt_moved", "customer.subscription.updated", &object);
    world.deliver(&moved).await.unwrap();
    world.settle().await;
    world.advance(TimeDelta::minutes(1));
    world.sweep().await;
    assert_eq!(world.roles(&owner), [member_role()].into());
    assert_eq!(world.roles(&former), [].into());
}

#[tokio::test]
async fn an_event_after_the_last_read_is_read_again() {
    let world = World::start().await;
    let (_, subscription) = world.council_member().await;
    let reads = world.reads(&subscription);
    world.stripe.cancel(&subscription).unwrap();
    world
        .deliver(&world.newest("customer.subscription.deleted"))
        .await
        .unwrap();
    assert_eq!(world.reads(&subscription), reads + 1);
}

#[tokio::test]
async fn an_event_of_an_unknown_type_is_kept_and_ignored() {
    let world = World::start().await;
    let unknown = made_up(
        "evt_riddle",
        "issuing_card.created",
        &json!({ "id": "ic_1", "object": "issuing.card" }),
    );
    world.deliver(&unknown).await.unwrap();
    assert_eq!(
        world.inbox_state(&unknown.event_id).await,
        Some(InboxState::Ignored)
    );
    assert!(world.stripe.requests().is_empty());
}

#[tokio::test]
async fn an_event_of_the_other_mode_is_dropped() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    let live = StripeEvent {
        livemode: true,
        ..world.newest("customer.subscription.created")
    };
    world.deliver(&live).await.unwrap();
    assert_eq!(world.inbox_state(&live.event_id).await, None);
    assert!(world.stripe.requests().is_empty());
}

#[tokio::test]
async fn a_poison_event_ends_dead_with_its_error_and_does_not_stop_the_others() {
    let world = World::start().await;
    let object = json!({ "id": "sub_gone", "object": "subscription" });
    let poison = made_up("evt_poison", "customer.subscription.updated", &object);
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    let failed = world.deliver(&poison).await;
    assert!(
        matches!(failed, Err(WorkError::Stripe(StripeError::NotFound { .. }))),
        "{failed:?}"
    );
    world.follow().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    let mut waits = Vec::new();
    for attempt in 1..12 {
        let row = world.inbox_row("evt_poison").await;
        assert_eq!(
            (&row["state"], &row["attempts"]),
            (&json!("pending"), &json!(attempt)),
            "{row}"
        );
        let next: DateTime<Utc> = row["next_attempt_at"].as_str().unwrap().parse().unwrap();
        waits.push((next - world.now()).num_seconds());
        // The simulators' time has a coarser grain.
        world.advance(next - world.now() + TimeDelta::milliseconds(1));
        world.take_up().await;
    }
    let row = world.inbox_row("evt_poison").await;
    assert_eq!(
        (&row["state"], &row["attempts"], &row["next_attempt_at"]),
        (&json!("dead"), &json!(12), &json!(null))
    );
    assert!(row["last_error"].as_str().unwrap().contains("sub_gone"), "{row}");
    // The schedule, and up to a fifth more.
    for (wait, scheduled) in waits
        .iter()
        .zip([2, 15, 60, 300, 1_800, 7_200, 21_600, 43_200, 43_200])
    {
        assert!((scheduled..=scheduled * 6 / 5).contains(wait), "{waits:?}");
    }
    // It is for staff now: one more delivery changes nothing, nor does the sweeper.
    world.deliver(&poison).await.unwrap();
    world.sweep().await;
    assert_eq!(world.inbox_state(&poison.event_id).await, Some(InboxState::Dead));
    assert_eq!(world.reads("sub_gone"), 12);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_dead_at_once_and_the_events_beside_it_are_kept() {
    let world = Arc::new(World::start().await);
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    let mut riddle = made_up(
        "evt_riddle",
        "customer.subscription.updated",
        &json!({ "id": "sub_1" }),
    );
    riddle.payload = RawValue::from_string(r#"{"type":"invoice.paid","n":1e999}"#.to_owned()).unwrap();
    let mut set = JoinSet::new();
    for event in world.new_events().into_iter().chain([riddle]) {
        let world = Arc::clone(&world);
        set.spawn(async move { world.hand_over(&world.worker, &event).await });
    }
    soon(set.join_all()).await;
    world.settle().await;
    let row = world.inbox_row("evt_riddle").await;
    assert_eq!((&row["state"], &row["attempts"]), (&json!("dead"), &json!(1)));
    assert!(
        row["last_error"].as_str().unwrap().contains("cannot be read"),
        "{row}"
    );
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn an_event_that_postgres_refuses_keeps_no_other_out() {
    let world = Arc::new(World::start().await);
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    let mut refused = made_up(
        "evt_refused",
        "customer.subscription.updated",
        &json!({ "id": "sub_1" }),
    );
    refused.event_type = "nul\0".to_owned();
    let mut set = JoinSet::new();
    for event in world.new_events().into_iter().chain([refused]) {
        let (world, attempt) = (Arc::clone(&world), world.attempt());
        let worker = Arc::clone(&world.worker);
        set.spawn(async move { stripe_event::run(worker, event, attempt).await.is_err() });
    }
    let refusals = soon(set.join_all()).await;
    assert_eq!(refusals.iter().filter(|refused| **refused).count(), 1);
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn a_checkout_that_stripe_does_not_know_is_tried_again() {
    let world = World::start().await;
    let object = json!({ "id": "cs_test_1", "object": "checkout.session" });
    let unknown = made_up("evt_unknown", "checkout.session.completed", &object);
    let failed = world.deliver(&unknown).await;
    assert!(
        matches!(failed, Err(WorkError::Stripe(StripeError::NotFound { .. }))),
        "{failed:?}"
    );
    assert_eq!(
        world.inbox_state(&unknown.event_id).await,
        Some(InboxState::Pending)
    );
}

#[tokio::test]
async fn a_subscription_that_stripe_does_not_find_is_tried_again_and_not_taken_for_ended() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world
        .stripe
        .act(&subscription, &Action::CancelAtPeriodEnd)
        .unwrap();
    let updated = world.newest("customer.subscription.updated");
    world.fault(
        &subscription,
        1,
        FaultKind::Status {
            status: 404,
            retry_after: None,
            applied: false,
        },
    );
    let failed = world.deliver(&updated).await;
    assert!(
        matches!(failed, Err(WorkError::Stripe(StripeError::NotFound { .. }))),
        "{failed:?}"
    );
    assert_eq!(world.subscriptions(&person).await[0].standing, Standing::Active);
    world.try_again().await;
    assert!(world.subscriptions(&person).await[0].cancel_at_period_end);
}

#[tokio::test]
async fn stripe_says_when_to_come_back() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.fault(
        &subscription,
        1,
        FaultKind::Status {
            status: 429,
            retry_after: Some(17),
            applied: false,
        },
    );
    let created = world.newest("customer.subscription.created");
    let failed = world.deliver(&created).await;
    assert!(
        matches!(failed, Err(WorkError::Stripe(StripeError::RateLimited { .. }))),
        "{failed:?}"
    );
    let row = world.inbox_row(created.event_id.as_str()).await;
    let next: DateTime<Utc> = row["next_attempt_at"].as_str().unwrap().parse().unwrap();
    let wait = (next - world.now()).num_seconds();
    assert!((17..=17 * 6 / 5).contains(&wait), "{wait} s");
    assert_eq!(row["state"], "pending");
    // The same worker keeps away from Stripe until then; one that has just started does not know.
    assert!(
        world
            .worker
            .pump
            .take(Instant::now() + Duration::from_secs(16))
            .is_none()
    );
    world.advance(TimeDelta::seconds(wait + 1));
    let other = Arc::new(world.another_worker("worker-1"));
    refill::fill(&other, 100).await.unwrap();
    work_off(&other).await.unwrap();
    assert_eq!(world.inbox_state(&created.event_id).await, Some(InboxState::Done));
}

#[tokio::test]
async fn a_stripe_that_asks_to_be_left_alone_again_and_again_costs_no_event_its_attempts() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    let busy = FaultKind::Status {
        status: 429,
        retry_after: Some(1),
        applied: false,
    };
    world.fault(&subscription, 15, busy);
    let created = world.newest("customer.subscription.created");
    world.deliver(&created).await.unwrap_err();
    for round in 0..15 {
        let row = world.inbox_row(created.event_id.as_str()).await;
        assert_eq!((&row["state"], &row["attempts"]), (&json!("pending"), &json!(0)));
        world.advance(TimeDelta::seconds(2));
        let other = Arc::new(world.another_worker(&format!("worker-{round}")));
        refill::fill(&other, 100).await.unwrap();
        work_off(&other).await.ok();
    }
    assert_eq!(world.inbox_state(&created.event_id).await, Some(InboxState::Done));
}

#[tokio::test]
async fn garbage_and_server_errors_from_stripe_change_nothing_and_are_tried_again() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.stripe.cancel(&subscription).unwrap();
    let ended = world.newest("customer.subscription.deleted");
    let status = |status| FaultKind::Status {
        status,
        retry_after: None,
        applied: false,
    };
    // A refused key is nothing that an event could have tried against.
    let faults = [(FaultKind::Garbage, 1), (status(500), 2), (status(401), 2)];
    for (fault, attempts) in faults {
        world.fault(&subscription, 1, fault.clone());
        if fault == FaultKind::Garbage {
            let failed = world.deliver(&ended).await;
            assert!(
                matches!(failed, Err(WorkError::Stripe(_))),
                "{fault:?}: {failed:?}"
            );
        } else {
            world.try_again().await;
        }
        assert_eq!(
            world.subscriptions(&person).await[0].standing,
            Standing::Active,
            "{fault:?}"
        );
        assert_eq!(
            world.inbox_row(ended.event_id.as_str()).await["attempts"],
            attempts,
            "{fault:?}"
        );
    }
    world.advance(TimeDelta::minutes(2));
    world.take_up().await;
    assert_eq!(world.subscriptions(&person).await[0].standing, Standing::Ended);
}

#[tokio::test]
async fn events_of_an_older_api_version_have_the_same_effect() {
    let world = World::start().await;
    let person = world.person().await;
    let receiver = Receiver::start().await;
    world.stripe.add_endpoint(&EndpointConfig {
        api_version: Some("2024-06-20".to_owned()),
        ..EndpointConfig::all(receiver.url(), "whsec_old")
    });
    let subscription = world.buy(&person, PATRON);
    world.stripe.fail_payment(&subscription).unwrap();
    let bodies = receiver.bodies(world.events().len()).await;
    let failed = bodies
        .iter()
        .find(|body| body["type"] == "invoice.payment_failed")
        .unwrap();
    let invoice = &failed["data"]["object"];
    assert_eq!(
        (&failed["api_version"], &invoice["subscription"]),
        (&json!("2024-06-20"), &json!(subscription))
    );
    assert!(invoice.get("parent").is_none(), "not the old shape");
    // The one that names the subscription in the old place only.
    world.deliver(&event(failed)).await.unwrap();
    world.settle().await;
    let stored = &world.subscriptions(&person).await[0];
    assert_eq!(stored.facts.owed_since, Some(event(failed).created));
    assert!(
        matches!(stored.standing, Standing::Grace { .. }),
        "{:?}",
        stored.standing
    );
    for body in &bodies {
        world.deliver(&event(body)).await.unwrap();
    }
    let open = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE state NOT IN ('done', 'ignored')")
        .await;
    assert!(open.is_empty(), "{open:?}");
}
