//! `/api/v1/admin/members`: people found, looked at as a whole, and brought up to date.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    discord_accounts::find_account_of,
    grants::{GrantRow, GrantSelection, list_grant_rows},
    member_records::{MemberRecord, load_member_record, load_member_records},
    members::{FoundMember, Member, find_direct_messages, find_member, search_members, set_converge_due},
    notifications::{NotificationLine, list_notifications_of},
    purchases::StoredPurchase,
    subscriptions::list_subscriptions_of,
    why::{Why, find_why},
};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{AuditId, DiscordUserId, GuildId, MemberId, RoleId, StripeCheckoutSessionId},
    roles::Reason,
    standing::Standing,
    trigger::Trigger,
};
use serde::{Deserialize, Serialize};

use crate::{
    error::ApiError,
    hints,
    http::context::Trace,
    json::{
        List,
        admin::{actor, json, require_staff},
        me::Subscription,
        paging::Paging,
    },
    session::SignedIn,
    state::State,
};

/// So many grants and messages stand with a person; their own lists have all.
const NEWEST: i64 = 50;

/// Who is meant.
#[derive(Debug, Deserialize)]
pub(crate) struct Search {
    query: Option<String>,
    cursor: Option<String>,
    limit: Option<i64>,
}

#[derive(Serialize)]
struct Person {
    id: MemberId,
    display_name: String,
    email: Option<String>,
    discord: Option<Discord>,
    standing: Option<&'static str>,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct Discord {
    user_id: DiscordUserId,
    username: String,
}

impl Person {
    fn new(member: Member, discord: Option<Discord>, record: &MemberRecord, now: DateTime<Utc>) -> Self {
        Self {
            id: member.id,
            display_name: member.display_name,
            email: member.email,
            discord,
            standing: record.last_facts().standing(now).map(Standing::name),
            created_at: member.created_at,
        }
    }
}

#[derive(Serialize)]
struct Whole {
    #[serde(flatten)]
    person: Person,
    direct_messages: bool,
    subscriptions: Vec<Subscription>,
    purchases: Vec<Purchase>,
    grants: Vec<GrantRow>,
    roles: Vec<HeldRole>,
    messages: Vec<NotificationLine>,
}

#[derive(Serialize)]
struct Purchase {
    id: StripeCheckoutSessionId,
    plan: Option<PlanSlug>,
    paid: bool,
    amount: i64,
    currency: String,
    bought_at: DateTime<Utc>,
    standing: &'static str,
    grace_until: Option<DateTime<Utc>>,
}

impl From<StoredPurchase> for Purchase {
    fn from(stored: StoredPurchase) -> Self {
        Self {
            id: stored.id,
            plan: stored.plan,
            paid: stored.paid,
            amount: stored.amount,
            currency: stored.currency,
            bought_at: stored.bought_at,
            standing: stored.standing.name(),
            grace_until: stored.standing.grace_until(),
        }
    }
}

#[derive(Serialize)]
struct HeldRole {
    guild: GuildId,
    role: RoleId,
    desired: bool,
    observed: Option<bool>,
    reasons: BTreeSet<Reason>,
    /// How the person stands in that server.
    state: &'static str,
}

/// `GET /api/v1/admin/members?query=&cursor=&limit=`: by id, Discord id, name or the beginning of an address; the
/// newest first.
pub(crate) async fn get_members(
    signed_in: SignedIn,
    search: web::Query<Search>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (now, search) = (state.now(), search.into_inner());
    let paging = Paging::new(search.cursor, search.limit);
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let wanted = search.query.unwrap_or_default();
    let found = search_members(&mut tx, &wanted, paging.after()?, paging.rows()?).await?;
    let page: List<FoundMember> = paging.list(found, |found| found.member.id.to_string())?;
    let ids: Vec<MemberId> = page.data.iter().map(|found| found.member.id).collect();
    let records = load_member_records(&mut tx, &ids).await?;
    tx.commit().await?;
    let nothing = MemberRecord::default();
    let people = page.data.into_iter().map(|found| {
        let record = records.get(&found.member.id).unwrap_or(&nothing);
        let discord = found
            .discord
            .map(|(user_id, username)| Discord { user_id, username });
        Person::new(found.member, discord, record, now)
    });
    Ok(json(&List {
        data: people.collect(),
        next_cursor: page.next_cursor,
    }))
}

/// `GET /api/v1/admin/members/{member_id}`: everything about one person.
pub(crate) async fn get_member(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (now, id) = (state.now(), member_id.into_inner());
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    let member = find_member(&mut tx, id).await?.ok_or(ApiError::NotFound)?;
    let account = find_account_of(&mut tx, id).await?;
    let record = load_member_record(&mut tx, id).await?;
    let theirs = GrantSelection {
        member_id: Some(id),
        ..GrantSelection::default()
    };
    let grants = list_grant_rows(&mut tx, theirs, None, NEWEST, now).await?;
    let why = find_why(&mut tx, id, now).await?.ok_or(ApiError::NotFound)?;
    let messages = list_notifications_of(&mut tx, id, None, NEWEST).await?;
    let direct_messages = find_direct_messages(&mut tx, id).await?.unwrap_or_default();
    tx.commit().await?;
    let discord = account.map(|account| Discord {
        user_id: account.user_id,
        username: account.username,
    });
    Ok(json(&Whole {
        person: Person::new(member, discord, &record, now),
        direct_messages,
        subscriptions: record.subscriptions.into_iter().map(Subscription::from).collect(),
        purchases: record.purchases.into_iter().map(Purchase::from).collect(),
        grants,
        roles: roles(why),
        messages,
    }))
}

fn roles(why: Why) -> Vec<HeldRole> {
    let of_guild = |guild: rolecall_db::why::WhyGuild| {
        let (id, state) = (guild.guild, guild.state);
        guild.roles.into_iter().map(move |role| HeldRole {
            guild: id,
            role: role.role,
            desired: role.desired,
            observed: role.observed,
            reasons: role.reasons,
            state,
        })
    };
    why.guilds.into_iter().flat_map(of_guild).collect()
}

#[derive(Serialize)]
struct Syncing {
    /// How many subscriptions are read from Stripe again.
    subscriptions: usize,
}

/// `POST /api/v1/admin/members/{member_id}/sync`: their subscriptions are read from Stripe again, and their roles
/// compared with Discord.
pub(crate) async fn post_sync(
    signed_in: SignedIn,
    member_id: web::Path<MemberId>,
    trace: Trace,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (now, member_id) = (state.now(), member_id.into_inner());
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, now).await?;
    find_member(&mut tx, member_id).await?.ok_or(ApiError::NotFound)?;
    let subscriptions = list_subscriptions_of(&mut tx, member_id).await?;
    set_converge_due(&mut tx, member_id, Trigger::Staff, now).await?;
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &actor(signed_in),
        action: "member.sync",
        member_id: Some(member_id),
        subject: &member_id.to_string(),
        detail: serde_json::json!({ "subscriptions": subscriptions.len() }),
    };
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    let count = subscriptions.len();
    for stored in subscriptions {
        hints::sync_subscription(&state, &trace, stored.facts.id).await?;
    }
    hints::converge_member(&state, &trace, member_id, Trigger::Staff).await;
    Ok(HttpResponse::Accepted().json(Syncing { subscriptions: count }))
}
