//! Giving money back: at once, slowly, in part, and in vain.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::payment::{Refund, RefundStatus};
use crate::stripe::world::{Metadata, World};

impl World {
    /// Gives money back at once; without an amount, all that is left.
    pub fn refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<String>,
    ) -> Result<String, Refusal> {
        self.begin_refund(charge, amount, reason, RefundStatus::Succeeded)
    }

    /// Gives money back by a way that takes days: `finish_refund` or `fail_refund` ends it.
    pub fn refund_slowly(&mut self, charge: &str, amount: Option<i64>) -> Result<String, Refusal> {
        self.begin_refund(charge, amount, None, RefundStatus::Pending)
    }

    fn begin_refund(
        &mut self,
        charge: &str,
        amount: Option<i64>,
        reason: Option<String>,
        status: RefundStatus,
    ) -> Result<String, Refusal> {
        let amount = self.refundable(charge, amount)?;
        let (id, now) = (self.ids.refund(), self.now());
        let row = self.charge_mut(charge)?;
        row.amount_refunded += amount;
        let refund = Refund {
            id: id.clone(),
            charge: charge.to_owned(),
            payment_intent: row.payment_intent.clone(),
            amount,
            currency: row.currency.clone(),
            reason,
            status,
            metadata: Metadata::new(),
            created: now,
        };
        self.refunds.insert(refund);
        self.emit_refund("refund.created", &id)?;
        self.emit_charge("charge.refunded", charge)?;
        self.update_warnings(charge)?;
        Ok(id)
    }

    /// How much of a charge is given back, if that can be.
    fn refundable(&self, charge: &str, amount: Option<i64>) -> Result<i64, Refusal> {
        let row = self.charge(charge)?;
        if self
            .disputes
            .of(charge)
            .any(|dispute| dispute.funds_withdrawn && !dispute.status.warns())
        {
            let message = format!("Charge {charge} has been charged back; cannot issue a refund.");
            return Err(Refusal::invalid(message).code("charge_disputed"));
        }
        let left = row.amount - row.amount_refunded;
        let amount = amount.unwrap_or(left);
        if left == 0 {
            let message = format!("Charge {charge} has already been refunded.");
            return Err(Refusal::invalid(message).code("charge_already_refunded"));
        }
        if amount < 1 {
            return Err(Refusal::invalid("Invalid positive integer")
                .code("parameter_invalid_integer")
                .param("amount"));
        }
        if amount > left {
            let message =
                format!("Refund amount ({amount}) is greater than unrefunded amount on charge ({left})");
            return Err(Refusal::invalid(message).param("amount"));
        }
        Ok(amount)
    }

    /// A refund that was under way has arrived.
    pub fn finish_refund(&mut self, id: &str) -> Result<(), Refusal> {
        self.end_refund(id, RefundStatus::Succeeded)
    }

    /// The bank did not take the money back: the charge counts as paid again.
    pub fn fail_refund(&mut self, id: &str) -> Result<(), Refusal> {
        self.end_refund(id, RefundStatus::Failed)
    }

    /// A refund under way is called off.
    pub fn cancel_refund(&mut self, id: &str) -> Result<(), Refusal> {
        self.end_refund(id, RefundStatus::Canceled)
    }

    fn end_refund(&mut self, id: &str, to: RefundStatus) -> Result<(), Refusal> {
        let refund = self.refunds.get_mut(id);
        let refund = refund.ok_or_else(|| Refusal::missing("refund", id))?;
        // Even a refund that has succeeded can come back from the bank.
        let possible = match refund.status {
            RefundStatus::Pending => true,
            RefundStatus::Succeeded => to == RefundStatus::Failed,
            RefundStatus::Failed | RefundStatus::Canceled => false,
        };
        if !possible {
            let message = format!(
                "A refund with a status of `{}` cannot change.",
                refund.status.name()
            );
            return Err(Refusal::invalid(message));
        }
        refund.status = to;
        let (charge, amount) = (refund.charge.clone(), refund.amount);
        if to != RefundStatus::Succeeded {
            self.charge_mut(&charge)?.amount_refunded -= amount;
        }
        self.emit_refund("refund.updated", id)?;
        self.emit_refund("charge.refund.updated", id)?;
        if to == RefundStatus::Failed {
            self.emit_refund("refund.failed", id)?;
        }
        Ok(())
    }

    pub(super) fn charge_mut(
        &mut self,
        id: &str,
    ) -> Result<&mut crate::stripe::world::payment::Charge, Refusal> {
        self.charges
            .get_mut(id)
            .ok_or_else(|| Refusal::missing("charge", id))
    }

    fn emit_refund(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        let found = self.refunds.get(id);
        let object = shape::refund(found.ok_or_else(|| Refusal::missing("refund", id))?);
        self.emit(kind, object, None);
        Ok(())
    }
}
