//! What happens to a checkout session: sums, completion, money that comes later, expiry.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::discount::Redemption;
use crate::stripe::story::intent::NewIntent;
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::story::purchase::{NewCustomer, NewSubscription};
use crate::stripe::world::World;
use crate::stripe::world::customer::Card;
use crate::stripe::world::discount::DiscountWish;
use crate::stripe::world::invoice::Line;
use crate::stripe::world::session::{CheckoutSession, Mode, SessionStatus};

/// What a buyer does on the hosted page.
#[derive(Clone, Debug, Default)]
pub struct Purchase {
    /// What they type in.
    pub email: String,
    /// The card; none where a trial needs none.
    pub card: Option<Card>,
    /// The last digits of a card number of their own.
    pub last4: Option<String>,
    /// Whether the bank's extra step was taken.
    pub confirmed: bool,
    /// The code they type in.
    pub promotion_code: Option<String>,
}

impl World {
    /// What the hosted page does when the buyer pays; `confirmed` is the bank's extra step.
    pub fn complete_checkout(
        &mut self,
        id: &str,
        email: &str,
        card: Card,
        confirmed: bool,
    ) -> Result<(), Refusal> {
        let purchase = Purchase {
            email: email.to_owned(),
            card: Some(card),
            confirmed,
            ..Purchase::default()
        };
        self.complete_purchase(id, &purchase)
    }

    /// What the hosted page does when the buyer pays, in the time of a buyer on a test clock.
    pub fn complete_purchase(&mut self, id: &str, purchase: &Purchase) -> Result<(), Refusal> {
        self.in_time_behind(id, |world| world.complete_now(id, purchase))
    }

    fn complete_now(&mut self, id: &str, purchase: &Purchase) -> Result<(), Refusal> {
        let mut done = self.checkout(id)?.clone();
        if done.status != SessionStatus::Open {
            return Err(Refusal::invalid("This Checkout Session is no longer open."));
        }
        self.add_code(&mut done, purchase.promotion_code.as_deref())?;
        self.check_discounts(&done)?;
        self.check_card(&done, purchase)?;
        let customer = self.checkout_customer(&done, &purchase.email)?;
        let last4 = purchase.last4.as_deref();
        let method = match (&customer, purchase.card) {
            (Some(customer), Some(card)) => Some(self.attach_own_card(customer, card, last4)?),
            (None, Some(card)) => Some(self.record_card(None, card, last4)?),
            (_, None) => None,
        };
        match done.mode {
            Mode::Subscription => self.buy_subscription(&mut done, customer.clone().unwrap_or_default())?,
            Mode::Payment => self.buy_once(&mut done, customer.clone(), method, purchase.card)?,
            Mode::Setup => done.setup_intent = Some(self.ids.setup_intent()),
        }
        done.status = SessionStatus::Complete;
        done.customer = customer;
        done.entered_email = Some(purchase.email.clone());
        self.checkouts.insert(done);
        self.emit_checkout("checkout.session.completed", id)
    }

    /// Adds the code that was typed in.
    pub fn add_code(&self, session: &mut CheckoutSession, typed: Option<&str>) -> Result<(), Refusal> {
        let Some(typed) = typed.filter(|typed| !typed.trim().is_empty()) else {
            return Ok(());
        };
        if session.allow_promotion_codes != Some(true) {
            return Err(Refusal::invalid("This purchase takes no promotion codes."));
        }
        let code = self.active_code(typed);
        let code = code.ok_or_else(|| Refusal::invalid("This code is invalid.").param("promotion_code"))?;
        session.discounts = vec![DiscountWish::PromotionCode(code.id.clone())];
        Ok(())
    }

    /// Refuses a purchase whose discount has ended since the session was made.
    fn check_discounts(&self, session: &CheckoutSession) -> Result<(), Refusal> {
        let (amount, currency) = (
            self.checkout_subtotal(session),
            session.currency.clone().unwrap_or_default(),
        );
        let purchase = Redemption {
            customer: session.customer.as_deref(),
            amount,
            currency: &currency,
        };
        let mut checks = session
            .discounts
            .iter()
            .map(|wish| self.check_wish(wish, &purchase));
        checks.try_for_each(|check| check.map(drop))
    }

    fn check_card(&self, session: &CheckoutSession, purchase: &Purchase) -> Result<(), Refusal> {
        let Some(card) = purchase.card else {
            let free = session.mode == Mode::Subscription
                && session.card_if_required
                && self.checkout_total(session) == Some(0);
            return if free {
                Ok(())
            } else {
                Err(Refusal::invalid("This purchase needs a payment method."))
            };
        };
        let kind = if card.takes_days() {
            "us_bank_account"
        } else {
            "card"
        };
        if !session.payment_method_types.is_empty()
            && !session.payment_method_types.iter().any(|offered| offered == kind)
        {
            return Err(Refusal::invalid(
                "This purchase does not offer that kind of payment.",
            ));
        }
        match card {
            Card::Declines => Err(Refusal::declined()),
            Card::RequiresAction if !purchase.confirmed => Err(Refusal::action_required()),
            _ => Ok(()),
        }
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
        let lines = session.lines.iter();
        let new = NewSubscription {
            customer,
            items: lines.map(|line| (line.price.clone(), line.quantity)).collect(),
            metadata: data.metadata,
            description: data.description,
            trial_days: data.trial_days,
            trial_end: data.trial_end,
            missing_payment_method: data.missing_payment_method,
            discounts: session.discounts.clone(),
            checkout_session: Some(session.id.clone()),
            automatic_tax: session.automatic_tax,
            ..NewSubscription::default()
        };
        let (subscription, outcome) = self.create_subscription(new, Means::FirstTime)?;
        session
            .invoice
            .clone_from(&self.subscription(&subscription)?.latest_invoice);
        session.subscription = Some(subscription);
        session.awaits_payment = outcome == Outcome::Processing;
        Ok(())
    }

    fn buy_once(
        &mut self,
        session: &mut CheckoutSession,
        customer: Option<String>,
        payment_method: Option<String>,
        card: Option<Card>,
    ) -> Result<(), Refusal> {
        let amount = self.checkout_total(session).unwrap_or(0);
        let currency = session.currency.clone().unwrap_or_default();
        let purchase = Redemption {
            customer: customer.as_deref(),
            amount: self.checkout_subtotal(session),
            currency: &currency,
        };
        for wish in &session.discounts {
            self.redeem(wish, &purchase, None, Some(&session.id))?;
        }
        if amount == 0 {
            return Ok(());
        }
        let intent = self.create_intent(NewIntent {
            invoice: None,
            customer,
            amount,
            currency,
            metadata: session.intent_metadata.clone(),
        })?;
        session.payment_intent = Some(intent.clone());
        session.awaits_payment = card.is_some_and(Card::takes_days);
        let outcome = if session.awaits_payment {
            Outcome::Processing
        } else {
            Outcome::Paid
        };
        match self.try_intent(&intent, payment_method, outcome)? {
            Some(charge) => self.aftermath(&charge),
            None => Ok(()),
        }
    }

    /// The money of a session that was complete without it has come, or will not.
    pub(super) fn settle_checkout(&mut self, id: &str, paid: bool) -> Result<(), Refusal> {
        let session = self.checkouts.get_mut(id);
        let session = session.ok_or_else(|| Refusal::missing("checkout.session", id))?;
        // After a failure it stays unpaid for good.
        session.awaits_payment = !paid;
        self.emit_checkout(
            if paid {
                "checkout.session.async_payment_succeeded"
            } else {
                "checkout.session.async_payment_failed"
            },
            id,
        )
    }

    /// A checkout session's lines with what discounts take off them.
    pub fn checkout_lines(&self, session: &CheckoutSession) -> Vec<Line> {
        let lines = session.lines.iter().filter_map(|line| {
            let price = self.prices.get(&line.price)?;
            let product = self.products.get(&price.product);
            Some(Line {
                id: line.id.clone(),
                amount: price.unit_amount * line.quantity,
                description: product.map(|product| product.name.clone()).unwrap_or_default(),
                price: line.price.clone(),
                quantity: line.quantity,
                period: (session.created, session.created),
                proration: false,
                item: None,
                discounts: Vec::new(),
            })
        });
        let mut lines: Vec<Line> = lines.collect();
        let coupons = session.discounts.iter().filter_map(|wish| match wish {
            DiscountWish::Coupon(id) => self.coupons.get(id),
            DiscountWish::PromotionCode(id) => self.coupons.get(&self.promotion_codes.get(id)?.coupon),
        });
        for coupon in coupons {
            self.take_coupon_off(&mut lines, coupon, &coupon.id);
        }
        lines
    }

    fn checkout_subtotal(&self, session: &CheckoutSession) -> i64 {
        self.checkout_lines(session).iter().map(|line| line.amount).sum()
    }

    /// Whether nothing is paid at once, because a trial comes first.
    pub fn begins_with_trial(&self, session: &CheckoutSession) -> bool {
        session.mode == Mode::Subscription
            && (session.subscription_data.trial_days.is_some()
                || session.subscription_data.trial_end.is_some())
    }

    /// What is paid at once; `None` in setup mode. A trial makes the first sum nothing.
    pub fn checkout_total(&self, session: &CheckoutSession) -> Option<i64> {
        match session.mode {
            Mode::Setup => None,
            _ if self.begins_with_trial(session) => Some(0),
            _ => Some(self.checkout_lines(session).iter().map(Line::net).sum()),
        }
    }

    /// `paid`, `unpaid` or `no_payment_required`.
    pub fn checkout_payment_status(&self, session: &CheckoutSession) -> &'static str {
        match (session.mode, session.status, self.checkout_total(session)) {
            (Mode::Setup, _, _) | (_, SessionStatus::Complete, Some(0)) => "no_payment_required",
            (_, SessionStatus::Complete, _) if !session.awaits_payment => "paid",
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
        self.emit_checkout("checkout.session.expired", id)
    }

    fn emit_checkout(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        let object = shape::checkout(self, self.checkout(id)?);
        self.emit(kind, object, None);
        Ok(())
    }
}
