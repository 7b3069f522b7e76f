//! Direct messages: what the bot is told to write to somebody, and what became of it.

use std::time::Duration;

use rolecall_domain::ids::{DiscordUserId, NotificationId};
use serde::{Deserialize, Serialize};

use crate::{job::Job, jobs::A_DAY_OF_ATTEMPTS, keys::Queue};

/// Write to a person by Discord.
///
/// The text travels along, because the bot has no database. The same notification may be sent twice:
/// by its id the bot knows what Discord has taken, and the id makes the nonce by which Discord knows copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendDirectMessage {
    /// The message that is owed.
    pub notification_id: NotificationId,
    /// To whom.
    pub user_id: DiscordUserId,
    /// What it says.
    pub text: String,
}

impl Job for SendDirectMessage {
    const KIND: &'static str = "send_direct_message";
    /// Who owes the message sends the job again.
    const MAX_ATTEMPTS: u32 = 3;
    /// Most of it is waiting for Discord's rate limits.
    const TIMEOUT: Duration = Duration::from_mins(1);
    const QUEUES: &'static [Queue] = &[Queue::RoleCommandsBulk];

    fn queue(&self) -> Queue {
        Queue::RoleCommandsBulk
    }
}

/// The report on a direct message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageOutcome {
    /// The message.
    pub notification_id: NotificationId,
    /// What became of it.
    pub result: MessageResult,
}

/// What became of a direct message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum MessageResult {
    /// Discord took it.
    Sent,
    /// The person does not take messages of the bot; trying again will not help.
    Refused {
        /// Discord's error code.
        code: i64,
        /// What Discord said.
        message: String,
    },
    /// It did not leave this time.
    Failed {
        /// What went wrong.
        message: String,
    },
}

impl Job for MessageOutcome {
    const KIND: &'static str = "message_outcome";
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

    const ID: &str = "0191e3a0-0000-7000-8000-000000000001";

    #[test]
    fn a_direct_message_has_its_golden_shape() {
        let job = SendDirectMessage {
            notification_id: ID.parse().unwrap(),
            user_id: DiscordUserId::new(2).unwrap(),
            text: "Hello".to_owned(),
        };
        assert_golden(
            &job,
            &format!(r#"{{"notification_id":"{ID}","user_id":"2","text":"Hello"}}"#),
        );
    }

    #[test]
    fn every_outcome_has_its_golden_shape() {
        let refused = MessageResult::Refused {
            code: 50007,
            message: "no".to_owned(),
        };
        let failed = MessageResult::Failed {
            message: "no".to_owned(),
        };
        for (result, golden) in [
            (MessageResult::Sent, r#"{"status":"sent"}"#),
            (refused, r#"{"status":"refused","code":50007,"message":"no"}"#),
            (failed, r#"{"status":"failed","message":"no"}"#),
        ] {
            let outcome = MessageOutcome {
                notification_id: ID.parse().unwrap(),
                result,
            };
            assert_golden(
                &outcome,
                &format!(r#"{{"notification_id":"{ID}","result":{golden}}}"#),
            );
        }
    }
}
