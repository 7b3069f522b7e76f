//! `rolecall events replay`.

use std::process::ExitCode;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection, DbError,
    audit::{AuditLine, insert_audit_line},
    inbox::{InboxState, database_time},
    inbox_admin::{EventSelection, claim_replays, set_event_replayed},
};
use rolecall_domain::ids::{AuditId, StripeEventId};
use rolecall_queue::{Link, jobs::ProcessEvent};
use rolecall_runtime::env::Env;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::events::Replay,
    cmd::events::fetch::fetch,
    config,
    host::{Host, link},
    output::Printer,
};

/// When the sweeper takes them up, should the hints be lost.
const OVERDUE: TimeDelta = TimeDelta::minutes(1);

/// So many at a time: a transaction stays short.
const BATCH: i64 = 500;

#[derive(Debug, Default, Serialize)]
struct Answer {
    replayed: usize,
    /// Of those, how many had never come in.
    fetched: usize,
    warnings: Vec<String>,
}

impl Answer {
    fn text(&self) -> String {
        let mut text = match self.replayed {
            0 => "There was nothing to replay.".to_owned(),
            1 => "1 event takes effect again.".to_owned(),
            more => format!("{more} events take effect again."),
        };
        if self.fetched > 0 {
            text.push_str(" It had never come in and was fetched from Stripe.");
        }
        for warning in &self.warnings {
            text.push_str("\n! ");
            text.push_str(warning);
        }
        text
    }
}

pub(super) async fn run(env: &Env, printer: &Printer, replay: &Replay) -> anyhow::Result<ExitCode> {
    let config = config::with_redis(env)?;
    let (host, link) = (Host::new(&config.database)?, link(&config.redis)?);
    let mut answer = Answer::default();
    match &replay.event_id {
        Some(id) => one(env, &host, &link, id, &mut answer).await?,
        None => many(&host, &link, replay, &mut answer).await?,
    }
    printer.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}

async fn one(
    env: &Env,
    host: &Host,
    link: &Link,
    id: &StripeEventId,
    answer: &mut Answer,
) -> anyhow::Result<()> {
    let now = host.clock.now();
    let mut tx = host.db.begin().await?;
    let known = set_event_replayed(&mut tx, id, now + OVERDUE).await?;
    if known {
        audit(host, &mut tx, id.as_str(), json!({})).await?;
    }
    tx.commit().await?;
    if !known {
        let event = fetch(env, host, id).await?;
        let mut tx = host.db.begin().await?;
        event.take_in(&mut tx, now + OVERDUE).await?;
        audit(host, &mut tx, id.as_str(), json!({ "fetched": true })).await?;
        tx.commit().await?;
        answer.fetched = 1;
    }
    answer.replayed = 1;
    hint(host, link, vec![id.clone()], answer).await;
    Ok(())
}

async fn many(host: &Host, link: &Link, replay: &Replay, answer: &mut Answer) -> anyhow::Result<()> {
    let since = replay.since.map(|since| since.time(host.clock.now()));
    let selection = EventSelection {
        state: replay.dead.then_some(InboxState::Dead),
        kind: replay.kind.as_deref(),
        occurred_since: since,
    };
    let mut tx = host.db.begin().await?;
    let began = database_time(&mut tx).await?;
    tx.commit().await?;
    loop {
        let replayed = batch(host, &selection, began).await?;
        if replayed.is_empty() {
            return Ok(());
        }
        answer.replayed += replayed.len();
        hint(host, link, replayed, answer).await;
    }
}

async fn batch(
    host: &Host,
    selection: &EventSelection<'_>,
    began: DateTime<Utc>,
) -> Result<Vec<StripeEventId>, DbError> {
    let next_attempt_at = host.clock.now() + OVERDUE;
    let mut tx = host.db.begin().await?;
    let replayed = claim_replays(&mut tx, selection, began, next_attempt_at, BATCH).await?;
    if !replayed.is_empty() {
        let detail = json!({
            "replayed": replayed.len(),
            "state": selection.state.map(InboxState::as_str),
            "type": selection.kind,
            "since": selection.occurred_since,
        });
        audit(host, &mut tx, "events", detail).await?;
    }
    tx.commit().await?;
    Ok(replayed)
}

async fn audit(host: &Host, conn: &mut Connection, subject: &str, detail: Value) -> Result<(), DbError> {
    let now = host.clock.now();
    let line = AuditLine {
        id: AuditId::generate(now, &*host.rng),
        at: now,
        actor: "cli",
        action: "event.replay",
        member_id: None,
        subject,
        detail,
    };
    insert_audit_line(conn, &line).await
}

/// Tells the worker. What it cannot be told now it finds by itself.
async fn hint(host: &Host, link: &Link, events: Vec<StripeEventId>, answer: &mut Answer) {
    let jobs = events
        .into_iter()
        .map(|event_id| ProcessEvent { event_id })
        .collect();
    if let Err(error) = host.push_all(link, jobs).await {
        let warning = format!("the worker could not be told at once ({error}); it finds them by itself");
        if !answer.warnings.contains(&warning) {
            answer.warnings.push(warning);
        }
    }
}
