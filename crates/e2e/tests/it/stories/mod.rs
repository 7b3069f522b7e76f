//! What money can do to a membership, story by story, while webhooks come shuffled, three times, late, and one in
//! ten not at all. One sweep, and everything is as if they had come in order.

mod access;
mod buying;
mod reversals;
mod staff;
mod union;

use std::time::Duration;

use rolecall_e2e::{
    person::{Page, Person},
    stack::Stack,
    story::{ADA, ADA_EMAIL},
    until::until,
};
use rolecall_sandbox::{
    discord::demo,
    stripe::{
        PriceSeed,
        faults::DeliveryFaults,
        story::{Action, pay::Means, purchase::NewSubscription},
        world::catalog::Interval,
    },
};
use serde_json::Value;

use crate::support::{AFTER_A_SWEEP, SOON, mails, stack};

/// A second plan, which gives the role of the first one and one more.
const PATRON: &str = "price_patron_monthly";

/// Access for as long as there is a server, paid once.
const FOR_LIFE: &str = "price_council_for_life";

/// Ben, who has never been here.
const BEN: u64 = demo::OWNER + 2;

/// Ada, and what is sold to her.
struct Story {
    stack: Stack,
    ada: Person,
}

/// What two plans are like.
struct Plans {
    /// How long access outlives a failed payment.
    grace: &'static str,
    /// What stays of a membership that ended.
    end: &'static str,
    /// Free days of the second plan.
    trial_days: u32,
}

impl Plans {
    /// A week of grace, and a plain end.
    const USUAL: Self = Self {
        grace: "7d",
        end: "remove",
        trial_days: 0,
    };

    fn file(&self) -> String {
        let Self {
            grace,
            end,
            trial_days,
        } = self;
        let (guild, council, debtor) = (demo::GUILD, demo::COUNCIL_ROLE, demo::DEBTOR_ROLE);
        let introduced = demo::INTRODUCED_ROLE;
        format!(
            r#"
[[plan]]
slug = "council"
name = "Council member"
kind = "individual"
prices = ["price_council_monthly", "price_council_yearly"]
lifetime_prices = ["{FOR_LIFE}"]
grace = "{grace}"
end = "{end}"
[[plan.role]]
guild = "{guild}"
role = "{council}"

[[plan]]
slug = "patron"
name = "Patron"
kind = "individual"
prices = ["{PATRON}"]
grace = "{grace}"
trial_days = {trial_days}
[[plan.role]]
guild = "{guild}"
role = "{council}"
[[plan.role]]
guild = "{guild}"
role = "{introduced}"

[[guild]]
id = "{guild}"
debtor_role = "{debtor}"
alumni_role = "{introduced}"
"#
        )
    }
}

impl Story {
    /// Ada has signed in; from here on webhooks go wrong in every way, by this seed.
    async fn begin(name: &str, seed: u64, plans: &Plans) -> Self {
        let stack = stack(&format!("story_{name}")).await;
        for price in [
            PriceSeed::usd(PATRON, "Patron", 9_900, Some(Interval::Month)),
            PriceSeed::usd(FOR_LIFE, "Council member for life", 99_000, None),
        ] {
            stack.stripe.seed_price(&price);
        }
        let path = stack.folder().join("story.toml");
        std::fs::write(&path, plans.file()).unwrap();
        stack
            .rolecall(&["plans", "apply", &path.to_string_lossy()])
            .await
            .unwrap();
        until("the prices of both plans", SOON, async || {
            let url = format!("{}/api/v1/plans", stack.public_url());
            let plans = stack.client.get(url).send().await?.text().await?;
            Ok((plans.contains(PATRON) && plans.contains("9900")).then_some(()))
        })
        .await
        .unwrap();
        let ada = Person::new().unwrap();
        ada.sign_in(stack.public_url(), ADA, "/dashboard").await.unwrap();
        let faults = DeliveryFaults {
            drop_percent: 10,
            duplicate_percent: 100,
            copies: 3,
            shuffle_window: 6,
            max_delay_ms: 50,
            ..DeliveryFaults::default()
        };
        stack.stripe.set_delivery_faults(faults, Some(seed));
        Self { stack, ada }
    }

    /// Ada buys a plan on the pages; the subscription.
    async fn buys(&self, plan: &str) -> String {
        self.ada
            .buy(self.stack.public_url(), plan, ADA_EMAIL)
            .await
            .unwrap();
        rolecall_e2e::story::subscription(&self.stack).unwrap()
    }

    /// Somebody fills in the form of a plan, and pays with a card that ends in these digits.
    async fn pays(&self, person: &Person, plan: &str, price: &str, card: &str) -> Page {
        let plans = person
            .open(&format!("{}/plans", self.stack.public_url()))
            .await
            .unwrap();
        let form = plans.form_where("plan", plan).unwrap().with("price", price);
        let checkout = person.submit(&plans, &form).await.unwrap();
        self.fills_in(person, &checkout, card).await
    }

    async fn fills_in(&self, person: &Person, checkout: &Page, card: &str) -> Page {
        let email = ADA_EMAIL.replace("ada", card);
        let form = checkout
            .form_with("card")
            .unwrap()
            .with("email", &email)
            .with("card", "works")
            .with("last4", card);
        person.submit(checkout, &form).await.unwrap()
    }

    /// Somebody in Stripe's dashboard sells the same customer one more subscription.
    fn is_sold(&self, price: &str) -> String {
        self.stack.stripe.with(|world| {
            let customer = world.subscriptions.rows().last().unwrap().customer.clone();
            let new = NewSubscription {
                customer,
                items: vec![(price.to_owned(), 1)],
                ..NewSubscription::default()
            };
            world.create_subscription(new, Means::FirstTime).unwrap().0
        })
    }

    fn happens(&self, subscription: &str, action: &Action) {
        self.stack.stripe.act(subscription, action).unwrap();
    }

    /// All webhooks that come have come, and one sweep has looked for those that did not: then this is so, on
    /// the server, in the record and on the dashboard.
    async fn comes_to(&self, standing: &str, roles: &[&str]) {
        self.stack.stripe.deliveries_settled(AFTER_A_SWEEP).await.unwrap();
        let sweep = self.stack.rolecall(&["jobs", "run", "stripe_events_sweep"]).await;
        assert_eq!(sweep.unwrap()["state"], "succeeded");
        self.is(standing, roles, AFTER_A_SWEEP).await;
    }

    /// Within this time it is so, whatever the webhooks do.
    async fn is(&self, standing: &str, roles: &[&str], limit: Duration) {
        let mut last = Value::Null;
        let there = until("the standing and the roles", limit, async || {
            let why = self.stack.rolecall(&["why", &ADA.to_string()]).await?;
            let good = why["standing"] == standing
                && why["guilds"][0]["state"] == "in_sync"
                && self.stack.roles_of(ADA).as_deref() == Some(roles);
            last = why;
            Ok(good.then_some(()))
        })
        .await;
        let has = self.stack.roles_of(ADA);
        there.unwrap_or_else(|error| {
            panic!("{standing} with {roles:?}: {error:#}; she has {has:?}; the record says {last:#}")
        });
    }

    /// Stripe's times have no more than seconds, and what it tells apart by them lies days apart.
    async fn another_second(&self) {
        let now = || self.stack.stripe.clock().wall().timestamp();
        let second = now();
        until(
            "another second",
            SOON,
            async || Ok((now() > second).then_some(())),
        )
        .await
        .unwrap();
    }

    /// How often each of these was in Ada's mail.
    fn letters(&self, subjects: &[&str]) -> Vec<usize> {
        let count = |subject: &&str| mails(&self.stack, subject).len();
        subjects.iter().map(count).collect()
    }

    async fn ends(self) {
        self.stack.stop().await.unwrap();
    }
}
