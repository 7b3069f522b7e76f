//! What the bot is told to make of somebody's roles.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{DiscordUserId, GuildId, RoleId};
use serde::{Deserialize, Serialize};

use crate::{job::Job, jobs::A_DAY_OF_ATTEMPTS, keys::Queue};

/// Give and take roles until a person in a server looks as told.
///
/// A command is complete: whoever carries out the newest one need not know of earlier ones. Of
/// two commands for the same person in the same server the one with the higher revision wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApplyRoles {
    /// The server.
    pub guild_id: GuildId,
    /// The person.
    pub user_id: DiscordUserId,
    /// Every mapped role that the person should have.
    pub add: Vec<RoleId>,
    /// Every role that we granted and that should go.
    pub remove: Vec<RoleId>,
    /// Grows with every change of what the person should have.
    pub revision: i64,
    /// Who waits for it.
    pub lane: Lane,
    /// What gave cause to it, for Discord's audit log.
    pub reason: String,
    /// The person's sealed OAuth access token, where they may be added to the server.
    #[serde(default)]
    pub join: Option<String>,
    /// Only look, change nothing.
    #[serde(default)]
    pub probe: bool,
    /// Remove the person from the server, because their membership had ended by then; but not if they came into it
    /// since, or should have any role there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kick: Option<DateTime<Utc>>,
}

/// Who waits for a role command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// Somebody looks at the screen.
    Now,
    /// Nobody: it belongs to a sweep.
    Bulk,
}

impl Job for ApplyRoles {
    const KIND: &'static str = "apply_roles";
    const MAX_ATTEMPTS: u32 = A_DAY_OF_ATTEMPTS;
    /// Most of it is waiting for Discord's rate limits.
    const TIMEOUT: Duration = Duration::from_mins(5);
    const QUEUES: &'static [Queue] = &[Queue::RoleCommandsNow, Queue::RoleCommandsBulk];

    fn queue(&self) -> Queue {
        match self.lane {
            Lane::Now => Queue::RoleCommandsNow,
            Lane::Bulk => Queue::RoleCommandsBulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::assert_golden;

    fn command(lane: Lane) -> ApplyRoles {
        ApplyRoles {
            guild_id: GuildId::new(1).unwrap(),
            user_id: DiscordUserId::new(2).unwrap(),
            add: vec![RoleId::new(3).unwrap()],
            remove: vec![RoleId::new(4).unwrap()],
            revision: 5,
            lane,
            reason: "paid".to_owned(),
            join: None,
            probe: false,
            kick: None,
        }
    }

    #[test]
    fn a_role_command_has_its_golden_shape() {
        assert_golden(
            &command(Lane::Now),
            concat!(
                r#"{"guild_id":"1","user_id":"2","add":["3"],"remove":["4"],"revision":5,"#,
                r#""lane":"now","reason":"paid","join":null,"probe":false}"#
            ),
        );
        assert_golden(
            &ApplyRoles {
                join: Some("k1.n.c".to_owned()),
                probe: true,
                ..command(Lane::Bulk)
            },
            concat!(
                r#"{"guild_id":"1","user_id":"2","add":["3"],"remove":["4"],"revision":5,"#,
                r#""lane":"bulk","reason":"paid","join":"k1.n.c","probe":true}"#
            ),
        );
    }

    #[test]
    fn a_command_to_remove_somebody_has_its_golden_shape() {
        assert_golden(
            &ApplyRoles {
                add: vec![],
                kick: Some("2026-11-21T00:00:00.000001Z".parse().unwrap()),
                ..command(Lane::Now)
            },
            concat!(
                r#"{"guild_id":"1","user_id":"2","add":[],"remove":["4"],"revision":5,"lane":"now","#,
                r#""reason":"paid","join":null,"probe":false,"kick":"2026-11-21T00:00:00.000001Z"}"#
            ),
        );
    }

    #[test]
    fn the_lane_decides_the_queue() {
        assert_eq!(command(Lane::Now).queue(), Queue::RoleCommandsNow);
        assert_eq!(command(Lane::Bulk).queue(), Queue::RoleCommandsBulk);
    }
}
