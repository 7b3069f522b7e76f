//! Whether Stripe's events find their way to us; and what is read again because nothing was heard of it.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::alarms::{Alarm, Severity, list_alarms};
use rolecall_sandbox::stripe::{EndpointConfig, faults::FaultKind, story::Action};

use rolecall_worker::sync::{Hint, sync_subscription};

use crate::support::{World, plans::member_role};

const ADDRESS: &str = "https://council.example/webhooks/stripe";

impl World {
    fn endpoint(&self, url: &str, version: Option<&str>, types: &[&str]) -> String {
        self.stripe.add_endpoint(&EndpointConfig {
            url: url.to_owned(),
            secret: "whsec_1".to_owned(),
            enabled_events: types.iter().map(|kind| (*kind).to_owned()).collect(),
            api_version: version.map(str::to_owned),
        })
    }

    async fn alarms(&self) -> Vec<Alarm> {
        let mut tx = self.worker.db.begin().await.unwrap();
        list_alarms(&mut tx).await.unwrap()
    }

    /// Checks the set-up, and tells the names of what is wrong.
    async fn checked(&self) -> Vec<String> {
        self.cron("setup_check").await;
        self.alarms().await.into_iter().map(|alarm| alarm.name).collect()
    }
}

#[tokio::test]
async fn an_endpoint_that_is_as_it_has_to_be_raises_no_alarm() {
    let world = World::start().await;
    world.endpoint("https://other.example/hooks", None, &["invoice.paid"]);
    world.endpoint(ADDRESS, Some("2026-09-30.endive"), &["*"]);
    assert_eq!(world.checked().await, [""; 0]);
}

#[tokio::test]
async fn each_fault_of_the_endpoint_is_found_and_ends_when_it_is_mended() {
    let world = World::start().await;
    assert_eq!(world.checked().await, ["stripe_endpoint_missing"]);
    let missing = world.alarms().await.remove(0);
    assert!(
        missing.problem.contains(ADDRESS) && !missing.fix.is_empty(),
        "{missing:?}"
    );
    // As long as it lasts it is one alarm, from when it began.
    world.advance(TimeDelta::hours(1));
    world.checked().await;
    assert_eq!(world.alarms().await[0].began_at, missing.began_at);

    let id = world.endpoint(ADDRESS, Some("2019-12-03"), &["invoice.paid"]);
    assert_eq!(
        world.checked().await,
        ["stripe_endpoint_events", "stripe_endpoint_version"]
    );
    assert!(
        world.alarms().await[0]
            .problem
            .contains("customer.subscription.deleted")
    );
    world.stripe.with(|stripe| {
        let endpoint = stripe.endpoints.get_mut(&id).unwrap();
        endpoint.enabled_events = vec!["*".to_owned()];
        endpoint.api_version = None;
        endpoint.disabled = true;
    });
    assert_eq!(world.checked().await, ["stripe_endpoint_disabled"]);
    world
        .stripe
        .with(|stripe| stripe.endpoints.get_mut(&id).unwrap().disabled = false);
    assert_eq!(world.checked().await, [""; 0]);
}

#[tokio::test]
async fn a_key_that_may_not_look_is_said_so_and_is_no_alarm() {
    let world = World::start().await;
    let forbidden = FaultKind::Status {
        status: 403,
        retry_after: None,
        applied: false,
    };
    world.fault("/v1/webhook_endpoints", 1, forbidden);
    assert_eq!(world.checked().await, ["stripe_endpoint_unreadable"]);
    assert_eq!(world.alarms().await[0].severity, Severity::Notice);
}

#[tokio::test]
async fn while_stripe_is_away_what_is_known_of_the_endpoint_stays() {
    let world = World::start().await;
    world.checked().await;
    world.endpoint(ADDRESS, None, &["*"]);
    let away = FaultKind::Status {
        status: 503,
        retry_after: None,
        applied: false,
    };
    world.fault("/v1/webhook_endpoints", 1, away);
    let names =
        async || -> Vec<String> { world.alarms().await.into_iter().map(|alarm| alarm.name).collect() };
    let job = rolecall_worker::cron::find("setup_check").unwrap();
    let id = uuid::Uuid::nil();
    let mut tx = world.worker.db.begin().await.unwrap();
    rolecall_db::cron_runs::insert_manual_run(&mut tx, id, job.name, world.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    rolecall_worker::cron::run_and_note(&world.worker, job, id)
        .await
        .unwrap();
    assert_eq!(names().await, ["stripe_endpoint_missing"]);
    assert_eq!(world.checked().await, [""; 0]);
}

#[tokio::test]
async fn silence_is_an_alarm_only_when_something_must_have_been_heard() {
    let world = World::start().await;
    world.endpoint(ADDRESS, None, &["*"]);
    let (_, subscription) = world.council_member().await;
    // When an event came in is noted by the database's clock, which does not move on with the test's.
    world
        .postgres
        .tamper("UPDATE inbox SET seen_at = seen_at - interval '2 hours'")
        .await
        .unwrap();
    world.advance(TimeDelta::days(20));
    assert_eq!(world.checked().await, [""; 0], "nothing was due");
    // The month is over, and the renewal has made events that never came.
    world.advance(TimeDelta::days(12));
    assert_eq!(world.checked().await, ["stripe_silent"]);
    // The subscription is read again, but nobody has heard of Stripe for all that.
    world
        .stripe
        .with(|stripe| stripe.quietly(|stripe| stripe.act(&subscription, &Action::Renew)))
        .unwrap();
    world.cron("stale_subscriptions").await;
    assert_eq!(world.checked().await, ["stripe_silent"]);
    world.stripe.renew(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.checked().await, [""; 0]);
}

#[tokio::test]
async fn events_that_only_the_sweep_finds_are_a_silence_too() {
    let world = World::start().await;
    world.endpoint(ADDRESS, None, &["*"]);
    let (_, subscription) = world.council_member().await;
    world
        .postgres
        .tamper("UPDATE inbox SET seen_at = seen_at - interval '2 hours'")
        .await
        .unwrap();
    world.stripe.renew(&subscription).unwrap();
    world.cron("stripe_events_sweep").await;
    assert_eq!(world.checked().await, [""; 0], "a webhook may be on its way");
    world.advance(TimeDelta::hours(6));
    assert_eq!(world.checked().await, ["stripe_silent"]);
}

#[tokio::test]
async fn what_should_have_renewed_without_news_is_read_again() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let (_, other) = world.council_member().await;
    assert_eq!(
        world.cron("stale_subscriptions").await,
        "0 subscriptions read again"
    );
    world
        .stripe
        .with(|stripe| stripe.quietly(|stripe| stripe.act(&subscription, &Action::Cancel)))
        .unwrap();
    // Its period is over for a day, and nothing was read since.
    world
        .postgres
        .tamper("UPDATE subscriptions SET current_period_end = read_started_at - interval '1 minute', read_started_at = read_started_at - interval '1 day' WHERE id = (SELECT id FROM subscriptions JOIN discord_accounts USING (member_id) WHERE user_id = 900001)")
        .await
        .unwrap();
    world.advance(TimeDelta::hours(13));
    let reads = world.reads(&other);
    assert_eq!(
        world.cron("stale_subscriptions").await,
        "1 subscriptions read again"
    );
    world.settle().await;
    assert_eq!(world.roles(&person), [].into());
    assert_eq!(world.reads(&other), reads);
    world.advance(TimeDelta::days(8));
    assert_eq!(
        world.cron("stale_subscriptions").await,
        "1 subscriptions read again",
        "after a week without a look; the ended one is done with"
    );
}

#[tokio::test]
async fn what_stripe_does_not_know_is_left_to_the_sweep_that_counts() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    world
        .postgres
        .tamper("UPDATE subscriptions SET id = 'sub_gone'")
        .await
        .unwrap();
    world.advance(TimeDelta::days(8));
    let outcome = world.cron("stale_subscriptions").await;
    assert!(
        outcome.as_str().unwrap().contains("1 unknown at Stripe"),
        "{outcome}"
    );
    world.settle().await;
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn a_status_that_nobody_knows_takes_nothing_and_is_an_alarm_until_it_is_gone() {
    let world = World::start().await;
    world.endpoint(ADDRESS, None, &["*"]);
    let (person, subscription) = world.council_member().await;
    let read = async || {
        let id = subscription.parse().unwrap();
        let hint = Hint::seen(DateTime::<Utc>::MAX_UTC);
        sync_subscription(&world.worker, &id, hint).await.unwrap();
        world.settle().await;
    };
    world.fault(&subscription, 1, FaultKind::NewStatus);
    read().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    let raised = world.alarms().await;
    let [alarm] = raised.as_slice() else {
        panic!("{raised:?}")
    };
    assert_eq!(
        (alarm.name.as_str(), alarm.severity),
        ("stripe_unknown_status", Severity::Alarm)
    );
    let expected = format!("\"hibernating\" (1, the first is {subscription})");
    assert!(alarm.problem.ends_with(&expected), "{}", alarm.problem);
    assert_eq!(world.checked().await, ["stripe_unknown_status"]);
    read().await;
    assert_eq!(world.checked().await, [""; 0]);
}
