//! The Lua scripts: one per step that must happen as a whole. Each is bounded, none loops over a
//! whole queue.

use std::sync::LazyLock;

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, Script, ServerErrorKind};

use crate::link::Link;

macro_rules! scripts {
    ($($name:ident = $($file:literal),+;)*) => {$(
        pub(crate) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!($(include_str!($file)),+)));
    )*};
}

scripts! {
    PUSH = "push.lua";
    PROMOTE = "promote.lua";
    RETRY = "take.lua", "retry.lua";
    DISCARD = "take.lua", "discard.lua";
    HAND_BACK = "take.lua", "hand_back.lua";
    HEARTBEAT = "heartbeat.lua";
    RECLAIM = "reclaim.lua";
    RECOVER = "recover.lua";
    DEPART = "depart.lua";
    REDRIVE = "redrive.lua";
    STATS = "stats.lua";
    LEASE_ACQUIRE = "lease_acquire.lua";
    LEASE_RENEW = "lease_renew.lua";
    LEASE_RELEASE = "lease_release.lua";
    SET_NEWER = "set_newer.lua";
}

/// Room for the name of a script, its keys and short arguments.
const ROOM: usize = 384;

/// The call of `script` with these keys; its arguments are added by the caller.
pub(crate) fn call(script: &Script, keys: &[&str]) -> Cmd {
    call_with_room(script, keys, 0)
}

/// A [`call`] that will get arguments of about so many bytes.
pub(crate) fn call_with_room(script: &Script, keys: &[&str], bytes: usize) -> Cmd {
    let mut command = Cmd::with_capacity(keys.len() + 6, ROOM + bytes);
    command
        .arg("EVALSHA")
        .arg(script.get_hash())
        .arg(keys.len())
        .arg(keys);
    command
}

/// Runs a [`call`], teaching Redis the script first where it does not know it yet.
pub(crate) async fn run<T: FromRedisValue>(link: &Link, script: &Script, call: &Cmd) -> RedisResult<T> {
    let mut link = link.clone();
    match call.query_async(&mut link).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            script.load_async(&mut link).await?;
            call.query_async(&mut link).await
        }
        answer => answer,
    }
}
