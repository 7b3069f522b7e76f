//! Buying: customers, cards, subscriptions, and the completion of a checkout session.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::bill::NewInvoice;
use crate::stripe::story::pay::{Means, NewCharge, Outcome};
use crate::stripe::world::customer::{Card, Customer, PaymentMethod};
use crate::stripe::world::session::{CheckoutSession, Mode, SessionStatus};
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
        let theirs = self
            .subscriptions
            .rows()
            .iter()
            .filter(|row| row.customer == id && !row.over());
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
        self.customer(customer)?;
        let id = self.ids.payment_method();
        let method = PaymentMethod {
            id: id.clone(),
            customer: Some(customer.to_owned()),
            card,
            fingerprint: format!("SandboxCard{}", card.last4()),
            created: self.now(),
        };
        let object = shape::payment_method(self, &method);
        self.payment_methods.insert(method);
        self.emit("payment_method.attached", object, None);
        self.change_customer(customer, |customer| customer.card = Some(id.clone()))?;
        Ok(id)
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
        self.customer(&new.customer)?;
        let now = self.now();
        let subscription = self.build(new, now)?;
        let id = subscription.id.clone();
        let items: Vec<Item> = match subscription.trial {
            Some(_) => Vec::new(),
            None => subscription.items.clone(),
        };
        let lines = self.lines(&[], &items)?;
        let new_invoice = NewInvoice {
            customer: subscription.customer.clone(),
            subscription: Some(id.clone()),
            billing_reason: "subscription_create",
            currency: subscription.currency.clone(),
            lines,
            period: (now, now),
        };
        self.subscriptions.insert(subscription);
        self.emit_subscription("customer.subscription.created", &id)?;
        let invoice = self.draft(new_invoice)?;
        self.subscription_mut(&id)?.latest_invoice = Some(invoice.clone());
        self.finalize(&invoice)?;
        let outcome = self.pay_invoice(&invoice, means)?;
        Ok((id, outcome))
    }

    fn build(&mut self, new: NewSubscription, now: i64) -> Result<Subscription, Refusal> {
        let first = new
            .items
            .first()
            .map(|(price, _)| price.clone())
            .unwrap_or_default();
        let currency = self.price(&first)?.currency.clone();
        let trial = new.trial_days.map(|days| (now, now + days * DAY));
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
        })
    }

    /// What the hosted page does when the buyer pays; `confirmed` is the bank's extra step.
    pub fn complete_checkout(
        &mut self,
        id: &str,
        email: &str,
        card: Card,
        confirmed: bool,
    ) -> Result<(), Refusal> {
        let session = self.checkout(id)?.clone();
        if session.status != SessionStatus::Open {
            return Err(Refusal::invalid("This Checkout Session is no longer open."));
        }
        match card {
            Card::Declines => return Err(Refusal::declined()),
            Card::RequiresAction if !confirmed => return Err(Refusal::action_required()),
            _ => {}
        }
        let customer = self.checkout_customer(&session, email)?;
        let method = match &customer {
            Some(customer) => Some(self.attach_card(customer, card)?),
            None => None,
        };
        let mut done = session.clone();
        match session.mode {
            Mode::Subscription => self.buy_subscription(&mut done, customer.clone().unwrap_or_default())?,
            Mode::Payment => self.buy_once(&mut done, customer.clone(), method),
            Mode::Setup => done.setup_intent = Some(self.ids.setup_intent()),
        }
        done.status = SessionStatus::Complete;
        done.customer = customer;
        done.entered_email = Some(email.to_owned());
        let object = shape::checkout(self, &done);
        self.checkouts.insert(done);
        self.emit("checkout.session.completed", object, None);
        Ok(())
    }

    /// The session's customer, or a new one where the mode makes one.
    fn checkout_customer(
        &mut self,
        session: &CheckoutSession,
        email: &str,
    ) -> Result<Option<String>, Refusal> {
        let always = session.customer_creation.as_deref() == Some("always");
        match (&session.customer, session.mode) {
            (Some(customer), _) => Ok(Some(customer.clone())),
            (None, Mode::Payment | Mode::Setup) if !always => Ok(None),
            (None, _) => {
                let email = Some(email.to_owned());
                self.create_customer(NewCustomer {
                    email,
                    ..NewCustomer::default()
                })
                .map(Some)
            }
        }
    }

    fn buy_subscription(&mut self, session: &mut CheckoutSession, customer: String) -> Result<(), Refusal> {
        let data = session.subscription_data.clone();
        let new = NewSubscription {
            customer,
            items: session
                .lines
                .iter()
                .map(|line| (line.price.clone(), line.quantity))
                .collect(),
            metadata: data.metadata,
            description: data.description,
            trial_days: data.trial_days,
            missing_payment_method: data.missing_payment_method,
            payment_method: None,
        };
        let (subscription, _) = self.create_subscription(new, Means::FirstTime)?;
        session
            .invoice
            .clone_from(&self.subscription(&subscription)?.latest_invoice);
        session.subscription = Some(subscription);
        Ok(())
    }

    fn buy_once(
        &mut self,
        session: &mut CheckoutSession,
        customer: Option<String>,
        payment_method: Option<String>,
    ) {
        let amount = self.checkout_total(session).unwrap_or(0);
        let charge = self.charge(
            NewCharge {
                payment_intent: None,
                invoice: None,
                customer,
                payment_method,
                amount,
                currency: session.currency.clone().unwrap_or_default(),
                metadata: session.intent_metadata.clone(),
            },
            true,
        );
        session.payment_intent = self
            .charges
            .get(&charge)
            .map(|charge| charge.payment_intent.clone());
    }

    /// The sum of a checkout session's lines; `None` in setup mode. A trial makes the first sum nothing.
    pub fn checkout_total(&self, session: &CheckoutSession) -> Option<i64> {
        if session.mode == Mode::Setup {
            return None;
        }
        let on_trial = session.subscription_data.trial_days.is_some();
        let amounts = session.lines.iter().filter_map(|line| {
            let price = self.prices.get(&line.price)?;
            let free = on_trial && price.recurring.is_some();
            Some(if free {
                0
            } else {
                price.unit_amount * line.quantity
            })
        });
        Some(amounts.sum())
    }

    /// `paid`, `unpaid` or `no_payment_required`.
    pub fn checkout_payment_status(&self, session: &CheckoutSession) -> &'static str {
        match (session.mode, session.status, self.checkout_total(session)) {
            (Mode::Setup, _, _) | (_, SessionStatus::Complete, Some(0)) => "no_payment_required",
            (_, SessionStatus::Complete, _) => "paid",
            _ => "unpaid",
        }
    }

    /// Closes an open checkout session.
    pub fn expire_checkout(&mut self, id: &str) -> Result<(), Refusal> {
        let session = self
            .checkouts
            .get_mut(id)
            .ok_or_else(|| Refusal::missing("checkout.session", id))?;
        if session.status != SessionStatus::Open {
            let message = format!(
                "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has \
                 a status of {}.",
                session.status.name()
            );
            return Err(Refusal::invalid(message));
        }
        session.status = SessionStatus::Expired;
        let session = session.clone();
        let object = shape::checkout(self, &session);
        self.emit("checkout.session.expired", object, None);
        Ok(())
    }
}
