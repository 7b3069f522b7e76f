//! B6: what is bought once. The landing page and every event at the same time fulfil it once, and so does a
//! session that somebody else has opened, if its metadata says what it sells.

use std::{collections::BTreeMap, sync::Arc};

use rolecall_domain::ids::{StripeCheckoutSessionId, StripePriceId, uuid_v7};
use rolecall_sandbox::stripe::{
    PriceSeed,
    story::checkout,
    world::{
        Metadata,
        customer::Card,
        discount::{Coupon, CouponDuration, Off, PromotionCode},
    },
};
use rolecall_stripe::client::checkout::{Buyer, NewCheckoutSession, Purchase};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Person, World, plans::member_role, soon};

const FOR_EVER: &str = "price_for_ever";

impl World {
    fn sell_for_ever(&self) {
        self.stripe
            .seed_price(&PriceSeed::usd(FOR_EVER, "For ever", 49_900, None));
    }

    async fn open_for_ever(&self, person: &Person) -> StripeCheckoutSessionId {
        let buyer = Buyer::Email(person.email.clone());
        self.open_checkout_for(person, buyer, Purchase::OneTime, FOR_EVER)
            .await
    }

    fn pay_with(&self, person: &Person, session: &StripeCheckoutSessionId, card: Card) {
        self.stripe
            .complete_checkout(session.as_str(), &person.email, card)
            .unwrap();
    }

    async fn kept_purchases(&self) -> Vec<Value> {
        self.rows("SELECT to_jsonb(t) FROM purchases t ORDER BY bought_at, id")
            .await
    }

    async fn has_role(&self, person: &Person) -> bool {
        self.follow().await;
        self.roles(person) == [member_role()].into()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_landing_page_and_every_event_at_once_fulfil_what_is_bought_once() {
    let world = Arc::new(World::start().await);
    world.sell_for_ever();
    for round in 0..3 {
        let person = world.person().await;
        let session = world.open_for_ever(&person).await;
        world.pay_with(&person, &session, Card::Works);
        let mut set = JoinSet::new();
        let events = world.new_events();
        for event in [events.clone(), events].concat() {
            let world = Arc::clone(&world);
            set.spawn(async move { world.deliver(&event).await });
        }
        let page = Arc::clone(&world);
        set.spawn(async move {
            page.come_back(&session).await;
            Ok(())
        });
        for result in soon(set.join_all()).await {
            result.unwrap();
        }
        assert!(world.has_role(&person).await);
        assert_eq!(world.kept_purchases().await.len(), round + 1);
        assert_eq!(world.mail.messages().len(), round + 1, "one welcome each");
    }
}

#[tokio::test]
async fn what_a_code_makes_free_is_given_and_what_was_given_up_is_not() {
    let world = World::start().await;
    world.sell_for_ever();
    let person = world.person().await;
    let created = world.now().timestamp();
    world
        .stripe
        .add_coupon(Coupon {
            id: "FREE".to_owned(),
            name: None,
            off: Off::Percent(10_000),
            currency: None,
            duration: CouponDuration::Once,
            products: Vec::new(),
            max_redemptions: None,
            redeem_by: None,
            times_redeemed: 0,
            metadata: Metadata::new(),
            deleted: false,
            created,
        })
        .unwrap();
    world
        .stripe
        .add_promotion_code(PromotionCode {
            id: "promo_free".to_owned(),
            code: "GIFT".to_owned(),
            coupon: "FREE".to_owned(),
            customer: None,
            active: true,
            expires_at: None,
            max_redemptions: None,
            times_redeemed: 0,
            first_time_transaction: false,
            minimum: None,
            metadata: Metadata::new(),
            created,
        })
        .unwrap();
    let session = world
        .open_elsewhere(&person, json!({"rolecall_plan": "council"}))
        .await;
    let given_up = world.open_for_ever(&person).await;
    world.come_back(&given_up).await;
    assert!(!world.has_role(&person).await);
    let purchase = checkout::Purchase {
        email: person.email.clone(),
        card: Some(Card::Works),
        last4: None,
        confirmed: true,
        promotion_code: Some("GIFT".to_owned()),
    };
    world.stripe.complete_purchase(&session, &purchase).unwrap();
    assert!(world.has_role(&person).await);
    let kept = world.kept_purchases().await;
    assert_eq!((kept.len(), &kept[0]["amount"]), (1, &json!(0)));
    assert_eq!(kept[0]["payment_intent"], Value::Null);
}

#[tokio::test]
async fn a_session_that_the_owner_opened_elsewhere_counts_by_its_metadata() {
    let world = World::start().await;
    world.sell_for_ever();
    let person = world.person().await;
    for (metadata, expected) in [
        (json!({}), false),
        (json!({"rolecall_plan": "nonsense"}), false),
        (json!({"rolecall_plan": "council"}), true),
    ] {
        let session = world.open_elsewhere(&person, metadata.clone()).await;
        world
            .stripe
            .complete_checkout(&session, &person.email, Card::Works)
            .unwrap();
        assert_eq!(world.has_role(&person).await, expected, "{metadata}");
    }
}

impl World {
    /// A session that takes codes, of which we know nothing but its reference and its metadata.
    async fn open_elsewhere(&self, person: &Person, metadata: Value) -> String {
        let metadata: BTreeMap<String, String> = serde_json::from_value(metadata).unwrap();
        let new = NewCheckoutSession {
            purchase: Purchase::OneTime,
            price: StripePriceId::new(FOR_EVER),
            quantity: 1,
            buyer: Buyer::Email(person.email.clone()),
            client_reference_id: Some(person.id.to_string()),
            success_url: "https://council.example/checkout/success".to_owned(),
            cancel_url: "https://council.example/plans".to_owned(),
            metadata,
            purchase_metadata: BTreeMap::new(),
            allow_promotion_codes: true,
            automatic_tax: false,
        };
        let key = uuid_v7(self.now(), &*self.rng).to_string();
        let session = self.worker.stripe.create_checkout_session(new, &key).await;
        session.unwrap().id.to_string()
    }
}

#[tokio::test]
async fn who_pays_with_somebody_else_s_customer_gets_what_they_bought() {
    let world = World::start().await;
    world.sell_for_ever();
    let (owner, subscription) = world.council_member().await;
    let customer = world
        .stripe
        .read(|stripe| stripe.subscription(&subscription).unwrap().customer.clone());
    let buyer = world.person().await;
    let customer = Buyer::Customer(customer.parse().unwrap());
    let session = world
        .open_checkout_for(&buyer, customer, Purchase::OneTime, FOR_EVER)
        .await;
    world.pay_with(&owner, &session, Card::Works);
    world.come_back(&session).await;
    world.settle().await;
    assert_eq!(world.roles(&buyer), [member_role()].into());
    assert_eq!(world.roles(&owner), [member_role()].into());
}

#[tokio::test]
async fn a_refund_that_is_read_while_a_purchase_is_first_written_takes_effect() {
    let world = Arc::new(World::start().await);
    world.sell_for_ever();
    let (person, _) = world.council_member().await;
    let session = world
        .open_elsewhere(&person, json!({"rolecall_plan": "patron"}))
        .await;
    world
        .stripe
        .complete_checkout(&session, &person.email, Card::Works)
        .unwrap();
    let payment = world.stripe.object(&session).unwrap()["payment_intent"].clone();
    let charge = world.stripe.object(payment.as_str().unwrap()).unwrap()["latest_charge"].clone();
    let charge = charge.as_str().unwrap().to_owned();
    world.stripe.refund(&charge, None).unwrap();
    let session = session.parse().unwrap();
    let page = Arc::clone(&world);
    let first_write = Box::pin(async move { page.come_back(&session).await });
    world.refund_beside(&person, &charge, first_write).await;
    assert_eq!(world.roles(&person), [member_role()].into());
}
