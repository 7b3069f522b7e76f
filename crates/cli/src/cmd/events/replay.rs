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
use rolecall_queue::jobs::ProcessEvent;
use rolecall_runtime::env::Env;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{args::events::Replay, cmd::events::fetch::fetch, config, host::Host, output::Printer};

/// When a worker takes the event up, should the hint be lost.
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
    let answer = match &replay.event_id {
        Some(id) => one(env, id).await?,
        None => many(env, replay).await?,
    };
    printer.answer(&answer, Answer::text)?;
    Ok(ExitCode::SUCCESS)
}

async fn one(env: &Env, id: &StripeEventId) -> anyhow::Result<Answer> {
    let config = config::with_redis(env)?;
    let host = Host::new(&config.database)?;
    let next_attempt_at = host.clock.now() + OVERDUE;
    let mut answer = Answer {
        replayed: 1,
        ..Answer::default()
    };
    let mut tx = host.db.begin().await?;
    let known = set_event_replayed(&mut tx, id, next_attempt_at).await?;
    if known {
        audit(&host, &mut tx, id.as_str(), json!({})).await?;
    }
    tx.commit().await?;
    if !known {
        let event = fetch(env, &host, id).await?;
        let mut tx = host.db.begin().await?;
        event.take_in(&mut tx, next_attempt_at).await?;
        audit(&host, &mut tx, id.as_str(), json!({ "fetched": true })).await?;
        tx.commit().await?;
        answer.fetched = 1;
    }
    let hint = ProcessEvent { event_id: id.clone() };
    if let Err(error) = host.push(&config.redis, &hint).await {
        answer.warnings.push(format!(
            "the worker could not be told at once ({error:#}); it finds the event by itself"
        ));
    }
    Ok(answer)
}

/// Without hints: these wait in the inbox like all others, so that a flood of them overtakes nobody.
async fn many(env: &Env, replay: &Replay) -> anyhow::Result<Answer> {
    let host = Host::new(&config::database(env)?)?;
    let since = replay.since.map(|since| since.time(host.clock.now()));
    let selection = EventSelection {
        state: replay.dead.then_some(InboxState::Dead),
        kind: replay.kind.as_deref(),
        occurred_since: since,
    };
    let mut tx = host.db.begin().await?;
    let began = database_time(&mut tx).await?;
    tx.commit().await?;
    let mut answer = Answer::default();
    loop {
        match batch(&host, &selection, began).await? {
            0 => return Ok(answer),
            replayed => answer.replayed += replayed,
        }
    }
}

async fn batch(host: &Host, selection: &EventSelection<'_>, began: DateTime<Utc>) -> Result<usize, DbError> {
    let mut tx = host.db.begin().await?;
    let replayed = claim_replays(&mut tx, selection, began, host.clock.now(), BATCH)
        .await?
        .len();
    if replayed > 0 {
        let detail = json!({
            "replayed": replayed,
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
