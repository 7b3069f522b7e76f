//! Keeping events, as many in one commit as have come in: whoever finds nobody writing writes for all
//! who wait. An event that comes alone is written at once.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use rolecall_db::{
    DbError,
    inbox::InboxState,
    inbox_line::{EventToKeep, LastWrite, insert_events, list_last_writes},
    invoice_failures::upsert_invoice_failures,
    subscriptions::ReadMark,
};
use rolecall_domain::ids::{StripeEventId, StripeInvoiceId, StripeSubscriptionId};
use rolecall_queue::jobs::StripeEvent;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    ctx::Ctx,
    intake::{
        line::{Arrival, Waiting},
        subject::{Subject, dates_debt, first_failure, is_urgent},
    },
    sync::Known,
};

/// How long an event is ours without another word: a worker that died is missed after this.
pub const HOLD: TimeDelta = TimeDelta::seconds(30);

/// What is written at a time.
const MOST_EVENTS: usize = 256;
const MOST_BYTES: usize = 2 << 20;
/// So many at a time, or more still waiting: events come in faster than they are kept.
const CROWD: usize = 32;

/// Events that wait to be kept.
#[derive(Debug, Default)]
pub struct Keeper {
    waiting: Mutex<VecDeque<Request>>,
    writing: tokio::sync::Mutex<()>,
    /// Events come in faster than they are kept.
    pub(super) crowded: Notify,
}

/// Where an event waits to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before all that wait.
    Front,
    /// In turn.
    Back,
}

/// An event could not be kept; its job tries again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the event could not be kept")]
pub struct NotKept(#[source] Arc<DbError>);

#[derive(Debug)]
struct Request {
    entrant: Arc<Entrant>,
    answer: oneshot::Sender<Result<(), NotKept>>,
}

/// An event, and what its body says.
#[derive(Debug)]
struct Entrant {
    event: StripeEvent,
    traceparent: Option<String>,
    /// What it concerns, or why it cannot be read.
    subject: Result<Subject, String>,
    failed_invoice: Option<StripeInvoiceId>,
}

/// Keeps an event, once, and hands it to the pump. When this returns `Ok`, Postgres has it.
pub async fn keep(ctx: &Arc<Ctx>, event: StripeEvent, traceparent: Option<String>) -> Result<(), NotKept> {
    keep_at(ctx, Arc::new(Entrant::new(event, traceparent)), Place::Back).await
}

/// Keeps events, each by itself; how that went is for nobody to know.
pub(super) async fn keep_all(
    ctx: &Arc<Ctx>,
    events: impl Iterator<Item = (StripeEvent, Option<String>)>,
    place: Place,
) {
    let kept =
        events.map(|(event, traceparent)| keep_at(ctx, Arc::new(Entrant::new(event, traceparent)), place));
    join_all(kept).await;
}

async fn keep_at(ctx: &Arc<Ctx>, entrant: Arc<Entrant>, place: Place) -> Result<(), NotKept> {
    loop {
        let (answer, mut answered) = oneshot::channel();
        let entrant = Arc::clone(&entrant);
        ctx.keeper.add(Request { entrant, answer }, place);
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut answered => break answer,
                _turn = ctx.keeper.writing.lock() => write_some(ctx).await,
            }
        };
        // Else whoever was writing for us was dropped.
        if let Ok(kept) = answer {
            return kept;
        }
    }
}

async fn write_some(ctx: &Arc<Ctx>) {
    let (batch, more) = ctx.keeper.take();
    if batch.is_empty() {
        return;
    }
    if more || batch.len() >= CROWD {
        ctx.pump.crowd(Instant::now());
        ctx.keeper.crowded.notify_one();
    }
    let entrants: Vec<&Entrant> = batch.iter().map(|request| &*request.entrant).collect();
    let kept = match write(ctx, &entrants).await {
        Err(error) if entrants.len() > 1 && !error.is_outage() => write_each(ctx, &entrants).await,
        together => vec![together.map_err(NotKept::from); entrants.len()],
    };
    for (request, kept) in batch.into_iter().zip(kept) {
        // Nobody there to hear it: kept is kept.
        request.answer.send(kept).ok();
    }
    ctx.pump.start(ctx);
}

/// One by one: an event that Postgres refuses keeps out no other.
async fn write_each(ctx: &Ctx, entrants: &[&Entrant]) -> Vec<Result<(), NotKept>> {
    let mut kept = Vec::with_capacity(entrants.len());
    for entrant in entrants {
        kept.push(write(ctx, &[entrant]).await.map_err(NotKept::from));
    }
    kept
}

/// Writes events in one transaction, together with what is looked up for their effects.
async fn write(ctx: &Ctx, entrants: &[&Entrant]) -> Result<(), DbError> {
    let now = ctx.clock.now();
    let mut entrants = entrants.to_vec();
    // The order in which every worker writes, so that two do not wait for each other.
    entrants.sort_by(|a, b| a.event.event_id.cmp(&b.event.event_id));
    let held_until = if ctx.pump.is_open() { now + HOLD } else { now };
    let subscriptions: Vec<&StripeSubscriptionId> = entrants
        .iter()
        .flat_map(|entrant| entrant.subscriptions())
        .collect();
    let failures: Vec<_> = entrants.iter().filter_map(|entrant| entrant.failure()).collect();

    let looked_at = Instant::now();
    let mut tx = ctx.db.begin().await?;
    let last_writes = LastWrites::find(&mut tx, &subscriptions).await?;
    let rows: Vec<EventToKeep<'_>> = entrants
        .iter()
        .map(|entrant| entrant.to_keep(&last_writes, held_until))
        .collect();
    let seen: HashMap<StripeEventId, DateTime<Utc>> =
        insert_events(&mut tx, &rows, now).await?.into_iter().collect();
    if !failures.is_empty() {
        upsert_invoice_failures(&mut tx, &failures).await?;
    }
    tx.commit().await?;

    let ignored = rows
        .iter()
        .filter(|row| row.state == InboxState::Ignored && seen.contains_key(row.id));
    ctx.metrics.count_ignored(ignored.count());
    let seen_last = seen.values().max().copied();
    let arrivals = entrants.iter().zip(&rows).filter_map(|(entrant, row)| {
        let subject = entrant
            .subject
            .as_ref()
            .ok()
            .filter(|_| row.state == InboxState::Pending)?;
        let known = subject
            .only_subscription()
            .zip(seen_last)
            .map(|(only, read_from)| Known {
                mark: last_writes.mark(only),
                read_started_at: read_from,
                looked_at,
            });
        let event = Waiting {
            id: row.id.clone(),
            seen_at: *seen.get(row.id)?,
            attempts: 0,
            dates_debt: dates_debt(row.kind),
            held_until,
            traceparent: entrant.traceparent.clone(),
        };
        Some(Arrival {
            subject: subject.clone(),
            event,
            urgent: row.urgent,
            known,
        })
    });
    ctx.pump.offer(arrivals);
    Ok(())
}

/// The last writes of some subscriptions.
#[derive(Debug, Default)]
pub(super) struct LastWrites(HashMap<StripeSubscriptionId, LastWrite>);

impl LastWrites {
    /// Looks them up.
    pub(super) async fn find(
        conn: &mut rolecall_db::Connection,
        subscriptions: &[&StripeSubscriptionId],
    ) -> Result<Self, DbError> {
        if subscriptions.is_empty() {
            return Ok(Self::default());
        }
        let found = list_last_writes(conn, subscriptions).await?;
        Ok(Self(
            found.into_iter().map(|write| (write.id.clone(), write)).collect(),
        ))
    }

    /// What a new read of a subscription would replace.
    pub(super) fn mark(&self, id: &StripeSubscriptionId) -> Option<ReadMark> {
        self.0.get(id).map(|write| write.mark)
    }

    /// Whether somebody may be waiting for an event about this.
    pub(super) fn is_urgent(&self, subject: &Subject) -> bool {
        let standing = |id| self.0.get(id).map(|write| write.standing.as_str());
        subject.checkout_session.is_some() || subject.subscriptions.iter().any(|id| is_urgent(standing(id)))
    }
}

impl Entrant {
    fn new(event: StripeEvent, traceparent: Option<String>) -> Self {
        let payload = event.payload.get();
        Self {
            subject: Subject::of(&event.event_type, payload)
                .map_err(|error| format!("the body of the event cannot be read: {error}")),
            failed_invoice: first_failure(&event.event_type, payload),
            traceparent,
            event,
        }
    }

    fn subscriptions(&self) -> &[StripeSubscriptionId] {
        self.subject
            .as_ref()
            .map_or(&[], |subject| &subject.subscriptions)
    }

    fn failure(&self) -> Option<(StripeInvoiceId, DateTime<Utc>)> {
        Some((self.failed_invoice.clone()?, self.event.created))
    }

    fn to_keep(&self, last_writes: &LastWrites, held_until: DateTime<Utc>) -> EventToKeep<'_> {
        let subject = self.subject.as_ref();
        let state = match subject {
            Ok(subject) if subject.is_empty() => InboxState::Ignored,
            Ok(_) => InboxState::Pending,
            Err(_) => InboxState::Dead,
        };
        EventToKeep {
            id: &self.event.event_id,
            kind: &self.event.event_type,
            livemode: self.event.livemode,
            occurred_at: self.event.created,
            payload: &self.event.payload,
            subject: subject
                .ok()
                .and_then(|subject| serde_json::to_value(subject).ok()),
            urgent: subject.is_ok_and(|subject| last_writes.is_urgent(subject)),
            state,
            error: self.subject.as_ref().err().map(String::as_str),
            held_until: (state == InboxState::Pending).then_some(held_until),
        }
    }
}

impl Keeper {
    fn add(&self, request: Request, place: Place) {
        let mut waiting = self.waiting();
        match place {
            Place::Front => waiting.push_front(request),
            Place::Back => waiting.push_back(request),
        }
    }

    /// What is written next, and whether more is waiting.
    fn take(&self) -> (Vec<Request>, bool) {
        let mut waiting = self.waiting();
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < MOST_EVENTS && bytes < MOST_BYTES {
            let Some(request) = waiting.pop_front() else { break };
            bytes += request.entrant.event.payload.get().len();
            batch.push(request);
        }
        (batch, !waiting.is_empty())
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Request>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<DbError> for NotKept {
    fn from(error: DbError) -> Self {
        Self(Arc::new(error))
    }
}
