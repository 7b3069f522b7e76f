//! The calls of the bot, each behind the limiter.
//!
//! Requests are built from twilight-http's typed routes, but sent by our own client: twilight's hides the headers of
//! every answer that is not a success and retries a 429 by itself, so the limiter could not learn from either. One
//! call is one request; whoever calls decides about trying again, with the error's class in hand.

mod direct_messages;
mod model;
mod pass;
mod reason;
mod token;

use std::{fmt, time::Duration};

use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use rolecall_domain::{
    hierarchy::GuildRole,
    ids::{DiscordUserId, GuildId, RoleId},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::OnceCell;
use twilight_http::{
    request::{Request, RequestBuilder},
    routing::Route as Endpoint,
};
use url::Url;

pub use crate::rest::{
    model::{Application, BotUser, GatewayBot, Guild, Joined, Member, SessionStartLimit},
    pass::{Gate, Pass},
    token::TokenStanding,
};
use crate::{
    error::{DiscordError, ErrorClass},
    http::{self, SetupError},
    limiter::{Answer, Lane, Limited, Limiter, Permit, Rate, Route},
    rest::model::RawMember,
};

/// No call takes longer, not counting the wait for the limiter.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Most members that one page may have.
const LARGEST_PAGE: u16 = 1000;

const AUDIT_LOG_REASON: HeaderName = HeaderName::from_static("x-audit-log-reason");

/// What a [`BotClient`] is made of.
#[derive(Debug, Clone)]
pub struct BotConfig {
    /// Where Discord is: `https://discord.com`, or a simulator.
    pub origin: Url,
    /// The bot's token, with or without `Bot ` in front.
    pub token: SecretString,
}

/// The bot's calls to Discord. Cheap to share behind an `Arc`.
pub struct BotClient {
    http: reqwest::Client,
    base: String,
    authorization: HeaderValue,
    limiter: Limiter,
    token: TokenStanding,
    own_id: OnceCell<DiscordUserId>,
}

/// An answer of Discord: a success, with its body.
#[derive(Debug, Clone)]
pub struct Success {
    /// The HTTP status.
    pub status: u16,
    /// The body; empty for 204.
    pub body: Vec<u8>,
    call: String,
}

#[derive(Serialize)]
struct AddMember<'a> {
    access_token: &'a str,
    roles: &'a [RoleId],
}

impl fmt::Debug for BotClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BotClient")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

impl BotClient {
    /// A client that asks `limiter` before each call. The process must have installed its TLS provider.
    pub fn new(config: &BotConfig, limiter: Limiter) -> Result<Self, SetupError> {
        let token = config.token.expose_secret().trim();
        let token = token.strip_prefix("Bot ").unwrap_or(token);
        let mut authorization =
            HeaderValue::from_str(&format!("Bot {token}")).map_err(|_| SetupError::MalformedToken)?;
        authorization.set_sensitive(true);
        Ok(Self {
            http: http::client(TIMEOUT)?,
            base: format!("{}/api/v10", http::origin(&config.origin)?),
            authorization,
            limiter,
            token: TokenStanding::new(),
            own_id: OnceCell::new(),
        })
    }

    /// The limiter in front of the calls: its snapshot, its rates, its statistics.
    pub const fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Whether Discord takes the token. After a refusal no call is sent until [`try_token`](Self::try_token) has
    /// found it good.
    pub const fn token(&self) -> &TokenStanding {
        &self.token
    }

    /// Tries a token that was refused: the one call that is sent nevertheless.
    pub async fn try_token(&self, pass: impl Into<Pass>) -> Result<BotUser, DiscordError> {
        let pass = Pass {
            despite_refusal: true,
            ..pass.into()
        };
        let user = self.current_user(pass).await?;
        self.token.accept();
        Ok(user)
    }

    /// How fast roles may be given in a server, once a first change has told: for the estimate of a sweep.
    pub fn role_change_rate(&self, guild: GuildId) -> Option<Rate> {
        self.limiter
            .rate(&Route::new("PUT", &format!("guilds/{guild}/members/0/roles/0")))
    }

    /// The bot's own account. The cheapest proof that the token is good.
    pub async fn current_user(&self, pass: impl Into<Pass>) -> Result<BotUser, DiscordError> {
        self.get(&Endpoint::GetCurrentUser, pass).await
    }

    /// The application that the bot belongs to, with the intents it may use.
    pub async fn current_application(&self, pass: impl Into<Pass>) -> Result<Application, DiscordError> {
        self.get(&Endpoint::GetCurrentUserApplicationInfo, pass).await
    }

    /// Where to connect to the gateway, and the budget of session starts.
    pub async fn gateway_bot(&self, pass: impl Into<Pass>) -> Result<GatewayBot, DiscordError> {
        self.get(&Endpoint::GetGatewayBot, pass).await
    }

    /// A server with its roles.
    pub async fn guild(&self, guild: GuildId, pass: impl Into<Pass>) -> Result<Guild, DiscordError> {
        self.get(
            &Endpoint::GetGuild {
                guild_id: guild.get(),
                with_counts: false,
            },
            pass,
        )
        .await
    }

    /// The roles of a server, @everyone included.
    pub async fn guild_roles(
        &self,
        guild: GuildId,
        pass: impl Into<Pass>,
    ) -> Result<Vec<GuildRole>, DiscordError> {
        self.get(
            &Endpoint::GetGuildRoles {
                guild_id: guild.get(),
            },
            pass,
        )
        .await
    }

    /// A person in a server; `None` if they are not there.
    pub async fn get_member(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        pass: impl Into<Pass>,
    ) -> Result<Option<Member>, DiscordError> {
        let endpoint = Endpoint::GetMember {
            guild_id: guild.get(),
            user_id: user.get(),
        };
        match self.get::<RawMember>(&endpoint, pass).await {
            Ok(member) => Ok(Some(member.into_member(user))),
            Err(error) if error.class() == ErrorClass::NotInGuild => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bot itself in a server; `None` if it was not invited.
    pub async fn current_member(&self, guild: GuildId, lane: Lane) -> Result<Option<Member>, DiscordError> {
        let own = async || self.current_user(lane).await.map(|user| user.id);
        let own_id = *self.own_id.get_or_try_init(own).await?;
        self.get_member(guild, own_id, lane).await
    }

    /// A page of at most `limit` (1 to 1000) people, in order of their ids, from the first one above `after`.
    ///
    /// Needs the Server Members intent. A page shorter than `limit` is the last.
    pub async fn list_members(
        &self,
        guild: GuildId,
        after: Option<DiscordUserId>,
        limit: u16,
        pass: impl Into<Pass>,
    ) -> Result<Vec<Member>, DiscordError> {
        let endpoint = Endpoint::GetGuildMembers {
            after: after.map(DiscordUserId::get),
            guild_id: guild.get(),
            limit: Some(limit.clamp(1, LARGEST_PAGE)),
        };
        let page: Vec<RawMember> = self.get(&endpoint, pass).await?;
        Ok(page.into_iter().filter_map(RawMember::into_listed).collect())
    }

    /// Adds a person to a server with the token of their `guilds.join` consent, and with roles if they are new.
    pub async fn add_member(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        access_token: &SecretString,
        roles: &[RoleId],
        pass: impl Into<Pass>,
    ) -> Result<Joined, DiscordError> {
        let endpoint = Endpoint::AddGuildMember {
            guild_id: guild.get(),
            user_id: user.get(),
        };
        let body = AddMember {
            access_token: access_token.expose_secret(),
            roles,
        };
        let success = self
            .send_built(Request::builder(&endpoint).json(&body), pass)
            .await?;
        if success.status == 204 {
            return Ok(Joined::AlreadyThere);
        }
        success
            .json::<RawMember>()
            .map(|member| Joined::Created(member.into_member(user)))
    }

    /// Gives a role. A person who has it already keeps it.
    pub async fn add_role(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        role: RoleId,
        reason: &str,
        pass: impl Into<Pass>,
    ) -> Result<(), DiscordError> {
        let endpoint = Endpoint::AddMemberRole {
            guild_id: guild.get(),
            role_id: role.get(),
            user_id: user.get(),
        };
        self.change(&endpoint, reason, pass).await
    }

    /// Takes a role. A person who does not have it stays without.
    pub async fn remove_role(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        role: RoleId,
        reason: &str,
        pass: impl Into<Pass>,
    ) -> Result<(), DiscordError> {
        let endpoint = Endpoint::RemoveMemberRole {
            guild_id: guild.get(),
            role_id: role.get(),
            user_id: user.get(),
        };
        self.change(&endpoint, reason, pass).await
    }

    /// Removes a person from a server. They may come back by an invite.
    pub async fn remove_member(
        &self,
        guild: GuildId,
        user: DiscordUserId,
        reason: &str,
        pass: impl Into<Pass>,
    ) -> Result<(), DiscordError> {
        let endpoint = Endpoint::RemoveMember {
            guild_id: guild.get(),
            user_id: user.get(),
        };
        self.change(&endpoint, reason, pass).await
    }

    /// Sends any request that twilight-http can describe, through the limiter.
    pub async fn send(&self, request: &Request, pass: impl Into<Pass>) -> Result<Success, DiscordError> {
        let pass = pass.into();
        let method = request.method().name();
        let route = Route::new(method, request.path());
        let mut builder = self
            .http
            .request(method_of(request), format!("{}/{}", self.base, request.path()))
            .headers(request.headers().cloned().unwrap_or_default());
        if request.use_authorization_token() {
            builder = builder.header(AUTHORIZATION, self.authorization.clone());
        }
        if let Some(body) = request.body() {
            builder = builder
                .header(CONTENT_TYPE, "application/json")
                .body(body.to_vec());
        } else if let Some(form) = request.form() {
            builder = builder
                .header(CONTENT_TYPE, form.content_type())
                .body(form.clone().build());
        } else if method != "GET" {
            // Without it the edge answers a PUT with 411.
            builder = builder.header(CONTENT_LENGTH, "0");
        }
        let permit = self.limiter.acquire(&route, pass.lane).await?;
        // Only now: the wait may have been long.
        let token_refused = request.use_authorization_token() && self.token.is_refused();
        if (token_refused && !pass.despite_refusal) || !pass.go_through() {
            permit.cancel();
            return Err(DiscordError::CalledOff {
                call: route.to_string(),
            });
        }
        self.exchange(builder, &route, permit).await
    }

    async fn exchange(
        &self,
        builder: reqwest::RequestBuilder,
        route: &Route,
        permit: Permit,
    ) -> Result<Success, DiscordError> {
        let call = route.to_string();
        let no_answer = |source: reqwest::Error| DiscordError::NoAnswer {
            call: call.clone(),
            source: source.without_url(),
        };
        let response = match builder.send().await {
            Ok(response) => response,
            Err(source) => {
                // Any other failure leaves open whether Discord counted the request.
                if source.is_connect() {
                    permit.cancel();
                }
                return Err(no_answer(source));
            }
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // Of these the body has to be known before the next one in line is let go.
        if matches!(status, 401 | 429) {
            let body = http::body(response).await.ok().flatten().unwrap_or_default();
            let answer = Answer::new(status, &headers, &body);
            let error = match answer.limited() {
                Some(limited) => rate_limited(call, limited),
                None => DiscordError::from_answer(call, status, &body),
            };
            if error.class() == ErrorClass::TokenInvalid {
                self.token.refuse();
            }
            permit.complete(&answer);
            return Err(error);
        }
        permit.complete(&Answer::new(status, &headers, b""));
        let body = http::body(response).await.map_err(no_answer)?;
        match body {
            Some(body) if (200..300).contains(&status) => Ok(Success { status, body, call }),
            None if (200..300).contains(&status) => Err(DiscordError::Decode {
                call,
                source: http::too_long(),
            }),
            refusal => Err(DiscordError::from_answer(
                call,
                status,
                &refusal.unwrap_or_default(),
            )),
        }
    }

    async fn get<T: DeserializeOwned>(
        &self,
        endpoint: &Endpoint<'_>,
        pass: impl Into<Pass>,
    ) -> Result<T, DiscordError> {
        self.send_built(Request::builder(endpoint), pass).await?.json()
    }

    async fn change(
        &self,
        endpoint: &Endpoint<'_>,
        reason: &str,
        pass: impl Into<Pass>,
    ) -> Result<(), DiscordError> {
        // Percent-encoded text is always a good header value; without one the change would still be right.
        let reason = HeaderValue::from_str(&reason::header_value(reason))
            .ok()
            .filter(|value| !value.is_empty());
        let headers: HeaderMap = reason
            .map(|reason| (AUDIT_LOG_REASON, reason))
            .into_iter()
            .collect();
        let headers = headers
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value)));
        self.send_built(Request::builder(endpoint).headers(headers), pass)
            .await
            .map(drop)
    }

    async fn send_built(
        &self,
        builder: RequestBuilder,
        pass: impl Into<Pass>,
    ) -> Result<Success, DiscordError> {
        let request = builder.build().map_err(unbuilt)?;
        self.send(&request, pass).await
    }
}

impl Success {
    /// The body as `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, DiscordError> {
        serde_json::from_slice(&self.body).map_err(|source| DiscordError::Decode {
            call: self.call.clone(),
            source,
        })
    }
}

fn unbuilt(source: twilight_http::Error) -> DiscordError {
    DiscordError::Request {
        call: "a request".to_owned(),
        source,
    }
}

fn rate_limited(call: String, limited: Limited) -> DiscordError {
    tracing::warn!(route = %call, ?limited, "Discord refused a request over its rate limit");
    DiscordError::RateLimited { call, limited }
}

fn method_of(request: &Request) -> reqwest::Method {
    match request.method() {
        twilight_http::request::Method::Delete => reqwest::Method::DELETE,
        twilight_http::request::Method::Patch => reqwest::Method::PATCH,
        twilight_http::request::Method::Post => reqwest::Method::POST,
        twilight_http::request::Method::Put => reqwest::Method::PUT,
        _ => reqwest::Method::GET,
    }
}
