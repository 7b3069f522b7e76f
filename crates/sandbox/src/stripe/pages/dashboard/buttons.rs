//! What can be done to a subscription by a button or a small form.

use serde::Deserialize;

use crate::stripe::error::Refusal;
use crate::stripe::pages::view::Button;
use crate::stripe::story::Action;
use crate::stripe::world::dispute::{DisputeReason, DisputeStatus};
use crate::stripe::world::subscription::{PauseBehavior, Status, Subscription};

/// What the forms send.
#[derive(Debug, Deserialize)]
pub(crate) struct Wish {
    action: Deed,
    quantity: Option<i64>,
    amount: Option<i64>,
    price: Option<String>,
}

/// What the buttons are called.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Deed {
    FailPayment,
    RequireAction,
    PayOpenInvoice,
    Renew,
    PauseCollection,
    KeepDrafts,
    GiveInvoicesUp,
    ResumeCollection,
    Pause,
    PauseOnFailure,
    Resume,
    ResumeWhenPaid,
    EndTrial,
    MarkUnpaid,
    CancelAtPeriodEnd,
    KeepAfterPeriodEnd,
    Cancel,
    SetQuantity,
    SetPrice,
    RefundLatest,
    RefundPart,
    Dispute,
    Inquire,
    SubmitEvidence,
    WinDispute,
    LoseDispute,
    WarnOfFraud,
    PaymentArrives,
    PaymentBounces,
}

impl Wish {
    /// The wish as something that happens.
    pub(super) fn action(&self) -> Result<Action, Refusal> {
        let pause = |behavior| Action::PauseCollectionAs {
            behavior,
            resumes_at: None,
        };
        let dispute = |inquiry| Action::Dispute {
            reason: DisputeReason::Fraudulent,
            inquiry,
        };
        Ok(match self.action {
            Deed::FailPayment => Action::FailPayment,
            Deed::RequireAction => Action::RequireAction,
            Deed::PayOpenInvoice => Action::PayOpenInvoice,
            Deed::Renew => Action::Renew,
            Deed::PauseCollection => Action::PauseCollection,
            Deed::KeepDrafts => pause(PauseBehavior::KeepAsDraft),
            Deed::GiveInvoicesUp => pause(PauseBehavior::MarkUncollectible),
            Deed::ResumeCollection => Action::ResumeCollection,
            Deed::Pause => Action::Pause,
            Deed::PauseOnFailure => Action::PauseOnFailure,
            Deed::Resume => Action::Resume,
            Deed::ResumeWhenPaid => Action::ResumeWhenPaid,
            Deed::EndTrial => Action::EndTrial,
            Deed::MarkUnpaid => Action::MarkUnpaid,
            Deed::CancelAtPeriodEnd => Action::CancelAtPeriodEnd,
            Deed::KeepAfterPeriodEnd => Action::KeepAfterPeriodEnd,
            Deed::Cancel => Action::Cancel,
            Deed::SetQuantity => Action::SetQuantity {
                quantity: within(self.quantity, "quantity", 0)?,
            },
            Deed::SetPrice => Action::SetPrice {
                price: self.price.clone().ok_or_else(|| Refusal::required("price"))?,
            },
            Deed::RefundLatest => Action::RefundLatest,
            Deed::RefundPart => Action::RefundPart {
                amount: within(self.amount, "amount", 1)?,
            },
            Deed::Dispute => dispute(false),
            Deed::Inquire => dispute(true),
            Deed::SubmitEvidence => Action::SubmitEvidence,
            Deed::WinDispute => Action::MoveDispute {
                to: DisputeStatus::Won,
            },
            Deed::LoseDispute => Action::MoveDispute {
                to: DisputeStatus::Lost,
            },
            Deed::WarnOfFraud => Action::WarnOfFraud,
            Deed::PaymentArrives => Action::SettlePayment { paid: true },
            Deed::PaymentBounces => Action::SettlePayment { paid: false },
        })
    }
}

fn within(number: Option<i64>, name: &str, least: i64) -> Result<i64, Refusal> {
    let number = number.filter(|number| (least..=99_999_999).contains(number));
    number.ok_or_else(|| Refusal::required(name))
}

/// What is done often.
pub(super) fn buttons(row: &Subscription) -> Vec<Button> {
    if row.over() {
        return Vec::new();
    }
    let mut buttons = vec![
        Button::bad("fail_payment", "Fail renewal"),
        Button::new("pay_open_invoice", "Pay open invoice"),
        Button::new("renew", "Renew"),
    ];
    buttons.push(match row.pause_collection {
        Some(_) => Button::new("resume_collection", "Resume collection"),
        None => Button::new("pause_collection", "Pause collection"),
    });
    buttons.push(match row.status {
        Status::Paused => Button::new("resume", "Resume"),
        _ => Button::new("pause", "Pause"),
    });
    buttons.push(if row.cancel_at_period_end {
        Button::new("keep_after_period_end", "Don't cancel")
    } else {
        Button::bad("cancel_at_period_end", "Cancel at period end")
    });
    buttons.push(Button::bad("cancel", "Cancel now"));
    buttons
}

/// What is done seldom. What was paid can be fetched back even after the end.
pub(super) fn more_buttons(row: &Subscription) -> Vec<Button> {
    let mut buttons = vec![
        Button::bad("refund_latest", "Refund all"),
        Button::bad("dispute", "Dispute"),
        Button::new("inquire", "Inquiry"),
        Button::new("submit_evidence", "Submit evidence"),
        Button::new("win_dispute", "Win dispute"),
        Button::bad("lose_dispute", "Lose dispute"),
        Button::bad("warn_of_fraud", "Early fraud warning"),
        Button::new("payment_arrives", "Payment arrives"),
        Button::bad("payment_bounces", "Payment bounces"),
    ];
    if row.over() {
        return buttons;
    }
    buttons.push(Button::new("require_action", "Ask holder to confirm"));
    if row.status == Status::Trialing {
        buttons.push(Button::new("end_trial", "End trial"));
    }
    if row.status == Status::Paused {
        buttons.push(Button::new("resume_when_paid", "Resume when paid"));
    }
    if row.pause_collection.is_none() {
        buttons.push(Button::new("keep_drafts", "Pause collection: keep drafts"));
        buttons.push(Button::new("give_invoices_up", "Pause collection: uncollectible"));
    }
    buttons.push(Button::bad("pause_on_failure", "Pause on failure"));
    buttons.push(Button::bad("mark_unpaid", "Mark unpaid"));
    buttons
}
