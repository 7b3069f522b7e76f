//! The service before a simulated Stripe that sells what the service does.

use std::collections::BTreeSet;

use rolecall_db::{
    customers::upsert_customer,
    subscriptions::{SubscriptionRead, insert_subscription, set_standing},
};
use rolecall_domain::{ids::MemberId, standing::Standing};
use rolecall_sandbox::{
    clock::Clock,
    stripe::{
        Config, PriceSeed, Simulator,
        faults::{FaultKind, RequestFault},
        world::{Metadata, catalog::Interval, customer::Card},
    },
};
use serde_json::Value;

use crate::support::{TestApp, app::STRIPE_KEY};

/// The service and Stripe.
pub(crate) struct Shop {
    pub(crate) app: TestApp,
    pub(crate) stripe: Simulator,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        let config = Config {
            clock: Clock::fixed("2026-11-21T12:00:00Z".parse().unwrap()),
            seed: Some(7),
            ..Config::new(STRIPE_KEY)
        };
        let stripe = Simulator::start(config).await.unwrap();
        for (price, name, amount, interval) in [
            ("price_month", "Council", 4_900, Some(Interval::Month)),
            ("price_year", "Council", 49_000, Some(Interval::Year)),
            ("price_ever", "Council", 49_900, None),
            ("price_inner", "Inner", 19_900, Some(Interval::Month)),
        ] {
            stripe.seed_price(&PriceSeed::usd(price, name, amount, interval));
        }
        let app = TestApp::builder()
            .env("STRIPE_API_BASE", stripe.origin())
            .start()
            .await;
        app.seed_plans().await;
        Self { app, stripe }
    }

    /// Time passes, for both.
    pub(crate) fn advance(&self, seconds: i64) {
        self.app.advance(seconds);
        self.stripe.clock().set_wall(self.app.now());
    }

    /// Somebody subscribes by month, and the worker has read it. Returns the subscription.
    pub(crate) async fn subscribe(&self, member_id: MemberId, card: Card) -> String {
        self.subscribe_to(member_id, card, "price_month", "council").await
    }

    pub(crate) async fn subscribe_to(
        &self,
        member_id: MemberId,
        card: Card,
        price: &str,
        plan: &str,
    ) -> String {
        let id = self
            .stripe
            .seed_subscription("ada@example.test", card, price, 1, Metadata::new())
            .unwrap();
        let customer = self.object(&id)["customer"].as_str().unwrap().to_owned();
        let (customer, now) = (customer.parse().unwrap(), self.app.now());
        let mut tx = self.app.database.begin().await.unwrap();
        upsert_customer(&mut tx, &customer, Some(member_id), now)
            .await
            .unwrap();
        let read = SubscriptionRead {
            id: id.parse().unwrap(),
            customer,
            member_id: Some(member_id),
            plan: Some(plan.parse().unwrap()),
            prices: vec![rolecall_domain::ids::StripePriceId::new(price)],
            quantity: 1,
            status: "active".parse().unwrap(),
            collection_paused: false,
            current_period_end: None,
            cancel_at_period_end: false,
            cancel_at: None,
            ended_at: None,
            trial_end: None,
            owed_since: None,
            owed_invoice_url: None,
            livemode: false,
            read_started_at: now,
        };
        insert_subscription(&mut tx, &read, now).await.unwrap();
        set_standing(&mut tx, &read.id, Standing::Active, None, true)
            .await
            .unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// The next so many of these requests are answered with this status, and have no effect.
    pub(crate) fn fails(&self, request: &str, times: u32, status: u16) {
        self.stripe.add_request_fault(RequestFault {
            path_contains: Some(request.to_owned()),
            times: Some(times),
            fault: FaultKind::Status {
                status,
                retry_after: None,
                applied: false,
            },
        });
    }

    /// The idempotency keys of the requests of this kind.
    pub(crate) fn keys(&self, method: &str, path: &str) -> BTreeSet<String> {
        let requests = self.stripe.requests();
        let of_kind = requests
            .iter()
            .filter(|request| request.method == method && request.path == path);
        of_kind
            .filter_map(|request| request.idempotency_key.clone())
            .collect()
    }

    /// An object as Stripe shows it.
    pub(crate) fn object(&self, id: &str) -> Value {
        self.stripe
            .object(id)
            .unwrap_or_else(|| panic!("Stripe has no {id}"))
    }

    /// How many requests of this kind Stripe has had.
    pub(crate) fn requests(&self, method: &str, path: &str) -> usize {
        let requests = self.stripe.requests();
        let of_kind = requests
            .iter()
            .filter(|request| request.method == method && request.path == path);
        of_kind.count()
    }
}
