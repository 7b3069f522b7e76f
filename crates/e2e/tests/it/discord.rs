//! The server is made to look as it should, and only as far as it is ours.

use rolecall_e2e::{story::ADA, until::until};
use rolecall_sandbox::discord::{
    control::staff::StaffAction,
    demo,
    state::{
        audit::AuditAction,
        permissions::{CREATE_INSTANT_INVITE, EVERYONE, KICK_MEMBERS, MANAGE_ROLES},
    },
};

use crate::support::{AFTER_A_SWEEP, SOON, paying_member, stack, wait_for_why, wait_in_sync};

#[tokio::test]
async fn who_leaves_and_comes_back_has_their_roles_back() {
    let stack = stack("rejoin").await;
    paying_member(&stack).await;
    wait_in_sync(&stack).await;
    stack.discord.leave(demo::GUILD, ADA).unwrap();
    wait_for_why(&stack, "the leave recorded", SOON, |why| {
        why["guilds"][0]["state"] == "waiting_for_member"
    })
    .await;
    assert_eq!(
        stack.roles_of(ADA),
        None,
        "nobody is pulled back into a server they left"
    );
    stack.discord.join(demo::GUILD, ADA).unwrap();
    stack.wait_for_roles(ADA, &["Council"], SOON).await.unwrap();
    wait_in_sync(&stack).await;
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_role_that_staff_takes_by_mistake_is_given_again() {
    let stack = stack("taken").await;
    paying_member(&stack).await;
    wait_in_sync(&stack).await;
    stack
        .discord
        .take_role(demo::GUILD, ADA, demo::COUNCIL_ROLE)
        .unwrap();
    stack.wait_for_roles(ADA, &["Council"], SOON).await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_role_that_staff_gave_is_never_taken() {
    let stack = stack("staff_role").await;
    stack.discord.join(demo::GUILD, ADA).unwrap();
    stack
        .discord
        .give_role(demo::GUILD, ADA, demo::STAFF_ROLE)
        .unwrap();
    stack
        .discord
        .give_role(demo::GUILD, ADA, demo::COUNCIL_ROLE)
        .unwrap();
    let (_, subscription) = paying_member_with(&stack, &["Council", "Staff"]).await;
    wait_in_sync(&stack).await;
    stack.stripe.cancel(&subscription).unwrap();
    wait_for_why(&stack, "the end", SOON, |why| {
        why["standing"] == "ended" && why["guilds"][0]["state"] == "in_sync"
    })
    .await;
    assert_eq!(
        stack.roles_of(ADA).unwrap(),
        ["Council", "Staff"],
        "both were there before we came"
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_role_above_the_bot_is_a_fault_that_heals_when_the_order_is_mended() {
    let stack = stack("hierarchy").await;
    stack.discord.move_role(demo::GUILD, demo::BOT_ROLE, 1).unwrap();
    let person = rolecall_e2e::person::Person::new().unwrap();
    person
        .sign_in(stack.public_url(), ADA, "/dashboard")
        .await
        .unwrap();
    person
        .buy(stack.public_url(), "council", rolecall_e2e::story::ADA_EMAIL)
        .await
        .unwrap();
    let why = wait_for_why(&stack, "blocked", SOON, |why| {
        why["guilds"][0]["state"] == "blocked"
    })
    .await;
    let reason = why["guilds"][0]["blocked_reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        reason.contains("Council"),
        "the reason names the role: {reason:?}"
    );
    stack.discord.move_role(demo::GUILD, demo::BOT_ROLE, 5).unwrap();
    stack
        .wait_for_roles(ADA, &["Council"], AFTER_A_SWEEP)
        .await
        .unwrap();
    wait_in_sync(&stack).await;
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn the_end_of_a_plan_removes_from_the_server_once_where_the_owner_chose_so() {
    let stack = stack("kick").await;
    let path = stack.folder().join("plans.toml");
    let plans = std::fs::read_to_string(&path).unwrap();
    let removing = plans.replacen("kind = ", "end = \"kick\"\nkind = ", 1);
    std::fs::write(&path, removing).unwrap();
    let apply = ["plans", "apply", &path.to_string_lossy()];
    let answer = stack.rolecall(&apply).await.unwrap();
    let warnings = answer["warnings"].to_string();
    assert!(warnings.contains("switch on Kick Members"), "{answer}");
    let may_kick = StaffAction::SetRolePermissions {
        guild: demo::GUILD.into(),
        role: demo::BOT_ROLE.into(),
        permissions: EVERYONE | MANAGE_ROLES | CREATE_INSTANT_INVITE | KICK_MEMBERS,
    };
    stack.discord.act(may_kick).unwrap();

    let (person, subscription) = paying_member(&stack).await;
    wait_in_sync(&stack).await;
    stack.stripe.cancel(&subscription).unwrap();
    until("the removal", SOON, async || {
        Ok(stack.roles_of(ADA).is_none().then_some(()))
    })
    .await
    .unwrap();
    let log = stack.discord.audit_log();
    let kicks = log.iter().filter(|entry| entry.action == AuditAction::MemberKick);
    let reasons: Vec<_> = kicks.map(|entry| entry.reason.clone().unwrap()).collect();
    assert_eq!(reasons, ["Rolecall: the membership has ended (subscription)"]);

    stack.discord.join(demo::GUILD, ADA).unwrap();
    person
        .buy(stack.public_url(), "council", rolecall_e2e::story::ADA_EMAIL)
        .await
        .unwrap();
    stack.wait_for_roles(ADA, &["Council"], SOON).await.unwrap();
    wait_in_sync(&stack).await;
    stack.rolecall(&["jobs", "run", "due_sweep"]).await.unwrap();
    assert_eq!(
        stack.roles_of(ADA).unwrap(),
        ["Council"],
        "who came back was removed"
    );
    stack.stop().await.unwrap();
}

/// Ada, paying, with these roles in the server.
async fn paying_member_with(
    stack: &rolecall_e2e::stack::Stack,
    roles: &[&str],
) -> (rolecall_e2e::person::Person, String) {
    let person = rolecall_e2e::person::Person::new().unwrap();
    person
        .sign_in(stack.public_url(), ADA, "/dashboard")
        .await
        .unwrap();
    person
        .buy(stack.public_url(), "council", rolecall_e2e::story::ADA_EMAIL)
        .await
        .unwrap();
    wait_for_why(stack, "active", SOON, |why| why["standing"] == "active").await;
    stack.wait_for_roles(ADA, roles, SOON).await.unwrap();
    (person, rolecall_e2e::story::subscription(stack).unwrap())
}
