//! S9: an event that was given up is replayed once its cause is mended.

use chrono::TimeDelta;
use rolecall_db::inbox_admin::set_event_replayed;
use rolecall_sandbox::stripe::faults::FaultKind;
use serde_json::{Value, json};

use crate::support::{
    World,
    plans::{COUNCIL, member_role},
};

impl World {
    async fn replay(&self, id: &str) {
        let mut tx = self.worker.db.begin().await.unwrap();
        assert!(
            set_event_replayed(&mut tx, &id.parse().unwrap(), self.now())
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
    }

    async fn in_state(&self, state: &str) -> Vec<Value> {
        let rows = self
            .rows("SELECT jsonb_build_array(state, event_id) FROM inbox ORDER BY event_id")
            .await;
        let found = rows.into_iter().filter(|row| row[0] == state);
        found.map(|row| row[1].clone()).collect()
    }
}

#[tokio::test]
async fn a_poison_event_dies_alone_and_takes_effect_when_it_is_replayed() {
    let world = World::start().await;
    let (poisoned, healthy) = (world.person().await, world.person().await);
    let subscription = world.buy(&poisoned, COUNCIL);
    world.fault(
        &subscription,
        1_000,
        FaultKind::Status {
            status: 400,
            retry_after: None,
            applied: false,
        },
    );
    for event in world.new_events() {
        world.deliver(&event).await.ok();
    }
    world.buy(&healthy, COUNCIL);
    world.follow().await;
    assert_eq!(world.roles(&healthy), [member_role()].into(), "the line went on");
    // Each time longer than any wait between attempts.
    for _ in 0..12 {
        world.advance(TimeDelta::hours(24));
        world.sweep().await;
    }
    let dead = world.in_state("dead").await;
    assert!(!dead.is_empty() && world.in_state("pending").await.is_empty());
    let failure = world
        .rows("SELECT jsonb_build_array(attempts, last_error) FROM inbox WHERE state = 'dead' LIMIT 1")
        .await;
    assert_eq!(failure[0][0], json!(12));
    assert!(
        failure[0][1].as_str().unwrap().contains(&subscription),
        "{failure:?}"
    );

    world.stripe.clear_request_faults();
    world.sweep().await;
    assert_eq!(world.in_state("dead").await, dead, "it waits for staff");
    world.replay(dead[0].as_str().unwrap()).await;
    world.settle().await;
    assert_eq!(world.roles(&poisoned), [member_role()].into());
    assert_eq!(world.in_state("dead").await, dead[1..]);
}

#[tokio::test]
async fn an_event_that_took_effect_is_read_again_when_it_is_replayed() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let events = world.events();
    let event = events
        .iter()
        .find(|event| event.event_type == "customer.subscription.created")
        .unwrap();
    // It ended, and no event told.
    world
        .stripe
        .with(|stripe| {
            stripe
                .quietly(|stripe| stripe.act(&subscription, &rolecall_sandbox::stripe::story::Action::Cancel))
        })
        .unwrap();
    let reads = world.reads(&subscription);
    world.replay(event.event_id.as_str()).await;
    world.settle().await;
    assert_eq!(world.reads(&subscription), reads + 1);
    assert_eq!(world.roles(&person), [].into());
}
