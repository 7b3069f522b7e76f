//! Which member is meant: by id, Discord account or address.

use anyhow::bail;
use rolecall_db::{
    Connection,
    discord_accounts::find_account,
    members::{find_member, list_members_with_email},
};
use rolecall_domain::ids::{DiscordUserId, MemberId};

/// The one member that is meant.
pub(crate) async fn find(conn: &mut Connection, who: &str) -> anyhow::Result<MemberId> {
    if let Ok(id) = who.parse::<MemberId>()
        && let Some(member) = find_member(conn, id).await?
    {
        return Ok(member.id);
    }
    if let Ok(user_id) = who.parse::<DiscordUserId>()
        && let Some(account) = find_account(conn, user_id).await?
    {
        return Ok(account.member_id);
    }
    match list_members_with_email(conn, who).await?.as_slice() {
        [] => {
            bail!("nobody is known as {who:?}: expected a member id, a Discord user id or an e-mail address")
        }
        [one] => Ok(*one),
        several => {
            let ids: Vec<String> = several.iter().map(ToString::to_string).collect();
            bail!(
                "{} members have that address; name one of them: {}",
                several.len(),
                ids.join(", ")
            )
        }
    }
}
