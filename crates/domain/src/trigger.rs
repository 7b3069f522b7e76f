//! Why a person is converged, and what follows from it: how urgent it is, whether they may be added
//! to the server, and whether Discord is asked even if nothing seems to differ.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a person is converged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// They linked their Discord account.
    Linked,
    /// A purchase of theirs was linked to them.
    Checkout,
    /// They pressed "fix my roles".
    FixRoles,
    /// A subscription of theirs was read.
    Subscription,
    /// A payment of theirs was given back, disputed or warned of.
    Payment,
    /// A grant was given or taken back.
    Grant,
    /// They joined the server.
    Joined,
    /// Their roles were changed by somebody else.
    RolesChanged,
    /// A clock ran out: grace, a grant.
    Clock,
    /// Staff asked for it.
    Staff,
    /// Plans or servers were changed.
    Catalog,
    /// A server was mended, or the bot was away from it.
    GuildMended,
    /// A sweep found that it is owed.
    Sweep,
}

impl Trigger {
    const ALL: [Self; 13] = [
        Self::Linked,
        Self::Checkout,
        Self::FixRoles,
        Self::Subscription,
        Self::Payment,
        Self::Grant,
        Self::Joined,
        Self::RolesChanged,
        Self::Clock,
        Self::Staff,
        Self::Catalog,
        Self::GuildMended,
        Self::Sweep,
    ];

    /// The word for it in SQL, JSON and Discord's audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linked => "linked",
            Self::Checkout => "checkout",
            Self::FixRoles => "fix_roles",
            Self::Subscription => "subscription",
            Self::Payment => "payment",
            Self::Grant => "grant",
            Self::Joined => "joined",
            Self::RolesChanged => "roles_changed",
            Self::Clock => "clock",
            Self::Staff => "staff",
            Self::Catalog => "catalog",
            Self::GuildMended => "guild_mended",
            Self::Sweep => "sweep",
        }
    }

    /// The person did something that asks to be in the server: they may be added to it.
    pub const fn wants_join(self) -> bool {
        matches!(self, Self::Linked | Self::FixRoles)
    }

    /// Discord is asked even if what was last seen there is what should be.
    pub const fn is_forced(self) -> bool {
        matches!(
            self,
            Self::FixRoles | Self::Joined | Self::Staff | Self::GuildMended
        )
    }

    /// Nobody is waiting for it: it goes behind what somebody waits for.
    pub const fn is_bulk(self) -> bool {
        matches!(self, Self::Catalog | Self::GuildMended | Self::Sweep)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no trigger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a reason to converge somebody")]
pub struct UnknownTrigger(String);

impl FromStr for Trigger {
    type Err = UnknownTrigger;

    fn from_str(text: &str) -> Result<Self, UnknownTrigger> {
        Self::ALL
            .into_iter()
            .find(|trigger| trigger.as_str() == text)
            .ok_or_else(|| UnknownTrigger(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigger_is_read_as_it_is_written() {
        for trigger in Trigger::ALL {
            assert_eq!(trigger.as_str().parse(), Ok(trigger));
            assert_eq!(serde_json::to_string(&trigger).unwrap(), format!("\"{trigger}\""));
        }
        assert!("whim".parse::<Trigger>().is_err());
    }
}
