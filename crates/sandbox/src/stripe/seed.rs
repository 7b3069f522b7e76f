//! What an account has before anybody buys.

use crate::stripe::error::Refusal;
use crate::stripe::story::pay::Means;
use crate::stripe::story::purchase::{NewCustomer, NewSubscription};
use crate::stripe::world::catalog::{Interval, Price, Product, Recurring};
use crate::stripe::world::customer::Card;
use crate::stripe::world::{Metadata, World};

/// A product with one price, under ids of the caller's choice.
#[derive(Clone, Debug)]
pub struct PriceSeed {
    /// The price's id.
    pub id: String,
    /// The product's id; several prices may share one.
    pub product: String,
    /// The product's name.
    pub name: String,
    /// In the smallest unit.
    pub unit_amount: i64,
    /// Lower-case ISO code.
    pub currency: String,
    /// How often it is paid; `None` is once.
    pub interval: Option<Interval>,
}

impl PriceSeed {
    /// A price in US dollars whose product takes its id from the name.
    pub fn usd(id: &str, name: &str, unit_amount: i64, interval: Option<Interval>) -> Self {
        let word: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        Self {
            id: id.to_owned(),
            product: format!("prod_{word}"),
            name: name.to_owned(),
            unit_amount,
            currency: "usd".to_owned(),
            interval,
        }
    }
}

/// What the demo sells.
pub(crate) fn demo() -> [PriceSeed; 2] {
    [
        PriceSeed::usd(
            "price_council_monthly",
            "Council member",
            2_900,
            Some(Interval::Month),
        ),
        PriceSeed::usd(
            "price_council_yearly",
            "Council member",
            29_000,
            Some(Interval::Year),
        ),
    ]
}

impl World {
    /// Adds a price, and its product unless that is there.
    pub fn seed_price(&mut self, seed: &PriceSeed) {
        let now = self.now();
        if self.products.get(&seed.product).is_none() {
            self.products.insert(Product {
                id: seed.product.clone(),
                name: seed.name.clone(),
                description: None,
                active: true,
                metadata: Metadata::new(),
                deleted: false,
                created: now,
                updated: now,
            });
        }
        self.prices.insert(Price {
            id: seed.id.clone(),
            product: seed.product.clone(),
            currency: seed.currency.clone(),
            unit_amount: seed.unit_amount,
            recurring: seed.interval.map(|interval| Recurring { interval, count: 1 }),
            nickname: None,
            lookup_key: None,
            active: true,
            metadata: Metadata::new(),
            deleted: false,
            created: now,
        });
    }

    /// A customer with a card and a paid subscription, as if they had gone through checkout.
    pub fn seed_subscription(
        &mut self,
        email: &str,
        card: Card,
        price: &str,
        quantity: i64,
        metadata: Metadata,
    ) -> Result<String, Refusal> {
        let email = Some(email.to_owned());
        let customer = self.create_customer(NewCustomer {
            email,
            ..NewCustomer::default()
        })?;
        self.attach_card(&customer, card)?;
        let items = vec![(price.to_owned(), quantity)];
        let new = NewSubscription {
            customer,
            items,
            metadata,
            ..NewSubscription::default()
        };
        self.create_subscription(new, Means::FirstTime).map(|(id, _)| id)
    }

    /// Many customers with a paid subscription each, as if they had bought it long ago: without events,
    /// which would take by far the most room.
    pub fn seed_many(&mut self, price: &str, count: u32) -> Result<Vec<String>, Refusal> {
        self.quietly(|world| {
            let made = (1..=count).map(|number| {
                let email = format!("member{number}@example.com");
                world.seed_subscription(&email, Card::Works, price, 1, Metadata::new())
            });
            made.collect()
        })
    }
}
