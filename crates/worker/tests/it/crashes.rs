//! A worker that dies at any moment of its work loses nothing and doubles nothing.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll};

use rolecall_queue::jobs::StripeEvent;
use rolecall_worker::handlers::send_notification;

use crate::support::{
    World,
    plans::{COUNCIL, member_role},
};

/// Lets a piece of work go on `steps` times and then drops it; says whether it came to its end.
async fn dies_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = steps;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Delivers an event to a worker that dies after so many steps; says whether it was done before.
async fn deliver_and_die(world: &World, event: &StripeEvent, steps: usize) -> bool {
    let doomed = Arc::new(world.another_worker("doomed"));
    dies_after(steps, world.deliver_to(&doomed, event))
        .await
        .is_some()
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_of_an_event_loses_nothing_and_doubles_nothing() {
    let world = World::start().await;
    world.remove_at_the_end(&[]).await;
    let (mut survived, mut died) = (0, 0);
    for steps in 1..60 {
        let person = world.person().await;
        let subscription = world.buy(&person, COUNCIL);
        let events = world.new_events();
        let event = events
            .iter()
            .find(|event| event.event_type == "customer.subscription.created")
            .unwrap();
        for steps in [steps, steps / 2] {
            if deliver_and_die(&world, event, steps).await {
                survived += 1;
            } else {
                died += 1;
            }
        }
        // Redis has forgotten what the dead one pushed, and delivers its event again.
        world.redis.flush().await;
        world.deliver(event).await.unwrap();
        world.sweep().await;
        assert_eq!(world.roles(&person), [member_role()].into(), "died after {steps}");
        let to_them = world
            .mail
            .messages()
            .iter()
            .filter(|mail| mail.envelope_to == [person.email.as_str()])
            .count();
        assert_eq!(to_them, 1, "mails when died after {steps}");
        world.stripe.cancel(&subscription).unwrap();
        let events = world.new_events();
        let ended = events
            .iter()
            .find(|event| event.event_type == "customer.subscription.deleted")
            .unwrap();
        deliver_and_die(&world, ended, steps).await;
        world.redis.flush().await;
        world.deliver(ended).await.unwrap();
        world.sweep().await;
        assert_eq!(world.roles(&person), [].into(), "died after {steps}");
        assert!(!world.bot().is_in(person.key()), "died after {steps}");
        assert_eq!(world.removals_noted().await, steps, "died after {steps}");
    }
    assert!(
        survived > 0 && died > 20,
        "{survived} came to their end, {died} did not"
    );
}

#[tokio::test]
async fn a_worker_that_dies_at_any_step_of_a_mail_sends_it_again_under_the_same_name_at_most() {
    let world = World::start().await;
    for steps in 1..25 {
        let person = world.person().await;
        world.buy(&person, COUNCIL);
        world.deliver_new().await;
        let hints = world.redis.take(rolecall_queue::Queue::Jobs).await;
        for hint in hints.iter().filter(|job| job.kind == "send_notification") {
            let work = send_notification::run(Arc::clone(&world.worker), hint.args(), world.attempt());
            dies_after(steps, work).await;
        }
        world.sweep().await;
        let mails = world.mail.messages();
        let mut names: Vec<_> = mails
            .iter()
            .filter(|mail| mail.envelope_to == [person.email.as_str()])
            .flat_map(|mail| {
                mail.headers
                    .iter()
                    .filter(|(name, _)| name.eq_ignore_ascii_case("message-id"))
            })
            .collect();
        assert!(
            !names.is_empty(),
            "lost when died after {steps}: {:?}",
            world.notifications().await
        );
        names.dedup();
        assert_eq!(names.len(), 1, "two different messages when died after {steps}");
        let open = world
            .rows("SELECT to_jsonb(t) FROM notifications t WHERE state <> 'sent'")
            .await;
        assert!(open.is_empty(), "{open:?}");
    }
}
