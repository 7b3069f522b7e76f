//! B11: one trial of a plan for each Discord account and each card. Which card it is shows after the
//! purchase: a second trial is ended at once, once, whoever dies on the way.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rolecall_domain::{ids::StripeCheckoutSessionId, standing::Standing};
use rolecall_sandbox::stripe::{
    faults::{FaultKind, RequestFault},
    story::checkout,
    world::customer::Card,
};
use rolecall_stripe::client::checkout::{Buyer, Purchase};
use serde_json::Value;

use crate::support::{
    Person, World,
    plans::{COUNCIL, member_role},
};

const DAYS: u32 = 7;

impl World {
    async fn open_trial(&self, person: &Person) -> StripeCheckoutSessionId {
        let purchase = Purchase::Subscription {
            trial_days: Some(DAYS),
        };
        let buyer = Buyer::Email(person.email.clone());
        self.open_checkout_for(person, buyer, purchase, COUNCIL).await
    }

    /// They put a card on file whose number ends so; returns the subscription.
    fn try_with(&self, person: &Person, session: &StripeCheckoutSessionId, last4: &str) -> String {
        let purchase = checkout::Purchase {
            email: person.email.clone(),
            card: Some(Card::Works),
            last4: Some(last4.to_owned()),
            confirmed: true,
            promotion_code: None,
        };
        self.stripe
            .complete_purchase(session.as_str(), &purchase)
            .unwrap();
        let session = self.stripe.object(session.as_str()).unwrap();
        session["subscription"].as_str().unwrap().to_owned()
    }

    /// Somebody tries the plan with a card, and everything comes of it.
    async fn trial(&self, person: &Person, last4: &str) -> String {
        let session = self.open_trial(person).await;
        let subscription = self.try_with(person, &session, last4);
        self.come_back(&session).await;
        self.follow().await;
        subscription
    }

    fn status(&self, subscription: &str) -> String {
        let subscription = self.stripe.object(subscription).unwrap();
        subscription["status"].as_str().unwrap().to_owned()
    }

    async fn holder_standing(&self, person: &Person) -> Standing {
        self.subscriptions(person).await.pop().unwrap().standing
    }

    /// The mails about an end of a trial.
    async fn told(&self) -> usize {
        let kinds = self.notifications().await;
        let told = |row: &&Value| row["kind"] == "trial_ended" && row["channel"] == "mail";
        kinds.iter().filter(told).count()
    }

    async fn states(&self) -> Vec<Value> {
        self.rows("SELECT to_jsonb(state) FROM trials ORDER BY created_at, subscription_id")
            .await
    }

    fn ends_of(&self, subscription: &str) -> usize {
        let path = format!("/v1/subscriptions/{subscription}");
        self.stripe
            .requests()
            .iter()
            .filter(|request| request.method == "POST" && request.path == path)
            .count()
    }
}

#[tokio::test]
async fn the_first_trial_of_an_account_and_a_card_is_left_alone() {
    let world = World::start().await;
    for last4 in ["1111", "2222"] {
        let person = world.person().await;
        let subscription = world.trial(&person, last4).await;
        assert_eq!(world.status(&subscription), "trialing");
        assert_eq!(world.holder_standing(&person).await, Standing::Trial);
        assert_eq!(world.roles(&person), [member_role()].into());
    }
    assert_eq!(world.states().await, ["kept", "kept"]);
    assert_eq!(world.told().await, 0);
    let cards = world
        .rows("SELECT to_jsonb(holder) FROM used_trials WHERE holder_kind = 'card'")
        .await;
    assert_eq!(cards.len(), 2);
    let is_hash = |card: &Value| {
        let card = card.as_str().unwrap();
        card.len() == 64 && !card.contains("1111") && card.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    assert!(cards.iter().all(is_hash), "only a hash is kept: {cards:?}");
}

#[tokio::test]
async fn a_card_that_somebody_else_has_tried_with_is_charged_at_once_and_told_once() {
    let world = World::start().await;
    let (first, second) = (world.person().await, world.person().await);
    world.trial(&first, "1111").await;
    let session = world.open_trial(&second).await;
    let subscription = world.try_with(&second, &session, "1111");
    world.come_back(&session).await;
    let events = world.new_events();
    for event in events.iter().chain(&events).chain(&events) {
        world.deliver(event).await.unwrap();
    }
    world.follow().await;

    assert_eq!(world.status(&subscription), "active");
    assert_eq!(world.holder_standing(&second).await, Standing::Active);
    assert_eq!(world.roles(&second), [member_role()].into());
    assert_eq!(world.states().await, ["kept", "ended"]);
    assert_eq!((world.told().await, world.ends_of(&subscription)), (1, 1));
    assert_eq!(
        world.holder_standing(&first).await,
        Standing::Trial,
        "the first keeps theirs"
    );
    let mails = world.mail.messages();
    let told: Vec<_> = mails
        .iter()
        .filter(|mail| mail.subject == "Your free days had been used before")
        .collect();
    assert_eq!(told.len(), 1, "{mails:?}");
    assert!(told[0].to.contains(&second.email), "{told:?}");
}

#[tokio::test]
async fn two_checkouts_of_one_account_that_were_open_at_once_give_one_trial() {
    let world = World::start().await;
    let person = world.person().await;
    let sessions = [world.open_trial(&person).await, world.open_trial(&person).await];
    let one = world.try_with(&person, &sessions[0], "1111");
    let two = world.try_with(&person, &sessions[1], "2222");
    world.follow().await;
    let mut statuses = [world.status(&one), world.status(&two)];
    statuses.sort();
    assert_eq!(statuses, ["active", "trialing"]);
    assert_eq!(world.told().await, 1);
}

#[tokio::test]
async fn a_refusal_survives_a_stripe_that_does_not_take_it() {
    let world = World::start().await;
    let (first, second) = (world.person().await, world.person().await);
    world.trial(&first, "1111").await;
    let session = world.open_trial(&second).await;
    let subscription = world.try_with(&second, &session, "1111");
    let fault = FaultKind::Status {
        status: 500,
        retry_after: None,
        applied: false,
    };
    world.stripe.add_request_fault(RequestFault {
        path_contains: Some(format!("POST /v1/subscriptions/{subscription}")),
        times: None,
        fault,
    });
    world.come_back(&session).await;
    world.follow().await;
    assert_eq!(world.states().await, ["kept", "refused"]);
    assert_eq!(world.status(&subscription), "trialing");
    assert_eq!(
        world.roles(&second),
        [member_role()].into(),
        "a fault of Stripe holds up nobody's role"
    );

    world.stripe.clear_request_faults();
    world.sweep().await;
    world.follow().await;
    assert_eq!(world.states().await, ["kept", "ended"]);
    assert_eq!(world.status(&subscription), "active");
    let ends = world.ends_of(&subscription);
    world.sweep().await;
    assert_eq!((world.told().await, world.ends_of(&subscription)), (1, ends));
}

#[tokio::test]
async fn an_end_that_stripe_failed_at_is_another_one_and_one_it_did_not_come_to_is_the_same() {
    for (status, keys) in [(500, 2), (409, 1)] {
        let world = World::start().await;
        let (first, second) = (world.person().await, world.person().await);
        world.trial(&first, "1111").await;
        let session = world.open_trial(&second).await;
        let subscription = world.try_with(&second, &session, "1111");
        let path = format!("/v1/subscriptions/{subscription}");
        let fault = FaultKind::Status {
            status,
            retry_after: None,
            applied: false,
        };
        world.fault(&format!("POST {path}"), 1, fault);
        world.come_back(&session).await;
        assert_eq!(world.states().await, ["kept", "refused"]);

        world.sweep().await;
        world.follow().await;
        assert_eq!(world.states().await, ["kept", "ended"], "after {status}");
        assert_eq!(world.status(&subscription), "active");
        assert_eq!(world.ends_of(&subscription), 2);
        let requests = world.stripe.requests();
        let ends = requests
            .iter()
            .filter(|request| request.method == "POST" && request.path == path);
        let used: BTreeSet<_> = ends.map(|request| request.idempotency_key.clone()).collect();
        assert_eq!(used.len(), keys, "{used:?}");
    }
}

#[tokio::test]
async fn an_end_that_was_made_but_not_kept_is_kept_by_the_next_look() {
    let world = World::start().await;
    let (first, second) = (world.person().await, world.person().await);
    world.trial(&first, "1111").await;
    let session = world.open_trial(&second).await;
    let subscription = world.try_with(&second, &session, "1111");
    let lost = FaultKind::Status {
        status: 500,
        retry_after: None,
        applied: true,
    };
    world.fault(&format!("POST /v1/subscriptions/{subscription}"), 1, lost);
    world.come_back(&session).await;
    assert_eq!(world.states().await, ["kept", "refused"]);
    assert_eq!(world.status(&subscription), "active", "Stripe has done it");

    world.sweep().await;
    world.follow().await;
    assert_eq!(world.states().await, ["kept", "ended"]);
    assert_eq!((world.told().await, world.ends_of(&subscription)), (1, 1));
}

#[tokio::test]
async fn a_trial_that_could_not_be_looked_at_is_looked_at_later() {
    let world = World::start().await;
    let person = world.person().await;
    let session = world.open_trial(&person).await;
    let subscription = world.try_with(&person, &session, "1111");
    let fault = FaultKind::Status {
        status: 500,
        retry_after: None,
        applied: false,
    };
    world.fault(&format!("GET /v1/subscriptions/{subscription}"), 1, fault);
    world.come_back(&session).await;
    world.settle().await;
    assert_eq!(world.states().await, ["unchecked"]);
    assert_eq!(world.roles(&person), [member_role()].into());
    let due = world
        .rows("SELECT to_jsonb(t) FROM trials t WHERE attempts = 1 AND last_error IS NOT NULL")
        .await;
    assert_eq!(due.len(), 1);
    world.sweep().await;
    assert_eq!(world.states().await, ["kept"]);
}

#[tokio::test]
async fn a_trial_that_is_over_before_anybody_looks_counts_and_says_nothing() {
    let world = World::start().await;
    let (first, second) = (world.person().await, world.person().await);
    world.trial(&first, "1111").await;
    let session = world.open_trial(&second).await;
    let subscription = world.try_with(&second, &session, "1111");
    world.stripe.cancel(&subscription).unwrap();
    world.come_back(&session).await;
    world.follow().await;
    assert_eq!(world.states().await, ["kept", "ended"]);
    assert_eq!((world.told().await, world.ends_of(&subscription)), (0, 0));
    assert_eq!(world.holder_standing(&second).await, Standing::Ended);
}

#[tokio::test]
async fn what_was_sold_without_a_trial_is_not_looked_at() {
    let world = World::start().await;
    let person = world.person().await;
    let session = world
        .open_checkout(&person, Buyer::Email(person.email.clone()))
        .await;
    world.pay(&person, &session);
    world.come_back(&session).await;
    world.advance(TimeDelta::hours(1));
    world.follow().await;
    assert_eq!(world.states().await, Vec::<Value>::new());
    assert_eq!(
        world.rows("SELECT to_jsonb(t) FROM used_trials t").await,
        Vec::<Value>::new()
    );
    assert_eq!(world.roles(&person), [member_role()].into());
}
