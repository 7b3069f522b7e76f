//! What the next invoice would be, without making it.

use serde_json::Value;

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::change::{ItemChange, PlannedChange, Proration};
use crate::stripe::world::invoice::{Invoice, InvoiceStatus};
use crate::stripe::world::subscription::{Item, Subscription};
use crate::stripe::world::{Metadata, World};

impl World {
    /// The next invoice of a subscription, if its items were changed like this at `at`.
    pub fn preview_change(
        &mut self,
        id: &str,
        changes: &[ItemChange],
        proration: Proration,
        at: i64,
    ) -> Result<Value, Refusal> {
        let subscription = self.living(id)?.clone();
        let planned = self.plan_change(&subscription, changes, at)?;
        let mut pending = subscription.pending.clone();
        if proration != Proration::Nothing {
            pending.extend(planned.prorations.clone());
        }
        let at_once = !changes.is_empty() && (proration == Proration::AtOnce || planned.new_cycle);
        let items = self.next_items(&subscription, &planned, at_once);
        let mut lines = self.lines(&pending, &items)?;
        self.take_off(&mut lines, &subscription.discounts);
        let end = if at_once { at } else { subscription.period_end() };
        let invoice = self.upcoming(&subscription, lines, (at, end));
        Ok(shape::invoice(self, &invoice))
    }

    /// The periods that the next invoice bills besides prorations.
    fn next_items(&self, subscription: &Subscription, planned: &PlannedChange, at_once: bool) -> Vec<Item> {
        if at_once {
            return if planned.new_cycle {
                planned.items.clone()
            } else {
                Vec::new()
            };
        }
        let mut items = planned.items.clone();
        for item in &mut items {
            let start = item.period_end;
            self.roll(item, subscription.billing_cycle_anchor, start);
        }
        items
    }

    fn upcoming(
        &mut self,
        subscription: &Subscription,
        lines: Vec<crate::stripe::world::invoice::Line>,
        period: (i64, i64),
    ) -> Invoice {
        Invoice {
            id: format!("upcoming_{}", self.ids.invoice()),
            customer: subscription.customer.clone(),
            subscription: Some(subscription.id.clone()),
            subscription_metadata: subscription.metadata.clone(),
            status: InvoiceStatus::Draft,
            currency: subscription.currency.clone(),
            lines,
            billing_reason: "upcoming",
            amount_paid: 0,
            attempt_count: 0,
            next_payment_attempt: Some(period.1),
            number: None,
            payment_intent: None,
            charge: None,
            period,
            metadata: Metadata::new(),
            automatic_tax: subscription.automatic_tax,
            created: self.now(),
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            uncollectible_at: None,
        }
    }
}
