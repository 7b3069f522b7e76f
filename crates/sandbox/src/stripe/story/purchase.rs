//! Customers, their cards, and new subscriptions.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::bill::NewInvoice;
use crate::stripe::story::change::PaymentBehavior;
use crate::stripe::story::discount::Redemption;
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::world::customer::{Card, Customer, PaymentMethod};
use crate::stripe::world::discount::DiscountWish;
use crate::stripe::world::subscription::{Cancellation, Item, MissingPaymentMethod, Status, Subscription};
use crate::stripe::world::{Metadata, World};

const DAY: i64 = 86_400;

/// A customer to be made.
#[derive(Clone, Debug, Default)]
pub struct NewCustomer {
    /// Where receipts go.
    pub email: Option<String>,
    /// The name.
    pub name: Option<String>,
    /// The phone number.
    pub phone: Option<String>,
    /// A note for the owner.
    pub description: Option<String>,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// The test clock that the customer lives by.
    pub test_clock: Option<String>,
}

/// A subscription to be made.
#[derive(Clone, Debug, Default)]
pub struct NewSubscription {
    /// Who pays.
    pub customer: String,
    /// Prices and quantities.
    pub items: Vec<(String, i64)>,
    /// Free key and value pairs.
    pub metadata: Metadata,
    /// Shown to the customer.
    pub description: Option<String>,
    /// Free days before the first payment.
    pub trial_days: Option<i64>,
    /// When the free time ends, where it is given as a moment.
    pub trial_end: Option<i64>,
    /// What is taken off.
    pub discounts: Vec<DiscountWish>,
    /// The checkout session that it comes from.
    pub checkout_session: Option<String>,
    /// Whether tax is worked out.
    pub automatic_tax: bool,
    /// What becomes of it without payment.
    pub payment: PaymentBehavior,
    /// What happens at the trial's end without a card.
    pub missing_payment_method: Option<MissingPaymentMethod>,
    /// The card, where it differs from the customer's.
    pub payment_method: Option<String>,
}

impl World {
    /// Makes a customer.
    pub fn create_customer(&mut self, new: NewCustomer) -> Result<String, Refusal> {
        let id = self.ids.customer();
        let customer = Customer {
            id: id.clone(),
            email: new.email,
            name: new.name,
            phone: new.phone,
            description: new.description,
            metadata: new.metadata,
            card: None,
            currency: None,
            invoice_prefix: self.ids.invoice_prefix(),
            next_invoice_sequence: 1,
            test_clock: new.test_clock,
            deleted: false,
            created: self.now(),
        };
        self.customers.insert(customer);
        self.emit_customer("customer.created", &id)?;
        Ok(id)
    }

    /// Deletes a customer; what they were subscribed to ends.
    pub fn delete_customer(&mut self, id: &str) -> Result<(), Refusal> {
        self.customer(id)?;
        let theirs = self.subscriptions.of(id).filter(|row| !row.over());
        let theirs: Vec<String> = theirs.map(|row| row.id.clone()).collect();
        for subscription in theirs {
            self.cancel(&subscription, "cancellation_requested")?;
        }
        let before = shape::customer(self, self.customer(id)?);
        self.customer_mut(id)?.deleted = true;
        self.emit("customer.deleted", before, None);
        Ok(())
    }

    /// Puts a card on file and charges invoices to it from now on.
    pub fn attach_card(&mut self, customer: &str, card: Card) -> Result<String, Refusal> {
        self.attach_own_card(customer, card, None)
    }

    /// Puts a card on file whose number ends in digits of the caller's choice: equal digits are equal
    /// numbers, and have equal fingerprints.
    pub fn attach_own_card(
        &mut self,
        customer: &str,
        card: Card,
        last4: Option<&str>,
    ) -> Result<String, Refusal> {
        self.customer(customer)?;
        let id = self.record_card(Some(customer), card, last4)?;
        if let Some(method) = self.payment_methods.get(&id) {
            let object = shape::payment_method(self, method);
            self.emit("payment_method.attached", object, None);
        }
        self.change_customer(customer, |customer| customer.card = Some(id.clone()))?;
        Ok(id)
    }

    /// Records a card, of a customer or of nobody.
    pub(super) fn record_card(
        &mut self,
        customer: Option<&str>,
        card: Card,
        last4: Option<&str>,
    ) -> Result<String, Refusal> {
        let digits = |last4: &str| last4.len() == 4 && last4.bytes().all(|byte| byte.is_ascii_digit());
        if last4.is_some_and(|last4| !digits(last4)) {
            return Err(Refusal::invalid("The last digits of a card number are four.").param("last4"));
        }
        let id = self.ids.payment_method();
        self.payment_methods.insert(PaymentMethod {
            id: id.clone(),
            customer: customer.map(str::to_owned),
            card,
            fingerprint: format!("SandboxCard{}", last4.unwrap_or(card.last4())),
            own_last4: last4.map(str::to_owned),
            created: self.now(),
        });
        Ok(id)
    }

    /// Takes a card from its customer; invoices are not charged to it any more.
    pub fn detach_card(&mut self, customer: &str, id: &str) -> Result<(), Refusal> {
        if let Some(method) = self.payment_methods.get_mut(id) {
            method.customer = None;
        }
        if let Some(method) = self.payment_methods.get(id) {
            let object = shape::payment_method(self, method);
            self.emit("payment_method.detached", object, None);
        }
        let theirs: Vec<String> = self
            .subscriptions
            .of(customer)
            .map(|row| row.id.clone())
            .collect();
        for subscription in theirs {
            self.change_subscription(&subscription, |row| {
                row.payment_method = row.payment_method.take().filter(|card| card != id);
            })?;
        }
        self.change_customer(customer, |row| {
            row.card = row.card.take().filter(|card| card != id);
        })
    }

    /// Changes a customer and emits `customer.updated` if that is visible from outside.
    pub fn change_customer(&mut self, id: &str, change: impl FnOnce(&mut Customer)) -> Result<(), Refusal> {
        if self.muted {
            return self.customer_mut(id).map(change);
        }
        let before = shape::customer(self, self.customer(id)?);
        change(self.customer_mut(id)?);
        let after = shape::customer(self, self.customer(id)?);
        if let Some(previous) = shape::previous_attributes(&before, &after) {
            self.emit("customer.updated", after, Some(previous));
        }
        Ok(())
    }

    /// Makes a subscription and bills its first period.
    pub fn create_subscription(
        &mut self,
        new: NewSubscription,
        means: Means,
    ) -> Result<(String, Outcome), Refusal> {
        let card = new.payment_method.clone();
        let card = card.or_else(|| self.customers.get(&new.customer)?.card.clone());
        let (discounts, session, payment) =
            (new.discounts.clone(), new.checkout_session.clone(), new.payment);
        let (subscription, now) = (self.build(new)?, self.now());
        let sum = self.sum_of(&subscription.items);
        let pays = subscription.trial.is_none() && sum > 0;
        if payment == PaymentBehavior::ErrorIfIncomplete && pays {
            refuse_unless_paid(self.outcome_of_card(card.as_deref(), means))?;
        }
        let purchase = Redemption {
            customer: Some(&subscription.customer.clone()),
            amount: sum,
            currency: &subscription.currency.clone(),
        };
        for wish in &discounts {
            self.check_wish(wish, &purchase)?;
        }
        let id = subscription.id.clone();
        let items = match subscription.trial {
            Some(_) => Vec::new(),
            None => subscription.items.clone(),
        };
        let new_invoice = NewInvoice {
            customer: subscription.customer.clone(),
            subscription: Some(id.clone()),
            billing_reason: "subscription_create",
            currency: subscription.currency.clone(),
            lines: self.lines(&[], &items)?,
            period: (now, now),
        };
        self.subscriptions.insert(subscription);
        for wish in &discounts {
            let discount = self.redeem(wish, &purchase, Some(&id), session.as_deref())?;
            self.subscription_mut(&id)?.discounts.push(discount);
        }
        self.emit_subscription("customer.subscription.created", &id)?;
        let invoice = self.draft(new_invoice)?;
        self.subscription_mut(&id)?.latest_invoice = Some(invoice.clone());
        self.use_up_discounts_of(&invoice)?;
        self.finalize(&invoice)?;
        if payment == PaymentBehavior::DefaultIncomplete && self.invoice(&invoice)?.amount_due() > 0 {
            return Ok((id, Outcome::ActionRequired));
        }
        let outcome = self.pay_invoice(&invoice, means)?;
        Ok((id, outcome))
    }

    /// What one period of these items costs.
    fn sum_of(&self, items: &[Item]) -> i64 {
        let amounts = items.iter().filter_map(|item| {
            let price = self.prices.get(&item.price)?;
            Some(price.unit_amount * item.quantity)
        });
        amounts.sum()
    }

    /// Stripe does not bill one customer's subscriptions in two currencies.
    pub fn check_currency(&self, customer: &str, currency: &str) -> Result<(), Refusal> {
        let mut others = self.subscriptions.of(customer);
        let Some(other) = others.find(|row| !row.over() && row.currency != currency) else {
            return Ok(());
        };
        let message = format!(
            "You cannot combine currencies on a single customer. This customer has an active subscription with \
             currency {}.",
            other.currency
        );
        Err(Refusal::invalid(message))
    }

    fn build(&mut self, new: NewSubscription) -> Result<Subscription, Refusal> {
        self.customer(&new.customer)?;
        let now = self.now();
        let first = new
            .items
            .first()
            .map(|(price, _)| price.clone())
            .unwrap_or_default();
        let currency = self.price(&first)?.currency.clone();
        self.check_currency(&new.customer, &currency)?;
        let trial_end = new.trial_end.or(new.trial_days.map(|days| now + days * DAY));
        let trial = trial_end.map(|end| (now, end));
        let anchor = trial.map_or(now, |(_, end)| end);
        let mut items = Vec::new();
        for (place, (price, quantity)) in new.items.iter().enumerate() {
            self.check_price(price, &currency, &format!("items[{place}][price]"))?;
            let mut item = Item {
                id: self.ids.subscription_item(),
                price: price.clone(),
                quantity: *quantity,
                period_start: now,
                period_end: anchor,
                created: now,
                metadata: Metadata::new(),
            };
            if trial.is_none() {
                self.roll(&mut item, anchor, now);
            }
            items.push(item);
        }
        Ok(Subscription {
            id: self.ids.subscription(),
            customer: new.customer,
            status: if trial.is_some() {
                Status::Trialing
            } else {
                Status::Incomplete
            },
            items,
            currency,
            metadata: new.metadata,
            description: new.description,
            created: now,
            billing_cycle_anchor: anchor,
            cancel_at_period_end: false,
            cancel_at: None,
            canceled_at: None,
            ended_at: None,
            cancellation: Cancellation::default(),
            pause_collection: None,
            paused: None,
            trial,
            trial_warned: false,
            missing_payment_method: new
                .missing_payment_method
                .unwrap_or(MissingPaymentMethod::CreateInvoice),
            latest_invoice: None,
            payment_method: new.payment_method,
            pending: Vec::new(),
            discounts: Vec::new(),
            automatic_tax: new.automatic_tax,
            upcoming_sent_for: None,
            pending_update: None,
            quantity_changes: Vec::new(),
        })
    }
}

fn refuse_unless_paid(outcome: Outcome) -> Result<(), Refusal> {
    match outcome {
        Outcome::Declined => Err(Refusal::declined()),
        Outcome::ActionRequired => Err(Refusal::action_required()),
        Outcome::Paid | Outcome::Processing => Ok(()),
    }
}
