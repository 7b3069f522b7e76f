//! Changes that wait for their invoice to be paid.

use crate::stripe::error::Refusal;
use crate::stripe::story::change::PlannedChange;
use crate::stripe::story::pay::Means;
use crate::stripe::story::time::INCOMPLETE_FOR;
use crate::stripe::world::World;
use crate::stripe::world::subscription::{PendingLine, PendingUpdate, Subscription};

impl World {
    /// Bills a change, and makes it as soon as it is paid: now, or within 23 hours.
    pub(super) fn change_when_paid(
        &mut self,
        before: &Subscription,
        planned: &PlannedChange,
        prorations: &[PendingLine],
        now: i64,
    ) -> Result<(), Refusal> {
        let anchor = planned.new_cycle.then_some(now);
        let Some(invoice) = self.draft_change(before, planned, prorations, now)? else {
            return self.change_subscription(&before.id, |subscription| {
                subscription.items.clone_from(&planned.items);
            });
        };
        let update = PendingUpdate {
            invoice: invoice.clone(),
            items: planned.items.clone(),
            billing_cycle_anchor: anchor,
            expires_at: now + INCOMPLETE_FOR,
        };
        self.change_subscription(&before.id, |subscription| {
            subscription.pending_update = Some(update);
            subscription.latest_invoice = Some(invoice.clone());
        })?;
        self.finalize(&invoice)?;
        self.pay_invoice(&invoice, Means::OnFile).map(drop)
    }

    /// Makes the change that waited for this invoice, if one did.
    pub(super) fn apply_pending_update(&mut self, invoice: &str) -> Result<(), Refusal> {
        let Some(id) = self.invoice(invoice)?.subscription.clone() else {
            return Ok(());
        };
        let Some(update) = self.subscription(&id)?.pending_update.clone() else {
            return Ok(());
        };
        if update.invoice != invoice {
            return Ok(());
        }
        self.change_subscription(&id, |subscription| {
            subscription.items = update.items;
            subscription.pending.clear();
            subscription.pending_update = None;
            if let Some(anchor) = update.billing_cycle_anchor {
                subscription.billing_cycle_anchor = anchor;
            }
        })?;
        self.emit_subscription("customer.subscription.pending_update_applied", &id)
    }

    /// The payment that a change waited for did not come: it is forgotten.
    pub(super) fn expire_pending_update(&mut self, id: &str) -> Result<(), Refusal> {
        let Some(update) = self.subscription(id)?.pending_update.clone() else {
            return Ok(());
        };
        self.void_invoice(&update.invoice)?;
        self.change_subscription(id, |subscription| subscription.pending_update = None)?;
        self.emit_subscription("customer.subscription.pending_update_expired", id)
    }
}
