//! Each call of the bot: what it sends, and what it makes of the answer.

use rolecall_discord::{
    error::DiscordError,
    limiter::{Lane, Limiter},
    rest::{BotClient, BotConfig, Joined},
};
use rolecall_domain::hierarchy::Permissions;
use serde_json::{Value, json};

use crate::{
    TOKEN, bot, guild, role,
    server::{Reply, Server, install_tls_provider},
    soon, user,
};

const MEMBER: &str = r#"{"user":{"id":"22","username":"ann"},"roles":["33","44"],"pending":true,
    "joined_at":"2026-01-02T03:04:05+00:00","deaf":false,"mute":false,"flags":0}"#;

#[tokio::test]
async fn a_role_is_added_by_put_with_token_and_reason() {
    let server = Server::answering(Reply::new(204, "")).await;
    let result =
        soon(bot(&server.origin).add_role(guild(), user(22), role(33), "Paid: plan ü", Lane::Now)).await;
    result.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "PUT /api/v10/guilds/11/members/22/roles/33");
    assert_eq!(
        seen.header("authorization"),
        Some(format!("Bot {TOKEN}").as_str())
    );
    assert_eq!(seen.header("x-audit-log-reason"), Some("Paid%3A%20plan%20%C3%BC"));
    assert!(
        seen.header("user-agent")
            .unwrap()
            .starts_with("DiscordBot (https://")
    );
    assert_eq!(
        seen.header("content-length"),
        Some("0"),
        "servers may refuse a PUT without length with 411"
    );
}

#[tokio::test]
async fn a_role_is_removed_by_delete_and_an_empty_reason_is_left_out() {
    let server = Server::answering(Reply::new(204, "")).await;
    soon(bot(&server.origin).remove_role(guild(), user(22), role(33), "", Lane::Bulk))
        .await
        .unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "DELETE /api/v10/guilds/11/members/22/roles/33");
    assert_eq!(seen.header("x-audit-log-reason"), None);
}

#[tokio::test]
async fn a_member_is_read_and_a_missing_one_is_none() {
    let server = Server::start(|seen| {
        Some(match seen.path.as_str() {
            "/api/v10/guilds/11/members/22" => Reply::new(200, MEMBER),
            "/api/v10/guilds/11/members/23" => {
                Reply::new(404, r#"{"message":"Unknown Member","code":10007}"#)
            }
            _ => Reply::new(404, r#"{"message":"Unknown User","code":10013}"#),
        })
    })
    .await;
    let bot = bot(&server.origin);
    let member = soon(bot.get_member(guild(), user(22), Lane::Now))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (member.user_id, member.pending, member.bot),
        (user(22), true, false)
    );
    assert_eq!(member.roles, [role(33), role(44)]);
    assert_eq!(member.joined_at.unwrap().timestamp(), 1_767_323_045);
    assert_eq!(
        soon(bot.get_member(guild(), user(23), Lane::Now)).await.unwrap(),
        None
    );
    assert_eq!(
        soon(bot.get_member(guild(), user(24), Lane::Now)).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let server = Server::start(|seen| {
        let status = if seen.path.ends_with("/22") { 200 } else { 502 };
        Some(Reply::new(status, " ".repeat(9 * 1024 * 1024)))
    })
    .await;
    let bot = bot(&server.origin);
    let error = soon(bot.get_member(guild(), user(22), Lane::Now))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, DiscordError::Decode { source, .. } if source.to_string().contains("longer than")),
        "{error:?}"
    );
    let error = soon(bot.get_member(guild(), user(23), Lane::Now))
        .await
        .unwrap_err();
    assert!(
        matches!(error, DiscordError::Outage { status: 502, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn joining_tells_a_new_member_from_one_who_was_there() {
    let server = Server::start(|seen| {
        Some(if seen.path.ends_with("/22") {
            Reply::new(201, MEMBER)
        } else {
            Reply::new(204, "")
        })
    })
    .await;
    let bot = bot(&server.origin);
    let access = "access-token".into();
    let joined = soon(bot.add_member(guild(), user(22), &access, &[role(33)], Lane::Now))
        .await
        .unwrap();
    assert!(matches!(joined, Joined::Created(member) if member.roles.len() == 2 && member.pending));
    let joined = soon(bot.add_member(guild(), user(23), &access, &[], Lane::Now))
        .await
        .unwrap();
    assert_eq!(joined, Joined::AlreadyThere);
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "PUT /api/v10/guilds/11/members/22");
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    assert_eq!(body, json!({"access_token": "access-token", "roles": ["33"]}));
}

#[tokio::test]
async fn pages_of_members_are_asked_for_by_the_last_id() {
    let server = Server::answering(Reply::new(200, format!("[{MEMBER}]"))).await;
    let bot = bot(&server.origin);
    let page = soon(bot.list_members(guild(), Some(user(21)), 5000, Lane::Bulk))
        .await
        .unwrap();
    assert_eq!(page[0].user_id, user(22));
    soon(bot.list_members(guild(), None, 0, Lane::Bulk))
        .await
        .unwrap();
    let seen = server.seen();
    let query = |index: usize| {
        let mut pairs: Vec<_> = seen[index].path.split_once('?').unwrap().1.split('&').collect();
        pairs.sort_unstable();
        pairs
    };
    assert_eq!(query(0), ["after=21", "limit=1000"]);
    assert_eq!(query(1), ["limit=1"]);
}

#[tokio::test]
async fn the_server_its_roles_the_gateway_and_the_application_are_read() {
    let role =
        r#"{"id":"33","name":"Council","position":3,"managed":false,"permissions":"268435457","color":0}"#;
    let roles = format!("[{role}]");
    let server = Server::start(move |seen| {
        let body = match seen.path.as_str() {
            "/api/v10/guilds/11" => {
                format!(r#"{{"id":"11","name":"Revenue","owner_id":"99","roles":{roles},"region":"x"}}"#)
            }
            "/api/v10/guilds/11/roles" => roles.clone(),
            "/api/v10/gateway/bot" => json!({"url": "wss://gateway.discord.gg", "shards": 1,
                "session_start_limit": {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}})
            .to_string(),
            "/api/v10/applications/@me" => r#"{"id":"77","name":"Rolecall","flags":49152}"#.to_owned(),
            other => panic!("{other} was not expected"),
        };
        Some(Reply::new(200, body))
    })
    .await;
    let bot = bot(&server.origin);
    let guild_read = soon(bot.guild(guild(), Lane::Now)).await.unwrap();
    assert_eq!(
        (
            guild_read.name.as_str(),
            guild_read.owner_id,
            guild_read.roles.len()
        ),
        ("Revenue", user(99), 1)
    );
    let roles = soon(bot.guild_roles(guild(), Lane::Now)).await.unwrap();
    assert!(roles[0].permissions.allows(Permissions::MANAGE_ROLES));
    let gateway = soon(bot.gateway_bot(Lane::Now)).await.unwrap();
    assert_eq!(
        (gateway.url.as_str(), gateway.session_start_limit.remaining),
        ("wss://gateway.discord.gg", 999)
    );
    assert!(
        soon(bot.current_application(Lane::Now))
            .await
            .unwrap()
            .has_guild_members_intent()
    );
}

#[tokio::test]
async fn the_bot_asks_who_it_is_only_once() {
    let server = Server::start(|seen| {
        Some(match seen.path.as_str() {
            "/api/v10/users/@me" => Reply::new(200, r#"{"id":"22","username":"rolecall","bot":true}"#),
            _ => Reply::new(200, MEMBER),
        })
    })
    .await;
    let bot = bot(&server.origin);
    for _ in 0..2 {
        let own = soon(bot.current_member(guild(), Lane::Now))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(own.user_id, user(22));
    }
    let lines: Vec<_> = server.seen().iter().map(|seen| seen.path.clone()).collect();
    let member = "/api/v10/guilds/11/members/22";
    assert_eq!(lines, ["/api/v10/users/@me", member, member]);
}

#[tokio::test]
async fn any_request_of_twilight_goes_the_same_way_and_can_do_without_the_token() {
    use twilight_http::{request::Request, routing::Route};

    let server = Server::answering(Reply::new(200, r#"{"ok":true}"#)).await;
    let endpoint = Route::InteractionCallback {
        interaction_id: 5,
        interaction_token: "secret-interaction",
        with_response: false,
    };
    let request = Request::builder(&endpoint)
        .json(&json!({"type": 5}))
        .use_authorization_token(false)
        .build()
        .unwrap();
    let success = soon(bot(&server.origin).send(&request, Lane::Now)).await.unwrap();
    assert_eq!(success.json::<Value>().unwrap(), json!({"ok": true}));
    assert!(!format!("{success:?}").contains("secret-interaction"));
    let seen = &server.seen()[0];
    assert!(
        seen.path
            .starts_with("/api/v10/interactions/5/secret-interaction/callback"),
        "{}",
        seen.path
    );
    assert_eq!(seen.header("authorization"), None);
}

#[test]
fn a_token_is_taken_with_or_without_its_prefix_and_never_shown() {
    install_tls_provider();
    let config = |token: &str| BotConfig {
        origin: "https://discord.com".parse().unwrap(),
        token: token.into(),
    };
    let client = BotClient::new(&config(&format!("Bot {TOKEN}\n")), Limiter::default()).unwrap();
    assert!(!format!("{client:?} {:?}", config(TOKEN)).contains(TOKEN));
    let error = BotClient::new(&config("two\nlines"), Limiter::default()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("lines"), "{error:?}");
}
