//! Thin events: they name an object of Stripe's and tell nothing of it.

use rolecall_domain::standing::Standing;
use rolecall_queue::jobs::StripeEvent;
use rolecall_sandbox::stripe::world::dispute::DisputeReason;
use serde_json::json;

use crate::support::{
    World, event,
    plans::{debtor_role, member_role},
};

impl World {
    /// Stripe tells of an object by its name alone, and nothing else arrives.
    async fn tell_thinly(&self, kind: &str, id: &str) {
        self.new_events();
        self.deliver(&self.thin(kind, id)).await.unwrap();
        self.settle().await;
    }

    fn thin(&self, kind: &str, id: &str) -> StripeEvent {
        event(&json!({
            "id": format!("evt_thin_{}", kind.replace('.', "_")),
            "object": "v2.core.event",
            "type": kind,
            "created": self.now().timestamp(),
            "livemode": false,
            "related_object": { "id": id, "type": "riddle", "url": "/v1/riddles" },
        }))
    }

    fn latest_invoice(&self, subscription: &str) -> String {
        let object = self.stripe.object(subscription).unwrap();
        object["latest_invoice"].as_str().unwrap().to_owned()
    }

    async fn open_events(&self) -> Vec<serde_json::Value> {
        self.rows("SELECT to_jsonb(event_id) FROM inbox WHERE state NOT IN ('done', 'ignored')")
            .await
    }
}

#[tokio::test]
async fn an_invoice_that_is_only_named_dates_the_debt_and_its_payment_ends_it() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    world.advance(chrono::TimeDelta::days(30));
    let failed_at = world.now();
    world.stripe.fail_payment(&subscription).unwrap();
    let invoice = world.latest_invoice(&subscription);
    world.tell_thinly("v1.invoice.payment_failed", &invoice).await;
    assert_eq!(world.roles(&person), [member_role(), debtor_role()].into());
    let failures = world
        .rows("SELECT to_jsonb(t) FROM (SELECT invoice_id, extract(epoch FROM first_failed_at)::bigint AS at FROM invoice_failures) t")
        .await;
    assert_eq!(
        failures,
        [json!({ "invoice_id": invoice, "at": failed_at.timestamp() })]
    );
    world.stripe.pay_open_invoice(&subscription).unwrap();
    world.tell_thinly("v1.invoice.paid", &invoice).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert!(world.open_events().await.is_empty());
}

#[tokio::test]
async fn a_refund_that_is_only_named_ends_what_was_paid() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    let refund = world.stripe.refund(&charge, None).unwrap();
    world.tell_thinly("v1.refund.created", &refund).await;
    assert_eq!(world.roles(&person), [].into());
    assert_eq!(world.subscriptions(&person).await[0].standing, Standing::Ended);
}

#[tokio::test]
async fn a_dispute_that_is_only_named_holds_what_was_paid() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let charge = world.stripe.latest_charge(&subscription).unwrap();
    let dispute = world
        .stripe
        .open_dispute(&charge, DisputeReason::Fraudulent, false)
        .unwrap();
    world.tell_thinly("v1.charge.dispute.created", &dispute).await;
    let standing = world.subscriptions(&person).await[0].standing;
    assert!(matches!(standing, Standing::Grace { .. }), "{standing:?}");
}

#[tokio::test]
async fn an_object_that_is_gone_concerns_nothing_and_stays_in_nobodys_way() {
    let world = World::start().await;
    let (person, _) = world.council_member().await;
    world.tell_thinly("v1.invoice.paid", "in_gone").await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert!(world.open_events().await.is_empty());
}
