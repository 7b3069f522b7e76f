//! What every handler shares, and how hints are sent after a commit.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use rolecall_db::Database;
use rolecall_domain::{
    clock::{Clock, Rng},
    ids::{MemberId, uuid_v7},
};
use rolecall_queue::{
    Documents, Job, Link, Producer, Push, PushError, RetrySchedule, catalog::MEMBER_CHANGED,
    current_traceparent, jobs::SendNotification, pub_sub,
};
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::CatalogCache,
    converge::Converged,
    intake::{keep::Keeper, pump::Pump},
    mail::Mailer,
    metrics::Metrics,
    sync::{turns::Turns, writer::Writer},
};

/// What every handler shares.
#[derive(Debug)]
pub struct Ctx {
    /// This process, among all that ever were.
    pub name: String,
    /// The record.
    pub db: Database,
    /// The way to Redis.
    pub link: Link,
    /// Pushes jobs.
    pub producer: Producer,
    /// Documents for the bot.
    pub documents: Documents,
    /// Stripe.
    pub stripe: rolecall_stripe::client::Client,
    /// Whether this installation is about real money.
    pub livemode: bool,
    /// Where mail leaves; none: it stays due to nobody.
    pub mailer: Option<Mailer>,
    /// The origin that members see: for links in mail, and for the address that Stripe sends events to.
    pub public_url: Option<String>,
    /// How long access stays after a failed payment, for plans that do not say.
    pub default_grace: TimeDelta,
    /// How many people may lose access in one sweep without asking; `None`: the larger of 10 and 10 %.
    pub max_removals: Option<u32>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
    /// The plans and servers.
    pub catalog: CatalogCache,
    /// One read at a time for each subscription.
    pub turns: Turns,
    /// Writes what was read, many in one commit.
    pub writer: Writer,
    /// Keeps events, many in one commit.
    pub keeper: Keeper,
    /// Lets kept events take effect.
    pub pump: Pump,
    /// The waits between the attempts of an event.
    pub retry: RetrySchedule,
    /// Counters.
    pub metrics: Metrics,
    /// Cancelled when the process drains: what would take longer than that ends where it can.
    pub stop: CancellationToken,
}

impl Ctx {
    /// Sends a hint. One that is lost costs time and not work: what is due is in the database, and the
    /// sweeper repeats it.
    pub async fn hint<J: Job>(&self, job: &J) {
        if let Err(error) = self.push(job).await {
            tracing::warn!(job.kind = J::KIND, %error, "a hint could not be sent; the sweeper repeats it");
        }
    }

    /// Pushes a job.
    pub async fn push<J: Job>(&self, job: &J) -> Result<(), PushError> {
        let now = self.clock.now();
        let push = Push {
            traceparent: current_traceparent(),
            ..Push::new(now, uuid_v7(now, &*self.rng))
        };
        self.producer.push(job, push).await.map(drop)
    }

    /// Ends when the process drains and what is under way has had some time more.
    pub async fn time_is_up(&self, some_time: Duration) {
        self.stop.cancelled().await;
        tokio::time::sleep(some_time).await;
    }

    /// Tells what a convergence left to be told, after its commit.
    pub async fn tell(&self, converged: Converged) {
        for command in &converged.commands {
            self.hint(command).await;
        }
        if let Some(member_id) = converged.member_id {
            self.member_changed(member_id).await;
        }
        for notification_id in converged.notifications {
            self.hint(&SendNotification { notification_id }).await;
        }
    }

    /// Tells open pages that there is something new to show.
    pub async fn member_changed(&self, member_id: MemberId) {
        if let Err(error) = pub_sub::publish(&self.link, MEMBER_CHANGED, &member_id.to_string()).await {
            tracing::debug!(%error, "open pages could not be told; they read again by themselves");
        }
    }
}
