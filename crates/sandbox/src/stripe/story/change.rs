//! Changing what a subscription buys, with prorations.

use crate::stripe::error::Refusal;
use crate::stripe::story::bill::NewInvoice;
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::world::catalog::Recurring;
use crate::stripe::world::subscription::{Item, PendingLine, Status, Subscription};
use crate::stripe::world::{Metadata, World};

/// How often an hour quantities can be changed.
const QUANTITY_CHANGES_AN_HOUR: usize = 200;
/// How many items a subscription can have.
const MOST_ITEMS: usize = 20;

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

impl ItemChange {
    /// Another quantity.
    pub fn quantity(quantity: i64) -> Self {
        Self {
            quantity: Some(quantity),
            ..Self::default()
        }
    }

    /// Another price.
    pub fn price(price: &str) -> Self {
        Self {
            price: Some(price.to_owned()),
            ..Self::default()
        }
    }
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

/// What becomes of a change, or of a new subscription, whose invoice is not paid at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaymentBehavior {
    /// It is made, and the invoice is owed.
    #[default]
    AllowIncomplete,
    /// It is made, and nothing is charged yet.
    DefaultIncomplete,
    /// It is refused.
    ErrorIfIncomplete,
    /// It waits for the payment, for 23 hours.
    PendingIfIncomplete,
}

impl PaymentBehavior {
    /// All of them, with their names in parameters.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("allow_incomplete", Self::AllowIncomplete),
        ("default_incomplete", Self::DefaultIncomplete),
        ("error_if_incomplete", Self::ErrorIfIncomplete),
        ("pending_if_incomplete", Self::PendingIfIncomplete),
    ];
}

/// How a change is made.
#[derive(Clone, Copy, Debug)]
pub struct HowToChange {
    /// What becomes of the difference.
    pub proration: Proration,
    /// What becomes of it without payment.
    pub payment: PaymentBehavior,
    /// The moment that prorations are counted from; now, unless somebody said otherwise in a preview.
    pub at: Option<i64>,
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
        // A trial keeps its end: the new period begins after it.
        let on_trial = subscription.status == Status::Trialing;
        let new_cycle = !on_trial && self.cycle(&items) != self.cycle(&subscription.items);
        let prorations = if on_trial {
            Vec::new()
        } else {
            let mut lines = self.prorations(&subscription.items, &items, new_cycle, at)?;
            self.net_of_discounts(&mut lines, &subscription.discounts);
            lines
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
        let how = HowToChange {
            proration,
            payment: PaymentBehavior::AllowIncomplete,
            at: None,
        };
        self.change_items_as(id, changes, how)
    }

    /// Changes a subscription's items in one of Stripe's ways.
    pub fn change_items_as(
        &mut self,
        id: &str,
        changes: &[ItemChange],
        how: HowToChange,
    ) -> Result<(), Refusal> {
        let now = self.now();
        let before = self.living(id)?.clone();
        let planned = self.plan_change(&before, changes, how.at.unwrap_or(now))?;
        self.count_quantity_change(&before, &planned.items)?;
        let mut waiting = before.pending.clone();
        if how.proration != Proration::Nothing {
            waiting.extend(planned.prorations.clone());
        }
        let at_once = how.proration == Proration::AtOnce || planned.new_cycle;
        if !at_once {
            return self.change_subscription(id, |subscription| {
                subscription.items.clone_from(&planned.items);
                subscription.pending = waiting;
            });
        }
        match how.payment {
            PaymentBehavior::PendingIfIncomplete => {
                return self.change_when_paid(&before, &planned, &waiting, now);
            }
            PaymentBehavior::ErrorIfIncomplete => self.check_payable(&before)?,
            PaymentBehavior::AllowIncomplete | PaymentBehavior::DefaultIncomplete => {}
        }
        self.change_subscription(id, |subscription| {
            subscription.items.clone_from(&planned.items);
            subscription.pending.clone_from(&waiting);
            if planned.new_cycle {
                subscription.billing_cycle_anchor = now;
            }
        })?;
        self.invoice_change(id, &planned, how.payment, now)
    }

    /// Refuses a change whose invoice the card on file would not pay.
    fn check_payable(&self, subscription: &Subscription) -> Result<(), Refusal> {
        let customer = self.customers.get(&subscription.customer);
        let own = subscription.payment_method.as_deref();
        let card = own.or(customer.and_then(|customer| customer.card.as_deref()));
        match self.outcome_of_card(card, Means::OnFile) {
            Outcome::Declined => Err(Refusal::declined()),
            Outcome::ActionRequired => Err(Refusal::action_required()),
            Outcome::Paid | Outcome::Processing => Ok(()),
        }
    }

    /// Stripe takes 200 changes of quantity in an hour, for one subscription.
    fn count_quantity_change(&mut self, before: &Subscription, after: &[Item]) -> Result<(), Refusal> {
        let same = |item: &Item| {
            let mut others = before.items.iter();
            others.any(|old| old.id == item.id && old.quantity == item.quantity)
        };
        if after.iter().all(same) {
            return Ok(());
        }
        let now = self.now();
        let row = self.subscription_mut(&before.id)?;
        row.quantity_changes.retain(|at| *at > now - 3_600);
        if row.quantity_changes.len() >= QUANTITY_CHANGES_AN_HOUR {
            let message =
                "You have exceeded the limit of 200 quantity updates per hour for this subscription.";
            return Err(Refusal::invalid(message).status(429).code("rate_limit"));
        }
        row.quantity_changes.push(now);
        Ok(())
    }

    fn invoice_change(
        &mut self,
        id: &str,
        planned: &PlannedChange,
        payment: PaymentBehavior,
        now: i64,
    ) -> Result<(), Refusal> {
        let subscription = self.subscription(id)?.clone();
        let Some(invoice) = self.draft_change(&subscription, planned, &subscription.pending, now)? else {
            return Ok(());
        };
        self.change_subscription(id, |subscription| {
            subscription.pending.clear();
            subscription.latest_invoice = Some(invoice.clone());
        })?;
        self.finalize(&invoice)?;
        if payment == PaymentBehavior::DefaultIncomplete && self.invoice(&invoice)?.amount_due() > 0 {
            return Ok(());
        }
        self.pay_invoice(&invoice, Means::OnFile).map(drop)
    }

    /// The invoice of a change that is billed at once; nothing where there is nothing to bill.
    pub(super) fn draft_change(
        &mut self,
        subscription: &Subscription,
        planned: &PlannedChange,
        prorations: &[PendingLine],
        now: i64,
    ) -> Result<Option<String>, Refusal> {
        let new_period: &[Item] = if planned.new_cycle { &planned.items } else { &[] };
        let lines = self.lines(prorations, new_period)?;
        if lines.is_empty() {
            return Ok(None);
        }
        self.draft(NewInvoice {
            customer: subscription.customer.clone(),
            subscription: Some(subscription.id.clone()),
            billing_reason: "subscription_update",
            currency: subscription.currency.clone(),
            lines,
            period: (now, now),
        })
        .map(Some)
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
        if items.len() >= MOST_ITEMS {
            let message = format!("A subscription can have at most {MOST_ITEMS} items.");
            return Err(Refusal::invalid(message).param("items"));
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
}
