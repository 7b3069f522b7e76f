//! Everything the simulated account knows, in memory, behind one lock.

pub mod catalog;
pub mod customer;
pub mod discount;
pub mod dispute;
pub mod event;
pub mod ids;
pub mod invoice;
pub mod payment;
pub mod session;
pub mod subscription;
mod table;
pub mod test_clock;
mod time;

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use tokio::time::Instant;

pub use table::{Row, Table};

use crate::clock::Clock;
use crate::stripe::api::gate::SavedAnswer;
use crate::stripe::config::{AfterRetries, Config};
use crate::stripe::error::Refusal;
use crate::stripe::faults::Faults;
use crate::stripe::log::LoggedRequest;
use crate::stripe::shape;
use crate::stripe::webhook::queue::Queue;
use catalog::{Price, Product};
use customer::{Customer, PaymentMethod};
use discount::{Coupon, Discount, PromotionCode};
use dispute::{Dispute, FraudWarning};
use event::{Cause, Delivery, DeliveryState, Endpoint, Event};
use ids::Ids;
use invoice::Invoice;
use payment::{Charge, PaymentIntent, Refund};
use session::{CheckoutSession, PortalSession};
use subscription::Subscription;
use test_clock::TestClock;

/// Free key and value pairs on an object.
pub type Metadata = BTreeMap<String, String>;

/// The account.
#[derive(Debug)]
pub struct World {
    /// The account's time.
    pub clock: Clock,
    /// Makes ids.
    pub ids: Ids,
    /// Whether this is live mode.
    pub livemode: bool,
    /// `http://host:port` of the API and the pages.
    pub origin: String,
    /// The owner's setting for the end of the retries.
    pub after_retries: AfterRetries,
    /// Days from each failed attempt of a renewal to the next; then the retries are used up.
    pub retry_days: Vec<u16>,
    /// Products.
    pub products: Table<Product>,
    /// Prices.
    pub prices: Table<Price>,
    /// Customers.
    pub customers: Table<Customer>,
    /// Cards.
    pub payment_methods: Table<PaymentMethod>,
    /// Subscriptions.
    pub subscriptions: Table<Subscription>,
    /// Invoices.
    pub invoices: Table<Invoice>,
    /// Payments; each attempt of one is a charge.
    pub payment_intents: Table<PaymentIntent>,
    /// Charges.
    pub charges: Table<Charge>,
    /// Refunds.
    pub refunds: Table<Refund>,
    /// Disputes.
    pub disputes: Table<Dispute>,
    /// Early fraud warnings.
    pub fraud_warnings: Table<FraudWarning>,
    /// Coupons.
    pub coupons: Table<Coupon>,
    /// Promotion codes.
    pub promotion_codes: Table<PromotionCode>,
    /// Coupons in use.
    pub discounts: Table<Discount>,
    /// Test clocks.
    pub test_clocks: Table<TestClock>,
    /// Checkout sessions.
    pub checkouts: Table<CheckoutSession>,
    /// Portal sessions.
    pub portals: Table<PortalSession>,
    /// Webhook endpoints.
    pub endpoints: Table<Endpoint>,
    /// Events.
    pub events: Table<Event>,
    /// Deliveries of events.
    pub deliveries: Vec<Delivery>,
    /// Deliveries that wait for their turn.
    pub queue: Queue,
    /// Faults on demand.
    pub faults: Faults,
    /// Answers kept under their idempotency keys.
    pub answers: HashMap<String, SavedAnswer>,
    /// Every request to the API.
    pub requests: Vec<LoggedRequest>,
    /// The request that is being served, recorded in the events it causes.
    pub cause: Cause,
    /// Whether what happens is not told, because it is the story's past.
    pub(crate) muted: bool,
    /// The time of the test clock whose customer something happens to.
    frozen: Option<i64>,
}

impl World {
    /// An empty account.
    pub fn new(config: &Config, livemode: bool, origin: String) -> Self {
        let machine_seed = config
            .clock
            .wall()
            .timestamp_nanos_opt()
            .unwrap_or_default()
            .unsigned_abs();
        let seed = config.seed.unwrap_or(machine_seed);
        Self {
            clock: config.clock.clone(),
            ids: Ids::new(seed, livemode),
            livemode,
            origin,
            after_retries: config.after_retries,
            retry_days: config.retry_days.clone(),
            products: Table::default(),
            prices: Table::default(),
            customers: Table::default(),
            payment_methods: Table::default(),
            subscriptions: Table::default(),
            invoices: Table::default(),
            payment_intents: Table::default(),
            charges: Table::default(),
            refunds: Table::default(),
            disputes: Table::default(),
            fraud_warnings: Table::default(),
            coupons: Table::default(),
            promotion_codes: Table::default(),
            discounts: Table::default(),
            test_clocks: Table::default(),
            checkouts: Table::default(),
            portals: Table::default(),
            endpoints: Table::default(),
            events: Table::default(),
            deliveries: Vec::new(),
            queue: Queue::default(),
            faults: Faults::new(seed),
            answers: HashMap::new(),
            requests: Vec::new(),
            cause: Cause::default(),
            muted: false,
            frozen: None,
        }
    }

    /// Lets something happen without any event, as what was long ago.
    pub fn quietly<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        self.muted = true;
        let result = act(self);
        self.muted = false;
        result
    }

    /// Records an event and queues its deliveries, as the faults in force decide.
    pub fn emit(&mut self, kind: &'static str, object: Value, previous: Option<Value>) {
        if self.muted || self.faults.loses_event() {
            return;
        }
        self.emit_in_mode(kind, object, previous, self.livemode);
    }

    /// Records an event of either mode, whatever the account's own is.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "every caller is done with the object"
    )]
    pub fn emit_in_mode(
        &mut self,
        kind: &'static str,
        object: Value,
        previous: Option<Value>,
        livemode: bool,
    ) -> String {
        let id = self.ids.event();
        let created = self.clock.wall().timestamp();
        let cause = self.cause.clone();
        let object = object.to_string().into_boxed_str();
        self.events.insert(Event {
            id: id.clone(),
            kind,
            object,
            previous,
            cause,
            livemode,
            created,
        });
        let wanting: Vec<String> = self
            .endpoints
            .rows()
            .iter()
            .filter(|endpoint| endpoint.wants(kind))
            .map(|endpoint| endpoint.id.clone())
            .collect();
        for endpoint in wanting {
            self.deliver(&id, kind, &endpoint);
        }
        id
    }

    fn deliver(&mut self, event: &str, kind: &'static str, endpoint: &str) {
        let plan = self.faults.plan_delivery();
        let copies = if plan.dropped { 1 } else { plan.copies };
        for _ in 0..copies {
            let id = self.deliveries.len();
            let state = if plan.dropped {
                DeliveryState::Dropped
            } else {
                DeliveryState::Pending
            };
            self.deliveries.push(Delivery {
                id,
                event: event.to_owned(),
                kind,
                endpoint: endpoint.to_owned(),
                state,
                attempts: Vec::new(),
            });
            if !plan.dropped {
                let order = self.faults.order_key();
                self.queue.push(id, order, plan.delay, Instant::now());
            }
        }
    }

    /// Sends an event again to every endpoint that wants it, without faults.
    pub fn resend(&mut self, event: &str) -> Result<(), Refusal> {
        let kind = self.events.get(event).map(|event| event.kind);
        let kind = kind.ok_or_else(|| Refusal::not_found("event", event))?;
        let wanting = self
            .endpoints
            .rows()
            .iter()
            .filter(|endpoint| endpoint.wants(kind));
        let wanting: Vec<String> = wanting.map(|endpoint| endpoint.id.clone()).collect();
        for endpoint in wanting {
            let id = self.deliveries.len();
            let state = DeliveryState::Pending;
            let event = event.to_owned();
            self.deliveries.push(Delivery {
                id,
                event,
                kind,
                endpoint,
                state,
                attempts: Vec::new(),
            });
            self.queue.push_at_once(id, Instant::now());
        }
        Ok(())
    }

    /// Changes a subscription and emits `customer.subscription.updated` if that is visible from outside.
    pub fn change_subscription<T>(
        &mut self,
        id: &str,
        change: impl FnOnce(&mut Subscription) -> T,
    ) -> Result<T, Refusal> {
        if self.muted {
            return self.subscription_mut(id).map(change);
        }
        let before = self.subscription_json(id)?;
        let result = self.subscription_mut(id).map(change)?;
        let after = self.subscription_json(id)?;
        if let Some(previous) = shape::previous_attributes(&before, &after) {
            self.emit("customer.subscription.updated", after, Some(previous));
        }
        Ok(result)
    }

    /// Emits an event about a subscription as it is now.
    pub fn emit_subscription(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        if self.muted {
            return Ok(());
        }
        let object = self.subscription_json(id)?;
        self.emit(kind, object, None);
        Ok(())
    }

    /// Emits an event about an invoice as it is now.
    pub fn emit_invoice(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        if self.muted {
            return Ok(());
        }
        let object = shape::invoice(self, self.invoice(id)?);
        self.emit(kind, object, None);
        Ok(())
    }

    /// Emits an event about a customer as it is now.
    pub fn emit_customer(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        if self.muted {
            return Ok(());
        }
        let object = shape::customer(self, self.customer(id)?);
        self.emit(kind, object, None);
        Ok(())
    }

    /// A subscription as the API shows it.
    pub fn subscription_json(&self, id: &str) -> Result<Value, Refusal> {
        Ok(shape::subscription(self, self.subscription(id)?))
    }

    /// A price, or Stripe's refusal.
    pub fn price(&self, id: &str) -> Result<&Price, Refusal> {
        let found = self.prices.get(id).filter(|price| !price.deleted);
        found.ok_or_else(|| Refusal::missing("price", id))
    }

    /// A price that something was bought at, even if it was deleted since.
    pub fn price_bought(&self, id: &str) -> Result<&Price, Refusal> {
        self.prices.get(id).ok_or_else(|| Refusal::missing("price", id))
    }

    /// The subscription that has an item.
    pub fn subscription_of_item(&self, item: &str) -> Option<&Subscription> {
        let mut rows = self.subscriptions.newest();
        rows.find(|row| row.items.iter().any(|own| own.id == item))
    }

    /// A charge, or Stripe's refusal.
    pub fn charge(&self, id: &str) -> Result<&payment::Charge, Refusal> {
        self.charges.get(id).ok_or_else(|| Refusal::missing("charge", id))
    }

    /// A customer who was not deleted, or Stripe's refusal.
    pub fn customer(&self, id: &str) -> Result<&Customer, Refusal> {
        let found = self.customers.get(id).filter(|customer| !customer.deleted);
        found.ok_or_else(|| Refusal::missing("customer", id))
    }

    /// A customer to change, or Stripe's refusal.
    pub fn customer_mut(&mut self, id: &str) -> Result<&mut Customer, Refusal> {
        let found = self.customers.get_mut(id).filter(|customer| !customer.deleted);
        found.ok_or_else(|| Refusal::missing("customer", id))
    }

    /// A subscription, or Stripe's refusal.
    pub fn subscription(&self, id: &str) -> Result<&Subscription, Refusal> {
        self.subscriptions
            .get(id)
            .ok_or_else(|| Refusal::missing("subscription", id))
    }

    /// A subscription to change, or Stripe's refusal.
    pub fn subscription_mut(&mut self, id: &str) -> Result<&mut Subscription, Refusal> {
        self.subscriptions
            .get_mut(id)
            .ok_or_else(|| Refusal::missing("subscription", id))
    }

    /// An invoice, or Stripe's refusal.
    pub fn invoice(&self, id: &str) -> Result<&Invoice, Refusal> {
        self.invoices
            .get(id)
            .ok_or_else(|| Refusal::missing("invoice", id))
    }

    /// An invoice to change, or Stripe's refusal.
    pub fn invoice_mut(&mut self, id: &str) -> Result<&mut Invoice, Refusal> {
        self.invoices
            .get_mut(id)
            .ok_or_else(|| Refusal::missing("invoice", id))
    }

    /// A checkout session, or Stripe's refusal.
    pub fn checkout(&self, id: &str) -> Result<&CheckoutSession, Refusal> {
        self.checkouts
            .get(id)
            .ok_or_else(|| Refusal::missing("checkout.session", id))
    }
}
