//! The clients against a real HTTP server on this machine.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests, whose helpers clippy does not know as such"
)]

mod errors;
mod limits;
mod oauth;
mod rest;
mod server;

use std::{future::Future, time::Duration};

use rolecall_discord::{
    limiter::Limiter,
    rest::{BotClient, BotConfig},
};
use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use url::Url;

pub(crate) const TOKEN: &str = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs";

pub(crate) fn bot(origin: &Url) -> BotClient {
    bot_with(origin, Limiter::default())
}

pub(crate) fn bot_with(origin: &Url, limiter: Limiter) -> BotClient {
    BotClient::new(
        &BotConfig {
            origin: origin.clone(),
            token: TOKEN.into(),
        },
        limiter,
    )
    .unwrap()
}

pub(crate) fn guild() -> GuildId {
    GuildId::new(11).unwrap()
}

pub(crate) fn user(id: u64) -> DiscordUserId {
    DiscordUserId::new(id).unwrap()
}

pub(crate) fn role(id: u64) -> RoleId {
    RoleId::new(id).unwrap()
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future)
        .await
        .expect("it hangs")
}
