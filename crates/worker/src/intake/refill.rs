//! The task beside the pump: takes up what nobody holds, holds what waits long, lets go of what it must.

use std::{convert::Infallible, sync::Arc, time::Duration};

use rolecall_db::{
    Connection, DbError,
    inbox::InboxState,
    inbox_line::{
        From, PendingEvent, claim_pending_event, claim_pending_events, hold_events, set_events_failed,
        set_events_finished,
    },
    invoice_failures::upsert_invoice_failures,
};
use rolecall_domain::ids::{StripeEventId, StripeSubscriptionId};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    ctx::Ctx,
    error::{WorkError, within},
    intake::{
        keep::{HOLD, LastWrites},
        line::{Arrival, Waiting},
        lookout,
        subject::{Subject, dates_debt, first_failure},
    },
};

/// How often the inbox is looked into for what nobody holds: what failed, what a worker held that died.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// So many events are claimed in one transaction.
const BATCH: usize = 512;

/// Lets kept events take effect until `stop`; then finishes what runs, waits until `kept` says that no
/// more are kept, and lets go of the rest, so that another worker takes it up at once.
pub async fn run(ctx: Arc<Ctx>, stop: CancellationToken, kept: CancellationToken) -> Result<(), Infallible> {
    ctx.pump.open();
    ctx.pump.start(&ctx);
    tokio::join!(lookout::run(&ctx, &stop), tend_until(&ctx, &stop));
    ctx.pump.close().await;
    kept.cancelled().await;
    let held = ctx.pump.clear();
    if let Err(error) = hold(&ctx, &held, true).await {
        tracing::warn!(%error, events = held.len(), "events could not be let go of; others take them up a little later");
    }
    Ok(())
}

/// The most that one round may take.
const TEND_WITHIN: Duration = Duration::from_mins(1);

async fn tend_until(ctx: &Arc<Ctx>, stop: &CancellationToken) {
    let mut look_at = Instant::now();
    while !stop.is_cancelled() {
        let resume = tend(ctx, look_at <= Instant::now()).await;
        ctx.pump.start(ctx);
        if look_at <= Instant::now() {
            look_at = Instant::now() + LOOK_EVERY;
        }
        let wake = resume.map_or(look_at, |resume| resume.clamp(Instant::now(), look_at));
        tokio::select! {
            () = stop.cancelled() => {}
            () = ctx.pump.attention.notified() => {}
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

/// One round. Returns when work may go on that is held up.
async fn tend(ctx: &Ctx, look: bool) -> Option<Instant> {
    let chores = ctx.pump.chores(look);
    let done = async {
        hold(ctx, &chores.let_go, true).await?;
        if look {
            let now = ctx.clock.now();
            let held = ctx.pump.hold(now + HOLD / 2, now + HOLD);
            hold(ctx, &held, false).await?;
        }
        if let Some(room) = chores.room {
            fill(ctx, room).await?;
        }
        Ok(())
    };
    if let Err(error) = within(TEND_WITHIN, done).await {
        tracing::warn!(%error, "the inbox cannot be looked into; what waits there waits longer");
    }
    chores.resume.filter(|resume| *resume > Instant::now())
}

/// Holds events for a while from now, or lets go of them.
async fn hold(ctx: &Ctx, ids: &[StripeEventId], let_go: bool) -> Result<(), DbError> {
    let now = ctx.clock.now();
    for ids in ids.chunks(BATCH * 2) {
        let mut tx = ctx.db.begin().await?;
        hold_events(&mut tx, ids, if let_go { now } else { now + HOLD }).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Claims up to `room` events that nobody holds. Returns how many there were.
pub async fn fill(ctx: &Ctx, room: usize) -> Result<usize, WorkError> {
    let mut claimed = 0;
    while claimed < room {
        // Mostly from the front, and always some of those that have waited longest.
        let (front, back) = (BATCH * 3 / 4, BATCH / 4);
        let of_front = claim(ctx, From::Front, front).await?;
        claimed += of_front;
        if of_front < front {
            return Ok(claimed);
        }
        claimed += claim(ctx, From::Back, back).await?;
    }
    ctx.pump.look();
    Ok(claimed)
}

/// Takes up one event that is pending, whoever holds it. Says whether it was.
pub async fn take_up(ctx: &Ctx, id: &StripeEventId) -> Result<bool, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let found = claim_pending_event(&mut tx, id, ctx.clock.now() + HOLD).await?;
    let found: Vec<_> = found
        .into_iter()
        .map(|event| PendingEvent {
            urgent: true,
            ..event
        })
        .collect();
    let is_pending = !found.is_empty();
    let arrivals = sort(&mut tx, ctx, found).await?;
    tx.commit().await?;
    ctx.pump.offer(arrivals);
    Ok(is_pending)
}

async fn claim(ctx: &Ctx, from: From, limit: usize) -> Result<usize, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let events = claim_pending_events(&mut tx, from, now, now + HOLD, limit).await?;
    if events.is_empty() {
        tx.rollback().await?;
        return Ok(0);
    }
    let claimed = events.len();
    let arrivals = sort(&mut tx, ctx, events).await?;
    tx.commit().await?;
    ctx.pump.offer(arrivals);
    Ok(claimed)
}

/// What claimed events wait for. Those that a read has covered meanwhile, or that concern nothing that we
/// keep, are finished on the spot, all at a time.
async fn sort(
    conn: &mut Connection,
    ctx: &Ctx,
    events: Vec<PendingEvent>,
) -> Result<Vec<Arrival>, WorkError> {
    let now = ctx.clock.now();
    let (mut arrivals, mut unread, mut failures) = (Vec::new(), Vec::new(), Vec::new());
    for event in events {
        match subject_of(&event) {
            Ok(subject) => {
                let payload = event.payload.as_deref();
                let failed = payload.and_then(|payload| first_failure(&event.kind, payload.get()));
                failures.extend(failed.map(|invoice| (invoice, event.occurred_at)));
                arrivals.push(arrival(ctx, event, subject));
            }
            Err(error) => unread.push((event.id, error)),
        }
    }
    for (id, error) in &unread {
        let reason = format!("the body of the event cannot be read: {error}");
        tracing::error!(stripe.event_id = %id, reason, "an event is dead: look into it and replay it");
        set_events_failed(conn, &[(id, None)], &reason).await?;
    }
    if !failures.is_empty() {
        upsert_invoice_failures(conn, &failures).await?;
    }
    let subscriptions: Vec<&StripeSubscriptionId> = arrivals
        .iter()
        .flat_map(|arrival| &arrival.subject.subscriptions)
        .collect();
    let last_writes = LastWrites::find(conn, &subscriptions).await?;
    let (ignored, concerned): (Vec<_>, Vec<_>) = arrivals
        .into_iter()
        .partition(|arrival| arrival.subject.is_empty());
    let (covered, mut open): (Vec<_>, Vec<_>) = concerned
        .into_iter()
        .partition(|arrival| is_covered(arrival, &last_writes));
    finish(conn, &ignored, InboxState::Ignored, now).await?;
    finish(conn, &covered, InboxState::Done, now).await?;
    ctx.metrics.count_ignored(ignored.len());
    ctx.metrics
        .count_events(crate::sync::Synced::Covered, covered.len());
    for arrival in &mut open {
        arrival.urgent |= last_writes.is_urgent(&arrival.subject);
    }
    Ok(open)
}

async fn finish(
    conn: &mut Connection,
    arrivals: &[Arrival],
    state: InboxState,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(), DbError> {
    if arrivals.is_empty() {
        return Ok(());
    }
    let ids: Vec<&StripeEventId> = arrivals.iter().map(|arrival| &arrival.event.id).collect();
    set_events_finished(conn, &ids, state, now).await?;
    Ok(())
}

fn subject_of(event: &PendingEvent) -> Result<Subject, serde_json::Error> {
    match (&event.subject, &event.payload) {
        (Some(subject), _) => serde_json::from_value(subject.clone()),
        (None, Some(payload)) => Subject::of(&event.kind, payload.get()),
        (None, None) => Ok(Subject::default()),
    }
}

fn arrival(ctx: &Ctx, event: PendingEvent, subject: Subject) -> Arrival {
    Arrival {
        subject,
        urgent: event.urgent,
        known: None,
        event: Waiting {
            id: event.id,
            seen_at: event.seen_at,
            attempts: u32::try_from(event.attempts).unwrap_or_default(),
            dates_debt: dates_debt(&event.kind),
            held_until: ctx.clock.now() + HOLD,
            traceparent: None,
        },
    }
}

fn is_covered(arrival: &Arrival, last_writes: &LastWrites) -> bool {
    let mark = arrival
        .subject
        .only_subscription()
        .and_then(|only| last_writes.mark(only));
    !arrival.event.dates_debt && mark.is_some_and(|mark| mark.read_started_at > arrival.event.seen_at)
}
