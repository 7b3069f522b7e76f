//! The newest revision of each person, kept in Redis as well: a bot that has just started must not carry out an old
//! command that a dead one had left behind, after a newer one was done.

use std::sync::LazyLock;

use redis::{RedisError, Script};
use rolecall_queue::{JobError, jobs::ApplyRoles};

use crate::term::Ctx;

/// Longer than any command may wait for its last attempt.
const KEPT_SECONDS: u32 = 3 * 24 * 60 * 60;

/// Numbers are compared by length first, since Lua's own lose digits beyond 53 bits.
static NOTE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local known = redis.call('GET', KEYS[1])
         local new = ARGV[1]
         if known and (#known > #new or (#known == #new and known > new)) then return 0 end
         redis.call('SET', KEYS[1], new, 'EX', ARGV[2])
         return 1",
    )
});

/// Notes the command's revision. Whether it is the newest one known.
pub(super) async fn is_newest(ctx: &Ctx, command: &ApplyRoles) -> Result<bool, JobError> {
    let key = format!(
        "{}:bot:revision:{}:{}",
        ctx.bot.link.namespace(),
        command.guild_id,
        command.user_id
    );
    let mut call = NOTE.key(key);
    call.arg(command.revision.max(0)).arg(KEPT_SECONDS);
    let mut link = ctx.bot.link.clone();
    let noted = ctx
        .guard
        .run(async { call.invoke_async::<u8>(&mut link).await })
        .await;
    match noted {
        Ok(newest) => Ok(newest.map_err(|error: RedisError| JobError::retry(error))? == 1),
        Err(_) => std::future::pending().await,
    }
}
