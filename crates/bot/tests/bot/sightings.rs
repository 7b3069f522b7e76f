//! What the bot sees in Discord and tells the worker.

use rolecall_sandbox::discord::{
    control::{people::PeopleAction, staff::StaffAction},
    demo::{COUNCIL_ROLE, DEBTOR_ROLE, GUILD, STAFF_ROLE},
};

use crate::support::{ADA, Rig, Seen, command, guild, role, user};

#[tokio::test]
async fn a_role_that_staff_takes_is_told_and_what_we_write_ourselves_is_not() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE, DEBTOR_ROLE], &[]))
        .await;
    rig.worker.outcome().await;
    rig.discord.take_role(GUILD, ben, COUNCIL_ROLE).unwrap();
    let Seen::Changed(changed) = rig.worker.person().await else {
        panic!()
    };
    assert_eq!(
        (changed.user_id, changed.roles),
        (user(ben), vec![role(DEBTOR_ROLE)])
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_change_of_other_roles_of_somebody_known_is_not_told() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    rig.discord.give_role(GUILD, ben, STAFF_ROLE).unwrap();
    rig.discord.leave(GUILD, ben).unwrap();
    let Seen::Left(left) = rig.worker.person().await else {
        panic!("the other role was told")
    };
    assert_eq!((left.guild_id, left.user_id), (guild(), user(ben)));
    bot.stop().await;
}

#[tokio::test]
async fn coming_and_accepting_the_rules_are_told() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    rig.discord
        .act(StaffAction::SetScreening {
            guild: GUILD.into(),
            enabled: true,
        })
        .unwrap();
    rig.discord.join(GUILD, ADA).unwrap();
    let Seen::Joined(joined) = rig.worker.person().await else {
        panic!()
    };
    assert!(joined.user_id == user(ADA) && joined.pending);
    rig.discord
        .act(PeopleAction::PassScreening {
            guild: GUILD.into(),
            user: ADA.into(),
        })
        .unwrap();
    let Seen::Changed(changed) = rig.worker.person().await else {
        panic!()
    };
    assert!(changed.user_id == user(ADA) && !changed.pending);
    bot.stop().await;
}

#[tokio::test]
async fn the_server_is_shown_at_the_start_and_after_changes_that_came_together() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    let first = rig.worker.guild().await;
    assert!(first.identified && first.roles.iter().any(|role| role.name == "Council"));
    let made = rig.discord.act(StaffAction::CreateRole {
        guild: GUILD.into(),
        name: "New".to_owned(),
        permissions: 0,
        managed: false,
    });
    let new: u64 = made.unwrap()["id"].as_str().unwrap().parse().unwrap();
    rig.discord
        .act(StaffAction::DeleteRole {
            guild: GUILD.into(),
            role: DEBTOR_ROLE.into(),
        })
        .unwrap();
    let next = rig.worker.guild().await;
    assert!(!next.identified);
    let names: Vec<_> = next.roles.iter().map(|role| role.id.get()).collect();
    assert!(
        names.contains(&new) && !names.contains(&DEBTOR_ROLE),
        "the two changes were told apart"
    );
    bot.stop().await;
}
