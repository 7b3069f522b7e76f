//! Linked Discord accounts and their sealed OAuth tokens: `discord_accounts`, `discord_tokens`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{DiscordUserId, MemberId};

use crate::{
    Connection, DbError,
    convert::{Snowflake, uuids},
    error::one_row,
};

/// A linked Discord account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscordAccount {
    /// Discord's id of the account.
    pub user_id: DiscordUserId,
    /// Whose it is.
    pub member_id: MemberId,
    /// Discord's user name, for people to read.
    pub username: String,
}

/// OAuth tokens as they are kept: sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedTokens {
    /// The sealed access token.
    pub access_sealed: String,
    /// The sealed refresh token.
    pub refresh_sealed: String,
    /// When the access token ends.
    pub expires_at: DateTime<Utc>,
    /// The scopes, separated by spaces.
    pub scopes: String,
}

/// Links an account.
///
/// Fails on `discord_accounts_pkey` if the account belongs to somebody, and on
/// `discord_accounts_member_id_key` if the person already has one.
pub async fn insert_account(
    conn: &mut Connection,
    account: &DiscordAccount,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO discord_accounts (user_id, member_id, username, linked_at) VALUES ($1, $2, $3, $4)",
        account.user_id.to_sql(),
        account.member_id.as_uuid(),
        account.username,
        now,
    )
    .execute(conn)
    .await?;
    one_row("discord_accounts", &done)
}

/// Takes over a changed user name.
pub async fn set_username(
    conn: &mut Connection,
    user_id: DiscordUserId,
    username: &str,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "UPDATE discord_accounts SET username = $2 WHERE user_id = $1",
        user_id.to_sql(),
        username
    )
    .execute(conn)
    .await?;
    one_row("discord_accounts", &done)
}

/// The account with this Discord id.
pub async fn find_account(
    conn: &mut Connection,
    user_id: DiscordUserId,
) -> Result<Option<DiscordAccount>, DbError> {
    let row = sqlx::query!(
        "SELECT user_id, member_id, username FROM discord_accounts WHERE user_id = $1",
        user_id.to_sql()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| account(row.user_id, row.member_id, row.username))
        .transpose()
}

/// The account of this person.
pub async fn find_account_of(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Option<DiscordAccount>, DbError> {
    let row = sqlx::query!(
        "SELECT user_id, member_id, username FROM discord_accounts WHERE member_id = $1",
        member_id.as_uuid()
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| account(row.user_id, row.member_id, row.username))
        .transpose()
}

/// The accounts of several people.
pub async fn list_accounts_of(
    conn: &mut Connection,
    members: &[MemberId],
) -> Result<Vec<DiscordAccount>, DbError> {
    let rows = sqlx::query!(
        "SELECT user_id, member_id, username FROM discord_accounts WHERE member_id = ANY($1)",
        &uuids(members)
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| account(row.user_id, row.member_id, row.username))
        .collect()
}

fn account(user_id: i64, member_id: uuid::Uuid, username: String) -> Result<DiscordAccount, DbError> {
    Ok(DiscordAccount {
        user_id: DiscordUserId::from_sql("discord_accounts", "user_id", user_id)?,
        member_id: MemberId::from_uuid(member_id),
        username,
    })
}

/// Keeps the newest tokens of a person.
pub async fn upsert_tokens(
    conn: &mut Connection,
    member_id: MemberId,
    tokens: &SealedTokens,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO discord_tokens (member_id, access_sealed, refresh_sealed, expires_at, scopes)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (member_id) DO UPDATE
         SET access_sealed = excluded.access_sealed, refresh_sealed = excluded.refresh_sealed,
             expires_at = excluded.expires_at, scopes = excluded.scopes",
        member_id.as_uuid(),
        tokens.access_sealed,
        tokens.refresh_sealed,
        tokens.expires_at,
        tokens.scopes,
    )
    .execute(conn)
    .await?;
    one_row("discord_tokens", &done)
}

/// The tokens of a person.
pub async fn find_tokens(
    conn: &mut Connection,
    member_id: MemberId,
) -> Result<Option<SealedTokens>, DbError> {
    Ok(sqlx::query_as!(
        SealedTokens,
        "SELECT access_sealed, refresh_sealed, expires_at, scopes FROM discord_tokens WHERE member_id = $1",
        member_id.as_uuid()
    )
    .fetch_optional(conn)
    .await?)
}
