//! Money that goes back, or may: refunds, disputes and warnings of fraud, on subscriptions and on what was
//! bought once. A payment that was given back ends what it paid for and nothing else; a won dispute
//! restores.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::member_guilds::lock_member_guild;
use rolecall_domain::{
    ids::StripeCheckoutSessionId,
    policy::Policy,
    reversal::{Consequence, ReversalPolicy},
    standing::Standing,
};
use rolecall_sandbox::stripe::{
    PriceSeed,
    faults::FaultKind,
    story::Action,
    world::{
        customer::Card,
        dispute::{DisputeReason, DisputeStatus},
    },
};
use rolecall_stripe::client::checkout::{Buyer, Purchase};
use rolecall_worker::{
    payments::sync_payment,
    sync::{Hint, sync_subscription},
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Person, World,
    plans::{COUNCIL, GRACE, PATRON, debtor_role, guild, member_role, patron_role},
    soon,
};

const FOR_EVER: &str = "price_for_ever";

impl World {
    /// Lets everything come of what happened at Stripe, told three times.
    async fn follow_thrice(&self) {
        let events = self.new_events();
        for event in events.iter().chain(&events).chain(&events) {
            self.deliver(event).await.unwrap();
        }
        self.settle().await;
    }

    async fn roles_after(&self, person: &Person) -> Vec<rolecall_domain::ids::RoleId> {
        self.follow_thrice().await;
        self.roles(person).into_iter().collect()
    }

    /// Somebody who bought the plan once and for ever, and has its role; and the payment.
    async fn lifetime_member(&self) -> (Person, StripeCheckoutSessionId, String) {
        self.stripe
            .seed_price(&PriceSeed::usd(FOR_EVER, "For ever", 49_900, None));
        let person = self.person().await;
        let session = self
            .open_checkout_for(&person, Buyer::Unknown, Purchase::OneTime, FOR_EVER)
            .await;
        self.pay(&person, &session);
        assert_eq!(self.roles_after(&person).await, [member_role()]);
        let payment = self.stripe.object(session.as_str()).unwrap()["payment_intent"].clone();
        let charge = self.stripe.object(payment.as_str().unwrap()).unwrap()["latest_charge"].clone();
        (person, session, charge.as_str().unwrap().to_owned())
    }

    /// Stripe refuses all requests whose path contains this.
    fn refuse(&self, part: &str, status: u16) {
        let refused = FaultKind::Status {
            status,
            retry_after: None,
            applied: false,
        };
        self.fault(part, u32::MAX, refused);
    }

    async fn purchase(&self) -> Value {
        let mut rows = self.rows("SELECT to_jsonb(t) FROM purchases t").await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    async fn set_policy(&self, reversals: ReversalPolicy) {
        let policy = Policy {
            reversals,
            ..Policy::default()
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        rolecall_db::policies::insert_policy(&mut tx, &policy, "test", "test", self.now())
            .await
            .unwrap();
        rolecall_db::catalog::raise_catalog_version(&mut tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_refund_ends_what_it_paid_for_and_the_next_payment_brings_it_back() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.stripe.act(&subscription, &Action::RefundLatest).unwrap();
    assert!(world.roles_after(&person).await.is_empty());
    assert_eq!(world.subscriptions(&person).await[0].standing, Standing::Ended);
    // The next period is paid anew.
    world.advance(TimeDelta::days(31));
    world.stripe.renew(&subscription).unwrap();
    assert_eq!(world.roles_after(&person).await, [member_role()]);
}

#[tokio::test]
async fn a_partial_refund_changes_nothing_until_the_rest_follows() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let part = Action::RefundPart { amount: 1_000 };
    world.stripe.act(&subscription, &part).unwrap();
    assert_eq!(world.roles_after(&person).await, [member_role()]);
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    let rest = world.stripe.refund(&charge, None).unwrap();
    assert!(world.roles_after(&person).await.is_empty(), "all of it is back");
    world.stripe.fail_refund(&rest).unwrap();
    assert_eq!(
        world.roles_after(&person).await,
        [member_role()],
        "the money did not leave after all"
    );
}

#[tokio::test]
async fn a_refund_of_an_earlier_period_takes_nothing() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let first = world.stripe.latest_charge(&subscription).unwrap();
    world.advance(TimeDelta::days(31));
    world.stripe.renew(&subscription).unwrap();
    world.follow().await;
    world.stripe.refund(&first, None).unwrap();
    assert_eq!(world.roles_after(&person).await, [member_role()]);
}

#[tokio::test]
async fn a_period_that_was_begun_early_and_paid_outlives_the_refund_of_the_one_before() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.stripe.act(&subscription, &Action::RefundLatest).unwrap();
    assert_eq!(world.roles_after(&person).await, []);
    world.advance(TimeDelta::days(3));
    // A new anchor: the rest of the old period is not waited for.
    world.stripe.act(&subscription, &Action::Renew).unwrap();
    assert_eq!(world.roles_after(&person).await, [member_role()]);
}

#[tokio::test]
async fn a_dispute_holds_as_a_debt_does_and_a_won_one_restores() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    let disputed_at = world.now();
    let dispute = world
        .stripe
        .open_dispute(&charge, DisputeReason::Fraudulent, false)
        .unwrap();
    assert_eq!(world.roles_after(&person).await, [member_role(), debtor_role()]);
    let grace = Standing::Grace {
        until: disputed_at + GRACE,
    };
    assert_eq!(world.subscriptions(&person).await[0].standing, grace);
    assert_eq!(
        world.mail.messages().len(),
        1,
        "nobody is asked to pay what they dispute"
    );
    world.advance(GRACE);
    world.cron("grace_expiry").await;
    assert_eq!(world.roles_after(&person).await, [debtor_role()]);
    world.stripe.move_dispute(&dispute, DisputeStatus::Won).unwrap();
    assert_eq!(world.roles_after(&person).await, [member_role()]);
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn a_lost_dispute_ends_and_an_inquiry_changes_nothing() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    world
        .stripe
        .open_dispute(&charge, DisputeReason::General, true)
        .unwrap();
    assert_eq!(
        world.roles_after(&person).await,
        [member_role()],
        "only asked about"
    );
    let (other, theirs) = world.council_member().await;
    let charge = world.stripe.latest_charge(&theirs).unwrap();
    let dispute = world
        .stripe
        .open_dispute(&charge, DisputeReason::General, false)
        .unwrap();
    world.stripe.move_dispute(&dispute, DisputeStatus::Lost).unwrap();
    assert!(world.roles_after(&other).await.is_empty());
    assert_eq!(world.roles(&person), [member_role()].into());
}

#[tokio::test]
async fn a_warning_of_fraud_does_what_the_owner_chose() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    world.stripe.warn_of_fraud(&charge).unwrap();
    assert_eq!(
        world.roles_after(&person).await,
        [member_role()],
        "nothing by default"
    );
    world
        .set_policy(ReversalPolicy {
            early_fraud_warning: Consequence::End,
            ..ReversalPolicy::default()
        })
        .await;
    world
        .converge(&person, rolecall_domain::trigger::Trigger::Catalog)
        .await;
    assert!(world.roles_after(&person).await.is_empty());
}

#[tokio::test]
async fn what_was_bought_once_stays_until_its_payment_goes_back() {
    let world = World::start().await;
    let (person, session, charge) = world.lifetime_member().await;
    let bought = world.purchase().await;
    assert_eq!(
        (
            &bought["id"],
            &bought["plan_slug"],
            &bought["paid"],
            &bought["amount"]
        ),
        (
            &json!(session.as_str()),
            &json!("council"),
            &json!(true),
            &json!(49_900)
        )
    );
    assert_eq!(world.mail.messages().len(), 1, "one welcome");
    world.advance(TimeDelta::days(4_000));
    world.cron("grace_expiry").await;
    assert_eq!(world.roles_after(&person).await, [member_role()]);
    world.stripe.refund(&charge, None).unwrap();
    assert!(world.roles_after(&person).await.is_empty());
    assert_eq!(world.purchase().await["standing"], "ended");
}

#[tokio::test]
async fn a_purchase_is_fulfilled_by_whoever_comes_first_and_once() {
    let world = World::start().await;
    world
        .stripe
        .seed_price(&PriceSeed::usd(FOR_EVER, "For ever", 49_900, None));
    let person = world.person().await;
    let session = world
        .open_checkout_for(&person, Buyer::Unknown, Purchase::OneTime, FOR_EVER)
        .await;
    world.come_back(&session).await;
    world.settle().await;
    assert!(world.roles(&person).is_empty(), "nothing is paid yet");
    world.pay(&person, &session);
    world.come_back(&session).await;
    world.settle().await;
    assert_eq!(
        world.roles(&person),
        [member_role()].into(),
        "no webhook was needed"
    );
    world.come_back(&session).await;
    assert_eq!(world.roles_after(&person).await, [member_role()]);
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn a_payment_on_its_way_gives_access_when_it_arrives_and_not_if_it_bounces() {
    for arrives in [true, false] {
        let world = World::start().await;
        world
            .stripe
            .seed_price(&PriceSeed::usd(FOR_EVER, "For ever", 49_900, None));
        let person = world.person().await;
        let session = world
            .open_checkout_for(&person, Buyer::Unknown, Purchase::OneTime, FOR_EVER)
            .await;
        world
            .stripe
            .complete_checkout(session.as_str(), &person.email, Card::ArrivesLater)
            .unwrap();
        assert!(world.roles_after(&person).await.is_empty(), "on its way");
        assert_eq!(world.purchase().await["standing"], "pending");
        let payment = world.stripe.object(session.as_str()).unwrap()["payment_intent"].clone();
        world.stripe.settle(payment.as_str().unwrap(), arrives).unwrap();
        let roles = world.roles_after(&person).await;
        assert_eq!(roles == [member_role()], arrives, "{roles:?}");
    }
}

#[tokio::test]
async fn ending_one_thing_takes_only_what_nothing_else_gives() {
    let world = World::start().await;
    let (person, _, charge) = world.lifetime_member().await;
    let patron = world.buy(&person, PATRON);
    assert_eq!(world.roles_after(&person).await, [member_role(), patron_role()]);
    let council = world.buy(&person, COUNCIL);
    world.follow().await;
    world.stripe.cancel(&patron).unwrap();
    assert_eq!(
        world.roles_after(&person).await,
        [member_role()],
        "bought twice besides"
    );
    world.stripe.refund(&charge, None).unwrap();
    assert_eq!(
        world.roles_after(&person).await,
        [member_role()],
        "a subscription is left"
    );
    world.stripe.cancel(&council).unwrap();
    assert!(world.roles_after(&person).await.is_empty());
}

#[tokio::test]
async fn a_bank_that_waits_is_told_to_its_customer_once_with_the_page_to_confirm_at() {
    let world = World::start().await;
    let (_, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(31));
    world.stripe.act(&subscription, &Action::RequireAction).unwrap();
    world.follow_thrice().await;
    let invoice = world.stripe.object(&subscription).unwrap()["latest_invoice"].clone();
    let invoice = world.stripe.object(invoice.as_str().unwrap()).unwrap();
    let page = invoice["hosted_invoice_url"].as_str().unwrap().to_owned();
    let asks = |mail: &&rolecall_sandbox::mail::message::Message| mail.subject.starts_with("Your bank asks");
    let mails = world.mail.messages();
    let asking: Vec<_> = mails.iter().filter(asks).collect();
    assert_eq!(asking.len(), 1);
    assert!(asking[0].links().contains(&page));
}

#[tokio::test]
async fn a_refund_counts_though_stripe_lists_no_warnings_of_fraud() {
    for status in [400, 403, 404] {
        let world = World::start().await;
        let (person, subscription) = world.council_member().await;
        world.refuse("early_fraud_warnings", status);
        world.stripe.act(&subscription, &Action::RefundLatest).unwrap();
        assert!(world.roles_after(&person).await.is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_refund_of_what_was_bought_once_counts_though_stripe_names_no_invoice() {
    for status in [400, 404] {
        let world = World::start().await;
        let (person, _, charge) = world.lifetime_member().await;
        world.refuse("/v1/invoice_payments", status);
        world.stripe.refund(&charge, None).unwrap();
        assert!(world.roles_after(&person).await.is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_dispute_counts_although_its_charge_does_not_say_so_yet() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    world
        .stripe
        .open_dispute(&charge, DisputeReason::Fraudulent, false)
        .unwrap();
    world
        .stripe
        .with(|stripe| stripe.charges.get_mut(&charge).unwrap().disputed = false);
    world.follow_thrice().await;
    let standing = world.subscriptions(&person).await[0].standing;
    assert!(matches!(standing, Standing::Grace { .. }), "{standing:?}");
}

impl World {
    /// What somebody has bought is written for the first time, and comes to a stop after it has looked for refunds;
    /// meanwhile a refund of it is read.
    pub(crate) async fn refund_beside(
        &self,
        person: &Person,
        charge: &str,
        first_write: impl Future<Output = ()> + Send + 'static,
    ) {
        let mut elsewhere = self.worker.db.begin().await.unwrap();
        lock_member_guild(&mut elsewhere, guild(), person.user)
            .await
            .unwrap();
        let mut both = JoinSet::new();
        both.spawn(first_write);
        self.waits_for_locks(1).await;
        let (worker, charge) = (Arc::clone(&self.worker), charge.to_owned());
        both.spawn(async move {
            sync_payment(&worker, &charge, DateTime::<Utc>::MAX_UTC)
                .await
                .unwrap();
        });
        self.waits_for_locks(2).await;
        elsewhere.rollback().await.unwrap();
        soon(both.join_all()).await;
        self.settle().await;
    }
}

#[tokio::test]
async fn a_refund_that_is_read_while_a_subscription_is_first_written_takes_effect() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    let subscription = world.buy(&person, PATRON);
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    world.stripe.refund(&charge, None).unwrap();
    world.new_events();
    let worker = Arc::clone(&world.worker);
    let first_write = Box::pin(async move {
        let id = subscription.parse().unwrap();
        let hint = Hint::seen(DateTime::<Utc>::MAX_UTC);
        sync_subscription(&worker, &id, hint).await.unwrap();
    });
    world.refund_beside(&person, &charge, first_write).await;
    assert_eq!(world.roles(&person), [member_role()].into());
}
