//! Steps the queues by hand: takes the jobs out of Redis and runs them here.

use std::sync::Arc;

use rolecall_queue::{
    Attempt, JobError, Queue,
    jobs::{ApplyRoles, MessageOutcome, RoleOutcome, SendDirectMessage},
};
use rolecall_worker::{ctx::Ctx, handlers, intake::refill};

use crate::support::{Taken, World, soon, work_off};

impl World {
    /// Runs the jobs of the worker and the commands of the bot until none are left. Jobs that have to
    /// be tried again are for the sweeper.
    pub(crate) async fn settle(&self) {
        soon(async {
            loop {
                let jobs = self.run_jobs().await;
                let events = self.take_up().await;
                let commands = self.obey().await;
                if jobs + events + commands == 0 {
                    return;
                }
            }
        })
        .await;
    }

    /// Runs the worker's jobs that are in Redis; returns how many.
    pub(crate) async fn run_jobs(&self) -> usize {
        let mut jobs = Vec::new();
        for queue in [Queue::AccountEvents, Queue::StripeEvents, Queue::Jobs] {
            jobs.extend(self.redis.take(queue).await);
        }
        for job in &jobs {
            match run_job(&self.worker, job, self.attempt()).await {
                Ok(()) | Err(JobError::Cancel(_)) => {}
                Err(error) => panic!("{} failed: {error}", job.kind),
            }
        }
        jobs.len()
    }

    /// Has the worker take up what waits in the inbox and nobody holds; returns how many events.
    pub(crate) async fn take_up(&self) -> usize {
        let events = refill::fill(&self.worker, 10_000).await.unwrap();
        // A failure stands with its event.
        work_off(&self.worker).await.ok();
        events
    }

    /// The role commands that are in Redis, those that somebody waits for first. Direct messages among
    /// them are written on the way.
    pub(crate) async fn commands(&self) -> Vec<ApplyRoles> {
        let mut jobs = self.redis.take(Queue::RoleCommandsNow).await;
        jobs.extend(self.redis.take(Queue::RoleCommandsBulk).await);
        let (messages, commands): (Vec<Taken>, Vec<Taken>) = jobs
            .into_iter()
            .partition(|job| job.kind == "send_direct_message");
        for message in &messages {
            self.write(&message.args()).await;
        }
        commands.iter().map(Taken::args).collect()
    }

    /// Has the bot write a direct message, and tells the worker what came of it.
    async fn write(&self, message: &SendDirectMessage) {
        let outcome = MessageOutcome {
            notification_id: message.notification_id,
            result: self.bot().write(message),
        };
        handlers::message_outcome::run(Arc::clone(&self.worker), outcome, self.attempt())
            .await
            .unwrap();
    }

    /// Has the bot carry out the role commands that are in Redis; returns how many there were.
    pub(crate) async fn obey(&self) -> usize {
        let commands = self.commands().await;
        for command in &commands {
            self.carry_out(command).await;
        }
        commands.len()
    }

    /// Has the bot carry out one command, and tells the worker what came of it.
    pub(crate) async fn carry_out(&self, command: &ApplyRoles) {
        let outcomes = self.bot().carry_out(command, self.now());
        for outcome in outcomes {
            self.tell(outcome).await;
        }
    }

    /// Tells the worker an outcome.
    pub(crate) async fn tell(&self, outcome: RoleOutcome) {
        handlers::role_outcome::run(Arc::clone(&self.worker), outcome, self.attempt())
            .await
            .unwrap();
    }
}

async fn run_job(worker: &Arc<Ctx>, job: &Taken, attempt: Attempt) -> Result<(), JobError> {
    let (ctx, attempt) = (
        Arc::clone(worker),
        Attempt {
            enqueued_at: job.enqueued_at,
            ..attempt
        },
    );
    match job.kind.as_str() {
        "stripe_event" => handlers::stripe_event::run(ctx, job.args(), attempt).await,
        "process_event" => handlers::process_event::run(ctx, job.args(), attempt).await,
        "converge_member" => handlers::converge_member::run(ctx, job.args(), attempt).await,
        "fulfill_checkout" => handlers::fulfill_checkout::run(ctx, job.args(), attempt).await,
        "sync_subscription" => handlers::sync_subscription::run(ctx, job.args(), attempt).await,
        "send_notification" => handlers::send_notification::run(ctx, job.args(), attempt).await,
        "sync_plans" => handlers::sync_plans::run(ctx, job.args(), attempt).await,
        "reconcile" => handlers::reconcile::run(ctx, job.args(), attempt).await,
        "run_cron" => handlers::run_cron::run(ctx, job.args(), attempt).await,
        other => panic!("nobody handles {other}"),
    }
}
