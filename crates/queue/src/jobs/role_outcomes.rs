//! What became of a role command.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use serde::{Deserialize, Serialize};

use crate::{job::Job, jobs::A_DAY_OF_ATTEMPTS, keys::Queue};

/// The report on one role command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleOutcome {
    /// The server.
    pub guild_id: GuildId,
    /// The person.
    pub user_id: DiscordUserId,
    /// The revision of the command that was carried out.
    pub revision: i64,
    /// The fencing token of the bot's lease: a report with a lower one than the last is stale.
    pub fence: u64,
    /// When the bot looked for the last time.
    pub at: DateTime<Utc>,
    /// What became of it.
    pub result: RoleResult,
}

/// What became of a role command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum RoleResult {
    /// Done, and read back.
    Applied {
        /// All roles seen on the person when read back.
        roles: Vec<RoleId>,
        /// Wanted roles that were there before we wrote for the first time.
        already: Vec<RoleId>,
        /// Whether we added the person to the server.
        joined: bool,
        /// Whether they have yet to accept the server's rules.
        pending: bool,
    },
    /// The person is not in the server.
    NotInGuild {
        /// Because we have just removed them.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        kicked: bool,
    },
    /// The server's set-up stands in the way; trying again will not help.
    Blocked {
        /// Discord's error code.
        code: i64,
        /// The roles it is about.
        roles: Vec<RoleId>,
        /// What Discord said.
        message: String,
    },
    /// Given up after all attempts.
    Failed {
        /// What went wrong last.
        message: String,
    },
}

impl Job for RoleOutcome {
    const KIND: &'static str = "role_outcome";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    const TIMEOUT: Duration = Duration::from_secs(30);
    const QUEUES: &'static [Queue] = &[Queue::RoleOutcomes];

    fn queue(&self) -> Queue {
        Queue::RoleOutcomes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::assert_golden;

    #[track_caller]
    fn check(result: RoleResult, golden: &str) {
        let outcome = RoleOutcome {
            guild_id: GuildId::new(1).unwrap(),
            user_id: DiscordUserId::new(2).unwrap(),
            revision: 5,
            fence: 1_795_000_000_000,
            at: "2026-11-21T00:00:00.000001Z".parse().unwrap(),
            result,
        };
        let head = concat!(
            r#"{"guild_id":"1","user_id":"2","revision":5,"fence":1795000000000,"#,
            r#""at":"2026-11-21T00:00:00.000001Z","result":"#
        );
        assert_golden(&outcome, &format!("{head}{golden}}}"));
    }

    #[test]
    fn every_outcome_has_its_golden_shape() {
        let role = RoleId::new(3).unwrap();
        check(
            RoleResult::Applied {
                roles: vec![role],
                already: vec![],
                joined: true,
                pending: false,
            },
            r#"{"status":"applied","roles":["3"],"already":[],"joined":true,"pending":false}"#,
        );
        check(
            RoleResult::NotInGuild { kicked: false },
            r#"{"status":"not_in_guild"}"#,
        );
        check(
            RoleResult::NotInGuild { kicked: true },
            r#"{"status":"not_in_guild","kicked":true}"#,
        );
        check(
            RoleResult::Blocked {
                code: 50013,
                roles: vec![role],
                message: "Missing Permissions".to_owned(),
            },
            r#"{"status":"blocked","code":50013,"roles":["3"],"message":"Missing Permissions"}"#,
        );
        check(
            RoleResult::Failed {
                message: "gone".to_owned(),
            },
            r#"{"status":"failed","message":"gone"}"#,
        );
    }
}
