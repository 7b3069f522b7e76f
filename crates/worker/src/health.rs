//! What `/ready` tells: which part is ill, what is wrong with it, and what is kept meanwhile.
//!
//! Without Postgres or Redis nothing can be worked off. Without Stripe or the mail server some of it
//! waits; whether they are ill is known from the calls that are made anyway.

use std::sync::Arc;

use rolecall_db::{
    DbError,
    alarms::{Alarm, Severity, list_alarms},
};
use rolecall_queue::in_plain_words;
use rolecall_runtime::{
    health::{Detail, Health},
    shutdown::Shutdown,
};

use crate::{ctx::Ctx, mail::Mailer};

/// The parts of `/ready`.
pub(crate) fn parts(ctx: &Arc<Ctx>, jobs: &rolecall_queue::Metrics, shutdown: &Shutdown) -> Health {
    let (database, redis, jobs) = (ctx.db.clone(), ctx.link.clone(), jobs.clone());
    let (stripe, mail, webhooks) = (Arc::clone(ctx), Arc::clone(ctx), Arc::clone(ctx));
    Health::builder(Arc::clone(&ctx.clock), shutdown)
        .required("postgres", move || {
            let database = database.clone();
            async move {
                let answer = database.ping().await;
                answer
                    .map(|()| WELL.into())
                    .map_err(|error| error.in_plain_words().into())
            }
        })
        .meanwhile("jobs wait in Redis and are tried again; nobody loses access")
        .required("redis", move || {
            let link = redis.clone();
            async move {
                let answer = link.check().await;
                answer
                    .map(|()| WELL.into())
                    .map_err(|error| in_plain_words(&error).into())
            }
        })
        .meanwhile("what is owed stays in Postgres, and Stripe sends its events again")
        .degrading("stripe", move || passing(stripe.stripe.complaint()))
        .meanwhile("events stay in the inbox and are tried again; nobody loses access")
        .degrading("mail", move || {
            passing(mail.mailer.as_ref().and_then(Mailer::complaint))
        })
        .meanwhile("messages stay due and are sent later")
        .degrading("webhooks", move || {
            let ctx = Arc::clone(&webhooks);
            async move { set_up(&ctx).await }
        })
        .meanwhile("the events sweep and `reconcile` find what no event told, later than it would be")
        .degrading("jobs", move || passing(failing(&jobs)))
        .meanwhile(
            "they are tried again; those that are given up are kept with the reason: `rolecall jobs list`",
        )
        .build()
}

const WELL: &str = "answers and takes writes";

/// What was found in passing.
fn passing(complaint: Option<String>) -> std::future::Ready<Result<Detail, Detail>> {
    std::future::ready(match complaint {
        None => Ok("no trouble known".into()),
        Some(complaint) => Err(complaint.into()),
    })
}

/// What the last check of the set-up at Stripe found, and what to do about it.
async fn set_up(ctx: &Ctx) -> Result<Detail, Detail> {
    let Ok(alarms) = known_alarms(ctx).await else {
        return Ok("not known while Postgres is away".into());
    };
    let (wrong, noticed): (Vec<Alarm>, Vec<Alarm>) = alarms
        .into_iter()
        .partition(|alarm| alarm.severity == Severity::Alarm);
    let words = |alarms: &[Alarm]| -> String {
        let told = alarms
            .iter()
            .map(|alarm| format!("{}; to do: {}", alarm.problem, alarm.fix));
        told.collect::<Vec<_>>().join(". ")
    };
    match (wrong.as_slice(), noticed.as_slice()) {
        ([], []) => Ok("no trouble known".into()),
        ([], noticed) => Ok(words(noticed).into()),
        (wrong, _) => Err(words(wrong).into()),
    }
}

async fn known_alarms(ctx: &Ctx) -> Result<Vec<Alarm>, DbError> {
    let mut tx = ctx.db.begin().await?;
    let alarms = list_alarms(&mut tx).await?;
    tx.commit().await?;
    Ok(alarms)
}

fn failing(jobs: &rolecall_queue::Metrics) -> Option<String> {
    let failing = jobs.failing();
    let told = failing.iter().map(|kind| {
        format!(
            "{} failed {} times in a row, at last because: {}",
            kind.kind, kind.in_a_row, kind.reason
        )
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("; "))
}
