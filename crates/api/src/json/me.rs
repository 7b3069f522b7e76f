//! `/api/v1/me`: who one is, the roles one has and why, and where one is signed in.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use rolecall_db::{
    member_guilds::MemberGuild, member_roles::MemberRole, sessions, subscriptions::StoredSubscription,
};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{DiscordUserId, GuildId, MemberId, RoleId, SessionId, StripeSubscriptionId},
    roles::Reason,
    standing::Standing,
};
use serde::Serialize;

use crate::{
    account::{Account, fix_roles::fix_roles},
    error::ApiError,
    http::context::{NewCookies, Trace},
    json::{List, uncached as json},
    session::{SignedIn, cookies, routes::end_sessions},
    state::State,
};

#[derive(Serialize)]
struct Me {
    id: MemberId,
    display_name: String,
    email: Option<String>,
    discord: Option<Discord>,
    standing: Option<&'static str>,
    roles: Vec<HeldRole>,
    subscriptions: Vec<Subscription>,
    companies: [(); 0],
}

#[derive(Serialize)]
struct Discord {
    user_id: DiscordUserId,
    username: String,
}

#[derive(Serialize)]
struct HeldRole {
    guild: GuildId,
    role: RoleId,
    reasons: BTreeSet<Reason>,
    state: &'static str,
}

/// A subscription as its owner and staff see it.
#[derive(Serialize)]
pub(crate) struct Subscription {
    id: StripeSubscriptionId,
    plan: Option<PlanSlug>,
    status: String,
    standing: &'static str,
    quantity: i64,
    current_period_end: Option<DateTime<Utc>>,
    cancel_at_period_end: bool,
    grace_until: Option<DateTime<Utc>>,
}

impl From<StoredSubscription> for Subscription {
    fn from(stored: StoredSubscription) -> Self {
        Self {
            id: stored.facts.id,
            plan: stored.facts.plan,
            status: stored.facts.status.to_string(),
            standing: stored.standing.name(),
            quantity: stored.quantity,
            current_period_end: stored.current_period_end,
            cancel_at_period_end: stored.cancel_at_period_end,
            grace_until: stored.standing.grace_until(),
        }
    }
}

impl From<Account> for Me {
    fn from(account: Account) -> Self {
        Self {
            id: account.member.id,
            display_name: account.member.display_name,
            email: account.member.email,
            discord: account.discord.map(|discord| Discord {
                user_id: discord.user_id,
                username: discord.username,
            }),
            standing: account.standing.map(Standing::name),
            roles: account
                .guilds
                .into_iter()
                .flat_map(|(guild, roles)| desired(&guild, roles))
                .collect(),
            subscriptions: account
                .subscriptions
                .into_iter()
                .map(Subscription::from)
                .collect(),
            companies: [],
        }
    }
}

/// The roles one should have; each is in sync by itself, or waits for what its server waits for.
fn desired(guild: &MemberGuild, roles: Vec<MemberRole>) -> impl Iterator<Item = HeldRole> + use<> {
    let (guild, state) = (guild.guild_id, guild.state.as_str());
    roles
        .into_iter()
        .filter(|role| role.desired)
        .map(move |role| HeldRole {
            guild,
            role: role.role_id,
            state: if role.is_in_sync() { "in_sync" } else { state },
            reasons: role.reasons,
        })
}

/// `GET /api/v1/me`.
pub(crate) async fn get_me(signed_in: SignedIn, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    let account = Account::load(&mut tx, signed_in.member_id, now)
        .await?
        .ok_or(ApiError::SessionEnded)?;
    tx.commit().await?;
    Ok(json(&Me::from(account)))
}

/// `POST /api/v1/me/fix-roles`.
pub(crate) async fn post_fix_roles(
    signed_in: SignedIn,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    fix_roles(&state, &trace, signed_in).await?;
    Ok(HttpResponse::Accepted().finish())
}

#[derive(Serialize)]
struct Session {
    id: SessionId,
    user_agent: String,
    created_at: DateTime<Utc>,
    last_used_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
    current: bool,
}

/// `GET /api/v1/me/sessions`.
pub(crate) async fn get_sessions(
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    let sessions = sessions::list_sessions(&mut tx, signed_in.member_id, now).await?;
    tx.commit().await?;
    let sessions = sessions.into_iter().map(|session| Session {
        current: session.id == signed_in.session_id,
        id: session.id,
        user_agent: session.user_agent,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    });
    Ok(json(&List::whole(sessions)))
}

/// `DELETE /api/v1/me/sessions`: signs out everywhere.
pub(crate) async fn delete_sessions(
    request: HttpRequest,
    signed_in: SignedIn,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, state.now()).await?;
    tx.commit().await?;
    end_sessions(&state, signed_in, true).await?;
    NewCookies::add(&request, cookies::cleared(&state.site));
    Ok(HttpResponse::NoContent().finish())
}
