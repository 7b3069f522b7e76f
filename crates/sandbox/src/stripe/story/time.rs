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
/// How long the first payment of a subscription may take.
const INCOMPLETE_FOR: i64 = 23 * 3_600;

/// Something that falls due.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Due {
    TrialWarning(String),
    TrialEnd(String),
    PeriodEnd(String),
    End(String),
    FirstPaymentMissing(String),
    CollectionResumes(String),
    Retry(String),
    SessionExpiry(String),
}

impl World {
    /// Lets time pass until `to`; answers how many things happened.
    pub fn advance_to(&mut self, to: DateTime<Utc>) -> Result<usize, Refusal> {
        let mut happened = 0;
        while let Some((at, due)) = self.next_due(to.timestamp()) {
            self.clock.move_to(DateTime::from_timestamp(at, 0).unwrap_or(to));
            self.run(&due, at)?;
            happened += 1;
        }
        self.clock.move_to(to);
        Ok(happened)
    }

    /// Whether something has fallen due by `at`.
    pub fn anything_due(&self, at: DateTime<Utc>) -> bool {
        self.next_due(at.timestamp()).is_some()
    }

    fn next_due(&self, until: i64) -> Option<(i64, Due)> {
        let subscriptions = self.subscriptions.rows().iter().filter_map(due_of_subscription);
        let retries = self.invoices.rows().iter().filter_map(|invoice| {
            let at = invoice
                .next_payment_attempt
                .filter(|_| invoice.status == InvoiceStatus::Open)?;
            Some((at, Due::Retry(invoice.id.clone())))
        });
        let sessions = self
            .checkouts
            .rows()
            .iter()
            .filter(|session| session.status == SessionStatus::Open);
        let sessions = sessions.map(|session| (session.expires_at, Due::SessionExpiry(session.id.clone())));
        let all = subscriptions.chain(retries).chain(sessions);
        all.filter(|(at, _)| *at <= until).min_by_key(|(at, _)| *at)
    }

    fn run(&mut self, due: &Due, at: i64) -> Result<(), Refusal> {
        match due {
            Due::TrialWarning(id) => {
                self.subscription_mut(id)?.trial_warned = true;
                self.emit_subscription("customer.subscription.trial_will_end", id)
            }
            Due::TrialEnd(id) => self.end_trial(id, at),
            Due::PeriodEnd(id) => self.renew(id, at, Means::OnFile).map(drop),
            Due::End(id) => self.cancel(id, "cancellation_requested"),
            Due::FirstPaymentMissing(id) => self.expire_incomplete(id),
            Due::CollectionResumes(id) => self.set_pause_collection(id, None),
            Due::Retry(id) => self.pay_invoice(id, Means::OnFile).map(drop),
            Due::SessionExpiry(id) => self.expire_checkout(id),
        }
    }

    fn end_trial(&mut self, id: &str, at: i64) -> Result<(), Refusal> {
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
    let id = || subscription.id.clone();
    let ends = subscription
        .cancel_at
        .filter(|_| !subscription.over())
        .map(|at| (at, Due::End(id())));
    let resumes = subscription.pause_collection.and_then(|pause| pause.resumes_at);
    let resumes = resumes
        .filter(|_| !subscription.over())
        .map(|at| (at, Due::CollectionResumes(id())));
    let by_status = match subscription.status {
        Status::Incomplete => Some((
            subscription.created + INCOMPLETE_FOR,
            Due::FirstPaymentMissing(id()),
        )),
        Status::Trialing => trial_due(subscription),
        Status::Active | Status::PastDue | Status::Unpaid => {
            let next = subscription.items.iter().map(|item| item.period_end).min();
            next.map(|at| (at, Due::PeriodEnd(id())))
        }
        Status::Canceled | Status::IncompleteExpired | Status::Paused => None,
    };
    // At the same moment the end comes before the renewal, because `min_by_key` keeps the first.
    [ends, resumes, by_status]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
}

fn trial_due(subscription: &Subscription) -> Option<(i64, Due)> {
    let (_, end) = subscription.trial?;
    let warning = (end - TRIAL_WARNING).max(subscription.created);
    if subscription.trial_warned {
        return Some((end, Due::TrialEnd(subscription.id.clone())));
    }
    Some((warning, Due::TrialWarning(subscription.id.clone())))
}
