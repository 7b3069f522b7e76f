//! Making invoices: for a new subscription, for a renewal, for a change.

use crate::stripe::error::Refusal;
use crate::stripe::story::change::Proration;
use crate::stripe::story::intent::NewIntent;
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::world::invoice::{Invoice, InvoiceStatus, Line};
use crate::stripe::world::subscription::{Item, PauseBehavior, PauseCollection, PendingLine, Status};
use crate::stripe::world::{Metadata, World};

impl World {
    /// Ends the current period at this moment, whatever is left of it, and bills the next one.
    pub fn renew_now(&mut self, id: &str, means: Means) -> Result<Option<Outcome>, Refusal> {
        let now = self.now();
        let row = self.subscription(id)?;
        if row.over() || row.cancel_at_period_end {
            return Err(Refusal::invalid(
                "A subscription that ends or has ended is not renewed.",
            ));
        }
        let row = self.subscription_mut(id)?;
        row.billing_cycle_anchor = now;
        for item in &mut row.items {
            item.period_end = now;
        }
        self.renew(id, now, means)
    }

    /// Begins the next period of every item whose period has ended at `start`, and bills it.
    pub fn renew(&mut self, id: &str, start: i64, means: Means) -> Result<Option<Outcome>, Refusal> {
        self.end_discounts(id, start)?;
        let before = self.subscription(id)?.clone();
        let mut items = before.items.clone();
        let mut due = Vec::new();
        for item in items.iter_mut().filter(|item| item.period_end <= start) {
            self.roll(item, before.billing_cycle_anchor, start);
            due.push(item.clone());
        }
        let gathered = before
            .items
            .iter()
            .map(|item| item.period_start)
            .min()
            .unwrap_or(start);
        let lines = self.lines(&before.pending, &due)?;
        let invoice = self.draft(NewInvoice {
            customer: before.customer.clone(),
            subscription: Some(id.to_owned()),
            billing_reason: "subscription_cycle",
            currency: before.currency.clone(),
            lines,
            period: (gathered, start),
        })?;
        self.change_subscription(id, |subscription| {
            subscription.items = items;
            subscription.pending.clear();
            subscription.latest_invoice = Some(invoice.clone());
            if subscription.status == Status::Trialing {
                subscription.status = Status::Active;
            }
        })?;
        self.use_up_discounts_of(&invoice)?;
        self.collect(&invoice, before.pause_collection, before.status, means)
    }

    fn collect(
        &mut self,
        invoice: &str,
        pause: Option<PauseCollection>,
        status: Status,
        means: Means,
    ) -> Result<Option<Outcome>, Refusal> {
        match pause.map(|pause| pause.behavior) {
            None if status == Status::Unpaid => Ok(None),
            None => {
                self.finalize(invoice)?;
                self.pay_invoice(invoice, means).map(Some)
            }
            Some(PauseBehavior::KeepAsDraft) => Ok(None),
            Some(PauseBehavior::Void) => {
                self.finalize(invoice)?;
                self.void_invoice(invoice).map(|()| None)
            }
            Some(PauseBehavior::MarkUncollectible) => {
                self.finalize(invoice)?;
                self.mark_uncollectible(invoice).map(|()| None)
            }
        }
    }

    /// Moves an item to the period that begins at `start`.
    pub fn roll(&self, item: &mut Item, anchor: i64, start: i64) {
        let recurring = self.prices.get(&item.price).and_then(|price| price.recurring);
        item.period_start = start;
        item.period_end = recurring.map_or(start, |recurring| recurring.end(anchor, start));
    }

    /// The lines for items' current periods, after the prorations that wait.
    pub fn lines(&mut self, pending: &[PendingLine], items: &[Item]) -> Result<Vec<Line>, Refusal> {
        let mut lines: Vec<Line> = pending.iter().map(|line| self.pending_line(line)).collect();
        for item in items {
            let (amount, description) = self.item_amount(item)?;
            lines.push(Line {
                id: self.ids.invoice_line(),
                amount,
                description,
                price: item.price.clone(),
                quantity: item.quantity,
                period: (item.period_start, item.period_end),
                proration: false,
                item: Some(item.id.clone()),
                discounts: Vec::new(),
            });
        }
        Ok(lines)
    }

    fn pending_line(&mut self, line: &PendingLine) -> Line {
        Line {
            id: self.ids.invoice_line(),
            amount: line.amount,
            description: line.description.clone(),
            price: line.price.clone(),
            quantity: line.quantity,
            period: line.period,
            proration: true,
            item: Some(line.item.clone()),
            discounts: Vec::new(),
        }
    }

    fn item_amount(&self, item: &Item) -> Result<(i64, String), Refusal> {
        let price = self.price_bought(&item.price)?;
        let name = self
            .products
            .get(&price.product)
            .map_or("", |product| product.name.as_str());
        let each = money(price.unit_amount, &price.currency);
        let every = price.recurring.map_or("", |recurring| recurring.interval.name());
        let description = format!("{} × {name} (at {each} / {every})", item.quantity);
        Ok((price.unit_amount * item.quantity, description))
    }

    /// Makes a draft, with the subscription's discounts taken off.
    pub fn draft(&mut self, new: NewInvoice) -> Result<String, Refusal> {
        let id = self.ids.invoice();
        let created = self.now();
        let subscription = new.subscription.as_ref();
        let subscription = subscription.and_then(|id| self.subscriptions.get(id));
        let mut lines = new.lines;
        if let Some(subscription) = subscription {
            self.take_off(&mut lines, &subscription.discounts);
        }
        let automatic_tax = subscription.is_some_and(|subscription| subscription.automatic_tax);
        self.invoices.insert(Invoice {
            id: id.clone(),
            customer: new.customer,
            subscription: new.subscription,
            subscription_metadata: Metadata::new(),
            status: InvoiceStatus::Draft,
            currency: new.currency,
            lines,
            automatic_tax,
            billing_reason: new.billing_reason,
            amount_paid: 0,
            attempt_count: 0,
            next_payment_attempt: None,
            number: None,
            payment_intent: None,
            charge: None,
            period: new.period,
            metadata: Metadata::new(),
            created,
            finalized_at: None,
            paid_at: None,
            voided_at: None,
            uncollectible_at: None,
        });
        self.emit_invoice("invoice.created", &id)?;
        Ok(id)
    }

    /// Makes a draft final: it gets its number and is owed.
    pub fn finalize(&mut self, id: &str) -> Result<(), Refusal> {
        let invoice = self.invoice(id)?;
        if invoice.status != InvoiceStatus::Draft {
            return Err(Refusal::invalid("This invoice is already finalized."));
        }
        let subscription = invoice
            .subscription
            .as_ref()
            .and_then(|id| self.subscriptions.get(id));
        let metadata = subscription
            .map(|subscription| subscription.metadata.clone())
            .unwrap_or_default();
        let (customer, currency) = (invoice.customer.clone(), invoice.currency.clone());
        let customer = self.customer_mut(&customer)?;
        let number = format!(
            "{}-{:04}",
            customer.invoice_prefix, customer.next_invoice_sequence
        );
        customer.next_invoice_sequence += 1;
        customer.currency.get_or_insert(currency);
        let now = self.now();
        let invoice = self.invoice_mut(id)?;
        invoice.status = InvoiceStatus::Open;
        invoice.number = Some(number);
        invoice.finalized_at = Some(now);
        invoice.subscription_metadata = metadata;
        let intent = NewIntent {
            invoice: Some(id.to_owned()),
            customer: Some(invoice.customer.clone()),
            amount: invoice.amount_due(),
            currency: invoice.currency.clone(),
            metadata: Metadata::new(),
        };
        if intent.amount > 0 {
            let intent = self.create_intent(intent)?;
            self.invoice_mut(id)?.payment_intent = Some(intent);
        }
        self.emit_invoice("invoice.finalized", id)
    }

    /// Ends discounts that were for one invoice, after it was made.
    pub(super) fn use_up_discounts_of(&mut self, invoice: &str) -> Result<(), Refusal> {
        let invoice = self.invoice(invoice)?;
        let (lines, subscription) = (invoice.lines.clone(), invoice.subscription.clone());
        subscription.map_or(Ok(()), |id| self.use_up_discounts(&id, &lines))
    }

    /// Tells that a renewal is near, by an invoice that does not exist yet.
    pub(super) fn announce_renewal(&mut self, id: &str) -> Result<(), Refusal> {
        let end = self
            .subscription(id)?
            .items
            .iter()
            .map(|item| item.period_end)
            .min();
        self.subscription_mut(id)?.upcoming_sent_for = end;
        let at = self.now();
        let mut invoice = self.preview_change(id, &[], Proration::NextInvoice, at)?;
        if let Some(map) = invoice.as_object_mut() {
            map.remove("id");
        }
        self.emit("invoice.upcoming", invoice, None);
        Ok(())
    }

    /// Takes a final invoice back.
    pub fn void_invoice(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        let invoice = self.invoice_mut(id)?;
        if !matches!(invoice.status, InvoiceStatus::Open | InvoiceStatus::Uncollectible) {
            let message = "You can only pass in open or uncollectible invoices. This invoice isn't.";
            return Err(Refusal::invalid(message));
        }
        invoice.status = InvoiceStatus::Void;
        invoice.voided_at = Some(now);
        invoice.next_payment_attempt = None;
        if let Some(intent) = invoice.payment_intent.clone() {
            self.cancel_intent(&intent)?;
        }
        self.emit_invoice("invoice.voided", id)
    }

    /// Gives a final invoice up.
    pub fn mark_uncollectible(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        let invoice = self.invoice_mut(id)?;
        if invoice.status != InvoiceStatus::Open {
            return Err(Refusal::invalid(
                "You can only mark open invoices as uncollectible.",
            ));
        }
        invoice.status = InvoiceStatus::Uncollectible;
        invoice.uncollectible_at = Some(now);
        invoice.next_payment_attempt = None;
        self.emit_invoice("invoice.marked_uncollectible", id)
    }
}

/// A draft to be made.
#[derive(Clone, Debug)]
pub struct NewInvoice {
    /// Who pays.
    pub customer: String,
    /// What it bills.
    pub subscription: Option<String>,
    /// Why it exists.
    pub billing_reason: &'static str,
    /// Lower-case ISO code.
    pub currency: String,
    /// What is billed.
    pub lines: Vec<Line>,
    /// Start and end of the period in which lines were gathered.
    pub period: (i64, i64),
}

/// An amount as people read it, for currencies with hundredths.
pub fn money(amount: i64, currency: &str) -> String {
    let sign = if amount < 0 { "-" } else { "" };
    let (whole, part) = (amount.unsigned_abs() / 100, amount.unsigned_abs() % 100);
    match currency {
        "usd" => format!("{sign}${whole}.{part:02}"),
        "eur" => format!("{sign}€{whole}.{part:02}"),
        "gbp" => format!("{sign}£{whole}.{part:02}"),
        other => format!("{sign}{whole}.{part:02} {}", other.to_uppercase()),
    }
}
