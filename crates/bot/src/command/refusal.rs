//! Roles that could not be written because of how the server is set up, and what mends each.

use rolecall_discord::error::{DiscordError, ErrorClass};
use rolecall_domain::{
    hierarchy::{Fault, Untouchable},
    ids::{GuildId, RoleId},
};
use rolecall_queue::jobs::RoleResult;

use crate::world::World;

const MISSING_PERMISSIONS: i64 = 50_013;
const UNKNOWN_ROLE: i64 = 10_011;
const NO_ACCESS: u64 = 50_001;
const TWO_FACTOR: u64 = 60_003;

/// A write that the server's set-up does not allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    role: Option<RoleId>,
    code: i64,
    message: String,
}

impl Refusal {
    /// A write that was not even tried.
    pub(super) fn foreseen(role: Option<RoleId>, fault: &Fault) -> Self {
        let code = if matches!(fault, Fault::RoleUnknown { .. }) {
            UNKNOWN_ROLE
        } else {
            MISSING_PERMISSIONS
        };
        Self {
            role,
            code,
            message: format!("{fault}. {}", fault.fix()),
        }
    }

    /// A write of a role that Discord refused; `None` if the set-up is not to blame.
    pub(super) fn of_role(
        world: &World,
        guild_id: GuildId,
        role: RoleId,
        error: &DiscordError,
    ) -> Option<Self> {
        let named = || match world.role_name(guild_id, role) {
            Some(name) => format!("the role {name} ({role})"),
            None => format!("the role {role}"),
        };
        let (code, message) = match error.class() {
            ErrorClass::UnknownRole => (UNKNOWN_ROLE, explain(&Fault::RoleUnknown { role })),
            ErrorClass::MissingPermission { code: NO_ACCESS } => (signed(NO_ACCESS), not_in_server(guild_id)),
            ErrorClass::MissingPermission { code: TWO_FACTOR } => (signed(TWO_FACTOR), two_factor()),
            ErrorClass::MissingPermission { code } => match world.fault_of(guild_id, role) {
                Some(fault) => (signed(code), explain(&fault)),
                None => (
                    signed(code),
                    format!(
                        "Discord does not let the bot change {}. In Discord: Server Settings > Roles, drag the bot's \
                         role above it and give the bot's role Manage Roles",
                        named()
                    ),
                ),
            },
            ErrorClass::UnknownGuild => (signed(code_of(error)), not_in_server(guild_id)),
            // What else Discord refuses may concern this person only: no reason to keep the role from everybody.
            _ => return None,
        };
        Some(Self {
            role: Some(role),
            code,
            message,
        })
    }

    /// A person whom Discord did not let us add; `None` if trying again may help.
    pub(super) fn of_join(guild_id: GuildId, error: &DiscordError) -> Option<Self> {
        let message = match error.class() {
            ErrorClass::MissingPermission { code: TWO_FACTOR } => two_factor(),
            ErrorClass::MissingPermission { .. } => explain(&Fault::CreateInviteMissing),
            ErrorClass::GuildLimit => {
                "the person is in as many servers as Discord allows; they have to leave one".to_owned()
            }
            ErrorClass::Banned => {
                "the person is banned from the server; staff has to lift the ban".to_owned()
            }
            ErrorClass::UnknownGuild => not_in_server(guild_id),
            ErrorClass::UnknownRole => "a mapped role was deleted; name another in the plans file".to_owned(),
            ErrorClass::Rejected { message, .. } => {
                format!("Discord does not let the bot add the person: {message}")
            }
            _ => return None,
        };
        Some(Self {
            role: None,
            code: signed(code_of(error)),
            message,
        })
    }

    /// Somebody whom the bot did not even try to remove.
    pub(super) fn untouchable(why: &Untouchable) -> Self {
        Self {
            role: None,
            code: MISSING_PERMISSIONS,
            message: not_removed(why),
        }
    }

    /// Somebody whom Discord said it removed, and who is still there.
    pub(super) fn of_lie() -> Self {
        Self {
            role: None,
            code: 0,
            message: not_removed(&"Discord said that it did, and they are still there"),
        }
    }

    /// Somebody whom Discord did not let us remove; `None` if trying again may help.
    pub(super) fn of_kick(guild_id: GuildId, error: &DiscordError) -> Option<Self> {
        let message = match error.class() {
            ErrorClass::MissingPermission { code: NO_ACCESS } | ErrorClass::UnknownGuild => {
                not_in_server(guild_id)
            }
            ErrorClass::MissingPermission { code: TWO_FACTOR } => not_removed(&two_factor()),
            ErrorClass::MissingPermission { .. } => not_removed(
                &"Discord does not let the bot: they own the server, or have a role that is not below the bot's, or \
                  the bot's role lacks Kick Members",
            ),
            ErrorClass::Rejected { message, .. } => not_removed(&message),
            _ => return None,
        };
        Some(Self {
            role: None,
            code: signed(code_of(error)),
            message,
        })
    }

    /// All of them in one result.
    pub(super) fn result(refusals: &[Self]) -> Option<RoleResult> {
        let mut messages: Vec<&str> = Vec::new();
        for refusal in refusals {
            if !messages.contains(&refusal.message.as_str()) {
                messages.push(&refusal.message);
            }
        }
        Some(RoleResult::Blocked {
            code: refusals.first()?.code,
            roles: refusals.iter().filter_map(|refusal| refusal.role).collect(),
            message: messages.join("; "),
        })
    }
}

fn not_removed(why: &dyn std::fmt::Display) -> String {
    format!("the membership has ended, but the person was not removed from the server: {why}")
}

fn explain(fault: &Fault) -> String {
    format!("{fault}. {}", fault.fix())
}

fn not_in_server(guild_id: GuildId) -> String {
    format!("the bot is not in the server {guild_id}, or cannot see it: invite it")
}

fn two_factor() -> String {
    "the server demands two-factor authentication of staff, and that holds for the bot's owner: they have to switch it \
     on for their own Discord account (User Settings > My Account)"
        .to_owned()
}

fn code_of(error: &DiscordError) -> u64 {
    if let DiscordError::Refused { code, .. } = error {
        *code
    } else {
        0
    }
}

fn signed(code: u64) -> i64 {
    i64::try_from(code).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_refusals_become_one_result_that_says_each_thing_once() {
        let role = |id| RoleId::new(id).unwrap();
        let missing = |id| Refusal::foreseen(Some(role(id)), &Fault::ManageRolesMissing);
        let above = Fault::RoleNotBelow {
            role: role(3),
            name: "Staff".to_owned(),
        };
        let refusals = [missing(1), missing(2), Refusal::foreseen(Some(role(3)), &above)];
        let Some(RoleResult::Blocked { code, roles, message }) = Refusal::result(&refusals) else {
            panic!()
        };
        assert_eq!((code, roles), (50_013, vec![role(1), role(2), role(3)]));
        assert_eq!(message.matches("switch on Manage Roles").count(), 1);
        assert!(message.contains("drag the bot's role above Staff"), "{message}");
        assert_eq!(Refusal::result(&[]), None);
    }
}
