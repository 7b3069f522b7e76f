//! The worker's parts put together: queues, recurring jobs, health; and how it stops.

use std::{net::TcpListener, sync::Arc};

use anyhow::Context;
use chrono::TimeDelta;
use rolecall_db::{
    Database, DatabaseOptions, DbError, PoolerMode, alarms::list_alarms, due::count_due,
    inbox_line::count_backlog,
};
use rolecall_domain::clock::{Clock, Rng, random_bytes};
use rolecall_queue::{Documents, Host, Link, LinkOptions, Options, Producer, Queue, Registry, RetrySchedule};
use rolecall_runtime::{
    clock::{SystemClock, SystemRng},
    config::Pooler,
    env::Service,
    metrics::Exporter,
    shutdown::{Shutdown, Tasks},
};
use rolecall_stripe::client::{Client, config::StripeClientConfig};
use secrecy::ExposeSecret;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    catalog::CatalogCache,
    config::WorkerConfig,
    cron::ticker,
    ctx::Ctx,
    handlers, health,
    intake::{keep::Keeper, pump::Pump, refill},
    mail::Mailer,
    metrics::Metrics,
    sync::{turns::Turns, writer::Writer},
};

/// Runs the worker until it is told to stop and has drained.
pub async fn run(config: WorkerConfig, listener: TcpListener, shutdown: Shutdown) -> anyhow::Result<()> {
    let tasks = Tasks::new(shutdown.clone());
    let registry = rolecall_runtime::metrics::registry(Service::Worker)?;
    let queue_metrics = rolecall_queue::Metrics::register(&registry)?;
    queue_metrics.show_empty();
    let ctx = Arc::new(context(&config, &registry, shutdown.draining())?);
    tracing::info!(
        version = rolecall_runtime::version::VERSION,
        "starting; database_pooler={}",
        ctx.db.pooler().as_str()
    );
    if let Some(advice) = &config.database.advice {
        tracing::warn!("{advice}");
    }

    let exporter = exporter(registry, &queue_metrics, &ctx);
    let parts = health::parts(&ctx, &queue_metrics, &shutdown);
    let serving = rolecall_runtime::health::serve(listener, parts, exporter, shutdown.finished());
    tasks.spawn_support("health", serving);

    let schedule = RetrySchedule::new(config.jobs.retry_schedule.waits().to_vec())?;
    let handlers = Arc::new(handlers::registry());
    let host = Host {
        link: ctx.link.clone(),
        clock: Arc::clone(&ctx.clock),
        rng: Arc::clone(&ctx.rng),
        tasks: TaskTracker::new(),
        metrics: queue_metrics,
        consumer: ctx.name.clone(),
    };
    let kept = CancellationToken::new();
    for (queue, concurrency) in handlers::QUEUES {
        let options = Options {
            concurrency,
            prefetch: concurrency,
            schedule: schedule.clone(),
            ..Options::default()
        };
        let drained = drain(&host, queue, &handlers, &ctx, options, &shutdown);
        let kept = (queue == Queue::StripeEvents).then(|| kept.clone().drop_guard());
        tasks.spawn_critical(queue.name(), async move {
            let _kept = kept;
            drained.await
        });
    }
    tasks.spawn_critical("pump", refill::run(Arc::clone(&ctx), shutdown.draining(), kept));
    if config.jobs.enable_cron_jobs {
        let (ctx, stop) = (Arc::clone(&ctx), shutdown.draining());
        tasks.spawn_critical("cron", async move {
            ticker::run(ctx, stop).await;
            Ok::<(), std::convert::Infallible>(())
        });
    }
    let publish = Arc::clone(&ctx);
    tasks.spawn("catalog", async move {
        if let Err(error) = crate::catalog::publish(&publish).await {
            tracing::warn!(%error, "the catalog could not be published yet; the sweeper does it");
        }
    });
    let ended = tasks.run_until_done(config.drain).await;
    ctx.db.close().await;
    ended.context("the worker did not end as it should")
}

/// A queue until the drain, with every task that it started.
fn drain(
    host: &Host,
    queue: Queue,
    handlers: &Arc<Registry<Ctx>>,
    ctx: &Arc<Ctx>,
    options: Options,
    shutdown: &Shutdown,
) -> impl Future<Output = Result<(), rolecall_queue::RunError>> + Send + use<> {
    // Tasks of its own, so that the end of one queue does not wait for another.
    let host = Host {
        tasks: TaskTracker::new(),
        ..host.clone()
    };
    let worker = rolecall_queue::run(
        &host,
        queue,
        Arc::clone(handlers),
        Arc::clone(ctx),
        options,
        &shutdown.draining(),
    );
    async move {
        worker.await?;
        host.tasks.close();
        host.tasks.wait().await;
        Ok(())
    }
}

fn context(
    config: &WorkerConfig,
    registry: &prometheus::Registry,
    stop: CancellationToken,
) -> anyhow::Result<Ctx> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rng: Arc<dyn Rng> = Arc::new(SystemRng);
    let db = Database::new(&DatabaseOptions {
        url: config.database.url.clone(),
        pooler: match config.database.pooler {
            Pooler::None => PoolerMode::None,
            Pooler::Session => PoolerMode::Session,
            Pooler::Transaction => PoolerMode::Transaction,
        },
        max_connections: config.database.max_connections,
    })?;
    let link = Link::new(
        config.redis.url.expose_secret(),
        &config.redis.namespace,
        LinkOptions::default(),
    )?;
    let stripe = StripeClientConfig::new(
        config.stripe.api_base.join("/"),
        config.stripe.secret_key.clone(),
        Arc::clone(&rng),
    );
    let pump = Pump::new(stripe.rate_limit.is_some());
    let mailer = config
        .mail
        .as_ref()
        .map(|mail| Mailer::new(&mail.smtp_url, &mail.from))
        .transpose()?;
    Ok(Ctx {
        name: format!(
            "worker-{}-{:016x}",
            std::process::id(),
            u64::from_be_bytes(random_bytes(&*rng))
        ),
        producer: Producer::new(&link),
        documents: Documents::new(&link),
        link,
        db,
        stripe: Client::new(stripe)?,
        livemode: config.stripe.mode.is_live(),
        mailer,
        public_url: config.public_url.as_ref().map(|url| url.as_str().to_owned()),
        max_removals: config.policy.reconcile_max_removals,
        default_grace: TimeDelta::from_std(config.policy.grace_period)?,
        clock,
        rng,
        catalog: CatalogCache::default(),
        turns: Turns::default(),
        writer: Writer::default(),
        keeper: Keeper::default(),
        pump,
        retry: RetrySchedule::new(config.jobs.retry_schedule.waits().to_vec())?,
        metrics: Metrics::register(registry)?,
        stop,
    })
}

/// Metrics, with the gauges of all queues brought up to date at each scrape.
fn exporter(registry: prometheus::Registry, metrics: &rolecall_queue::Metrics, ctx: &Arc<Ctx>) -> Exporter {
    let (metrics, ctx) = (metrics.clone(), Arc::clone(ctx));
    Exporter::new(registry).refresh(move || {
        let (metrics, ctx) = (metrics.clone(), Arc::clone(&ctx));
        async move {
            for queue in Queue::ALL {
                match rolecall_queue::stats(&ctx.link, queue, ctx.clock.now()).await {
                    Ok(stats) => metrics.show(queue, &stats),
                    Err(error) => tracing::debug!(%error, "a queue could not be measured"),
                }
            }
            if let Err(error) = measure_database(&ctx).await {
                tracing::debug!(%error, "what waits in the database could not be measured");
            }
        }
    })
}

async fn measure_database(ctx: &Ctx) -> Result<(), DbError> {
    let mut tx = ctx.db.begin().await?;
    let backlog = count_backlog(&mut tx).await?;
    let due = count_due(&mut tx).await?;
    let alarms = list_alarms(&mut tx).await?;
    tx.commit().await?;
    ctx.metrics.show_backlog(&backlog, ctx.clock.now());
    ctx.metrics.show_due(&due);
    ctx.metrics.show_alarms(&alarms);
    Ok(())
}
