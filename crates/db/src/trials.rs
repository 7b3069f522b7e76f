//! Trials that our Checkout gave, and who has used one: `trials`, `used_trials`.

use chrono::{DateTime, Utc};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{DiscordUserId, MemberId, StripeSubscriptionId},
};

use crate::{
    Connection, DbError,
    convert::{Snowflake, parse},
    error::one_row,
};

/// What is known of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialState {
    /// Nobody has looked yet whether it is the first.
    Unchecked,
    /// It is not; Stripe has still to be told that it ends.
    Refused,
    /// It is the first one, or nothing is left to be ended.
    Kept,
    /// It was ended at once.
    Ended,
}

impl TrialState {
    /// The word for it in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Refused => "refused",
            Self::Kept => "kept",
            Self::Ended => "ended",
        }
    }

    /// Whether something is still to be done.
    pub const fn is_due(self) -> bool {
        matches!(self, Self::Unchecked | Self::Refused)
    }
}

/// A trial that our Checkout gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The subscription that began with it.
    pub subscription: StripeSubscriptionId,
    /// What is tried.
    pub plan: PlanSlug,
    /// Who tries it.
    pub member_id: MemberId,
    /// Their Discord account at that time.
    pub discord_user_id: Option<DiscordUserId>,
    /// What is known of it.
    pub state: TrialState,
    /// How often Stripe has said no, or that it failed: a part of the key by which it is asked to end the trial.
    pub attempts: i32,
}

/// Who, or what, uses a trial: each has one of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A person.
    Member(MemberId),
    /// A Discord account, whoever's it is at the time.
    Discord(DiscordUserId),
    /// A card, by Stripe's fingerprint of its number. Only a hash of that is stored.
    Card(String),
}

impl Holder {
    /// The word for its kind in SQL.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Member(_) => "member",
            Self::Discord(_) => "discord",
            Self::Card(_) => "card",
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Member(id) => id.to_string(),
            Self::Discord(id) => id.get().to_string(),
            Self::Card(fingerprint) => fingerprint.clone(),
        }
    }
}

/// Keeps a trial, to be looked at by `due_at`. One that is known stays as it is.
pub async fn insert_trial(
    conn: &mut Connection,
    trial: &Trial,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO trials (subscription_id, plan_slug, member_id, discord_user_id, state, due_at, attempts,
                             created_at)
         VALUES ($1, $2, $3, $4, 'unchecked', $5, 0, $6)
         ON CONFLICT (subscription_id) DO NOTHING",
        trial.subscription.as_str(),
        trial.plan.as_str(),
        trial.member_id.as_uuid(),
        trial.discord_user_id.map(Snowflake::to_sql),
        due_at,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The trial that a subscription began with.
pub async fn find_trial(
    conn: &mut Connection,
    subscription: &StripeSubscriptionId,
) -> Result<Option<Trial>, DbError> {
    let row = sqlx::query!(
        "SELECT plan_slug, member_id, discord_user_id, state, attempts FROM trials WHERE subscription_id = $1",
        subscription.as_str()
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let table = "trials";
    let states = [
        TrialState::Unchecked,
        TrialState::Refused,
        TrialState::Kept,
        TrialState::Ended,
    ];
    let state = states.into_iter().find(|state| state.as_str() == row.state);
    Ok(Some(Trial {
        subscription: subscription.clone(),
        plan: parse(table, "plan_slug", &row.plan_slug)?,
        member_id: MemberId::from_uuid(row.member_id),
        discord_user_id: row
            .discord_user_id
            .map(|id| DiscordUserId::from_sql(table, "discord_user_id", id))
            .transpose()?,
        state: state.ok_or(DbError::Corrupt {
            table,
            column: "state",
            detail: row.state,
        })?,
        attempts: row.attempts,
    }))
}

/// Notes what became of a trial. One that is refused is due until it has ended.
pub async fn set_trial_state(
    conn: &mut Connection,
    subscription: &StripeSubscriptionId,
    state: TrialState,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE trials
         SET state = $2, due_at = CASE WHEN $3 THEN coalesce(due_at, $4) END,
             settled_at = CASE WHEN $3 THEN NULL ELSE $4 END, last_error = NULL
         WHERE subscription_id = $1",
        subscription.as_str(),
        state.as_str(),
        state.is_due(),
        now,
    )
    .execute(conn)
    .await?;
    one_row("trials", &done)
}

/// Leaves a trial for `due_at`, after so many `attempts`. The number never shrinks: others may be further.
pub async fn defer_trial(
    conn: &mut Connection,
    subscription: &StripeSubscriptionId,
    attempts: i32,
    due_at: DateTime<Utc>,
    error: &str,
) -> Result<(), DbError> {
    sqlx::query!(
        "UPDATE trials SET due_at = $2, attempts = greatest(attempts, $4), last_error = $3
         WHERE subscription_id = $1 AND due_at IS NOT NULL",
        subscription.as_str(),
        due_at,
        error,
        attempts,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Trials that somebody should have looked at by `now`.
pub async fn list_due_trials(
    conn: &mut Connection,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<StripeSubscriptionId>, DbError> {
    let rows = sqlx::query_scalar!(
        "SELECT subscription_id FROM trials WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
        now,
        limit
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|id| parse("trials", "subscription_id", id))
        .collect()
}

/// Notes that `holder` uses the trial of `plan` with `subscription`, unless it has used it before.
/// Returns whether it is this subscription that it uses it with. Of several at the same time one wins.
pub async fn use_trial(
    conn: &mut Connection,
    plan: &PlanSlug,
    holder: &Holder,
    subscription: &StripeSubscriptionId,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let used_with = sqlx::query_scalar!(
        "INSERT INTO used_trials AS u (plan_slug, holder_kind, holder, subscription_id, used_at)
         VALUES ($1, $2, CASE $2 WHEN 'card' THEN encode(sha256(convert_to($3, 'UTF8')), 'hex') ELSE $3 END,
                 $4, $5)
         ON CONFLICT (plan_slug, holder_kind, holder) DO UPDATE SET used_at = u.used_at
         RETURNING subscription_id",
        plan.as_str(),
        holder.kind(),
        holder.name(),
        subscription.as_str(),
        now,
    )
    .fetch_one(conn)
    .await?;
    Ok(used_with == subscription.as_str())
}

/// The plans whose trial a person has had: they or their Discord account used it, or they subscribed to
/// the plan before, with a trial or without.
pub async fn list_tried_plans(conn: &mut Connection, member_id: MemberId) -> Result<Vec<PlanSlug>, DbError> {
    let rows = sqlx::query_scalar!(
        r#"WITH account AS (SELECT user_id FROM discord_accounts WHERE member_id = $1)
           SELECT plan_slug AS "plan_slug!" FROM used_trials
           WHERE (holder_kind = 'member' AND holder = $1::uuid::text)
              OR (holder_kind = 'discord' AND holder IN (SELECT user_id::text FROM account))
           UNION SELECT plan_slug FROM trials
           WHERE member_id = $1 OR discord_user_id IN (SELECT user_id FROM account)
           UNION SELECT plan_slug FROM subscriptions WHERE member_id = $1 AND plan_slug IS NOT NULL"#,
        member_id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|slug| parse("trials", "plan_slug", slug))
        .collect()
}
