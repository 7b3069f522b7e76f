//! The other work of the worker: on the queue `jobs`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{NotificationId, StripeEventId, StripeSubscriptionId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{job::Job, jobs::A_DAY_OF_ATTEMPTS, keys::Queue};

/// Read a subscription from Stripe and store what it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncSubscription {
    /// The subscription.
    pub subscription_id: StripeSubscriptionId,
    /// What gave cause to it, for the audit log.
    pub reason: String,
}

impl Job for SyncSubscription {
    const KIND: &'static str = "sync_subscription";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const QUEUES: &'static [Queue] = &[Queue::Jobs];

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

/// Let an event that was kept take effect: its first job was lost, or staff replays it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEvent {
    /// The event.
    pub event_id: StripeEventId,
}

impl Job for ProcessEvent {
    const KIND: &'static str = "process_event";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    const TIMEOUT: Duration = Duration::from_mins(1);
    const QUEUES: &'static [Queue] = &[Queue::Jobs];

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

/// Send a message that is owed to a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendNotification {
    /// The message.
    pub notification_id: NotificationId,
}

impl Job for SendNotification {
    const KIND: &'static str = "send_notification";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    /// More than a mail server is waited for: who gives up on it has to note that.
    const TIMEOUT: Duration = Duration::from_mins(5);
    const QUEUES: &'static [Queue] = &[Queue::Jobs];

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

/// The names of the cron jobs that the worker knows.
pub const CRON_JOBS: [&str; 7] = [
    "due_sweep",
    "grace_expiry",
    "reconcile",
    "retention",
    "setup_check",
    "stale_subscriptions",
    "stripe_events_sweep",
];

/// Do what a cron job does, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCron {
    /// The name of the cron job.
    pub job: String,
    /// The run that was claimed for it.
    pub run_id: Uuid,
    /// When it was asked for.
    pub requested_at: DateTime<Utc>,
}

impl Job for RunCron {
    const KIND: &'static str = "run_cron";
    /// The next tick does it again.
    const MAX_ATTEMPTS: u32 = 3;
    /// A reconciliation reads everything there is at Stripe and Discord.
    const TIMEOUT: Duration = Duration::from_mins(30);
    const QUEUES: &'static [Queue] = &[Queue::Jobs];

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

/// Work on a run that compares what is kept with what Stripe says. The run itself stands in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reconcile {
    /// The run.
    pub run_id: Uuid,
}

impl Job for Reconcile {
    const KIND: &'static str = "reconcile";
    /// The sweeper hints at it again.
    const MAX_ATTEMPTS: u32 = 3;
    /// It reads everything there is at Stripe.
    const TIMEOUT: Duration = Duration::from_mins(30);
    const QUEUES: &'static [Queue] = &[Queue::Jobs];

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

/// Read the prices that the plans name from Stripe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncPlans {}

impl Job for SyncPlans {
    const KIND: &'static str = "sync_plans";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    const TIMEOUT: Duration = Duration::from_mins(5);
    const QUEUES: &'static [Queue] = &[Queue::Jobs];

    fn queue(&self) -> Queue {
        Queue::Jobs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::assert_golden;

    #[test]
    fn chores_have_their_golden_shapes() {
        assert_golden(
            &SyncSubscription {
                subscription_id: "sub_1".parse().unwrap(),
                reason: "stale".to_owned(),
            },
            r#"{"subscription_id":"sub_1","reason":"stale"}"#,
        );
        assert_golden(
            &SendNotification {
                notification_id: NotificationId::from_uuid(Uuid::nil()),
            },
            r#"{"notification_id":"00000000-0000-0000-0000-000000000000"}"#,
        );
        assert_golden(
            &RunCron {
                job: "reconcile".to_owned(),
                run_id: Uuid::nil(),
                requested_at: "2026-11-21T00:00:00Z".parse().unwrap(),
            },
            concat!(
                r#"{"job":"reconcile","run_id":"00000000-0000-0000-0000-000000000000","#,
                r#""requested_at":"2026-11-21T00:00:00Z"}"#
            ),
        );
        assert_golden(
            &ProcessEvent {
                event_id: "evt_1".parse().unwrap(),
            },
            r#"{"event_id":"evt_1"}"#,
        );
        assert_golden(
            &Reconcile { run_id: Uuid::nil() },
            r#"{"run_id":"00000000-0000-0000-0000-000000000000"}"#,
        );
        assert_golden(&SyncPlans {}, "{}");
    }
}
