//! Subscriptions follow Stripe: an event says that something changed, and a read says what.
//!
//! Each write rests on a read that began after the version it replaces was committed. So no order of
//! events, retries or slow reads can bring an old state back, and an event that came before a read
//! began needs no read of its own.

mod read;
pub mod turns;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    inbox::{InboxState, database_time, set_event_finished},
    members::{find_member, lock_member},
    subscriptions::{ReadMark, SubscriptionRead, find_read_mark, insert_subscription, update_subscription},
};
use rolecall_domain::{
    ids::{MemberId, StripeEventId, StripeSubscriptionId},
    trigger::Trigger,
};

use crate::{
    converge::{Converged, converge},
    ctx::Ctx,
    error::WorkError,
};

/// A write that loses this many times is left for later.
const MOST_READS: usize = 8;

/// What says that a subscription changed.
#[derive(Debug, Clone, Copy)]
pub struct Hint<'a> {
    /// When it was seen, by the database's clock: a read that began later covers it.
    pub seen_at: DateTime<Utc>,
    /// The event that is done with this sync, in the same transaction.
    pub event: Option<&'a StripeEventId>,
    /// The person whose it is, where somebody knows better than the subscription itself.
    pub member_id: Option<MemberId>,
}

/// Reads a subscription unless a read has covered the hint already, and converges its person.
pub async fn sync_subscription(
    ctx: &Ctx,
    id: &StripeSubscriptionId,
    hint: Hint<'_>,
) -> Result<(), WorkError> {
    // One read at a time in this process: those who wait here are mostly covered by the next read.
    let _turn = ctx.turns.take(id.as_str()).await;
    for _ in 0..MOST_READS {
        let mut tx = ctx.db.begin().await?;
        let mark = find_read_mark(&mut tx, id).await?;
        if mark.is_some_and(|mark| mark.read_started_at > hint.seen_at) {
            finish(&mut tx, ctx, hint).await?;
            tx.commit().await?;
            ctx.metrics.covered_hints.inc();
            return Ok(());
        }
        let read_started_at = database_time(&mut tx).await?;
        tx.commit().await?;

        ctx.metrics.subscription_reads.inc();
        let read = read::read(ctx, id, read_started_at).await?;
        let mut tx = ctx.db.begin().await?;
        if let Some(converged) = write(&mut tx, ctx, read, mark, hint).await? {
            tx.commit().await?;
            ctx.tell(converged).await;
            return Ok(());
        }
        tx.rollback().await?;
    }
    Err(WorkError::Contended(format!("subscription {id}")))
}

/// Writes a read with all that follows from it; `None` if another read was faster.
async fn write(
    conn: &mut Connection,
    ctx: &Ctx,
    read: read::Read,
    mark: Option<ReadMark>,
    hint: Hint<'_>,
) -> Result<Option<Converged>, WorkError> {
    let now = ctx.clock.now();
    let stored = read.into_stored(conn, ctx, hint.member_id, now).await?;
    // The person before the subscription, in the order of every other convergence.
    if let Some(member_id) = stored.member_id {
        lock_member(conn, member_id).await?;
    }
    if !write_over(conn, &stored, mark, now).await? {
        return Ok(None);
    }
    finish(conn, ctx, hint).await?;
    match stored.member_id {
        Some(member_id) => converge(conn, ctx, member_id, Trigger::Subscription, now)
            .await
            .map(Some),
        None => Ok(Some(Converged::default())),
    }
}

async fn write_over(
    conn: &mut Connection,
    read: &SubscriptionRead,
    mark: Option<ReadMark>,
    now: DateTime<Utc>,
) -> Result<bool, WorkError> {
    Ok(match mark {
        None => insert_subscription(conn, read, now).await?,
        Some(mark) => update_subscription(conn, read, mark.version, now).await?,
    })
}

async fn finish(conn: &mut Connection, ctx: &Ctx, hint: Hint<'_>) -> Result<(), WorkError> {
    if let Some(event) = hint.event {
        set_event_finished(conn, event, InboxState::Done, ctx.clock.now()).await?;
    }
    Ok(())
}

/// The person that metadata of ours names, if there is such a person.
pub async fn named_member(conn: &mut Connection, name: Option<&str>) -> Result<Option<MemberId>, WorkError> {
    let Some(id) = name.and_then(|name| name.parse::<MemberId>().ok()) else {
        return Ok(None);
    };
    Ok(find_member(conn, id).await?.map(|member| member.id))
}
