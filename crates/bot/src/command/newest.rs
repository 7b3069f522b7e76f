//! The newest revision of each person, kept in Redis as well: a bot that has just started must not carry out an old
//! command that a dead one had left behind, after a newer one was done; and must know what an earlier run may have
//! written, because that was not there before.

use std::sync::LazyLock;

use redis::{RedisError, Script, ScriptInvocation};
use rolecall_queue::{JobError, jobs::ApplyRoles};

use crate::term::Ctx;

/// Longer than any command may wait for its last attempt.
const KEPT_SECONDS: u32 = 3 * 24 * 60 * 60;

/// Notes a revision as begun. Numbers are compared by length first, since Lua's own lose digits beyond 53 bits. One
/// that is followed by a question mark was begun, and is known not to have written anything.
static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local known, clean = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+)(%??)$')
         local new = ARGV[1]
         if known and (#known > #new or (#known == #new and known > new)) then return 0 end
         redis.call('SET', KEYS[1], new, 'EX', ARGV[2])
         if known == new and clean == '' then return 2 end
         return 1",
    )
});

/// Notes that a revision that was begun has not written anything.
static UNWRITTEN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then
           redis.call('SET', KEYS[1], ARGV[1] .. '?', 'EX', ARGV[2])
         end
         return 1",
    )
});

/// How a command stands to what was begun before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// A newer one was begun.
    Superseded,
    /// Nothing of it can have been written before.
    First,
    /// An earlier run of it may have written something.
    Again,
}

/// Begins a command, unless a newer one was begun by whomever.
pub(super) async fn begin(ctx: &Ctx, command: &ApplyRoles) -> Result<Start, JobError> {
    Ok(match run(ctx, command, &BEGIN).await? {
        0 => Start::Superseded,
        1 => Start::First,
        _ => Start::Again,
    })
}

/// A command that was begun as the first of its revision has written nothing.
pub(super) async fn unwritten(ctx: &Ctx, command: &ApplyRoles) {
    if let Err(error) = run(ctx, command, &UNWRITTEN).await {
        // The next run will then not be sure whose a role is that it finds.
        tracing::debug!(%error, "an unfinished command could not be noted as such");
    }
}

async fn run(ctx: &Ctx, command: &ApplyRoles, script: &Script) -> Result<u8, JobError> {
    let key = format!(
        "{}:bot:revision:{}:{}",
        ctx.bot.link.namespace(),
        command.guild_id,
        command.user_id
    );
    let mut call: ScriptInvocation<'_> = script.key(key);
    call.arg(command.revision.max(0)).arg(KEPT_SECONDS);
    let mut link = ctx.bot.link.clone();
    let noted = ctx
        .guard
        .run(async { call.invoke_async::<u8>(&mut link).await })
        .await;
    match noted {
        Ok(noted) => noted.map_err(|error: RedisError| JobError::retry(error)),
        Err(_) => std::future::pending().await,
    }
}
