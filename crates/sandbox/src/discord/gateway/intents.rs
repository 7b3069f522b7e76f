//! Intents: which bits exist, which need a switch in the developer portal.

use crate::discord::{config::PrivilegedIntents, gateway::close::CloseCode};

/// Guilds and their roles.
pub(crate) const GUILDS: u64 = 1 << 0;
/// Members joining, leaving, changing. Privileged.
pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
/// Presences. Privileged.
pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
/// Messages in servers.
pub(crate) const GUILD_MESSAGES: u64 = 1 << 9;
/// Direct messages.
pub(crate) const DIRECT_MESSAGES: u64 = 1 << 12;
/// What messages say. Privileged.
pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;

/// Every bit that Discord has given a meaning: 0 to 16, 20, 21, 24, 25.
const KNOWN: u64 = ((1 << 17) - 1) | (1 << 20) | (1 << 21) | (1 << 24) | (1 << 25);

/// Judges the intents of an IDENTIFY.
pub(crate) fn check(intents: u64, enabled: PrivilegedIntents) -> Result<(), CloseCode> {
    if intents & !KNOWN != 0 {
        return Err(CloseCode::InvalidIntents);
    }
    let allowed = [
        (GUILD_MEMBERS, enabled.members),
        (GUILD_PRESENCES, enabled.presences),
        (MESSAGE_CONTENT, enabled.message_content),
    ];
    if allowed
        .iter()
        .any(|(bit, enabled)| intents & bit != 0 && !enabled)
    {
        return Err(CloseCode::DisallowedIntents);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intents_are_judged_as_discord_does() {
        let none = PrivilegedIntents::default();
        let members = PrivilegedIntents {
            members: true,
            ..none
        };
        assert_eq!(check(GUILDS | GUILD_MESSAGES, none), Ok(()));
        assert_eq!(check(GUILDS | GUILD_MEMBERS, members), Ok(()));
        assert_eq!(
            check(GUILDS | GUILD_MEMBERS, none),
            Err(CloseCode::DisallowedIntents)
        );
        assert_eq!(check(GUILD_PRESENCES, members), Err(CloseCode::DisallowedIntents));
        assert_eq!(check(MESSAGE_CONTENT, members), Err(CloseCode::DisallowedIntents));
        assert_eq!(check(1 << 17, members), Err(CloseCode::InvalidIntents));
    }
}
