//! Subscriptions follow Stripe: an event says that something changed, and a read says what.
//!
//! Each write rests on a read that began after the version it replaces was committed. So no order of
//! events, retries or slow reads can bring an old state back, and an event that came before a read
//! began needs no read of its own.

mod batch;
mod read;
pub mod turns;
pub mod writer;

use std::time::Duration;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    inbox::{InboxState, database_time},
    inbox_line::set_events_finished,
    members::find_member,
    subscriptions::{ReadMark, find_read_mark},
};
use rolecall_domain::ids::{MemberId, StripeEventId, StripeSubscriptionId};
use tokio::time::Instant;

use crate::{
    cron::setup_check,
    ctx::Ctx,
    error::WorkError,
    sync::{turns::Turn, writer::Draft},
};

/// The metadata that our Checkout puts on what it sells.
pub(crate) const MEMBER_METADATA: &str = "rolecall_member_id";

/// A write that loses this many times is left for later.
pub(crate) const MOST_READS: usize = 8;

/// What was looked up is used without another look for this long, if nobody has read meanwhile.
const FRESH: Duration = Duration::from_secs(1);

/// What says that a subscription changed.
#[derive(Debug, Clone, Copy)]
pub struct Hint<'a> {
    /// When it was seen, by the database's clock: a read that began later covers it.
    pub seen_at: DateTime<Utc>,
    /// Only a read that begins from now on covers it, because only now all is known that it needs.
    pub must_read: bool,
    /// The events that are done with this sync, in the same transaction.
    pub events: &'a [&'a StripeEventId],
    /// The person whose it is, where somebody knows better than the subscription itself.
    pub member_id: Option<MemberId>,
    /// What was just looked up for it.
    pub known: Option<Known>,
}

impl Hint<'_> {
    /// That something may have changed before `seen_at`.
    pub const fn seen(seen_at: DateTime<Utc>) -> Self {
        Self {
            seen_at,
            must_read: false,
            events: &[],
            member_id: None,
            known: None,
        }
    }
}

/// What is known of a subscription before it is read.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// What a write replaces: committed before the read begins.
    pub mark: Option<ReadMark>,
    /// A time of the database's clock at which the read has not begun yet.
    pub read_started_at: DateTime<Utc>,
    /// When it was looked up.
    pub looked_at: Instant,
}

/// What it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Synced {
    /// A read from Stripe.
    Read,
    /// Nothing: an earlier read had covered it.
    Covered,
}

/// Reads a subscription unless a read has covered the hint already, and converges its person.
pub async fn sync_subscription(
    ctx: &Ctx,
    id: &StripeSubscriptionId,
    hint: Hint<'_>,
) -> Result<Synced, WorkError> {
    // One read at a time: those who wait here are mostly covered by the next read.
    let _turn = ctx.turns.take(id.as_str()).await;
    let turn = turns::take(&ctx.link, id).await;
    let known = hint
        .known
        .filter(|known| turn == Turn::First && !hint.must_read && known.looked_at.elapsed() < FRESH);
    let synced = read_and_write(ctx, id, hint, known).await;
    turns::end(&ctx.link, id).await;
    synced
}

async fn read_and_write(
    ctx: &Ctx,
    id: &StripeSubscriptionId,
    mut hint: Hint<'_>,
    mut known: Option<Known>,
) -> Result<Synced, WorkError> {
    for _ in 0..MOST_READS {
        let before = match known.take() {
            Some(known) => known,
            None => match look(ctx, id, &mut hint).await? {
                Some(known) => known,
                None => return Ok(Synced::Covered),
            },
        };
        ctx.metrics.subscription_reads.inc();
        let draft = Draft {
            read: read::read(ctx, id, before.read_started_at).await?,
            mark: before.mark,
            events: hint.events.iter().copied().cloned().collect(),
            member_id: hint.member_id,
        };
        let is_unknown = draft.read.unknown_status().is_some();
        if let Some(converged) = writer::write(ctx, draft).await? {
            for converged in converged {
                ctx.tell(converged).await;
            }
            if is_unknown {
                setup_check::look_at_statuses(ctx).await;
            }
            return Ok(Synced::Read);
        }
    }
    Err(WorkError::Contended(format!("subscription {id}")))
}

/// Looks up what a read would replace; `None` if a read has covered the hint, which is done then.
async fn look(ctx: &Ctx, id: &StripeSubscriptionId, hint: &mut Hint<'_>) -> Result<Option<Known>, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let mark = find_read_mark(&mut tx, id).await?;
    if !hint.must_read && mark.is_some_and(|mark| mark.read_started_at > hint.seen_at) {
        finish(&mut tx, ctx, *hint).await?;
        tx.commit().await?;
        ctx.metrics.covered_hints.inc();
        return Ok(None);
    }
    let read_started_at = database_time(&mut tx).await?;
    tx.commit().await?;
    if hint.must_read {
        // All is known now that it needs: from here on any read will do.
        (hint.must_read, hint.seen_at) = (false, read_started_at);
    }
    Ok(Some(Known {
        mark,
        read_started_at,
        looked_at: Instant::now(),
    }))
}

async fn finish(conn: &mut Connection, ctx: &Ctx, hint: Hint<'_>) -> Result<(), WorkError> {
    if !hint.events.is_empty() {
        set_events_finished(conn, hint.events, InboxState::Done, ctx.clock.now()).await?;
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
