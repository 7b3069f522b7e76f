//! Who somebody is, kept in one transaction: the person, their Discord account, their sealed
//! tokens, what is owed to them now, and their session.

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_line},
    discord_accounts::{
        DiscordAccount, SealedTokens, find_account, insert_account, set_username, upsert_tokens,
    },
    members::{Member, insert_member, set_converge_due, set_profile},
};
use rolecall_discord::oauth::{OauthScope, OauthUser, Tokens};
use rolecall_domain::{
    ids::{AuditId, MemberId},
    trigger::Trigger,
};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::{
    error::ApiError,
    session::{TokenPair, open::open_session},
    state::State,
};

/// What sealed tokens are bound to: `bot` opens the access token under the same words.
const ACCESS_CONTEXT: &str = "discord.access_token";
const REFRESH_CONTEXT: &str = "discord.refresh_token";

/// Somebody else signed in with the same account at the same moment and was first.
const ACCOUNT_TAKEN: &str = "discord_accounts_pkey";

/// Signs somebody in whom Discord has just named.
pub(crate) async fn sign_in(
    state: &State,
    user: &OauthUser,
    tokens: &Tokens,
    user_agent: &str,
) -> Result<TokenPair, ApiError> {
    match try_sign_in(state, user, tokens, user_agent).await {
        Err(ApiError::Database(error)) if error.constraint() == Some(ACCOUNT_TAKEN) => {
            // Whoever was first has committed, so this time the account is found.
            try_sign_in(state, user, tokens, user_agent).await
        }
        outcome => outcome,
    }
}

async fn try_sign_in(
    state: &State,
    user: &OauthUser,
    tokens: &Tokens,
    user_agent: &str,
) -> Result<TokenPair, ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    let member_id = match find_account(&mut tx, user.id).await? {
        Some(account) => {
            set_profile(
                &mut tx,
                account.member_id,
                user.display_name(),
                user.verified_email(),
            )
            .await?;
            if account.username != user.username {
                set_username(&mut tx, user.id, &user.username).await?;
            }
            account.member_id
        }
        None => add_member(&mut tx, state, user, now).await?,
    };
    upsert_tokens(&mut tx, member_id, &sealed(state, tokens)).await?;
    set_converge_due(&mut tx, member_id, Trigger::Linked, now).await?;
    let pair = open_session(&mut tx, state, member_id, user_agent, now).await?;
    insert_audit_line(&mut tx, &signed_in_line(state, &pair, now)).await?;
    tx.commit().await?;
    Ok(pair)
}

async fn add_member(
    conn: &mut Connection,
    state: &State,
    user: &OauthUser,
    now: DateTime<Utc>,
) -> Result<MemberId, ApiError> {
    let member = Member {
        id: MemberId::generate(now, &*state.rng),
        display_name: user.display_name().to_owned(),
        email: user.verified_email().map(str::to_lowercase),
        created_at: now,
    };
    insert_member(conn, &member).await?;
    let account = DiscordAccount {
        user_id: user.id,
        member_id: member.id,
        username: user.username.clone(),
    };
    insert_account(conn, &account, now).await?;
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &format!("member:{}", member.id),
        action: "discord.linked",
        member_id: Some(member.id),
        subject: &user.id.to_string(),
        detail: json!({}),
    };
    insert_audit_line(conn, &line).await?;
    Ok(member.id)
}

fn signed_in_line(state: &State, pair: &TokenPair, now: DateTime<Utc>) -> AuditLine<'static> {
    let signed_in = pair.signed_in;
    AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: "discord",
        action: "session.opened",
        member_id: Some(signed_in.member_id),
        subject: "session",
        detail: json!({"session_id": signed_in.session_id}),
    }
}

fn sealed(state: &State, tokens: &Tokens) -> SealedTokens {
    let seal = |context, token: &secrecy::SecretString| {
        state
            .sealer
            .seal(&*state.rng, context, token.expose_secret().as_bytes())
    };
    let scopes: Vec<&str> = tokens.scopes.iter().map(OauthScope::as_str).collect();
    SealedTokens {
        access_sealed: seal(ACCESS_CONTEXT, &tokens.access),
        refresh_sealed: seal(REFRESH_CONTEXT, &tokens.refresh),
        expires_at: tokens.expires_at,
        scopes: scopes.join(" "),
    }
}
