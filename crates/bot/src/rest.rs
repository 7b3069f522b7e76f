//! The calls to Discord: only with the lease, never with a token that was refused, and counted.

use std::sync::Arc;

use rolecall_discord::{
    error::{DiscordError, ErrorClass},
    limiter::Lane,
    rest::{Application, BotClient, GatewayBot, Guild, Joined, Member, Pass},
};
use rolecall_domain::ids::{ChannelId, DiscordUserId, GuildId, RoleId};
use secrecy::SecretString;

use crate::{
    bot::Bot,
    guard::{Guard, LeaseLost},
    metrics::Metrics,
    outage::Outage,
    status::{Status, TOKEN_REFUSED},
};

/// Why a call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// Not ours to make any more.
    #[error(transparent)]
    LeaseLost(#[from] LeaseLost),
    /// Discord has refused the token: no call is made until that is over.
    #[error("{TOKEN_REFUSED}")]
    TokenRefused,
    /// Discord said no, or nothing.
    #[error(transparent)]
    Discord(#[from] DiscordError),
}

/// The calls to Discord.
#[derive(Debug)]
pub(crate) struct Rest {
    client: Arc<BotClient>,
    guard: Guard,
    status: Arc<Status>,
    outage: Arc<Outage>,
    metrics: Metrics,
}

/// Somebody in a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Person {
    pub(crate) guild_id: GuildId,
    pub(crate) user_id: DiscordUserId,
}

impl Rest {
    pub(crate) fn new(bot: &Bot, guard: &Guard) -> Self {
        Self {
            client: Arc::clone(&bot.client),
            guard: guard.clone(),
            status: Arc::clone(&bot.status),
            outage: Arc::clone(&bot.outage),
            metrics: bot.metrics.clone(),
        }
    }

    /// Asks whether Discord is there at all.
    pub(crate) async fn probe(&self) -> Result<(), CallError> {
        self.call("current_user", self.client.current_user(Lane::Now))
            .await
            .map(drop)
    }

    /// The bot's own account, where no session has told it.
    pub(crate) async fn own_id(&self) -> Result<DiscordUserId, CallError> {
        let user = self.call("current_user", self.client.current_user(Lane::Now));
        user.await.map(|user| user.id)
    }

    pub(crate) async fn gateway_bot(&self) -> Result<GatewayBot, CallError> {
        self.call("gateway_bot", self.client.gateway_bot(Lane::Now)).await
    }

    pub(crate) async fn current_application(&self) -> Result<Application, CallError> {
        self.call("current_application", self.client.current_application(Lane::Bulk))
            .await
    }

    pub(crate) async fn guild(&self, guild_id: GuildId) -> Result<Guild, CallError> {
        self.call("guild", self.client.guild(guild_id, Lane::Now)).await
    }

    pub(crate) async fn member(&self, person: Person, lane: Lane) -> Result<Option<Member>, CallError> {
        self.call(
            "get_member",
            self.client.get_member(person.guild_id, person.user_id, lane),
        )
        .await
    }

    pub(crate) async fn add_member(
        &self,
        person: Person,
        access_token: &SecretString,
        roles: &[RoleId],
        pass: Pass,
    ) -> Result<Joined, CallError> {
        let call = self
            .client
            .add_member(person.guild_id, person.user_id, access_token, roles, pass);
        self.call("add_member", call).await
    }

    pub(crate) async fn add_role(
        &self,
        person: Person,
        role: RoleId,
        reason: &str,
        pass: Pass,
    ) -> Result<(), CallError> {
        self.call(
            "add_role",
            self.client
                .add_role(person.guild_id, person.user_id, role, reason, pass),
        )
        .await
    }

    pub(crate) async fn remove_role(
        &self,
        person: Person,
        role: RoleId,
        reason: &str,
        pass: Pass,
    ) -> Result<(), CallError> {
        self.call(
            "remove_role",
            self.client
                .remove_role(person.guild_id, person.user_id, role, reason, pass),
        )
        .await
    }

    pub(crate) async fn remove_member(
        &self,
        person: Person,
        reason: &str,
        pass: Pass,
    ) -> Result<(), CallError> {
        let call = self
            .client
            .remove_member(person.guild_id, person.user_id, reason, pass);
        self.call("remove_member", call).await
    }

    pub(crate) async fn open_direct_channel(&self, user: DiscordUserId) -> Result<ChannelId, CallError> {
        self.call(
            "open_direct_channel",
            self.client.open_direct_channel(user, Lane::Bulk),
        )
        .await
    }

    pub(crate) async fn create_message(
        &self,
        channel: ChannelId,
        text: &str,
        nonce: &str,
    ) -> Result<(), CallError> {
        self.call(
            "create_message",
            self.client.create_message(channel, text, nonce, Lane::Bulk),
        )
        .await
    }

    /// Tries a refused token once more: the one call that is sent nevertheless.
    pub(crate) async fn try_token(&self) -> Result<(), CallError> {
        self.attempt("current_user", self.client.try_token(Lane::Now))
            .await
            .map(drop)
    }

    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, DiscordError>>,
    ) -> Result<T, CallError> {
        if self.client.token().is_refused() {
            return Err(CallError::TokenRefused);
        }
        self.attempt(name, call).await
    }

    async fn attempt<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T, DiscordError>>,
    ) -> Result<T, CallError> {
        let answer = self.guard.run(call).await?;
        self.metrics
            .request(name, answer.as_ref().map_or_else(status_of, |_| Some(200)));
        let Err(error) = answer else {
            self.outage.answered();
            self.status.called(None);
            return answer.map_err(CallError::from);
        };
        match error.class() {
            ErrorClass::Unavailable => self.outage.unanswered(),
            // Nothing was sent.
            ErrorClass::BudgetSpent { .. } | ErrorClass::CalledOff => {}
            _ => self.outage.answered(),
        }
        if error.class() == ErrorClass::TokenInvalid {
            return Err(CallError::TokenRefused);
        }
        // A refusal is an answer: Discord is there.
        self.status
            .called(error.is_transient().then(|| error.to_string()));
        Err(error.into())
    }
}

fn status_of(error: &DiscordError) -> Option<u16> {
    match error {
        DiscordError::Refused { status, .. } | DiscordError::Outage { status, .. } => Some(*status),
        DiscordError::RateLimited { .. } => Some(429),
        DiscordError::Decode { .. } => Some(200),
        DiscordError::BudgetSpent(_)
        | DiscordError::NoAnswer { .. }
        | DiscordError::CalledOff { .. }
        | DiscordError::Request { .. } => None,
    }
}
