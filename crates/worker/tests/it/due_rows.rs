//! Redis carries hints only: forgetting everything in it costs time and no work.

use chrono::TimeDelta;
use rolecall_db::member_guilds::GuildState;
use rolecall_domain::trigger::Trigger;
use rolecall_queue::Queue;
use rolecall_sandbox::stripe::faults::FaultKind;

use crate::support::{
    World,
    plans::{COUNCIL, member_role},
};

#[tokio::test]
async fn an_event_that_was_kept_and_forgotten_by_redis_is_taken_up_again() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    // Kept, and then the worker and Redis died.
    for event in world.new_events() {
        world.keep(&event).await;
    }
    world.redis.flush().await;
    world.cron("due_sweep").await;
    world.settle().await;
    assert_eq!(world.roles(&person), [].into(), "it is not overdue yet");
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    let open = world
        .rows("SELECT to_jsonb(t) FROM inbox t WHERE state = 'pending'")
        .await;
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn an_event_that_failed_is_finished_although_redis_forgot_its_job() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.fault(
        &subscription,
        100,
        FaultKind::Status {
            status: 500,
            retry_after: None,
            applied: false,
        },
    );
    for event in world.new_events() {
        world.deliver(&event).await.ok();
    }
    world.redis.flush().await;
    world.stripe.clear_request_faults();
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn an_event_that_fails_for_hours_is_tried_by_the_schedule_and_no_more_often() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.fault(
        &subscription,
        1_000,
        FaultKind::Status {
            status: 500,
            retry_after: None,
            applied: false,
        },
    );
    let events = world.new_events();
    let event = events
        .iter()
        .find(|event| event.event_type == "customer.subscription.created")
        .unwrap();
    world.deliver(event).await.unwrap_err();
    // For three hours a worker looks into the inbox all the time.
    for _ in 0..180 {
        world.advance(TimeDelta::minutes(1));
        world.cron("due_sweep").await;
        world.take_up().await;
    }
    // At 0 s, 2 s, 17 s, 77 s, 377 s and 2,177 s, each a little later; the next one after that has still to
    // come at 9,377 s or later.
    let attempts = world.reads(&subscription);
    assert!((6..=7).contains(&attempts), "{attempts} attempts");
    assert!(
        world.redis.take(Queue::Jobs).await.is_empty(),
        "no job is made for it"
    );
}

#[tokio::test]
async fn a_convergence_that_is_owed_is_made_although_its_hint_is_lost() {
    let world = World::start().await;
    let person = world.unlinked().await;
    world.buy(&person, COUNCIL);
    world.follow().await;
    world.link(&person).await;
    world.give_token(&person).await;
    world.owe_convergence(&person, Trigger::Linked).await;
    world.redis.flush().await;
    world.advance(TimeDelta::seconds(19));
    world.cron("due_sweep").await;
    assert!(world.commands().await.is_empty(), "its hint may still come");
    world.advance(TimeDelta::seconds(2));
    world.cron("due_sweep").await;
    let command = world.commands().await.pop().unwrap();
    assert_eq!(
        (command.reason.as_str(), command.join.is_some()),
        ("linked", true),
        "the cause is not forgotten"
    );
    world.carry_out(&command).await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn commands_that_were_lost_are_sent_again_after_waits_that_grow() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let mut waits = Vec::new();
    for _ in 0..4 {
        world.redis.flush().await;
        let mut waited = 0;
        while world.commands().await.is_empty() {
            world.advance(TimeDelta::seconds(10));
            waited += 10;
            assert!(waited < 10_000, "never sent again");
            world.cron("due_sweep").await;
        }
        waits.push(waited);
    }
    assert!(
        waits.is_sorted() && waits[0] <= 20 && waits[3] > waits[0],
        "{waits:?}"
    );
    world.sweep().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn an_outcome_that_was_lost_is_asked_for_again() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let command = world.commands().await.pop().unwrap();
    world.bot().carry_out(&command, world.now());
    world.redis.flush().await;
    assert_eq!(world.state(&person).await, Some(GuildState::Due));
    world.sweep().await;
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
}

#[tokio::test]
async fn a_message_whose_hint_was_lost_is_sent_once() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    world.redis.flush().await;
    assert!(world.mail.messages().is_empty());
    world.sweep().await;
    world.sweep().await;
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn a_story_comes_to_its_end_with_redis_forgetting_everything_at_every_step() {
    let world = World::start().await;
    let person = world.person().await;
    let subscription = world.buy(&person, COUNCIL);
    world.deliver_new().await;
    for _ in 0..6 {
        world.redis.flush().await;
        world.advance(TimeDelta::minutes(10));
        world.cron("due_sweep").await;
        world.run_jobs().await;
        world.obey().await;
    }
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.state(&person).await, Some(GuildState::InSync));
    assert_eq!(world.mail.messages().len(), 1);
    world.stripe.cancel(&subscription).unwrap();
    world.deliver_new().await;
    world.redis.flush().await;
    world.sweep().await;
    assert_eq!(world.roles(&person), [].into());
}

#[tokio::test]
async fn somebody_who_cannot_be_converged_does_not_keep_the_others_waiting() {
    let world = World::start().await;
    let (broken, _) = world.council_member().await;
    let (healthy, _) = world.council_member().await;
    world
        .postgres
        .tamper(
            "UPDATE subscriptions SET standing = 'grace', grace_until = NULL
             WHERE member_id = (SELECT member_id FROM subscriptions ORDER BY updated_at, id LIMIT 1)",
        )
        .await
        .unwrap();
    world.owe_convergence(&broken, Trigger::Staff).await;
    world.owe_convergence(&healthy, Trigger::Staff).await;
    world.sweep().await;
    let owed = world
        .rows("SELECT to_jsonb(t) FROM members t WHERE converge_due_at IS NOT NULL")
        .await;
    assert_eq!(owed.len(), 1, "the healthy one was converged: {owed:?}");
}
