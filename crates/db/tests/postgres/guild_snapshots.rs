//! `guild_snapshots`: the newest look at each server.

use rolecall_db::guild_snapshots::{find_guild_snapshot, kick_fault, setup_faults, upsert_guild_snapshot};
use rolecall_domain::{
    hierarchy::{Fault, Permissions},
    ids::GuildId,
};
use rolecall_queue::jobs::{GuildObserved, ObservedRole};

use crate::support::{TestDb, at, guild, role, user};

fn observed(guild_id: GuildId, name: &str) -> GuildObserved {
    GuildObserved {
        guild_id,
        name: name.to_owned(),
        identified: true,
        bot_user_id: user(99),
        bot_permissions: Permissions::MANAGE_ROLES
            .union(Permissions::CREATE_INSTANT_INVITE)
            .bits()
            .to_string(),
        bot_top_position: 5,
        roles: [(1, 4), (2, 6)]
            .map(|(n, position)| ObservedRole {
                id: role(n),
                name: format!("role {n}"),
                position,
                managed: false,
                permissions: "0".to_owned(),
            })
            .to_vec(),
    }
}

#[tokio::test]
async fn the_newest_look_at_a_server_is_kept_whatever_the_order() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    assert!(
        upsert_guild_snapshot(&mut tx, &observed(guild(1), "second"), at(2))
            .await
            .unwrap()
    );
    assert!(
        !upsert_guild_snapshot(&mut tx, &observed(guild(1), "first"), at(1))
            .await
            .unwrap()
    );
    assert!(
        upsert_guild_snapshot(&mut tx, &observed(guild(2), "neighbour"), at(1))
            .await
            .unwrap()
    );
    let stored = find_guild_snapshot(&mut tx, guild(1)).await.unwrap();
    assert_eq!(stored, Some((observed(guild(1), "second"), at(2))));
    assert!(
        upsert_guild_snapshot(&mut tx, &observed(guild(1), "third"), at(3))
            .await
            .unwrap()
    );
    let stored = find_guild_snapshot(&mut tx, guild(1)).await.unwrap();
    assert_eq!(stored, Some((observed(guild(1), "third"), at(3))));
    let stored = find_guild_snapshot(&mut tx, guild(2)).await.unwrap();
    assert_eq!(stored, Some((observed(guild(2), "neighbour"), at(1))));
    assert_eq!(find_guild_snapshot(&mut tx, guild(3)).await.unwrap(), None);
}

#[test]
fn faults_are_found_in_what_was_seen() {
    let mut guild = observed(guild(1), "x");
    let faulty = |guild: &GuildObserved| -> Vec<_> {
        setup_faults(guild, &[role(1), role(2)])
            .iter()
            .map(rolecall_domain::hierarchy::Fault::role)
            .collect()
    };
    assert_eq!(faulty(&guild), [Some(role(2))], "the role above the bot's");
    guild.bot_top_position = 7;
    assert_eq!(faulty(&guild), []);
    guild.bot_permissions = "not a number".to_owned();
    assert!(
        !faulty(&guild).is_empty(),
        "permissions that cannot be read allow nothing"
    );
}

#[test]
fn whether_people_can_be_removed_is_found_in_what_was_seen() {
    let mut guild = observed(guild(1), "x");
    assert_eq!(kick_fault(&guild), Some(Fault::KickMembersMissing));
    guild.bot_permissions = Permissions::KICK_MEMBERS.to_string();
    assert_eq!(kick_fault(&guild), None);
}
