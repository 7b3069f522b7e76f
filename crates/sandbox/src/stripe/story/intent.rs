//! Payments: made, tried, on their way, settled, called off. Each attempt that reaches the bank is a charge.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::pay::Outcome;
use crate::stripe::world::customer::Card;
use crate::stripe::world::dispute::DisputeReason;
use crate::stripe::world::payment::{Charge, IntentStatus, PaymentIntent};
use crate::stripe::world::{Metadata, World};

/// How long a bank account's payment is on its way.
const SETTLES_AFTER: i64 = 3 * 86_400;

/// A payment to be made.
#[derive(Clone, Debug)]
pub struct NewIntent {
    /// The invoice it pays.
    pub invoice: Option<String>,
    /// Who pays.
    pub customer: Option<String>,
    /// In the smallest unit.
    pub amount: i64,
    /// Lower-case ISO code.
    pub currency: String,
    /// Free key and value pairs.
    pub metadata: Metadata,
}

impl World {
    /// Makes a payment that nothing has been tried for yet.
    pub fn create_intent(&mut self, new: NewIntent) -> Result<String, Refusal> {
        let id = self.ids.payment_intent();
        self.payment_intents.insert(PaymentIntent {
            id: id.clone(),
            invoice: new.invoice,
            customer: new.customer,
            payment_method: None,
            amount: new.amount,
            currency: new.currency,
            status: IntentStatus::RequiresPaymentMethod,
            latest_charge: None,
            settles_at: None,
            declined: false,
            metadata: new.metadata,
            created: self.now(),
            canceled_at: None,
        });
        self.emit_intent("payment_intent.created", &id)?;
        Ok(id)
    }

    /// Tries a payment, which ends as told; answers the charge where one was made.
    pub fn try_intent(
        &mut self,
        id: &str,
        payment_method: Option<String>,
        outcome: Outcome,
    ) -> Result<Option<String>, Refusal> {
        let settles_at = (outcome == Outcome::Processing).then_some(self.now() + SETTLES_AFTER);
        let intent = self.intent_mut(id)?;
        intent.payment_method = payment_method;
        intent.settles_at = settles_at;
        intent.declined = outcome == Outcome::Declined;
        intent.status = match outcome {
            Outcome::Paid => IntentStatus::Succeeded,
            Outcome::Declined => IntentStatus::RequiresPaymentMethod,
            Outcome::ActionRequired => IntentStatus::RequiresAction,
            Outcome::Processing => IntentStatus::Processing,
        };
        let charge = match outcome {
            Outcome::Paid => Some(self.record_charge(id, true)?),
            Outcome::Declined => Some(self.record_charge(id, false)?),
            Outcome::ActionRequired | Outcome::Processing => None,
        };
        let kind = match outcome {
            Outcome::Paid => "payment_intent.succeeded",
            Outcome::Declined => "payment_intent.payment_failed",
            Outcome::ActionRequired => "payment_intent.requires_action",
            Outcome::Processing => "payment_intent.processing",
        };
        self.emit_intent(kind, id)?;
        Ok(charge)
    }

    fn record_charge(&mut self, intent: &str, succeeded: bool) -> Result<String, Refusal> {
        let id = self.ids.charge();
        let intent = self.intent(intent)?.clone();
        let charge = Charge {
            id: id.clone(),
            payment_intent: intent.id.clone(),
            invoice: intent.invoice,
            customer: intent.customer,
            payment_method: intent.payment_method,
            amount: intent.amount,
            amount_refunded: 0,
            currency: intent.currency,
            succeeded,
            disputed: false,
            metadata: intent.metadata,
            created: self.now(),
        };
        self.charges.insert(charge);
        self.intent_mut(&intent.id)?.latest_charge = Some(id.clone());
        let kind = if succeeded {
            "charge.succeeded"
        } else {
            "charge.failed"
        };
        self.emit_charge(kind, &id)?;
        Ok(id)
    }

    /// Brings a payment that is on its way to its end, and what was bought with it.
    pub fn settle(&mut self, intent: &str, paid: bool) -> Result<(), Refusal> {
        let row = self.intent(intent)?.clone();
        if row.status != IntentStatus::Processing {
            return Err(Refusal::invalid("This payment is not on its way."));
        }
        let outcome = if paid { Outcome::Paid } else { Outcome::Declined };
        match &row.invoice {
            Some(invoice) => {
                self.finish_invoice(invoice, outcome)?;
            }
            None => {
                self.try_intent(intent, row.payment_method.clone(), outcome)?;
            }
        }
        let session = self.checkouts.newest().find(|session| {
            session.awaits_payment
                && (session.payment_intent.as_deref() == Some(intent)
                    || (row.invoice.is_some() && session.invoice == row.invoice))
        });
        match session.map(|session| session.id.clone()) {
            Some(session) => self.settle_checkout(&session, paid),
            None => Ok(()),
        }
    }

    /// How the payment of a bank account ends when its time has come.
    pub fn settle_in_time(&mut self, intent: &str) -> Result<(), Refusal> {
        let method = self.intent(intent)?.payment_method.as_ref();
        let method = method.and_then(|id| self.payment_methods.get(id));
        let bounces = method.is_some_and(|method| method.card == Card::BouncesLater);
        self.settle(intent, !bounces)
    }

    /// Calls a payment off unless it is over already.
    pub fn cancel_intent(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        let intent = self.intent_mut(id)?;
        if matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled) {
            return Ok(());
        }
        intent.status = IntentStatus::Canceled;
        intent.canceled_at = Some(now);
        intent.settles_at = None;
        self.emit_intent("payment_intent.canceled", id)
    }

    /// What some cards bring about after they have paid.
    pub fn aftermath(&mut self, charge: &str) -> Result<(), Refusal> {
        let method = self.charge(charge)?.payment_method.as_ref();
        let card = method
            .and_then(|id| self.payment_methods.get(id))
            .map(|row| row.card);
        match card {
            Some(Card::IsDisputed) => self
                .open_dispute(charge, DisputeReason::Fraudulent, false)
                .map(drop),
            Some(Card::IsInquired) => self.open_dispute(charge, DisputeReason::General, true).map(drop),
            Some(Card::IsReportedAsFraud) => self.warn_of_fraud(charge).map(drop),
            _ => Ok(()),
        }
    }

    /// A payment, or Stripe's refusal.
    pub fn intent(&self, id: &str) -> Result<&PaymentIntent, Refusal> {
        self.payment_intents
            .get(id)
            .ok_or_else(|| Refusal::missing("payment_intent", id))
    }

    fn intent_mut(&mut self, id: &str) -> Result<&mut PaymentIntent, Refusal> {
        self.payment_intents
            .get_mut(id)
            .ok_or_else(|| Refusal::missing("payment_intent", id))
    }

    fn emit_intent(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        if self.muted {
            return Ok(());
        }
        let object = shape::payment_intent(self, self.intent(id)?);
        self.emit(kind, object, None);
        Ok(())
    }

    /// Emits an event about a charge as it is now.
    pub fn emit_charge(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        if self.muted {
            return Ok(());
        }
        let object = shape::charge(self, self.charge(id)?);
        self.emit(kind, object, None);
        Ok(())
    }
}
