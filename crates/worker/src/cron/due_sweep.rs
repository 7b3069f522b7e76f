//! `due_sweep`: hints that were lost are sent again, for every kind of due row.

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    member_guilds::{claim_unanswered, set_send_at},
    members::list_converge_due,
    notifications::list_overdue_notifications,
};
use rolecall_domain::trigger::Trigger;
use rolecall_queue::jobs::SendNotification;

use crate::{
    catalog,
    converge::{command, converge_each},
    ctx::Ctx,
    error::WorkError,
    prices, reconcile,
    timing::{HINT_OVERDUE, send_again_at},
    trials,
};

/// At most so many rows of a kind are taken up at a time; the next round takes up the rest.
const BATCH: i64 = 200;

/// Rounds in one run: a backlog is worked off, but a run ends.
const ROUNDS: usize = 50;

/// Prices are read again after a day: they are edited in Stripe's dashboard.
const PRICES_OLD: TimeDelta = TimeDelta::hours(24);

pub(super) async fn run(ctx: &Ctx) -> Result<String, WorkError> {
    catalog::publish(ctx).await?;
    let converged = converge_due(ctx, ctx.clock.now() - HINT_OVERDUE).await?;
    let commands = send_commands(ctx).await?;
    // Events that nobody holds are taken up by the pump of each worker.
    ctx.pump.look();
    let messages = send_messages(ctx).await?;
    reconcile::hint_abandoned(ctx).await?;
    trials::settle_due(ctx, ctx.clock.now()).await?;
    let prices = prices::read_stale(ctx, ctx.clock.now() - PRICES_OLD).await?;
    Ok(format!(
        "{converged} people converged, {commands} role commands and {messages} messages sent again, {prices} prices read"
    ))
}

/// Converges people who have been owed it since before `owed_before`.
pub async fn converge_due(ctx: &Ctx, owed_before: DateTime<Utc>) -> Result<usize, WorkError> {
    let mut done = 0;
    for _ in 0..ROUNDS {
        let Some(converged) = converge_some(ctx, owed_before).await? else {
            break;
        };
        done += converged;
    }
    Ok(done)
}

/// Converges the next of them. `None` if there is nobody.
pub async fn converge_some(ctx: &Ctx, owed_before: DateTime<Utc>) -> Result<Option<usize>, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let due = list_converge_due(&mut tx, owed_before, BATCH).await?;
    tx.commit().await?;
    if due.is_empty() {
        return Ok(None);
    }
    Ok(Some(converge_each(ctx, &due, Trigger::Sweep).await?))
}

/// Sends commands again that had no outcome in time.
async fn send_commands(ctx: &Ctx) -> Result<usize, WorkError> {
    let now = ctx.clock.now();
    let mut tx = ctx.db.begin().await?;
    let due = claim_unanswered(&mut tx, now, HINT_OVERDUE, BATCH).await?;
    let mut commands = Vec::with_capacity(due.len());
    for row in &due {
        set_send_at(&mut tx, row.guild_id, row.user_id, send_again_at(now, row.sends)).await?;
        commands.extend(command::build(&mut tx, row.guild_id, row.user_id, now).await?);
    }
    tx.commit().await?;
    for command in &commands {
        ctx.hint(command).await;
    }
    Ok(commands.len())
}

/// Sends hints for messages whose sender was lost.
async fn send_messages(ctx: &Ctx) -> Result<usize, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let due = list_overdue_notifications(&mut tx, ctx.clock.now(), BATCH).await?;
    tx.commit().await?;
    for notification_id in &due {
        ctx.hint(&SendNotification {
            notification_id: *notification_id,
        })
        .await;
    }
    Ok(due.len())
}
