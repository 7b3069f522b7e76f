//! What can happen to an account, told as Stripe tells it: objects change and events follow.

pub mod bill;
pub mod change;
pub mod checkout;
pub mod clocks;
pub mod discount;
pub mod dispute;
pub mod intent;
pub mod lifecycle;
pub mod oddity;
pub mod pay;
pub mod pending;
pub mod preview;
mod proration;
pub mod purchase;
pub mod refund;
pub mod time;

use serde::Deserialize;

use crate::stripe::error::Refusal;
use crate::stripe::world::World;
use crate::stripe::world::dispute::{DisputeReason, DisputeStatus};
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
    /// A part of what the newest paid invoice took goes back.
    RefundPart {
        /// In the smallest unit.
        amount: i64,
    },
    /// What becomes of invoices for a while, in all its choices.
    PauseCollectionAs {
        /// What becomes of them.
        behavior: PauseBehavior,
        /// When they are collected again.
        #[serde(default)]
        resumes_at: Option<i64>,
    },
    /// A `paused` one goes on as soon as what is owed is paid.
    ResumeWhenPaid,
    /// The trial ends now.
    EndTrial,
    /// The newest paid charge is disputed.
    Dispute {
        /// Why.
        #[serde(default)]
        reason: DisputeReason,
        /// Whether the bank only asks about it.
        #[serde(default)]
        inquiry: bool,
    },
    /// Evidence is sent for the open dispute.
    SubmitEvidence,
    /// The open dispute comes to this status.
    MoveDispute {
        /// The status.
        to: DisputeStatus,
    },
    /// The issuer suspects that the newest paid charge is fraud.
    WarnOfFraud,
    /// The payment on its way arrives, or bounces.
    SettlePayment {
        /// Whether it arrives.
        paid: bool,
    },
}

impl World {
    /// Makes something happen to a subscription, in the time of whoever has it.
    pub fn act(&mut self, id: &str, action: &Action) -> Result<(), Refusal> {
        self.in_time_behind(id, |world| world.act_now(id, action))
    }

    fn act_now(&mut self, id: &str, action: &Action) -> Result<(), Refusal> {
        match action {
            Action::Renew => self.renew_now(id, Means::OnFile).map(drop),
            Action::FailPayment => self.fail(id, Outcome::Declined),
            Action::RequireAction => self.fail(id, Outcome::ActionRequired),
            Action::PayOpenInvoice => self.pay_open_invoice(id),
            Action::Cancel => self.cancel(id, "cancellation_requested"),
            Action::CancelAtPeriodEnd => self.cancel_at_period_end(id, true),
            Action::KeepAfterPeriodEnd => self.cancel_at_period_end(id, false),
            Action::PauseCollection => self.pause_collection(id, PauseBehavior::Void, None),
            Action::PauseCollectionAs { behavior, resumes_at } => {
                self.pause_collection(id, *behavior, *resumes_at)
            }
            Action::ResumeCollection => self.set_pause_collection(id, None),
            Action::Pause => self.pause(id, PauseReason::Requested),
            Action::PauseOnFailure => self.pause(id, PauseReason::FinalPaymentFailure),
            Action::Resume => self.resume(id),
            Action::ResumeWhenPaid => self.resume_when_paid(id),
            Action::EndTrial => self.end_trial_now(id),
            Action::MarkUnpaid => self.mark_unpaid(id),
            Action::SetQuantity { quantity } => self.change_first_item(id, ItemChange::quantity(*quantity)),
            Action::SetPrice { price } => self.change_first_item(id, ItemChange::price(price)),
            Action::RefundLatest => self.refund_latest(id, None),
            Action::RefundPart { amount } => self.refund_latest(id, Some(*amount)),
            Action::Dispute { reason, inquiry } => {
                let charge = self.latest_charge(id)?;
                self.open_dispute(&charge, *reason, *inquiry).map(drop)
            }
            Action::SubmitEvidence => {
                let dispute = self.open_dispute_of(id)?;
                self.submit_evidence(&dispute)
            }
            Action::MoveDispute { to } => {
                let dispute = self.open_dispute_of(id)?;
                self.move_dispute(&dispute, *to)
            }
            Action::WarnOfFraud => {
                let charge = self.latest_charge(id)?;
                self.warn_of_fraud(&charge).map(drop)
            }
            Action::SettlePayment { paid } => {
                let intent = self.payment_on_its_way(id)?;
                self.settle(&intent, *paid)
            }
        }
    }

    fn pause_collection(
        &mut self,
        id: &str,
        behavior: PauseBehavior,
        resumes_at: Option<i64>,
    ) -> Result<(), Refusal> {
        let pause = PauseCollection { behavior, resumes_at };
        self.set_pause_collection(id, Some(pause))
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
        let customer = &self.subscription(subscription)?.customer;
        let theirs = self.invoices.of(customer).rev();
        let mut of_it = theirs.filter(|invoice| invoice.subscription.as_deref() == Some(subscription));
        Ok(of_it
            .find(|invoice| invoice.status.name() == "open")
            .map(|invoice| invoice.id.clone()))
    }

    fn change_first_item(&mut self, id: &str, change: ItemChange) -> Result<(), Refusal> {
        let first = self.subscription(id)?.items.first().map(|item| item.id.clone());
        self.change_items(id, &[ItemChange { id: first, ..change }], Proration::NextInvoice)
    }

    fn refund_latest(&mut self, id: &str, amount: Option<i64>) -> Result<(), Refusal> {
        let charge = self.latest_charge(id)?;
        self.refund(&charge, amount, None).map(drop)
    }

    /// The charge that paid the newest paid invoice of a subscription.
    pub fn latest_charge(&self, id: &str) -> Result<String, Refusal> {
        let customer = &self.subscription(id)?.customer;
        let theirs = self.invoices.of(customer).rev();
        let mut of_it = theirs.filter(|invoice| invoice.subscription.as_deref() == Some(id));
        let charge = of_it.find_map(|invoice| invoice.charge.clone());
        charge.ok_or_else(|| Refusal::invalid("This subscription has no paid invoice."))
    }

    /// The newest dispute of a subscription's charges that is not closed.
    fn open_dispute_of(&self, id: &str) -> Result<String, Refusal> {
        let customer = &self.subscription(id)?.customer;
        let mut open = self.charges.of(customer).rev().flat_map(|charge| {
            let disputes = self.disputes.of(&charge.id).rev();
            disputes.filter(|dispute| !dispute.status.closed())
        });
        let found = open.next().map(|dispute| dispute.id.clone());
        found.ok_or_else(|| Refusal::invalid("None of this customer's charges is disputed."))
    }

    /// The newest payment of a subscription's customer that is on its way.
    fn payment_on_its_way(&self, id: &str) -> Result<String, Refusal> {
        let customer = &self.subscription(id)?.customer;
        let mut theirs = self.payment_intents.of(customer).rev();
        let found = theirs.find(|intent| intent.settles_at.is_some());
        let found = found.map(|intent| intent.id.clone());
        found.ok_or_else(|| Refusal::invalid("No payment of this customer is on its way."))
    }
}
