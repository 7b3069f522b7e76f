//! Changing what a subscription buys, with prorations.

use crate::stripe::error::Refusal;
use crate::stripe::story::bill::NewInvoice;
use crate::stripe::story::pay::Means;
use crate::stripe::world::catalog::Recurring;
use crate::stripe::world::subscription::{Item, PendingLine, Status, Subscription};
use crate::stripe::world::{Metadata, World};

/// A change of one item; without an id it is a new item.
#[derive(Clone, Debug, Default)]
pub struct ItemChange {
    /// The item.
    pub id: Option<String>,
    /// Its new price.
    pub price: Option<String>,
    /// Its new quantity.
    pub quantity: Option<i64>,
    /// Whether it is taken away.
    pub deleted: bool,
}

/// What becomes of the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proration {
    /// It is invoiced at once.
    AtOnce,
    /// It waits for the next invoice.
    NextInvoice,
    /// It is forgotten.
    Nothing,
}

impl Proration {
    /// All of them, with their names in parameters.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("always_invoice", Self::AtOnce),
        ("create_prorations", Self::NextInvoice),
        ("none", Self::Nothing),
    ];
}

/// What a change would do.
#[derive(Clone, Debug)]
pub struct PlannedChange {
    /// The items afterwards.
    pub items: Vec<Item>,
    /// What is given back and charged for the rest of the period.
    pub prorations: Vec<PendingLine>,
    /// Whether the length of the period changes, so that a new one begins now.
    pub new_cycle: bool,
}

impl World {
    /// Works out a change without making it.
    pub fn plan_change(
        &mut self,
        subscription: &Subscription,
        changes: &[ItemChange],
        at: i64,
    ) -> Result<PlannedChange, Refusal> {
        let mut items = subscription.items.clone();
        for (place, change) in changes.iter().enumerate() {
            self.apply(&mut items, subscription, change, &format!("items[{place}]"))?;
        }
        if items.is_empty() {
            return Err(
                Refusal::invalid("A subscription must have at least one active plan.").param("items"),
            );
        }
        let new_cycle = self.cycle(&items) != self.cycle(&subscription.items);
        let prorations = if subscription.status == Status::Trialing {
            Vec::new()
        } else {
            self.prorations(&subscription.items, &items, new_cycle, at)?
        };
        if new_cycle {
            for item in &mut items {
                self.roll(item, at, at);
            }
        }
        Ok(PlannedChange {
            items,
            prorations,
            new_cycle,
        })
    }

    /// Changes a subscription's items.
    pub fn change_items(
        &mut self,
        id: &str,
        changes: &[ItemChange],
        proration: Proration,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let before = self.living(id)?.clone();
        let planned = self.plan_change(&before, changes, now)?;
        let wanted = if proration == Proration::Nothing {
            Vec::new()
        } else {
            planned.prorations.clone()
        };
        let at_once = proration == Proration::AtOnce || planned.new_cycle;
        self.change_subscription(id, |subscription| {
            subscription.items.clone_from(&planned.items);
            subscription.pending.extend(wanted);
            if planned.new_cycle {
                subscription.billing_cycle_anchor = now;
            }
        })?;
        if !at_once {
            return Ok(());
        }
        self.invoice_change(id, &planned, now)
    }

    fn invoice_change(&mut self, id: &str, planned: &PlannedChange, now: i64) -> Result<(), Refusal> {
        let subscription = self.subscription(id)?.clone();
        let new_period: &[Item] = if planned.new_cycle { &planned.items } else { &[] };
        let lines = self.lines(&subscription.pending, new_period)?;
        if lines.is_empty() {
            return Ok(());
        }
        let invoice = self.draft(NewInvoice {
            customer: subscription.customer,
            subscription: Some(id.to_owned()),
            billing_reason: "subscription_update",
            currency: subscription.currency,
            lines,
            period: (now, now),
        })?;
        self.change_subscription(id, |subscription| {
            subscription.pending.clear();
            subscription.latest_invoice = Some(invoice.clone());
        })?;
        self.finalize(&invoice)?;
        self.pay_invoice(&invoice, Means::OnFile).map(drop)
    }

    fn apply(
        &mut self,
        items: &mut Vec<Item>,
        subscription: &Subscription,
        change: &ItemChange,
        param: &str,
    ) -> Result<(), Refusal> {
        if let Some(price) = &change.price {
            self.check_price(price, &subscription.currency, &format!("{param}[price]"))?;
        }
        if change.quantity.is_some_and(|quantity| quantity < 0) {
            let message = "This value must be greater than or equal to 0.";
            return Err(Refusal::invalid(message).param(format!("{param}[quantity]")));
        }
        let Some(id) = &change.id else {
            return self.add_item(items, subscription, change, param);
        };
        let place = items.iter().position(|item| item.id == *id);
        let place =
            place.ok_or_else(|| Refusal::missing("subscription item", id).param(format!("{param}[id]")))?;
        if change.deleted {
            items.remove(place);
        } else if let Some(item) = items.get_mut(place) {
            item.price = change.price.clone().unwrap_or_else(|| item.price.clone());
            item.quantity = change.quantity.unwrap_or(item.quantity);
        }
        Ok(())
    }

    fn add_item(
        &mut self,
        items: &mut Vec<Item>,
        subscription: &Subscription,
        change: &ItemChange,
        param: &str,
    ) -> Result<(), Refusal> {
        let price = change
            .price
            .clone()
            .ok_or_else(|| Refusal::required(&format!("{param}[price]")))?;
        if items.iter().any(|item| item.price == price) {
            let message = format!("Cannot add multiple subscription items with the same plan: {price}");
            return Err(Refusal::invalid(message).param(param));
        }
        let now = self.now();
        let mut item = Item {
            id: self.ids.subscription_item(),
            price,
            quantity: change.quantity.unwrap_or(1),
            period_start: now,
            period_end: now,
            created: now,
            metadata: Metadata::new(),
        };
        self.roll(&mut item, subscription.billing_cycle_anchor, now);
        items.push(item);
        Ok(())
    }

    /// Whether a subscription in this currency can have this price.
    pub fn check_price(&self, id: &str, currency: &str, param: &str) -> Result<Recurring, Refusal> {
        let price = self.price(id).map_err(|refusal| refusal.param(param))?;
        let Some(recurring) = price.recurring else {
            let message = "The price specified is set to `type=one_time` but this field only accepts prices with \
                 `type=recurring`.";
            return Err(Refusal::invalid(message).param(param));
        };
        if !price.active {
            let message = "The price specified is inactive. This field only accepts active prices.";
            return Err(Refusal::invalid(message).param(param));
        }
        if price.currency != currency {
            let message = format!(
                "The price specified only supports `{}`. This doesn't match the expected currency: \
                 `{currency}`.",
                price.currency
            );
            return Err(Refusal::invalid(message).param(param));
        }
        Ok(recurring)
    }

    fn cycle(&self, items: &[Item]) -> Option<Recurring> {
        items
            .first()
            .and_then(|item| self.prices.get(&item.price)?.recurring)
    }

    /// Gives back the unused rest of what changes and charges the rest of what replaces it.
    fn prorations(
        &self,
        before: &[Item],
        after: &[Item],
        new_cycle: bool,
        at: i64,
    ) -> Result<Vec<PendingLine>, Refusal> {
        let same = |a: &Item, b: &Item| a.id == b.id && a.price == b.price && a.quantity == b.quantity;
        let mut lines = Vec::new();
        for old in before
            .iter()
            .filter(|old| new_cycle || !after.iter().any(|new| same(old, new)))
        {
            lines.push(self.rest(old, at, "Unused time on", -1)?);
        }
        for new in after
            .iter()
            .filter(|new| !new_cycle && !before.iter().any(|old| same(old, new)))
        {
            lines.push(self.rest(new, at, "Remaining time on", 1)?);
        }
        lines.retain(|line| line.amount != 0);
        Ok(lines)
    }

    fn rest(&self, item: &Item, at: i64, words: &str, sign: i64) -> Result<PendingLine, Refusal> {
        let price = self.price(&item.price)?;
        let name = self
            .products
            .get(&price.product)
            .map_or("", |product| product.name.as_str());
        let whole = (item.period_end - item.period_start).max(1);
        let left = (item.period_end - at).clamp(0, whole);
        let full = i128::from(price.unit_amount) * i128::from(item.quantity);
        // Rounded half up, as Stripe does; the sign comes last so that both directions round alike.
        let amount = (full * i128::from(left) * 2 + i128::from(whole)) / (i128::from(whole) * 2);
        Ok(PendingLine {
            item: item.id.clone(),
            price: item.price.clone(),
            quantity: item.quantity,
            amount: sign * i64::try_from(amount).unwrap_or(i64::MAX),
            description: format!("{words} {} × {name}", item.quantity),
            period: (at, item.period_end),
        })
    }
}
