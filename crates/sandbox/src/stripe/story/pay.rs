//! Charging invoices, and what follows from it for their subscriptions.

use crate::stripe::config::AfterRetries;
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::customer::Card;
use crate::stripe::world::invoice::InvoiceStatus;
use crate::stripe::world::payment::IntentStatus;
use crate::stripe::world::subscription::{PauseReason, Status};

const DAY: i64 = 86_400;

/// How an attempt to take money ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The money came.
    Paid,
    /// The bank refused.
    Declined,
    /// The holder has to confirm.
    ActionRequired,
    /// The money is on its way, for days.
    Processing,
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
        let intent = invoice.payment_intent.as_ref();
        let intent = intent.and_then(|id| self.payment_intents.get(id));
        if intent.is_some_and(|intent| intent.status == IntentStatus::Processing) {
            return Err(Refusal::invalid("A payment of this invoice is on its way."));
        }
        let outcome = match means {
            Means::Certain(outcome) => outcome,
            _ if invoice.amount_due() == 0 => Outcome::Paid,
            _ => self.outcome_of_card(self.card_of_invoice(id)?.as_deref(), means),
        };
        self.finish_invoice(id, outcome)?;
        Ok(outcome)
    }

    /// An attempt has ended like this, now or days after it began.
    pub(super) fn finish_invoice(&mut self, id: &str, outcome: Outcome) -> Result<(), Refusal> {
        let charge = self.charge_invoice(id, outcome)?;
        match outcome {
            Outcome::Paid => {
                self.invoice_succeeds(id, charge.clone())?;
                charge.map_or(Ok(()), |charge| self.aftermath(&charge))
            }
            Outcome::Declined | Outcome::ActionRequired => self.invoice_fails(id, outcome),
            Outcome::Processing => {
                // The attempt is counted when it has come to its end.
                self.invoice_mut(id)?.next_payment_attempt = None;
                self.recover_subscription(id)
            }
        }
    }

    /// How an attempt with this card ends.
    pub(super) fn outcome_of_card(&self, method: Option<&str>, means: Means) -> Outcome {
        let first = means == Means::FirstTime;
        let card = method.and_then(|id| self.payment_methods.get(id));
        match card.map(|method| method.card) {
            Some(Card::Works | Card::IsDisputed | Card::IsInquired | Card::IsReportedAsFraud) => {
                Outcome::Paid
            }
            Some(Card::ArrivesLater | Card::BouncesLater) => Outcome::Processing,
            Some(Card::FailsLater | Card::RequiresAction) if first => Outcome::Paid,
            Some(Card::RequiresAction) => Outcome::ActionRequired,
            Some(Card::FailsLater | Card::Declines) | None => Outcome::Declined,
        }
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

    /// Records the attempt; an invoice over nothing is not charged.
    fn charge_invoice(&mut self, id: &str, outcome: Outcome) -> Result<Option<String>, Refusal> {
        let method = self.card_of_invoice(id)?;
        match self.invoice(id)?.payment_intent.clone() {
            Some(intent) => self.try_intent(&intent, method, outcome),
            None => Ok(None),
        }
    }

    fn invoice_succeeds(&mut self, id: &str, charge: Option<String>) -> Result<(), Refusal> {
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
        self.emit_invoice_payment(id)?;
        self.apply_pending_update(id)?;
        self.recover_subscription(id)
    }

    fn emit_invoice_payment(&mut self, id: &str) -> Result<(), Refusal> {
        if self.muted {
            return Ok(());
        }
        if let Some(payment) = shape::invoice_payment(self, self.invoice(id)?) {
            self.emit("invoice_payment.paid", payment, None);
        }
        Ok(())
    }

    /// The newest invoice decides: when it is paid the subscription is in order again.
    fn recover_subscription(&mut self, invoice: &str) -> Result<(), Refusal> {
        let Some(id) = self.invoice(invoice)?.subscription.clone() else {
            return Ok(());
        };
        let now = self.now();
        let resumed = self.change_subscription(&id, |subscription| {
            if subscription.latest_invoice.as_deref() != Some(invoice) {
                return false;
            }
            let resumes = subscription.status == Status::Paused
                && subscription
                    .paused
                    .as_ref()
                    .is_some_and(|paused| paused.resuming_since.is_some());
            let waits = matches!(
                subscription.status,
                Status::Incomplete | Status::PastDue | Status::Unpaid
            );
            if resumes || waits {
                let on_trial = subscription.trial.is_some_and(|(_, end)| end > now);
                subscription.paused = None;
                subscription.status = if on_trial {
                    Status::Trialing
                } else {
                    Status::Active
                };
            }
            resumes
        })?;
        if resumed {
            self.emit_subscription("customer.subscription.resumed", &id)?;
        }
        Ok(())
    }

    fn invoice_fails(&mut self, id: &str, outcome: Outcome) -> Result<(), Refusal> {
        let row = self.invoice(id)?;
        let subscription = row.subscription.as_ref();
        let subscription = subscription.and_then(|id| self.subscriptions.get(id));
        // The first payment of all, and the one that a change waits for, are not tried again.
        let only_once = subscription.is_none_or(|subscription| {
            subscription.over()
                || subscription.status == Status::Incomplete
                || subscription
                    .pending_update
                    .as_ref()
                    .is_some_and(|update| update.invoice == id)
        });
        let subscription = subscription.map(|subscription| subscription.id.clone());
        let made = usize::try_from(row.attempt_count).unwrap_or(usize::MAX);
        let wait = self.retry_days.get(made).filter(|_| !only_once).copied();
        let now = self.now();
        let invoice = self.invoice_mut(id)?;
        invoice.attempt_count += 1;
        invoice.next_payment_attempt = wait.map(|days| now + i64::from(days) * DAY);
        self.emit_invoice("invoice.payment_failed", id)?;
        if outcome == Outcome::ActionRequired {
            self.emit_invoice("invoice.payment_action_required", id)?;
        }
        let Some(subscription) = subscription.filter(|_| !only_once) else {
            return Ok(());
        };
        self.change_subscription(&subscription, |subscription| {
            let newest = subscription.latest_invoice.as_deref() == Some(id);
            if newest && matches!(subscription.status, Status::Active | Status::Trialing) {
                subscription.status = Status::PastDue;
            }
        })?;
        if wait.is_some() {
            return Ok(());
        }
        self.retries_used_up(&subscription)
    }

    fn retries_used_up(&mut self, subscription: &str) -> Result<(), Refusal> {
        match (self.subscription(subscription)?.status, self.after_retries) {
            (Status::PastDue, AfterRetries::Cancel) => self.cancel(subscription, "payment_failed"),
            (Status::PastDue, AfterRetries::MarkUnpaid) => self.mark_unpaid(subscription),
            (Status::PastDue, AfterRetries::Pause) => {
                self.pause(subscription, PauseReason::FinalPaymentFailure)
            }
            _ => Ok(()),
        }
    }
}
