//! Test clocks: customers in a time of their own.

use reqwest::Method;
use rolecall_sandbox::stripe::{AfterRetries, Config};
use serde_json::Value;

use crate::shapes::check;
use crate::support::{Fixture, MONTHLY, answer, config, start_of_2027};

const DAY: i64 = 86_400;

/// A clock and a subscription whose customer lives by it.
struct OnClock {
    fixture: Fixture,
    clock: String,
    customer: String,
    subscription: String,
    now: i64,
}

impl OnClock {
    async fn start(config: Config, card: &str, more: &[(&str, &str)]) -> Self {
        let fixture = Fixture::start_with(config).await;
        let now = start_of_2027().timestamp();
        let clocks = "/v1/test_helpers/test_clocks";
        let clock = fixture.ok(clocks, &[("frozen_time", &now.to_string())]).await;
        check(include_str!("shapes/test_clock.json"), &clock);
        let clock = clock["id"].as_str().unwrap().to_owned();
        let mut form = vec![("test_clock", clock.as_str()), ("email", "ada@example.com")];
        if !card.is_empty() {
            form.push(("payment_method", card));
        }
        let customer = fixture.ok("/v1/customers", &form).await;
        assert_eq!(customer["test_clock"], clock);
        let customer = customer["id"].as_str().unwrap().to_owned();
        let form = [
            &[("customer", customer.as_str()), ("items[0][price]", MONTHLY)],
            more,
        ]
        .concat();
        let subscription = fixture.ok("/v1/subscriptions", &form).await;
        assert_eq!(subscription["test_clock"], clock);
        let subscription = subscription["id"].as_str().unwrap().to_owned();
        Self {
            fixture,
            clock,
            customer,
            subscription,
            now,
        }
    }

    async fn advance(&mut self, seconds: i64) {
        self.now += seconds;
        let path = format!("/v1/test_helpers/test_clocks/{}", self.clock);
        let form = [("frozen_time", &*self.now.to_string())];
        let advancing = self.fixture.ok(&format!("{path}/advance"), &form).await;
        assert_eq!(advancing["status"], "advancing");
        assert_eq!(
            advancing["status_details"]["advancing"]["target_frozen_time"],
            self.now
        );
        let ready = self.fixture.show(&path).await;
        assert_eq!(
            (&ready["status"], &ready["frozen_time"]),
            (&"ready".into(), &self.now.into())
        );
    }

    async fn subscription(&self) -> Value {
        let path = format!("/v1/subscriptions/{}?expand[]=latest_invoice", self.subscription);
        self.fixture.show(&path).await
    }
}

#[tokio::test]
async fn a_clock_renews_its_own_customers_and_nobody_else() {
    let mut world = OnClock::start(config(), "pm_card_visa", &[]).await;
    let other = world
        .fixture
        .subscribe(rolecall_sandbox::stripe::world::customer::Card::Works);
    let before = world.fixture.show(&format!("/v1/subscriptions/{other}")).await;
    world.advance(32 * DAY).await;
    let renewed = world.subscription().await;
    assert_eq!(renewed["latest_invoice"]["billing_reason"], "subscription_cycle");
    assert_eq!(renewed["latest_invoice"]["status"], "paid");
    assert_eq!(renewed["latest_invoice"]["created"], world.now - DAY);
    let types = world.fixture.event_types();
    for kind in [
        "test_helpers.test_clock.advancing",
        "invoice.upcoming",
        "invoice.paid",
        "test_helpers.test_clock.ready",
    ] {
        assert!(types.contains(&kind.to_owned()), "{kind}");
    }
    assert!(
        world.fixture.newest("invoice.upcoming")["data"]["object"]
            .get("id")
            .is_none()
    );
    let after = world.fixture.show(&format!("/v1/subscriptions/{other}")).await;
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_card_that_fails_is_tried_again_and_the_owners_choice_ends_it() {
    for (choice, status, details) in [
        (AfterRetries::Cancel, "canceled", Value::Null),
        (AfterRetries::MarkUnpaid, "unpaid", Value::Null),
        (AfterRetries::LeavePastDue, "past_due", Value::Null),
        (AfterRetries::Pause, "paused", "final_payment_failure".into()),
    ] {
        let config = Config {
            after_retries: choice,
            ..config()
        };
        let mut world = OnClock::start(config, "pm_card_visa", &[]).await;
        let card = world
            .fixture
            .ok(
                "/v1/payment_methods/pm_card_chargeCustomerFail/attach",
                &[("customer", &world.customer)],
            )
            .await;
        let path = format!("/v1/customers/{}", world.customer);
        let form = [(
            "invoice_settings[default_payment_method]",
            card["id"].as_str().unwrap(),
        )];
        world.fixture.ok(&path, &form).await;
        world.advance(31 * DAY + 60).await;
        let first = world.subscription().await;
        assert_eq!(first["status"], "past_due");
        let invoice = &first["latest_invoice"];
        assert_eq!(invoice["attempt_count"], 1);
        let retry = invoice["next_payment_attempt"].as_i64().unwrap();
        assert_eq!(retry, start_of_2027().timestamp() + 34 * DAY);
        world.advance(15 * DAY).await;
        let ended = world.subscription().await;
        assert_eq!(ended["status"], status, "{choice:?}");
        assert_eq!(ended["latest_invoice"]["attempt_count"], 4);
        assert_eq!(ended["latest_invoice"]["next_payment_attempt"], Value::Null);
        let reason = ended.pointer("/status_details/paused/subscription/type");
        assert_eq!(reason.cloned().unwrap_or_default(), details);
    }
}

#[tokio::test]
async fn a_trial_without_a_card_ends_as_its_settings_say() {
    for (behavior, status, event) in [
        ("cancel", "canceled", "customer.subscription.deleted"),
        ("pause", "paused", "customer.subscription.paused"),
        ("create_invoice", "past_due", "invoice.payment_failed"),
    ] {
        let more = [
            ("trial_period_days", "14"),
            ("trial_settings[end_behavior][missing_payment_method]", behavior),
        ];
        let mut world = OnClock::start(config(), "", &more).await;
        world.advance(11 * DAY).await;
        assert_eq!(world.subscription().await["status"], "trialing");
        let types = world.fixture.event_types();
        assert!(types.contains(&"customer.subscription.trial_will_end".to_owned()));
        world.advance(3 * DAY).await;
        let ended = world.subscription().await;
        assert_eq!(ended["status"], status, "{behavior}");
        assert!(world.fixture.event_types().contains(&event.to_owned()), "{event}");
        check(include_str!("shapes/subscription.json"), &ended_plain(&ended));
    }
}

/// The shape has ids where this one has expanded objects.
fn ended_plain(subscription: &Value) -> Value {
    let mut plain = subscription.clone();
    plain["latest_invoice"] = subscription["latest_invoice"]["id"].clone();
    plain
}

#[tokio::test]
async fn a_first_payment_that_never_comes_expires_after_23_hours() {
    let more = [("payment_behavior", "default_incomplete")];
    let mut world = OnClock::start(config(), "", &more).await;
    let first = world.subscription().await;
    assert_eq!(
        (&first["status"], &first["latest_invoice"]["status"]),
        (&"incomplete".into(), &"open".into())
    );
    world.advance(23 * 3_600 - 1).await;
    assert_eq!(world.subscription().await["status"], "incomplete");
    world.advance(1).await;
    let expired = world.subscription().await;
    assert_eq!(
        (&expired["status"], &expired["latest_invoice"]["status"]),
        (&"incomplete_expired".into(), &"void".into())
    );
    let intents = world.fixture.show("/v1/payment_intents").await;
    assert_eq!(intents["data"][0]["status"], "canceled");
}

#[tokio::test]
async fn collection_resumes_and_ends_come_at_their_moments() {
    let mut world = OnClock::start(config(), "pm_card_visa", &[]).await;
    let path = format!("/v1/subscriptions/{}", world.subscription);
    let resumes = (world.now + 40 * DAY).to_string();
    let pause = [
        ("pause_collection[behavior]", "void"),
        ("pause_collection[resumes_at]", &resumes),
    ];
    let paused = world.fixture.ok(&path, &pause).await;
    assert_eq!(
        (&paused["status"], &paused["pause_collection"]["behavior"]),
        (&"active".into(), &"void".into())
    );
    world.advance(32 * DAY).await;
    assert_eq!(world.subscription().await["latest_invoice"]["status"], "void");
    world.advance(9 * DAY).await;
    assert_eq!(world.subscription().await["pause_collection"], Value::Null);
    let end = (world.now + DAY).to_string();
    world.fixture.ok(&path, &[("cancel_at", &end)]).await;
    world.advance(DAY).await;
    let ended = world.subscription().await;
    assert_eq!(
        (&ended["status"], &ended["ended_at"]),
        (&"canceled".into(), &world.now.into())
    );
}

#[tokio::test]
async fn a_clock_goes_forward_and_not_too_far_and_carries_three_customers() {
    let world = OnClock::start(config(), "pm_card_visa", &[]).await;
    let path = format!("/v1/test_helpers/test_clocks/{}/advance", world.clock);
    for seconds in [0, -DAY, 63 * DAY] {
        let to = (world.now + seconds).to_string();
        let error = world.fixture.refused(&path, &[("frozen_time", &to)]).await;
        assert_eq!(error["param"], "frozen_time", "{seconds}");
    }
    let form = [("test_clock", world.clock.as_str())];
    world.fixture.ok("/v1/customers", &form).await;
    world.fixture.ok("/v1/customers", &form).await;
    assert_eq!(
        world.fixture.refused("/v1/customers", &form).await["param"],
        "test_clock"
    );
}

#[tokio::test]
async fn whoever_lives_by_a_clock_is_listed_only_by_name() {
    let world = OnClock::start(config(), "pm_card_visa", &[]).await;
    let count = async |query: &str| {
        let list = world.fixture.show(&format!("/v1/subscriptions{query}")).await;
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 0);
    assert_eq!(count(&format!("?test_clock={}", world.clock)).await, 1);
    assert_eq!(count(&format!("?customer={}", world.customer)).await, 1);
}

#[tokio::test]
async fn a_deleted_clock_takes_its_customers_with_it() {
    let world = OnClock::start(config(), "pm_card_visa", &[]).await;
    let path = format!("/v1/test_helpers/test_clocks/{}", world.clock);
    let (status, gone) = answer(world.fixture.request(Method::DELETE, &path)).await;
    assert_eq!((status.as_u16(), &gone["deleted"]), (200, &true.into()));
    assert_eq!(world.fixture.get(&path).await.0, 404);
    let customer = format!("/v1/customers/{}", world.customer);
    assert_eq!(world.fixture.show(&customer).await["deleted"], true);
    assert_eq!(world.subscription().await["status"], "canceled");
}
