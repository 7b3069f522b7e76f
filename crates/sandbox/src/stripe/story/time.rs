//! Time passes: trials and periods end, retries are made, sessions expire, one after the other.

use chrono::{DateTime, Utc};

use crate::stripe::error::Refusal;
use crate::stripe::story::pay::Means;
use crate::stripe::world::World;
use crate::stripe::world::invoice::InvoiceStatus;
use crate::stripe::world::session::SessionStatus;
use crate::stripe::world::subscription::{MissingPaymentMethod, PauseReason, Status, Subscription};

const DAY: i64 = 86_400;
/// The warning before a trial's end.
const TRIAL_WARNING: i64 = 3 * DAY;
/// The notice before a renewal.
const UPCOMING: i64 = 7 * DAY;
/// How long the first payment of a subscription, or the one that resumes it, may take.
pub(super) const INCOMPLETE_FOR: i64 = 23 * 3_600;

/// Something that falls due.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    TrialWarning(String),
    TrialEnd(String),
    Upcoming(String),
    PeriodEnd(String),
    End(String),
    FirstPaymentMissing(String),
    ResumePaymentMissing(String),
    PendingUpdateMissed(String),
    CollectionResumes(String),
    Retry(String),
    Settlement(String),
    SessionExpiry(String),
}

impl World {
    /// Lets the account's time pass until `to`; answers how many things happened.
    pub fn advance_to(&mut self, to: DateTime<Utc>) -> Result<usize, Refusal> {
        let mut happened = 0;
        while let Some((at, due)) = self.next_due(to.timestamp(), None) {
            self.clock.move_to(DateTime::from_timestamp(at, 0).unwrap_or(to));
            self.run(&due, at)?;
            happened += 1;
        }
        self.clock.move_to(to);
        Ok(happened)
    }

    /// Lets a test clock's time pass until `to`; answers how many things happened.
    pub(super) fn pass_on_clock(&mut self, clock: &str, to: i64) -> Result<usize, Refusal> {
        let mut happened = 0;
        while let Some((at, due)) = self.next_due(to, Some(clock)) {
            self.set_clock(clock, |clock| clock.frozen_time = clock.frozen_time.max(at))?;
            self.in_time_of(Some(clock), |world| world.run(&due, at))?;
            happened += 1;
        }
        Ok(happened)
    }

    /// Whether something has fallen due by `at` in the account's time.
    pub fn anything_due(&self, at: DateTime<Utc>) -> bool {
        self.next_due(at.timestamp(), None).is_some()
    }

    /// What falls due first until then, among those who live by this clock.
    fn next_due(&self, until: i64, clock: Option<&str>) -> Option<(i64, Due)> {
        let soon = |due: &(i64, Due)| due.0 <= until;
        let subscriptions = self.subscriptions.rows().iter().filter_map(|row| {
            let due = due_of_subscription(row).filter(soon)?;
            (self.clock_behind(&row.customer) == clock).then_some(due)
        });
        let retries = self.invoices.rows().iter().filter_map(|invoice| {
            let at = invoice
                .next_payment_attempt
                .filter(|_| invoice.status == InvoiceStatus::Open)?;
            let due = Some((at, Due::Retry(invoice.id.clone()))).filter(soon)?;
            (self.clock_behind(&invoice.customer) == clock).then_some(due)
        });
        let settlements = self.payment_intents.rows().iter().filter_map(|intent| {
            let due = Some((intent.settles_at?, Due::Settlement(intent.id.clone()))).filter(soon)?;
            (self.clock_behind(&intent.id) == clock).then_some(due)
        });
        let sessions = self.checkouts.rows().iter().filter_map(|session| {
            let open = session.status == SessionStatus::Open;
            let due = Some((session.expires_at, Due::SessionExpiry(session.id.clone())));
            let due = due.filter(|due| open && soon(due))?;
            (self.clock_behind(&session.id) == clock).then_some(due)
        });
        let all = subscriptions.chain(retries).chain(settlements).chain(sessions);
        all.min_by_key(|(at, _)| *at)
    }

    fn run(&mut self, due: &Due, at: i64) -> Result<(), Refusal> {
        match due {
            Due::TrialWarning(id) => {
                self.subscription_mut(id)?.trial_warned = true;
                self.emit_subscription("customer.subscription.trial_will_end", id)
            }
            Due::TrialEnd(id) => self.end_trial(id, at),
            Due::Upcoming(id) => self.announce_renewal(id),
            Due::PeriodEnd(id) => self.renew(id, at, Means::OnFile).map(drop),
            Due::End(id) => self.cancel(id, "cancellation_requested"),
            Due::FirstPaymentMissing(id) => self.expire_incomplete(id),
            Due::ResumePaymentMissing(id) => self.give_up_resuming(id),
            Due::PendingUpdateMissed(id) => self.expire_pending_update(id),
            Due::CollectionResumes(id) => self.set_pause_collection(id, None),
            Due::Retry(id) => self.pay_invoice(id, Means::OnFile).map(drop),
            Due::Settlement(id) => self.settle_in_time(id),
            Due::SessionExpiry(id) => self.expire_checkout(id),
        }
    }

    /// Ends a trial as its settings say.
    pub(super) fn end_trial(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
        let subscription = self.subscription(id)?;
        let customer = self.customers.get(&subscription.customer);
        let has_card =
            subscription.payment_method.is_some() || customer.is_some_and(|customer| customer.card.is_some());
        match subscription.missing_payment_method {
            MissingPaymentMethod::Cancel if !has_card => self.cancel(id, "payment_failed"),
            MissingPaymentMethod::Pause if !has_card => {
                self.pause(id, PauseReason::TrialEndWithoutPaymentMethod)
            }
            _ => self.renew(id, at, Means::OnFile).map(drop),
        }
    }
}

fn due_of_subscription(subscription: &Subscription) -> Option<(i64, Due)> {
    if subscription.over() {
        return None;
    }
    let id = || subscription.id.clone();
    let ends = subscription.cancel_at.map(|at| (at, Due::End(id())));
    let resumes = subscription.pause_collection.and_then(|pause| pause.resumes_at);
    let resumes = resumes.map(|at| (at, Due::CollectionResumes(id())));
    let update = subscription.pending_update.as_ref();
    let update = update.map(|update| (update.expires_at, Due::PendingUpdateMissed(id())));
    let by_status = match subscription.status {
        Status::Incomplete => Some((
            subscription.created + INCOMPLETE_FOR,
            Due::FirstPaymentMissing(id()),
        )),
        Status::Trialing => trial_due(subscription),
        Status::Active | Status::PastDue | Status::Unpaid => period_due(subscription),
        Status::Paused => {
            let since = subscription
                .paused
                .as_ref()
                .and_then(|paused| paused.resuming_since);
            since.map(|since| (since + INCOMPLETE_FOR, Due::ResumePaymentMissing(id())))
        }
        Status::Canceled | Status::IncompleteExpired => None,
    };
    // At the same moment the end comes before the renewal, because `min_by_key` keeps the first.
    [ends, resumes, update, by_status]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
}

/// The end of the period, or before it the notice of the renewal.
fn period_due(subscription: &Subscription) -> Option<(i64, Due)> {
    let end = subscription.items.iter().map(|item| item.period_end).min()?;
    let start = subscription.items.iter().map(|item| item.period_start).min()?;
    let announced = subscription.upcoming_sent_for == Some(end)
        || subscription.cancel_at.is_some_and(|at| at <= end)
        || end - start <= UPCOMING;
    if announced {
        Some((end, Due::PeriodEnd(subscription.id.clone())))
    } else {
        Some((end - UPCOMING, Due::Upcoming(subscription.id.clone())))
    }
}

fn trial_due(subscription: &Subscription) -> Option<(i64, Due)> {
    let (_, end) = subscription.trial?;
    let warning = (end - TRIAL_WARNING).max(subscription.created);
    if subscription.trial_warned {
        return Some((end, Due::TrialEnd(subscription.id.clone())));
    }
    Some((warning, Due::TrialWarning(subscription.id.clone())))
}
