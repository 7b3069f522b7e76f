//! What can happen to an account, told as Stripe tells it: objects change and events follow.

pub mod bill;
pub mod change;
pub mod lifecycle;
pub mod pay;
pub mod preview;
pub mod purchase;
pub mod time;

use serde::Deserialize;

use crate::stripe::error::Refusal;
use crate::stripe::world::World;
use crate::stripe::world::invoice::Invoice;
use crate::stripe::world::subscription::{PauseBehavior, PauseCollection, PauseReason};
use change::{ItemChange, Proration};
use pay::{Means, Outcome};

/// Something that happens to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// The period ends now and the renewal is charged to the card on file.
    Renew,
    /// The period ends now and the renewal is declined; an invoice that is open already is tried once more.
    FailPayment,
    /// As `FailPayment`, but the bank wants the holder to confirm.
    RequireAction,
    /// The newest open invoice is paid.
    PayOpenInvoice,
    /// It ends now.
    Cancel,
    /// It will end with the period.
    CancelAtPeriodEnd,
    /// It will not end with the period after all.
    KeepAfterPeriodEnd,
    /// Invoices are voided instead of collected, for a while.
    PauseCollection,
    /// Invoices are collected again.
    ResumeCollection,
    /// Its status becomes `paused`, because somebody asked for it.
    Pause,
    /// Its status becomes `paused`, because the retries are used up.
    PauseOnFailure,
    /// A `paused` one goes on.
    Resume,
    /// The retries are used up and the owner's setting is `unpaid`.
    MarkUnpaid,
    /// The quantity of the first item changes, with prorations on the next invoice.
    SetQuantity {
        /// The new quantity.
        quantity: i64,
    },
    /// The price of the first item changes, with prorations on the next invoice.
    SetPrice {
        /// The new price's id.
        price: String,
    },
    /// Everything paid by the newest paid invoice goes back.
    RefundLatest,
}

impl World {
    /// Makes something happen to a subscription.
    pub fn act(&mut self, id: &str, action: &Action) -> Result<(), Refusal> {
        match action {
            Action::Renew => self.renew_now(id, Means::OnFile).map(drop),
            Action::FailPayment => self.fail(id, Outcome::Declined),
            Action::RequireAction => self.fail(id, Outcome::ActionRequired),
            Action::PayOpenInvoice => self.pay_open_invoice(id),
            Action::Cancel => self.cancel(id, "cancellation_requested"),
            Action::CancelAtPeriodEnd => self.cancel_at_period_end(id, true),
            Action::KeepAfterPeriodEnd => self.cancel_at_period_end(id, false),
            Action::PauseCollection => {
                let pause = PauseCollection {
                    behavior: PauseBehavior::Void,
                    resumes_at: None,
                };
                self.set_pause_collection(id, Some(pause))
            }
            Action::ResumeCollection => self.set_pause_collection(id, None),
            Action::Pause => self.pause(id, PauseReason::Requested),
            Action::PauseOnFailure => self.pause(id, PauseReason::FinalPaymentFailure),
            Action::Resume => self.resume(id),
            Action::MarkUnpaid => self.mark_unpaid(id),
            Action::SetQuantity { quantity } => self.change_first_item(
                id,
                ItemChange {
                    quantity: Some(*quantity),
                    ..ItemChange::default()
                },
            ),
            Action::SetPrice { price } => self.change_first_item(
                id,
                ItemChange {
                    price: Some(price.clone()),
                    ..ItemChange::default()
                },
            ),
            Action::RefundLatest => self.refund_latest(id),
        }
    }

    fn fail(&mut self, id: &str, outcome: Outcome) -> Result<(), Refusal> {
        match self.open_invoice(id)? {
            Some(invoice) => self.pay_invoice(&invoice, Means::Certain(outcome)).map(drop),
            None => self.renew_now(id, Means::Certain(outcome)).map(drop),
        }
    }

    fn pay_open_invoice(&mut self, id: &str) -> Result<(), Refusal> {
        let open = self.open_invoice(id)?;
        let invoice = open.ok_or_else(|| Refusal::invalid("This subscription has no open invoice."))?;
        self.pay_invoice(&invoice, Means::Certain(Outcome::Paid))
            .map(drop)
    }

    /// The newest invoice of a subscription that is owed.
    pub fn open_invoice(&self, subscription: &str) -> Result<Option<String>, Refusal> {
        self.subscription(subscription)?;
        let mut of_it = self
            .invoices
            .newest()
            .filter(|invoice| invoice.subscription.as_deref() == Some(subscription));
        Ok(of_it
            .find(|invoice| invoice.status.name() == "open")
            .map(|invoice| invoice.id.clone()))
    }

    fn change_first_item(&mut self, id: &str, change: ItemChange) -> Result<(), Refusal> {
        let first = self.subscription(id)?.items.first().map(|item| item.id.clone());
        self.change_items(id, &[ItemChange { id: first, ..change }], Proration::NextInvoice)
    }

    fn refund_latest(&mut self, id: &str) -> Result<(), Refusal> {
        let of_it = |invoice: &&Invoice| invoice.subscription.as_deref() == Some(id);
        let charge = self
            .invoices
            .newest()
            .filter(of_it)
            .find_map(|invoice| invoice.charge.clone());
        let charge = charge.ok_or_else(|| Refusal::invalid("This subscription has no paid invoice."))?;
        self.refund(&charge, None, None).map(drop)
    }
}
