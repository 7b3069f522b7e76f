//! Charging invoices, what follows from it, and refunds.

use crate::stripe::config::AfterRetries;
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::customer::Card;
use crate::stripe::world::invoice::InvoiceStatus;
use crate::stripe::world::payment::{Charge, Refund};
use crate::stripe::world::subscription::Status;
use crate::stripe::world::{Metadata, World};

const DAY: i64 = 86_400;
/// Days after a failed attempt until the next one; then the retries are used up.
const RETRY_DAYS: [i64; 3] = [3, 5, 7];

/// How an attempt to take money ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money came.
    Paid,
    /// The bank refused.
    Declined,
    /// The holder has to confirm.
    ActionRequired,
}

/// What an attempt is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// The card on file, while the holder is away.
    OnFile,
    /// The card on file, for the first time and with the holder at hand.
    FirstTime,
    /// The story knows how it ends.
    Certain(Outcome),
}

impl World {
    /// Tries to take an open invoice's money.
    pub fn pay_invoice(&mut self, id: &str, means: Means) -> Result<Outcome, Refusal> {
        let invoice = self.invoice(id)?;
        match invoice.status {
            InvoiceStatus::Open | InvoiceStatus::Uncollectible => {}
            InvoiceStatus::Paid => return Err(Refusal::invalid("Invoice is already paid")),
            InvoiceStatus::Draft => return Err(Refusal::invalid("Draft invoices must be finalized first.")),
            InvoiceStatus::Void => return Err(Refusal::invalid("Voided invoices cannot be paid.")),
        }
        let outcome = match means {
            Means::Certain(outcome) => outcome,
            _ if invoice.amount_due() == 0 => Outcome::Paid,
            _ => self.outcome_of_card(id, means)?,
        };
        match outcome {
            Outcome::Paid => self.invoice_succeeds(id)?,
            Outcome::Declined | Outcome::ActionRequired => self.invoice_fails(id, outcome)?,
        }
        Ok(outcome)
    }

    fn outcome_of_card(&self, invoice: &str, means: Means) -> Result<Outcome, Refusal> {
        let card = self
            .card_of_invoice(invoice)?
            .and_then(|id| self.payment_methods.get(&id));
        let first = means == Means::FirstTime;
        Ok(match card.map(|method| method.card) {
            Some(Card::Works) => Outcome::Paid,
            Some(Card::FailsLater | Card::RequiresAction) if first => Outcome::Paid,
            Some(Card::RequiresAction) => Outcome::ActionRequired,
            Some(Card::FailsLater | Card::Declines) | None => Outcome::Declined,
        })
    }

    /// The subscription's own card, or the customer's.
    fn card_of_invoice(&self, id: &str) -> Result<Option<String>, Refusal> {
        let invoice = self.invoice(id)?;
        let subscription = invoice
            .subscription
            .as_ref()
            .and_then(|id| self.subscriptions.get(id));
        let own = subscription.and_then(|subscription| subscription.payment_method.clone());
        let of_customer = self
            .customers
            .get(&invoice.customer)
            .and_then(|customer| customer.card.clone());
        Ok(own.or(of_customer))
    }

    fn invoice_succeeds(&mut self, id: &str) -> Result<(), Refusal> {
        let charge = self.charge_invoice(id, true)?;
        let now = self.now();
        let invoice = self.invoice_mut(id)?;
        invoice.status = InvoiceStatus::Paid;
        invoice.amount_paid = invoice.amount_due();
        invoice.attempt_count += 1;
        invoice.paid_at = Some(now);
        invoice.next_payment_attempt = None;
        invoice.charge = charge;
        self.emit_invoice("invoice.paid", id)?;
        self.emit_invoice("invoice.payment_succeeded", id)?;
        self.recover_subscription(id)
    }

    /// The newest invoice decides: when it is paid the subscription is in order again.
    fn recover_subscription(&mut self, invoice: &str) -> Result<(), Refusal> {
        let Some(subscription) = self.invoice(invoice)?.subscription.clone() else {
            return Ok(());
        };
        let now = self.now();
        self.change_subscription(&subscription, |subscription| {
            let newest = subscription.latest_invoice.as_deref() == Some(invoice);
            let waits = matches!(
                subscription.status,
                Status::Incomplete | Status::PastDue | Status::Unpaid
            );
            if newest && waits {
                let on_trial = subscription.trial.is_some_and(|(_, end)| end > now);
                subscription.status = if on_trial {
                    Status::Trialing
                } else {
                    Status::Active
                };
            }
        })
    }

    fn invoice_fails(&mut self, id: &str, outcome: Outcome) -> Result<(), Refusal> {
        if outcome == Outcome::Declined {
            self.charge_invoice(id, false)?;
        }
        let now = self.now();
        let invoice = self.invoice_mut(id)?;
        let made = usize::try_from(invoice.attempt_count).unwrap_or(usize::MAX);
        let first_of_subscription = invoice.billing_reason == "subscription_create";
        invoice.attempt_count += 1;
        invoice.next_payment_attempt = match RETRY_DAYS.get(made) {
            Some(days) if !first_of_subscription => Some(now + days * DAY),
            _ => None,
        };
        let used_up = invoice.next_payment_attempt.is_none() && !first_of_subscription;
        let subscription = invoice.subscription.clone();
        self.emit_invoice("invoice.payment_failed", id)?;
        if outcome == Outcome::ActionRequired {
            self.emit_invoice("invoice.payment_action_required", id)?;
        }
        let Some(subscription) = subscription else {
            return Ok(());
        };
        self.change_subscription(&subscription, |subscription| {
            let newest = subscription.latest_invoice.as_deref() == Some(id);
            if newest && matches!(subscription.status, Status::Active | Status::Trialing) {
                subscription.status = Status::PastDue;
            }
        })?;
        if used_up {
            self.retries_used_up(&subscription)
        } else {
            Ok(())
        }
    }

    fn retries_used_up(&mut self, subscription: &str) -> Result<(), Refusal> {
        match (self.subscription(subscription)?.status, self.after_retries) {
            (Status::PastDue, AfterRetries::Cancel) => self.cancel(subscription, "payment_failed"),
            (Status::PastDue, AfterRetries::MarkUnpaid) => self.mark_unpaid(subscription),
            _ => Ok(()),
        }
    }

    /// Records the attempt; an invoice over nothing is not charged.
    fn charge_invoice(&mut self, id: &str, succeeded: bool) -> Result<Option<String>, Refusal> {
        let payment_method = self.card_of_invoice(id)?;
        let invoice = self.invoice(id)?;
        if invoice.amount_due() == 0 {
            return Ok(None);
        }
        let charge = NewCharge {
            payment_intent: invoice.payment_intent.clone(),
            invoice: Some(id.to_owned()),
            customer: Some(invoice.customer.clone()),
            payment_method,
            amount: invoice.amount_due(),
            currency: invoice.currency.clone(),
            metadata: Metadata::new(),
        };
        Ok(Some(self.charge(charge, succeeded)))
    }

    /// Records a charge and tells of it.
    pub fn charge(&mut self, new: NewCharge, succeeded: bool) -> String {
        let id = self.ids.charge();
        let payment_intent = match new.payment_intent {
            Some(intent) => intent,
            None => self.ids.payment_intent(),
        };
        let charge = Charge {
            id: id.clone(),
            payment_intent,
            invoice: new.invoice,
            customer: new.customer,
            payment_method: new.payment_method,
            amount: new.amount,
            amount_refunded: 0,
            currency: new.currency,
            succeeded,
            metadata: new.metadata,
            created: self.now(),
        };
        let object = shape::charge(self, &charge);
        self.charges.insert(charge);
        self.emit(
            if succeeded {
                "charge.succeeded"
            } else {
                "charge.failed"
            },
            object,
            None,
        );
        id
    }

    /// Gives money back; without an amount, all that is left.
    pub fn refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<String>,
    ) -> Result<String, Refusal> {
        let now = self.now();
        let id = self.ids.refund();
        let row = self
            .charges
            .get_mut(charge)
            .ok_or_else(|| Refusal::missing("charge", charge))?;
        let left = row.amount - row.amount_refunded;
        let amount = amount.unwrap_or(left);
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(Refusal::invalid(message).code("charge_already_refunded"));
        }
        if amount < 1 || amount > left {
            let message =
                format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(Refusal::invalid(message).param("amount"));
        }
        row.amount_refunded += amount;
        let refund = Refund {
            id: id.clone(),
            charge: charge.to_owned(),
            payment_intent: row.payment_intent.clone(),
            amount,
            currency: row.currency.clone(),
            reason,
            metadata: Metadata::new(),
            created: now,
        };
        let row = row.clone();
        let (refund_json, charge_json) = (shape::refund(&refund), shape::charge(self, &row));
        self.refunds.insert(refund);
        self.emit("refund.created", refund_json, None);
        self.emit("charge.refunded", charge_json, None);
        Ok(id)
    }
}

/// A charge to be made.
#[derive(Clone, Debug)]
pub struct NewCharge {
    /// The payment intent; `None` makes one.
    pub payment_intent: Option<String>,
    /// The invoice it pays.
    pub invoice: Option<String>,
    /// Who pays.
    pub customer: Option<String>,
    /// The card.
    pub payment_method: Option<String>,
    /// In the smallest unit.
    pub amount: i64,
    /// Lower-case ISO code.
    pub currency: String,
    /// Free key and value pairs.
    pub metadata: Metadata,
}
