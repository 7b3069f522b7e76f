//! Failed payments: grace from the first failed attempt, on our clock; then Debtor alone; one payment
//! brings everything back.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::standing::Standing;
use rolecall_queue::jobs::StripeEvent;
use rolecall_sandbox::stripe::story::Action;

use crate::support::{
    Person, World,
    plans::{COUNCIL, GRACE, debtor_role, member_role},
};

impl World {
    async fn standing(&self, person: &Person) -> Standing {
        self.subscriptions(person).await[0].standing
    }

    async fn owed_since(&self, person: &Person) -> Option<DateTime<Utc>> {
        self.subscriptions(person).await[0].facts.owed_since
    }

    /// Runs what time alone gives cause to, and lets everything come of it.
    async fn let_time_tell(&self) {
        self.cron("grace_expiry").await;
        self.settle().await;
    }
}

fn is_failure(event: &StripeEvent) -> bool {
    event.event_type == "invoice.payment_failed"
}

#[tokio::test]
async fn a_failed_payment_adds_debtor_then_takes_access_and_one_payment_restores_everything() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    let failed_at = world.now();
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    assert_eq!(
        world.standing(&person).await,
        Standing::Grace {
            until: failed_at + GRACE
        }
    );
    assert_eq!(world.roles(&person), [member_role(), debtor_role()].into());

    world.advance(GRACE - TimeDelta::milliseconds(1));
    world.let_time_tell().await;
    assert_eq!(
        world.roles(&person),
        [member_role(), debtor_role()].into(),
        "grace is not over"
    );
    world.advance(TimeDelta::milliseconds(1));
    world.let_time_tell().await;
    assert_eq!(world.standing(&person).await, Standing::Debtor);
    assert_eq!(world.roles(&person), [debtor_role()].into());

    world.stripe.pay_open_invoice(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.standing(&person).await, Standing::Active);
    assert_eq!(world.owed_since(&person).await, None);
    assert_eq!(world.roles(&person), [member_role()].into());
    let mails = world.mail.messages();
    let welcomes = mails.iter().filter(|mail| mail.subject.starts_with("Welcome"));
    assert_eq!(welcomes.count(), 1, "once in a subscription's life");
}

#[tokio::test]
async fn grace_starts_at_the_first_failed_attempt_however_late_its_event_comes() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    let failed_at = world.now();
    world.stripe.fail_payment(&subscription).unwrap();
    world.advance(TimeDelta::days(5));
    world.follow().await;
    assert_eq!(world.owed_since(&person).await, Some(failed_at));
    assert_eq!(
        world.standing(&person).await,
        Standing::Grace {
            until: failed_at + GRACE
        }
    );
}

#[tokio::test]
async fn a_late_event_corrects_a_date_that_was_taken_from_the_invoice() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    let finalized_at = world.now();
    world.stripe.fail_payment(&subscription).unwrap();
    // Stripe tried an hour after it had finalised the invoice.
    let mut events = world.new_events();
    let failure = events.iter().position(is_failure).unwrap();
    let mut failure = events.remove(failure);
    failure.created += TimeDelta::hours(1);
    world.advance(TimeDelta::days(1));
    for event in events {
        world.deliver(&event).await.unwrap();
    }
    assert_eq!(
        world.owed_since(&person).await,
        Some(finalized_at),
        "dated by the invoice"
    );
    world.deliver(&failure).await.unwrap();
    assert_eq!(world.owed_since(&person).await, Some(failure.created));
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role(), debtor_role()].into());
}

#[tokio::test]
async fn a_failure_that_waited_in_the_inbox_while_another_event_was_read_still_dates_the_debt() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    world.stripe.fail_payment(&subscription).unwrap();
    let mut events = world.new_events();
    let failure = events.iter().position(is_failure).unwrap();
    let mut failure = events.remove(failure);
    failure.created += TimeDelta::hours(1);
    world.advance(TimeDelta::days(1));
    // One worker has kept it and does no more for now; another one reads for the other events.
    world.keep(&failure).await;
    for event in events {
        world.deliver(&event).await.unwrap();
    }
    assert_ne!(world.owed_since(&person).await, Some(failure.created));
    world.try_again().await;
    assert_eq!(world.owed_since(&person).await, Some(failure.created));
}

#[tokio::test]
async fn later_attempts_do_not_start_grace_anew_even_if_the_first_failure_was_lost() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    let finalized_at = world.now();
    world.stripe.fail_payment(&subscription).unwrap();
    let lost = world.new_events();
    assert!(lost.iter().any(is_failure));
    world.advance(TimeDelta::days(3));
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.owed_since(&person).await, Some(finalized_at));
    world.advance(GRACE - TimeDelta::days(3));
    world.let_time_tell().await;
    assert_eq!(world.roles(&person), [debtor_role()].into());
}

#[tokio::test]
async fn a_failure_dated_in_the_future_does_not_lengthen_grace() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    world.stripe.fail_payment(&subscription).unwrap();
    for mut event in world.new_events() {
        event.created += TimeDelta::days(300);
        world.deliver(&event).await.unwrap();
    }
    let owed_since = world.owed_since(&person).await.unwrap();
    assert!(owed_since <= world.now(), "{owed_since}");
    assert!(
        matches!(world.standing(&person).await, Standing::Grace { until } if until <= world.now() + GRACE)
    );
}

#[tokio::test]
async fn retries_used_up_end_a_debtor_and_unpaid_does_not_restart_grace() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    let failed_at = world.now();
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    world.advance(TimeDelta::days(6));
    world.stripe.act(&subscription, &Action::MarkUnpaid).unwrap();
    world.follow().await;
    assert_eq!(
        world.standing(&person).await,
        Standing::Grace {
            until: failed_at + GRACE
        }
    );
    world.advance(TimeDelta::days(1));
    world.let_time_tell().await;
    assert_eq!(world.roles(&person), [debtor_role()].into());
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(
        (world.standing(&person).await, world.roles(&person)),
        (Standing::Ended, [].into())
    );
}

#[tokio::test]
async fn a_choice_to_pause_takes_access_without_debt_and_a_failed_pause_is_debt() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    for (action, standing, roles) in [
        (Action::PauseCollection, Standing::Paused, [].into()),
        (Action::ResumeCollection, Standing::Active, [member_role()].into()),
        (Action::Pause, Standing::Paused, [].into()),
        (Action::Resume, Standing::Active, [member_role()].into()),
    ] {
        world.stripe.act(&subscription, &action).unwrap();
        world.follow().await;
        assert_eq!(
            (world.standing(&person).await, world.roles(&person)),
            (standing, roles),
            "{action:?}"
        );
    }
    world.stripe.fail_payment(&subscription).unwrap();
    world.stripe.act(&subscription, &Action::PauseOnFailure).unwrap();
    world.follow().await;
    assert!(world.standing(&person).await.owes());
    assert_eq!(world.roles(&person), [member_role(), debtor_role()].into());
}

#[tokio::test]
async fn cancel_at_period_end_keeps_access_until_it_ends() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world
        .stripe
        .act(&subscription, &Action::CancelAtPeriodEnd)
        .unwrap();
    world.follow().await;
    assert!(world.subscriptions(&person).await[0].cancel_at_period_end);
    assert_eq!(world.roles(&person), [member_role()].into());
    world
        .stripe
        .act(&subscription, &Action::KeepAfterPeriodEnd)
        .unwrap();
    world.follow().await;
    assert!(!world.subscriptions(&person).await[0].cancel_at_period_end);
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), [].into());
}

#[tokio::test]
async fn who_never_paid_gets_nothing() {
    let world = World::start().await;
    let person = world.person().await;
    let metadata = [("rolecall_member_id".to_owned(), person.id.to_string())].into();
    let card = rolecall_sandbox::stripe::world::customer::Card::Declines;
    world
        .stripe
        .seed_subscription(&person.email, card, COUNCIL, 1, metadata)
        .unwrap();
    world.follow().await;
    assert_eq!(world.standing(&person).await, Standing::Pending);
    assert_eq!(world.roles(&person), [].into());
    assert!(world.notifications().await.is_empty());
}
