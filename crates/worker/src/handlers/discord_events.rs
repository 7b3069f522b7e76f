//! `member_joined`, `member_left`, `member_roles_changed`, `guild_observed`: what the bot saw.

use rolecall_db::{discord_accounts::find_account, members::lock_member};
use rolecall_domain::{
    ids::{DiscordUserId, GuildId, MemberId},
    trigger::Trigger,
};
use rolecall_queue::{
    Attempt, JobError,
    jobs::{GuildObserved, MemberJoined, MemberLeft, MemberRolesChanged},
};

use crate::{
    converge::converge,
    cron::due_sweep,
    ctx::Ctx,
    handlers::SharedCtx,
    observe::{self, Sighting},
};

/// Somebody came into a server: their roles come back at once.
pub async fn joined(ctx: SharedCtx, args: MemberJoined, attempt: Attempt) -> Result<(), JobError> {
    let sighting = Sighting {
        roles: &args.roles,
        pending: args.pending,
        at: attempt.enqueued_at,
    };
    sighted(&ctx, args.guild_id, args.user_id, &sighting, Trigger::Joined).await
}

/// Somebody left a server: what they have there is nothing now.
pub async fn left(ctx: SharedCtx, args: MemberLeft, attempt: Attempt) -> Result<(), JobError> {
    let (at, now) = (attempt.enqueued_at, ctx.clock.now());
    let mut tx = ctx.db.begin().await?;
    lock(&mut tx, args.user_id).await?;
    let member_id = observe::gone(&mut tx, args.guild_id, args.user_id, at, now).await?;
    tx.commit().await?;
    if let Some(member_id) = member_id {
        ctx.member_changed(member_id).await;
    }
    Ok(())
}

/// Somebody else changed a role: it is kept, and mended where it is ours to mend.
pub async fn roles_changed(
    ctx: SharedCtx,
    args: MemberRolesChanged,
    attempt: Attempt,
) -> Result<(), JobError> {
    let sighting = Sighting {
        roles: &args.roles,
        pending: args.pending,
        at: attempt.enqueued_at,
    };
    sighted(
        &ctx,
        args.guild_id,
        args.user_id,
        &sighting,
        Trigger::RolesChanged,
    )
    .await
}

/// Keeps a sighting of somebody we know, and converges them.
async fn sighted(
    ctx: &Ctx,
    guild_id: GuildId,
    user_id: DiscordUserId,
    sighting: &Sighting<'_>,
    trigger: Trigger,
) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let Some(member_id) = lock(&mut tx, user_id).await? else {
        return Ok(());
    };
    let now = ctx.clock.now();
    observe::seen(&mut tx, guild_id, user_id, sighting, now).await?;
    let converged = converge(&mut tx, ctx, member_id, trigger, now).await?;
    tx.commit().await?;
    ctx.tell(converged).await;
    Ok(())
}

/// A server was seen: what was mended there is tried again.
pub async fn guild_observed(ctx: SharedCtx, args: GuildObserved, attempt: Attempt) -> Result<(), JobError> {
    let mut tx = ctx.db.begin().await?;
    let now = ctx.clock.now();
    let owed = observe::guild(&mut tx, &args, attempt.enqueued_at, now).await?;
    tx.commit().await?;
    if owed > 0 {
        tracing::info!(guild.id = %args.guild_id, members = owed, "a server was mended or seen anew: its members are converged");
        // Some at once; the sweep goes on with the others, who may be thousands.
        due_sweep::converge_some(&ctx, now).await?;
    }
    Ok(())
}

/// The person behind a Discord account; most people in a server are nobody we know. They are locked
/// before what is known of them in the server, in the order of every other convergence.
async fn lock(
    conn: &mut rolecall_db::Connection,
    user_id: DiscordUserId,
) -> Result<Option<MemberId>, JobError> {
    let Some(account) = find_account(conn, user_id).await? else {
        return Ok(None);
    };
    lock_member(conn, account.member_id).await?;
    Ok(Some(account.member_id))
}
