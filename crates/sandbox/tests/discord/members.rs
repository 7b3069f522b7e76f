//! Members and their roles over REST.

use chrono::TimeDelta;
use reqwest::{Method, StatusCode};
use rolecall_sandbox::discord::{demo, state::permissions::KICK_MEMBERS};
use serde_json::{Value, json};

use super::support::{ADA, ALL_SCOPES, BEN, COUNCIL, DEBTOR, GUILD, World, noon, refusal, start, start_with};

async fn add(world: &World, user: u64, body: &Value) -> reqwest::Response {
    world
        .bot(Method::PUT, &format!("/guilds/{GUILD}/members/{user}"))
        .json(body)
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn joining_answers_201_with_the_member_and_204_without_change_the_second_time() {
    let world = start().await;
    let token = world.access_token(ADA, ALL_SCOPES).await;
    let first = add(
        &world,
        ADA,
        &json!({"access_token": token, "roles": [COUNCIL.to_string()]}),
    )
    .await;
    assert_eq!(first.status(), StatusCode::CREATED);
    let member: Value = first.json().await.unwrap();
    assert_eq!(member["user"]["id"], ADA.to_string());
    assert_eq!(member["roles"], json!([COUNCIL.to_string()]));

    let second = add(
        &world,
        ADA,
        &json!({"access_token": token, "roles": [DEBTOR.to_string()]}),
    )
    .await;
    assert_eq!(second.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        world.discord.member_roles(GUILD, ADA),
        Some(vec![COUNCIL]),
        "204 changes nothing"
    );
}

#[tokio::test]
async fn joining_needs_a_good_token_of_the_same_person_with_the_scope() {
    let world = start().await;
    let bens = world.access_token(BEN, ALL_SCOPES).await;
    let narrow = world.access_token(ADA, "identify").await;
    let refused = async |body: Value| refusal(add(&world, ADA, &body).await).await;
    assert_eq!(refused(json!({"access_token": "made-up"})).await, (403, 50025));
    assert_eq!(refused(json!({"access_token": bens})).await, (403, 50025));
    assert_eq!(refused(json!({"access_token": narrow})).await, (403, 50026));
    assert_eq!(refused(json!({})).await, (400, 50035));
    world
        .act(&json!({"action": "ban", "guild": GUILD, "user": BEN}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        refusal(add(&world, BEN, &json!({"access_token": bens})).await).await,
        (403, 40007)
    );
    assert_eq!(world.discord.member_roles(GUILD, ADA), None);
}

#[tokio::test]
async fn who_joins_a_screened_server_is_pending_unless_they_bring_a_role() {
    let world = start().await;
    world
        .act(&json!({"action": "set_screening", "guild": GUILD, "enabled": true}))
        .send()
        .await
        .unwrap();
    let ada = world.access_token(ADA, ALL_SCOPES).await;
    let ben = world.access_token(BEN, ALL_SCOPES).await;
    let plain: Value = add(&world, ADA, &json!({"access_token": ada}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(plain["pending"], true);
    let with_role = json!({"access_token": ben, "roles": [COUNCIL.to_string()]});
    let member: Value = add(&world, BEN, &with_role).await.json().await.unwrap();
    assert_eq!(member["pending"], false);
}

#[tokio::test]
async fn a_role_is_given_and_taken_with_a_reason_in_the_audit_log() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let path = format!("/guilds/{GUILD}/members/{ADA}/roles/{COUNCIL}");
    let given = world
        .bot(Method::PUT, &path)
        .header("X-Audit-Log-Reason", "paid%20%E2%9C%93")
        .send()
        .await
        .unwrap();
    assert_eq!(given.status(), StatusCode::NO_CONTENT);
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![COUNCIL]));
    let entry = world.discord.audit_log().pop().unwrap();
    assert_eq!(entry.reason.as_deref(), Some("paid \u{2713}"));
    assert_eq!((entry.actor.0, entry.target.0), (demo::CLIENT_ID, ADA));

    assert_eq!(
        world.role(Method::PUT, ADA, COUNCIL).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(
        world.discord.audit_log().len(),
        1,
        "what changes nothing is not recorded"
    );
    assert_eq!(
        world.role(Method::DELETE, ADA, COUNCIL).await.status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![]));
}

#[tokio::test]
async fn a_role_above_the_bot_or_of_an_integration_cannot_be_given() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let refused = async |role: u64| refusal(world.role(Method::PUT, ADA, role).await).await;
    assert_eq!(
        refused(demo::BOT_ROLE).await,
        (403, 50013),
        "its own, managed role"
    );
    assert_eq!(refused(GUILD).await, (400, 50028), "@everyone");
    world.discord.move_role(GUILD, COUNCIL, 5).unwrap();
    assert_eq!(refused(COUNCIL).await, (403, 50013), "now above the bot");
    world.discord.move_role(GUILD, demo::BOT_ROLE, 5).unwrap();
    assert_eq!(
        world.role(Method::PUT, ADA, COUNCIL).await.status(),
        StatusCode::NO_CONTENT
    );
    let bare =
        json!({"action": "set_role_permissions", "guild": GUILD, "role": demo::BOT_ROLE, "permissions": 0});
    assert!(world.act(&bare).send().await.unwrap().status().is_success());
    assert_eq!(refused(COUNCIL).await, (403, 50013), "without Manage Roles");
    assert_eq!(world.discord.invalid_requests(), 3, "each 403 counts");
}

#[tokio::test]
async fn what_does_not_exist_has_its_own_code() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let code = async |path: String| refusal(world.get(&path).await).await;
    assert_eq!(code("/guilds/1".to_owned()).await, (404, 10004));
    assert_eq!(code(format!("/guilds/{GUILD}/members/{BEN}")).await, (404, 10007));
    assert_eq!(code(format!("/guilds/{GUILD}/members/1")).await, (404, 10013));
    assert_eq!(code(format!("/guilds/{GUILD}/roles/1")).await, (404, 10011));
    assert_eq!(code(format!("/guilds/{GUILD}/members/abc")).await, (400, 50035));
    assert_eq!(refusal(world.role(Method::PUT, ADA, 1).await).await, (404, 10011));
    assert_eq!(
        refusal(world.role(Method::PUT, BEN, COUNCIL).await).await,
        (404, 10007)
    );
    world.discord.leave(GUILD, demo::CLIENT_ID).unwrap();
    assert_eq!(code(format!("/guilds/{GUILD}")).await, (403, 50001));
}

#[tokio::test]
async fn members_are_listed_in_pages_and_only_with_the_intent() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let page = async |query: &str| {
        let response = world.get(&format!("/guilds/{GUILD}/members{query}")).await;
        let members: Vec<Value> = response.json().await.unwrap();
        members
            .iter()
            .map(|member| member["user"]["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let [bot, owner, ada] = [demo::CLIENT_ID, demo::OWNER, ADA].map(|id| id.to_string());
    assert_eq!(page("").await, [bot.as_str()], "the default limit is one");
    assert_eq!(page("?limit=2").await, [bot, owner.clone()]);
    assert_eq!(page(&format!("?limit=1000&after={owner}")).await, [ada]);
    let too_many = world.get(&format!("/guilds/{GUILD}/members?limit=1001")).await;
    assert_eq!(refusal(too_many).await, (400, 50035));
    let off = json!({"action": "set_privileged_intents", "members": false});
    assert!(world.act(&off).send().await.unwrap().status().is_success());
    let refused = world.get(&format!("/guilds/{GUILD}/members?limit=2")).await;
    assert_eq!(refusal(refused).await, (403, 50001));
}

#[tokio::test]
async fn a_direct_message_reaches_who_keeps_their_messages_open() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let open = async |user: u64| {
        let body = json!({"recipient_id": user.to_string()});
        let response = world
            .bot(Method::POST, "/users/@me/channels")
            .json(&body)
            .send()
            .await
            .unwrap();
        let channel: Value = response.json().await.unwrap();
        format!("/channels/{}/messages", channel["id"].as_str().unwrap())
    };
    let write = async |path: &str| {
        world
            .bot(Method::POST, path)
            .json(&json!({"content": "hello"}))
            .send()
            .await
            .unwrap()
    };
    let (ada, ben) = (open(ADA).await, open(BEN).await);
    assert_eq!(open(ADA).await, ada, "the channel stays");
    assert_eq!(write(&ada).await.status(), StatusCode::OK);
    assert_eq!(world.discord.messages()[0].content, "hello");
    assert_eq!(
        refusal(write(&ben).await).await,
        (403, 50278),
        "no server in common"
    );
    world
        .act(&json!({"action": "set_dms", "user": ADA, "open": false}))
        .send()
        .await
        .unwrap();
    assert_eq!(refusal(write(&ada).await).await, (403, 50007));
}

#[tokio::test]
async fn a_message_with_a_known_nonce_is_the_first_one_for_two_minutes_and_no_longer() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    let body = json!({"recipient_id": ADA.to_string()});
    let opened = world.bot(Method::POST, "/users/@me/channels").json(&body).send();
    let channel: Value = opened.await.unwrap().json().await.unwrap();
    let path = format!("/channels/{}/messages", channel["id"].as_str().unwrap());
    for (seconds, messages) in [(0, 1), (119, 1), (121, 2)] {
        world.clock.set_wall(noon() + TimeDelta::seconds(seconds));
        let body = json!({"content": "hello", "nonce": "n", "enforce_nonce": true});
        let written = world.bot(Method::POST, &path).json(&body).send().await.unwrap();
        assert_eq!(written.status(), StatusCode::OK);
        assert_eq!(world.discord.messages().len(), messages, "after {seconds} s");
    }
}

#[tokio::test]
async fn patching_roles_replaces_them_all_within_the_bots_reach() {
    let world = start().await;
    world.discord.join(GUILD, ADA).unwrap();
    world.discord.give_role(GUILD, ADA, DEBTOR).unwrap();
    let patch = async |roles: Value| {
        let path = format!("/guilds/{GUILD}/members/{ADA}");
        world
            .bot(Method::PATCH, &path)
            .json(&json!({"roles": roles}))
            .send()
            .await
            .unwrap()
    };
    let changed = patch(json!([COUNCIL.to_string()])).await;
    assert_eq!(changed.status(), StatusCode::OK);
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![COUNCIL]));
    assert_eq!(
        refusal(patch(json!([demo::BOT_ROLE.to_string()])).await).await,
        (403, 50013)
    );
    let counts: Value = world
        .get(&format!("/guilds/{GUILD}/roles/member-counts"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&counts[COUNCIL.to_string()], &counts[DEBTOR.to_string()]),
        (&json!(1), &json!(0))
    );
}

/// A world whose bot may kick.
async fn with_kick() -> World {
    start_with(|config| {
        let roles = config.guilds.iter_mut().flat_map(|guild| &mut guild.roles);
        for bot in roles.filter(|role| role.id == demo::BOT_ROLE) {
            bot.permissions |= KICK_MEMBERS;
        }
    })
    .await
}

async fn kick(world: &World, user: u64) -> reqwest::Response {
    world
        .bot(Method::DELETE, &format!("/guilds/{GUILD}/members/{user}"))
        .header("X-Audit-Log-Reason", "the%20membership%20has%20ended")
        .send()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_kick_removes_tells_and_is_in_the_audit_log_with_its_reason() {
    let world = with_kick().await;
    world.discord.join(GUILD, BEN).unwrap();
    let (mut gateway, _) = world.identified(1 | 1 << 1).await;
    assert_eq!(kick(&world, BEN).await.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        gateway.event("GUILD_MEMBER_REMOVE").await["user"]["id"],
        BEN.to_string()
    );
    assert_eq!(world.discord.member_roles(GUILD, BEN), None);
    let entry = world.discord.audit_log().pop().unwrap();
    assert_eq!((entry.action.number(), entry.target.0), (20, BEN));
    assert_eq!(entry.reason.as_deref(), Some("the membership has ended"));
    assert_eq!(
        refusal(kick(&world, BEN).await).await,
        (404, 10007),
        "they are gone already"
    );
}

#[tokio::test]
async fn a_kick_needs_the_permission_and_a_member_below_the_bot_who_does_not_own_the_server() {
    let powerless = start().await;
    powerless.discord.join(GUILD, BEN).unwrap();
    assert_eq!(refusal(kick(&powerless, BEN).await).await, (403, 50013));

    let world = with_kick().await;
    assert_eq!(refusal(kick(&world, demo::OWNER).await).await, (403, 50013));
    world.discord.join(GUILD, BEN).unwrap();
    world.discord.give_role(GUILD, BEN, demo::STAFF_ROLE).unwrap();
    world.discord.move_role(GUILD, demo::STAFF_ROLE, 9).unwrap();
    assert_eq!(refusal(kick(&world, BEN).await).await, (403, 50013));
    assert!(
        world
            .discord
            .audit_log()
            .iter()
            .all(|entry| entry.action.number() != 20)
    );
}
