//! Disputes from the bank's first question to the end, and early fraud warnings.

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::dispute::{Dispute, DisputeReason, DisputeStatus, FraudWarning};

/// How long evidence can be sent.
const EVIDENCE_FOR: i64 = 9 * 86_400;

impl World {
    /// The holder objects to a charge, or their bank only asks about it.
    pub fn open_dispute(
        &mut self,
        charge: &str,
        reason: DisputeReason,
        inquiry: bool,
    ) -> Result<String, Refusal> {
        let row = self.charge(charge)?.clone();
        if !row.succeeded {
            return Err(Refusal::invalid("A charge that failed cannot be disputed."));
        }
        if self.disputes.of(charge).any(|dispute| !dispute.status.closed()) {
            return Err(Refusal::invalid("This charge is disputed already."));
        }
        let (id, now) = (self.ids.dispute(), self.now());
        self.disputes.insert(Dispute {
            id: id.clone(),
            charge: row.id,
            payment_intent: row.payment_intent,
            amount: row.amount - row.amount_refunded,
            currency: row.currency,
            reason,
            status: if inquiry {
                DisputeStatus::WarningNeedsResponse
            } else {
                DisputeStatus::NeedsResponse
            },
            submissions: 0,
            funds_withdrawn: false,
            created: now,
            due_by: now + EVIDENCE_FOR,
        });
        self.charge_mut(charge)?.disputed = true;
        self.emit_dispute("charge.dispute.created", &id)?;
        if !inquiry {
            self.withdraw(&id)?;
        }
        self.update_warnings(charge)?;
        Ok(id)
    }

    fn withdraw(&mut self, id: &str) -> Result<(), Refusal> {
        self.dispute_mut(id)?.funds_withdrawn = true;
        self.emit_dispute("charge.dispute.funds_withdrawn", id)
    }

    /// Evidence is sent: the bank looks at it.
    pub fn submit_evidence(&mut self, id: &str) -> Result<(), Refusal> {
        let row = self.dispute_mut(id)?;
        let to = match row.status {
            DisputeStatus::WarningNeedsResponse => DisputeStatus::WarningUnderReview,
            DisputeStatus::NeedsResponse => DisputeStatus::UnderReview,
            other => other,
        };
        if !row.status.closed() {
            row.submissions += 1;
        }
        self.move_dispute(id, to)
    }

    /// A dispute comes to this status; money moves where it does with Stripe.
    pub fn move_dispute(&mut self, id: &str, to: DisputeStatus) -> Result<(), Refusal> {
        let row = self.dispute_mut(id)?;
        if row.status.closed() {
            return Err(Refusal::invalid("This dispute is already closed."));
        }
        let escalates = row.status.warns() && !to.warns() && to != DisputeStatus::Prevented;
        let softens = !row.status.warns() && to.warns();
        if softens {
            return Err(Refusal::invalid("A dispute does not become an inquiry again."));
        }
        row.status = to;
        let withdrawn = row.funds_withdrawn;
        if escalates {
            self.withdraw(id)?;
        }
        let kind = if to.closed() {
            "charge.dispute.closed"
        } else {
            "charge.dispute.updated"
        };
        self.emit_dispute(kind, id)?;
        if to == DisputeStatus::Won && (withdrawn || escalates) {
            self.dispute_mut(id)?.funds_withdrawn = false;
            self.emit_dispute("charge.dispute.funds_reinstated", id)?;
        }
        Ok(())
    }

    /// The issuer suspects that a charge is fraud.
    pub fn warn_of_fraud(&mut self, charge: &str) -> Result<String, Refusal> {
        let payment_intent = self.charge(charge)?.payment_intent.clone();
        let id = self.ids.fraud_warning();
        self.fraud_warnings.insert(FraudWarning {
            id: id.clone(),
            charge: charge.to_owned(),
            payment_intent,
            fraud_type: "made_with_stolen_card",
            created: self.now(),
        });
        self.emit_warning("radar.early_fraud_warning.created", &id)?;
        Ok(id)
    }

    /// Tells that warnings about a charge ask for nothing more, once it is refunded or disputed.
    pub(super) fn update_warnings(&mut self, charge: &str) -> Result<(), Refusal> {
        let row = self.charge(charge)?;
        if row.actionable() {
            return Ok(());
        }
        let warnings = self.fraud_warnings.of(charge);
        let ids: Vec<String> = warnings.map(|warning| warning.id.clone()).collect();
        for id in ids {
            self.emit_warning("radar.early_fraud_warning.updated", &id)?;
        }
        Ok(())
    }

    fn dispute_mut(&mut self, id: &str) -> Result<&mut Dispute, Refusal> {
        self.disputes
            .get_mut(id)
            .ok_or_else(|| Refusal::missing("dispute", id))
    }

    fn emit_dispute(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        let found = self.disputes.get(id);
        let object = shape::dispute(self, found.ok_or_else(|| Refusal::missing("dispute", id))?);
        self.emit(kind, object, None);
        Ok(())
    }

    fn emit_warning(&mut self, kind: &'static str, id: &str) -> Result<(), Refusal> {
        let found = self.fraud_warnings.get(id);
        let object = shape::fraud_warning(
            self,
            found.ok_or_else(|| Refusal::missing("early fraud warning", id))?,
        );
        self.emit(kind, object, None);
        Ok(())
    }
}
