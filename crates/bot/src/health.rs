//! What `/ready` and `/metrics` tell. Only Redis is required: without Discord the bot is degraded and stays up,
//! because a restart would cost a session and mend nothing.

use std::sync::Arc;

use rolecall_queue::{in_plain_words, lease::Lease};
use rolecall_runtime::{health::Health, metrics::Exporter};

use crate::bot::Bot;

/// The lease's name.
pub(crate) const LEASE: &str = "bot:lease";

/// The parts of `/ready`.
pub(crate) fn parts(bot: &Arc<Bot>, lease: &Lease) -> Health {
    let (redis, gateway, rest, setup) = (
        bot.link.clone(),
        Arc::clone(bot),
        Arc::clone(bot),
        Arc::clone(bot),
    );
    let (lease, name) = (lease.clone(), bot.name.clone());
    Health::builder(Arc::clone(&bot.clock), &bot.shutdown)
        .required("redis", move || {
            let link = redis.clone();
            async move {
                link.check()
                    .await
                    .map(|()| "answers and takes writes".into())
                    .map_err(|error| in_plain_words(&error).into())
            }
        })
        .meanwhile("what is owed stays in Postgres; people keep the roles they have")
        .degrading("lease", move || {
            let (lease, name) = (lease.clone(), name.clone());
            async move {
                match lease.holder().await {
                    Ok(Some(holder)) if holder == name => Ok("held".into()),
                    Ok(Some(holder)) => Ok(format!("held by {holder}").into()),
                    Ok(None) => Ok("free".into()),
                    Err(error) => Err(in_plain_words(&error).into()),
                }
            }
        })
        .degrading("gateway", move || {
            let report = gateway.status.gateway_report();
            async move { report.map(Into::into).map_err(Into::into) }
        })
        .meanwhile("commands are carried out by asking instead of listening; what is missed is read again afterwards")
        .degrading("discord_rest", move || {
            let report = rest.rest_report();
            async move { report.map(Into::into).map_err(Into::into) }
        })
        .meanwhile("commands wait and are carried out afterwards; people keep the roles they have")
        .degrading("setup", move || {
            let faults = setup.world.setup_faults();
            async move {
                match faults {
                    None => Ok("not known".into()),
                    Some(faults) if faults.is_empty() => Ok("every mapped role can be given".into()),
                    Some(faults) => Err(faults.join("; ").into()),
                }
            }
        })
        .build()
}

/// Metrics, with what is only known by asking brought up to date at each scrape.
pub(crate) fn exporter(registry: prometheus::Registry, bot: &Arc<Bot>) -> Exporter {
    let bot = Arc::clone(bot);
    Exporter::new(registry).refresh(move || {
        refresh(&bot);
        async {}
    })
}

fn refresh(bot: &Bot) {
    let (metrics, limiter) = (&bot.metrics, bot.client.limiter().stats());
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    metrics.gateway_live.set(bot.status.is_live().into());
    metrics
        .ack_age
        .set(bot.status.ack_age().unwrap_or_default().as_secs_f64());
    metrics
        .starts_remaining
        .set(bot.status.starts_remaining().map_or(-1, i64::from));
    metrics.invalid_requests.set(limiter.invalid_requests.into());
    metrics
        .rate_limited
        .set(i64::try_from(limiter.rate_limited).unwrap_or(i64::MAX));
    metrics.waiting_now.set(number(limiter.waiting_now));
    metrics.waiting_bulk.set(number(limiter.waiting_bulk));
    metrics
        .setup_faults
        .set(number(bot.world.setup_faults().unwrap_or_default().len()));
}
