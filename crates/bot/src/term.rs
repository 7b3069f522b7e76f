//! One term of leadership: everything that acts, from taking the lease to letting go of it.

use std::{sync::Arc, time::Duration};

use rolecall_queue::{Host, Options, Queue, lease::HeldLease};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

use crate::{
    bot::Bot,
    command::{self, Places, Turns},
    gateway,
    guard::Guard,
    outage, publish,
    rest::Rest,
    status::Phase,
    upkeep,
};

/// How many jobs of each lane are in hand. Most of them only wait for a place, and are seen there: of many commands
/// for the same person all but the newest are done with as soon as that one is in hand.
const IN_HAND: usize = 1_000;

/// How many more are read ahead.
const PREFETCH: usize = 100;

/// What is left of the drain after the commands: for the goodbye to Discord and the last words to Redis.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What everything that acts in a term shares.
#[derive(Debug)]
pub(crate) struct Ctx {
    pub(crate) bot: Arc<Bot>,
    pub(crate) guard: Guard,
    pub(crate) rest: Rest,
    pub(crate) turns: Turns,
    pub(crate) places: Places,
}

/// How a term ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Told to stop, and all is handed over.
    Drained,
    /// The lease is somebody else's, or nobody's.
    Lost,
}

/// Something that runs for the whole term has ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TermError {
    /// A task.
    #[error("{0} ended")]
    Ended(&'static str),
    /// A queue.
    #[error(transparent)]
    Queue(#[from] rolecall_queue::RunError),
}

/// The tasks of a term; dropped, they end at once.
struct Work {
    gateway: AbortOnDropHandle<()>,
    publish: AbortOnDropHandle<()>,
    upkeep: AbortOnDropHandle<()>,
    outage: AbortOnDropHandle<()>,
    stop_gateway: CancellationToken,
}

/// Leads until told to stop, or until the lease is lost. Then nothing of this term acts any more.
pub(crate) async fn lead(bot: &Arc<Bot>, held: HeldLease) -> Result<End, TermError> {
    let held = Arc::new(held);
    let guard = Guard::new(&held);
    let lost = held.lost();
    let ctx = Arc::new(Ctx {
        rest: Rest::new(bot, &guard),
        guard,
        turns: Turns::default(),
        places: Places::default(),
        bot: Arc::clone(bot),
    });
    bot.status.set_phase(Phase::Connecting);
    let end = tokio::select! {
        biased;
        () = lost.cancelled() => Ok(End::Lost),
        end = work(&ctx) => end,
    };
    let end = match end {
        // Each task asks for the lease before it acts. In a process that was stopped one of them may find it run
        // out before whoever renews it has woken up.
        Err(TermError::Ended(_)) if !held.is_held() => Ok(End::Lost),
        end => end,
    };
    bot.status.set_phase(Phase::Standby);
    bot.end_term();
    drop(ctx);
    // Handlers that were cut off may hold it for a moment longer; then it runs out by itself.
    if let (Ok(End::Drained), Some(held)) = (&end, Arc::into_inner(held))
        && let Err(error) = held.release().await
    {
        tracing::warn!(%error, "the lease could not be released; it runs out by itself");
    }
    end
}

async fn work(ctx: &Arc<Ctx>) -> Result<End, TermError> {
    upkeep::restore_limiter(ctx).await;
    upkeep::read_catalog(ctx).await;
    let mut work = Work::start(ctx);
    let draining = ctx.bot.shutdown.draining();
    let mut commands = Box::pin(commands(ctx, &draining));
    tokio::select! {
        ended = &mut commands => {
            ended?;
            if !draining.is_cancelled() {
                return Err(TermError::Ended("the command queues"));
            }
        }
        name = work.ended() => return Err(TermError::Ended(name)),
        () = patience(ctx, &draining) => tracing::warn!("commands that still run are left to the next bot"),
    }
    drop(commands);
    work.finish(ctx).await;
    Ok(End::Drained)
}

/// How long running commands may take once a drain has begun.
async fn patience(ctx: &Ctx, draining: &CancellationToken) {
    draining.cancelled().await;
    let drain = ctx.bot.config.drain.timeout;
    sleep(drain.saturating_sub(LAST_WORDS).max(drain / 2)).await;
}

/// The command queues until the drain; urgent commands have a queue of their own, and go first at the limiter.
async fn commands(ctx: &Arc<Ctx>, draining: &CancellationToken) -> Result<(), TermError> {
    let registry = Arc::new(command::registry());
    let queue = |queue: Queue| {
        let host = Host {
            link: ctx.bot.link.clone(),
            clock: Arc::clone(&ctx.bot.clock),
            rng: Arc::clone(&ctx.bot.rng),
            tasks: TaskTracker::new(),
            metrics: ctx.bot.queue_metrics.clone(),
            consumer: format!("{}-{}", ctx.bot.name, ctx.guard.fence()),
        };
        let options = Options {
            concurrency: IN_HAND,
            prefetch: PREFETCH,
            // A holder that is gone loses its commands about when it loses the lease.
            visibility: ctx.bot.config.lease.ttl.max(Duration::from_secs(3)),
            schedule: ctx.bot.schedule.clone(),
        };
        rolecall_queue::run(
            &host,
            queue,
            Arc::clone(&registry),
            Arc::clone(ctx),
            options,
            draining,
        )
    };
    let (now, bulk) = (queue(Queue::RoleCommandsNow), queue(Queue::RoleCommandsBulk));
    futures::future::try_join(now, bulk).await?;
    Ok(())
}

impl Work {
    fn start(ctx: &Arc<Ctx>) -> Self {
        let tasks = &ctx.bot.tasks;
        let stop_gateway = CancellationToken::new();
        let own = |handle: JoinHandle<()>| AbortOnDropHandle::new(handle);
        let (publish, upkeep, outage) = (Arc::clone(ctx), Arc::clone(ctx), Arc::clone(ctx));
        Self {
            gateway: own(tasks.spawn("gateway", gateway::run(Arc::clone(ctx), stop_gateway.clone()))),
            publish: own(tasks.spawn("publish", async move { match publish::run(publish).await {} })),
            upkeep: own(tasks.spawn("upkeep", async move { match upkeep::run(upkeep).await {} })),
            outage: own(tasks.spawn("outage", async move { match outage::watch(outage).await {} })),
            stop_gateway,
        }
    }

    /// The name of a task that has ended although it should not.
    async fn ended(&mut self) -> &'static str {
        tokio::select! {
            _ = &mut self.gateway => "the gateway task",
            _ = &mut self.publish => "the publishing task",
            _ = &mut self.upkeep => "the upkeep task",
            _ = &mut self.outage => "the task that watches for outages",
        }
    }

    /// Lets go of Discord so that the next bot can go on where this one stopped.
    async fn finish(self, ctx: &Ctx) {
        self.stop_gateway.cancel();
        self.outage.abort();
        let last_words = async {
            // A panic in it is in the log already.
            let _ = self.gateway.await;
            let _ = self.outage.await;
            self.publish.abort();
            let _ = self.publish.await;
            publish::flush(ctx).await;
            self.upkeep.abort();
            let _ = self.upkeep.await;
            upkeep::finish(ctx).await;
        };
        if timeout(LAST_WORDS, last_words).await.is_err() {
            tracing::warn!("there was no time for the last words to Discord and Redis");
        }
    }
}
