//! Ending, pausing and resuming subscriptions.

use crate::stripe::error::Refusal;
use crate::stripe::story::pay::Means;
use crate::stripe::world::World;
use crate::stripe::world::subscription::{
    Cancellation, PauseCollection, PauseReason, Paused, Status, Subscription,
};

impl World {
    /// Refuses what only a living subscription can do.
    pub fn living(&self, id: &str) -> Result<&Subscription, Refusal> {
        let subscription = self.subscription(id)?;
        if subscription.over() {
            let message = "A canceled subscription can only update its cancellation_details and metadata.";
            return Err(Refusal::invalid(message));
        }
        Ok(subscription)
    }

    /// Ends a subscription at once. One that is over already is not found, as with Stripe.
    pub fn cancel(&mut self, id: &str, reason: &'static str) -> Result<(), Refusal> {
        let now = self.now();
        let subscription = self.subscription_mut(id)?;
        if subscription.over() {
            return Err(Refusal::missing("subscription", id));
        }
        subscription.status = Status::Canceled;
        subscription.canceled_at.get_or_insert(now);
        subscription.ended_at = Some(now);
        subscription.cancellation.reason = Some(reason);
        subscription.pending_update = None;
        self.stop_retries(id);
        self.emit_subscription("customer.subscription.deleted", id)
    }

    fn stop_retries(&mut self, subscription: &str) {
        let Some(row) = self.subscriptions.get(subscription) else {
            return;
        };
        let theirs = self.invoices.of(&row.customer);
        let of_it = theirs.filter(|row| row.subscription.as_deref() == Some(subscription));
        let ids: Vec<String> = of_it.map(|row| row.id.clone()).collect();
        for id in ids {
            if let Some(invoice) = self.invoices.get_mut(&id) {
                invoice.next_payment_attempt = None;
            }
        }
    }

    /// Plans the end for the end of the period, or takes the plan back.
    pub fn cancel_at_period_end(&mut self, id: &str, ends: bool) -> Result<(), Refusal> {
        self.living(id)?;
        let now = self.now();
        self.change_subscription(id, |subscription| {
            subscription.cancel_at_period_end = ends;
            subscription.cancel_at = ends.then(|| subscription.period_end());
            subscription.canceled_at = ends.then_some(now);
            subscription.cancellation = if ends {
                Cancellation {
                    reason: Some("cancellation_requested"),
                    ..subscription.cancellation.clone()
                }
            } else {
                Cancellation::default()
            };
        })
    }

    /// Plans the end for a moment, or takes the plan back.
    pub fn cancel_at(&mut self, id: &str, at: Option<i64>) -> Result<(), Refusal> {
        self.living(id)?;
        let now = self.now();
        self.change_subscription(id, |subscription| {
            subscription.cancel_at_period_end = false;
            subscription.cancel_at = at;
            subscription.canceled_at = at.map(|_| now);
            subscription.cancellation.reason = at.map(|_| "cancellation_requested");
        })
    }

    /// Starts or ends the time in which invoices are not collected; the status stays as it is.
    pub fn set_pause_collection(&mut self, id: &str, pause: Option<PauseCollection>) -> Result<(), Refusal> {
        self.living(id)?;
        self.change_subscription(id, |subscription| subscription.pause_collection = pause)
    }

    /// Sets the status to `paused`.
    pub fn pause(&mut self, id: &str, reason: PauseReason) -> Result<(), Refusal> {
        self.living(id)?;
        let since = self.now();
        self.change_subscription(id, |subscription| {
            subscription.status = Status::Paused;
            subscription.paused = Some(Paused {
                reason,
                since,
                resuming_since: None,
            });
        })?;
        self.emit_subscription("customer.subscription.paused", id)
    }

    /// Lets a `paused` subscription go on at once, in a new period that is billed.
    pub fn resume(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_paused(id)?;
        self.change_subscription(id, |subscription| {
            subscription.status = Status::Active;
            subscription.paused = None;
        })?;
        self.emit_subscription("customer.subscription.resumed", id)?;
        self.pay_to_resume(id)
    }

    /// Lets a `paused` subscription go on as soon as what is owed is paid, which may take 23 hours.
    pub fn resume_when_paid(&mut self, id: &str) -> Result<(), Refusal> {
        self.check_paused(id)?;
        let now = self.now();
        if let Some(paused) = &mut self.subscription_mut(id)?.paused {
            paused.resuming_since = Some(now);
        }
        self.pay_to_resume(id)
    }

    fn check_paused(&self, id: &str) -> Result<(), Refusal> {
        if self.subscription(id)?.status == Status::Paused {
            return Ok(());
        }
        let message = "This subscription cannot be resumed because it is not paused.";
        Err(Refusal::invalid(message))
    }

    fn pay_to_resume(&mut self, id: &str) -> Result<(), Refusal> {
        match self.open_invoice(id)? {
            Some(invoice) => self.pay_invoice(&invoice, Means::OnFile).map(drop),
            None => self.renew_now(id, Means::OnFile).map(drop),
        }
    }

    /// What was owed to go on was not paid in time.
    pub(super) fn give_up_resuming(&mut self, id: &str) -> Result<(), Refusal> {
        if let Some(invoice) = self.open_invoice(id)? {
            self.void_invoice(&invoice)?;
        }
        if let Some(paused) = &mut self.subscription_mut(id)?.paused {
            paused.resuming_since = None;
        }
        Ok(())
    }

    /// The retries are used up and nothing more is collected.
    pub fn mark_unpaid(&mut self, id: &str) -> Result<(), Refusal> {
        self.living(id)?;
        self.stop_retries(id);
        self.change_subscription(id, |subscription| subscription.status = Status::Unpaid)
    }

    /// Ends a trial now, as its end in time would.
    pub fn end_trial_now(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        self.move_trial_end(id, now)?;
        self.end_trial(id, now)
    }

    /// Moves a trial's end; a subscription without a trial gets one.
    pub fn move_trial_end(&mut self, id: &str, end: i64) -> Result<(), Refusal> {
        let now = self.now();
        let status = self.living(id)?.status;
        if !matches!(status, Status::Trialing | Status::Active) {
            let message = "Only a subscription that is active or on trial can get another end of its trial.";
            return Err(Refusal::invalid(message).param("trial_end"));
        }
        self.change_subscription(id, |subscription| {
            let start = subscription.trial.map_or(now, |(start, _)| start);
            subscription.trial = Some((start, end));
            subscription.billing_cycle_anchor = end;
            subscription.status = Status::Trialing;
            subscription.trial_warned = false;
            for item in &mut subscription.items {
                item.period_end = end;
            }
        })
    }

    /// The first payment never came.
    pub fn expire_incomplete(&mut self, id: &str) -> Result<(), Refusal> {
        let now = self.now();
        if let Some(invoice) = self.open_invoice(id)? {
            self.void_invoice(&invoice)?;
        }
        self.change_subscription(id, |subscription| {
            subscription.status = Status::IncompleteExpired;
            subscription.ended_at = Some(now);
        })
    }
}
