//! What a test can make happen through the handle, without a request: seeds, purchases, money, time.

use chrono::{DateTime, Utc};

use crate::stripe::error::Refusal;
use crate::stripe::seed::{self, PriceSeed};
use crate::stripe::simulator::Simulator;
use crate::stripe::story::Action;
use crate::stripe::story::checkout::Purchase;
use crate::stripe::world::customer::Card;
use crate::stripe::world::discount::{Coupon, PromotionCode};
use crate::stripe::world::dispute::{DisputeReason, DisputeStatus};
use crate::stripe::world::event::Endpoint;
use crate::stripe::world::{Metadata, World};

impl Simulator {
    /// Sells what the demo sells: `price_council_monthly` and `price_council_yearly`.
    pub fn seed_demo(&self) {
        for price in seed::demo() {
            self.seed_price(&price);
        }
    }

    /// Adds a price, and its product unless that is there.
    pub fn seed_price(&self, price: &PriceSeed) {
        self.with(|world| world.seed_price(price));
    }

    /// Adds a customer with a card and a paid subscription, and answers the subscription's id.
    pub fn seed_subscription(
        &self,
        email: &str,
        card: Card,
        price: &str,
        quantity: i64,
        metadata: Metadata,
    ) -> Result<String, Refusal> {
        self.with(|world| world.seed_subscription(email, card, price, quantity, metadata))
    }

    /// Adds `count` customers with a paid subscription each, without events, and answers the
    /// subscriptions' ids. They are made in bounded memory, 10,000 of them well within a second.
    pub fn seed_many(&self, price: &str, count: u32) -> Result<Vec<String>, Refusal> {
        self.with(|world| world.seed_many(price, count))
    }

    /// Pays on the hosted page, the bank's extra step included.
    pub fn complete_checkout(&self, session: &str, email: &str, card: Card) -> Result<(), Refusal> {
        self.with(|world| world.complete_checkout(session, email, card, true))
    }

    /// Pays on the hosted page, in all the ways the page has.
    pub fn complete_purchase(&self, session: &str, purchase: &Purchase) -> Result<(), Refusal> {
        self.with(|world| world.complete_purchase(session, purchase))
    }

    /// Makes something happen to a subscription.
    pub fn act(&self, subscription: &str, action: &Action) -> Result<(), Refusal> {
        self.with(|world| world.act(subscription, action))
    }

    /// The period ends now and the card on file is charged.
    pub fn renew(&self, subscription: &str) -> Result<(), Refusal> {
        self.act(subscription, &Action::Renew)
    }

    /// The renewal, or the open invoice, is declined.
    pub fn fail_payment(&self, subscription: &str) -> Result<(), Refusal> {
        self.act(subscription, &Action::FailPayment)
    }

    /// The open invoice is paid.
    pub fn pay_open_invoice(&self, subscription: &str) -> Result<(), Refusal> {
        self.act(subscription, &Action::PayOpenInvoice)
    }

    /// The subscription ends now.
    pub fn cancel(&self, subscription: &str) -> Result<(), Refusal> {
        self.act(subscription, &Action::Cancel)
    }

    /// Lets the account's time pass until `to`; answers how many things happened.
    pub fn advance_to(&self, to: DateTime<Utc>) -> Result<usize, Refusal> {
        self.with(|world| world.advance_to(to))
    }

    /// Makes a test clock that stands at this time.
    pub fn create_test_clock(&self, at: DateTime<Utc>) -> Result<String, Refusal> {
        self.with(|world| world.create_test_clock(at.timestamp(), None))
    }

    /// Lets a test clock's time pass; answers how many things happened to its customers.
    pub fn advance_test_clock(&self, clock: &str, to: DateTime<Utc>) -> Result<usize, Refusal> {
        self.with(|world| world.advance_test_clock(clock, to.timestamp()))
    }

    /// Gives money back; without an amount, all that is left. Answers the refund's id.
    pub fn refund(&self, charge: &str, amount: Option<i64>) -> Result<String, Refusal> {
        self.with(|world| world.in_time_behind(charge, |world| world.refund(charge, amount, None)))
    }

    /// A refund comes back from the bank: the charge counts as paid again.
    pub fn fail_refund(&self, refund: &str) -> Result<(), Refusal> {
        self.with(|world| world.in_time_behind(refund, |world| world.fail_refund(refund)))
    }

    /// A charge is disputed, or only asked about. Answers the dispute's id.
    pub fn open_dispute(
        &self,
        charge: &str,
        reason: DisputeReason,
        inquiry: bool,
    ) -> Result<String, Refusal> {
        self.with(|world| world.in_time_behind(charge, |world| world.open_dispute(charge, reason, inquiry)))
    }

    /// A dispute comes to this status.
    pub fn move_dispute(&self, dispute: &str, to: DisputeStatus) -> Result<(), Refusal> {
        self.with(|world| world.in_time_behind(dispute, |world| world.move_dispute(dispute, to)))
    }

    /// The issuer suspects that a charge is fraud. Answers the warning's id.
    pub fn warn_of_fraud(&self, charge: &str) -> Result<String, Refusal> {
        self.with(|world| world.in_time_behind(charge, |world| world.warn_of_fraud(charge)))
    }

    /// A payment on its way arrives, or bounces.
    pub fn settle(&self, payment_intent: &str, paid: bool) -> Result<(), Refusal> {
        self.with(|world| world.in_time_behind(payment_intent, |world| world.settle(payment_intent, paid)))
    }

    /// The charge that paid the newest paid invoice of a subscription.
    pub fn latest_charge(&self, subscription: &str) -> Result<String, Refusal> {
        self.read(|world| world.latest_charge(subscription))
    }

    /// Adds a coupon.
    pub fn add_coupon(&self, coupon: Coupon) -> Result<(), Refusal> {
        self.with(|world| world.create_coupon(coupon))
    }

    /// Adds a promotion code.
    pub fn add_promotion_code(&self, code: PromotionCode) -> Result<(), Refusal> {
        self.with(|world| world.create_promotion_code(code))
    }

    /// Deletes a product in the dashboard: only its id is answered from now on.
    pub fn delete_product(&self, id: &str) -> Result<(), Refusal> {
        self.with(|world| world.delete_product(id))
    }

    /// Deletes a price in the dashboard: it is not found from now on, and subscriptions keep it.
    pub fn delete_price(&self, id: &str) -> Result<(), Refusal> {
        self.with(|world| world.delete_price(id))
    }

    /// Takes a price out of what can be bought, or puts it back.
    pub fn archive_price(&self, id: &str, archived: bool) -> Result<(), Refusal> {
        self.with(|world| world.archive_price(id, archived))
    }

    /// Deletes a customer; what they were subscribed to ends.
    pub fn delete_customer(&self, id: &str) -> Result<(), Refusal> {
        self.with(|world| world.in_time_behind(id, |world| world.delete_customer(id)))
    }

    /// Tells of a subscription of another account: rightly signed, but reading it gives 404. Answers the
    /// event's id and the subscription's.
    pub fn tell_of_foreign_subscription(&self) -> Result<(String, String), Refusal> {
        self.with(World::tell_of_foreign_subscription)
    }

    /// Sends a copy of an event as the other mode would. Answers the copy's id.
    pub fn tell_in_other_mode(&self, event: &str) -> Result<String, Refusal> {
        self.with(|world| world.tell_in_other_mode(event))
    }

    /// Changes a webhook endpoint: disabled, other types, other version.
    pub fn change_endpoint(&self, endpoint: &str, change: impl FnOnce(&mut Endpoint)) -> Result<(), Refusal> {
        self.with(|world| {
            let row = world.endpoints.get_mut(endpoint);
            change(row.ok_or_else(|| Refusal::missing("webhook endpoint", endpoint))?);
            Ok(())
        })
    }
}
