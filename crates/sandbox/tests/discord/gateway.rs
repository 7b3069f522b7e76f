//! The gateway: sessions, intents, resuming, and its moods.

use rolecall_sandbox::discord::{
    control::gateway::GatewayAction,
    demo,
    gateway::{GatewaySwitches, log::GatewayStep},
};
use serde_json::{Value, json};

use super::support::{ADA, BEN, COUNCIL, GUILD, soon, start, start_with};

const GUILDS: u64 = 1;
const MEMBERS: u64 = 1 << 1;
const MESSAGES: u64 = 1 << 9;

#[tokio::test]
async fn who_identifies_hears_of_the_guild_and_then_of_its_members() {
    let world = start().await;
    let (mut gateway, start) = world.identified(GUILDS | MEMBERS).await;
    assert_eq!(start.ready["v"], 10);
    assert_eq!(
        start.ready["guilds"],
        json!([{"id": GUILD.to_string(), "unavailable": true}])
    );
    assert_eq!(
        start.ready["resume_gateway_url"],
        format!("{}/resume", world.discord.gateway_url())
    );
    assert_eq!(start.guild["member_count"], 2);
    let listed: Vec<_> = start.guild["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["user"]["id"])
        .collect();
    assert_eq!(
        listed,
        [&json!(demo::CLIENT_ID.to_string())],
        "without presences only the bot is listed"
    );

    world.discord.join(GUILD, ADA).unwrap();
    assert_eq!(
        gateway.event("GUILD_MEMBER_ADD").await["user"]["id"],
        ADA.to_string()
    );
    world.discord.give_role(GUILD, ADA, COUNCIL).unwrap();
    let update = gateway.event("GUILD_MEMBER_UPDATE").await;
    assert_eq!(
        (&update["guild_id"], &update["roles"]),
        (&json!(GUILD.to_string()), &json!([COUNCIL.to_string()]))
    );
    world.discord.leave(GUILD, ADA).unwrap();
    assert_eq!(
        gateway.event("GUILD_MEMBER_REMOVE").await["user"]["id"],
        ADA.to_string()
    );
    world.discord.join(GUILD, ADA).unwrap();
    assert_eq!(gateway.event("GUILD_MEMBER_ADD").await["flags"], 1, "DID_REJOIN");
    gateway.send(1, json!(gateway.sequence)).await;
    assert_eq!(gateway.next().await["op"], 11);
}

#[tokio::test]
async fn events_come_only_with_their_intent() {
    let world = start().await;
    let (mut gateway, _) = world.identified(GUILDS).await;
    world.discord.join(GUILD, ADA).unwrap();
    world.discord.give_role(GUILD, ADA, COUNCIL).unwrap();
    world.discord.move_role(GUILD, COUNCIL, 2).unwrap();
    for _ in 0..2 {
        assert_eq!(
            gateway.event("GUILD_ROLE_UPDATE").await["guild_id"],
            GUILD.to_string()
        );
    }
    world.discord.give_role(GUILD, demo::CLIENT_ID, COUNCIL).unwrap();
    let own = gateway.event("GUILD_MEMBER_UPDATE").await;
    assert_eq!(
        own["user"]["id"],
        demo::CLIENT_ID.to_string(),
        "its own changes the bot always hears of"
    );
}

#[tokio::test]
async fn what_a_message_says_is_kept_from_who_lacks_the_privileged_intent() {
    let world = start().await;
    let (mut gateway, _) = world.identified(GUILDS | MESSAGES).await;
    world.discord.join(GUILD, ADA).unwrap();
    let channel = demo::INTRODUCTIONS_CHANNEL;
    let post = json!({"action": "post_message", "channel": channel, "user": ADA, "content": "I am Ada"});
    assert!(world.act(&post).send().await.unwrap().status().is_success());
    let message = gateway.event("MESSAGE_CREATE").await;
    assert_eq!(
        (&message["author"]["id"], &message["content"]),
        (&json!(ADA.to_string()), &json!(""))
    );
}

#[tokio::test]
async fn a_handshake_that_is_wrong_is_closed_with_its_code() {
    let world = start().await;
    let closed = async |payload: Value| {
        let mut gateway = world.connect().await;
        gateway.send_text(payload.to_string()).await;
        gateway.closed().await
    };
    let identify = |token: &str, intents: u64, more: Value| {
        let mut data = json!({"token": token, "intents": intents, "properties": {"os": "linux"}});
        data.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"op": 2, "d": data})
    };
    let token = demo::BOT_TOKEN;
    assert_eq!(closed(identify("wrong", GUILDS, json!({}))).await, Some(4004));
    assert_eq!(closed(identify(token, 1 << 17, json!({}))).await, Some(4013));
    assert_eq!(
        closed(identify(token, 1 << 8, json!({}))).await,
        Some(4014),
        "presences are not switched on"
    );
    assert_eq!(
        closed(identify(token, GUILDS, json!({"shard": [2, 2]}))).await,
        Some(4010)
    );
    assert_eq!(closed(json!({"op": 8, "d": {}})).await, Some(4003));
    assert_eq!(closed(json!({"op": 99, "d": {}})).await, Some(4001));
    assert_eq!(closed(json!({"op": 1, "d": "x".repeat(4_096)})).await, Some(4002));
    assert_eq!(closed(json!("not a payload")).await, Some(4002));
    let mut gateway = world.connect().await;
    gateway.identify(GUILDS).await;
    gateway.identify(GUILDS).await;
    assert_eq!(gateway.closed().await, Some(4005));
}

#[tokio::test]
async fn a_session_that_resumes_is_sent_what_it_missed() {
    let world = start().await;
    let (mut gateway, start) = world.identified(GUILDS | MEMBERS).await;
    world.discord.join(GUILD, ADA).unwrap();
    gateway.event("GUILD_MEMBER_ADD").await;
    let seen = gateway.sequence;
    gateway.close(4000).await;
    soon(
        world
            .discord
            .wait_until(|discord| !discord.gateway().sessions[0].connected),
    )
    .await;
    world.discord.give_role(GUILD, ADA, COUNCIL).unwrap();
    world.discord.join(GUILD, BEN).unwrap();

    let mut gateway = world
        .connect_to(start.ready["resume_gateway_url"].as_str().unwrap())
        .await;
    gateway.resume(&start.ready, seen).await;
    assert_eq!(
        gateway.event("GUILD_MEMBER_UPDATE").await["roles"],
        json!([COUNCIL.to_string()])
    );
    assert_eq!(gateway.sequence, seen + 1);
    assert_eq!(
        gateway.event("GUILD_MEMBER_ADD").await["user"]["id"],
        BEN.to_string()
    );
    gateway.event("RESUMED").await;
    world.discord.leave(GUILD, BEN).unwrap();
    gateway.event("GUILD_MEMBER_REMOVE").await;

    let view = world.discord.gateway();
    let resumed = view
        .log
        .iter()
        .filter(|entry| matches!(entry.step, GatewayStep::Resumed { replayed: 2, .. }));
    assert_eq!(resumed.count(), 1);
    let path =
        |step: &GatewayStep| matches!(step, GatewayStep::Connected { path } if path == "/gateway/resume");
    assert!(view.log.iter().any(|entry| path(&entry.step)));
    assert_eq!(view.identifies_remaining, 999, "a RESUME costs no IDENTIFY");
}

#[tokio::test]
async fn a_session_is_over_after_a_goodbye_and_unknown_when_made_up() {
    let world = start().await;
    let (gateway, start) = world.identified(GUILDS).await;
    let seen = gateway.sequence;
    gateway.close(1000).await;
    soon(
        world
            .discord
            .wait_until(|discord| discord.gateway().sessions.is_empty()),
    )
    .await;
    let mut gateway = world.connect().await;
    gateway.resume(&start.ready, seen).await;
    let answer = gateway.next().await;
    assert_eq!((&answer["op"], &answer["d"]), (&json!(9), &json!(false)));
    gateway.identify(GUILDS).await;
    gateway.event("READY").await;
}

#[tokio::test]
async fn a_sequence_that_was_never_sent_cannot_be_resumed_from() {
    let world = start().await;
    let (gateway, start) = world.identified(GUILDS).await;
    let ahead = gateway.sequence + 1;
    let mut second = world.connect().await;
    second.resume(&start.ready, ahead).await;
    assert_eq!(second.closed().await, Some(4007));
    drop(gateway);
}

#[tokio::test]
async fn a_silent_gateway_keeps_what_happens_for_the_resume() {
    let world = start().await;
    let (mut gateway, start) = world.identified(GUILDS | MEMBERS).await;
    let seen = gateway.sequence;
    world.discord.set_gateway(GatewaySwitches {
        silent: true,
        ..GatewaySwitches::default()
    });
    gateway.send(1, json!(seen)).await;
    let beat = |discord: &rolecall_sandbox::discord::Simulator| {
        discord
            .gateway()
            .log
            .iter()
            .any(|entry| entry.step == GatewayStep::Heartbeat)
    };
    soon(world.discord.wait_until(beat)).await;
    world.discord.join(GUILD, ADA).unwrap();
    world.discord.set_gateway(GatewaySwitches::default());

    let mut second = world.connect().await;
    second.resume(&start.ready, seen).await;
    second.event("GUILD_MEMBER_ADD").await;
    second.event("RESUMED").await;
    assert_eq!(
        gateway.closed().await,
        Some(1001),
        "nothing was sent on the old one: no ack, no event"
    );
}

#[tokio::test]
async fn without_acks_events_still_come_and_updates_can_be_left_out() {
    let world = start().await;
    let (mut gateway, _) = world.identified(GUILDS | MEMBERS).await;
    let switches = GatewaySwitches {
        no_acks: true,
        no_member_updates: true,
        ..GatewaySwitches::default()
    };
    world.discord.set_gateway(switches);
    gateway.send(1, json!(gateway.sequence)).await;
    world.discord.join(GUILD, ADA).unwrap();
    gateway.event("GUILD_MEMBER_ADD").await;
    world.discord.give_role(GUILD, ADA, COUNCIL).unwrap();
    world.discord.leave(GUILD, ADA).unwrap();
    gateway.event("GUILD_MEMBER_REMOVE").await;
}

#[tokio::test]
async fn an_identify_can_be_left_without_an_answer_and_costs_one_all_the_same() {
    let world = start().await;
    world.discord.set_gateway(GatewaySwitches {
        no_session: true,
        ..GatewaySwitches::default()
    });
    let mut gateway = world.connect().await;
    let before = world.discord.gateway().identifies_remaining;
    gateway.identify(GUILDS).await;
    soon(
        world
            .discord
            .wait_until(|discord| discord.gateway().identifies_remaining == before - 1),
    )
    .await;
    assert!(world.discord.gateway().sessions.is_empty());
    // Heartbeats are still acknowledged, and nothing else came.
    gateway.send(1, json!(null)).await;
    assert_eq!(gateway.next().await["op"], 11);
}

#[tokio::test]
async fn members_come_in_chunks_and_the_whole_list_only_every_thirty_seconds() {
    let world = start().await;
    for number in 0..1_000 {
        let user = world
            .discord
            .add_user(&format!("member {number}"), None, false)
            .unwrap();
        world.discord.join(GUILD, user).unwrap();
    }
    let (mut gateway, _) = world.identified(GUILDS | MEMBERS).await;
    let everyone = json!({"guild_id": GUILD.to_string(), "query": "", "limit": 0, "nonce": "n"});
    gateway.send(8, everyone.clone()).await;
    let mut ids = Vec::new();
    for index in 0..2 {
        let chunk = gateway.event("GUILD_MEMBERS_CHUNK").await;
        assert_eq!(
            (&chunk["chunk_index"], &chunk["chunk_count"], &chunk["nonce"]),
            (&json!(index), &json!(2), &json!("n"))
        );
        ids.extend(
            chunk["members"]
                .as_array()
                .unwrap()
                .iter()
                .map(|member| member["user"]["id"].clone()),
        );
    }
    assert_eq!(ids.len(), 1_002);
    gateway.send(8, everyone).await;
    let refused = gateway.event("RATE_LIMITED").await;
    assert_eq!(
        (&refused["opcode"], &refused["meta"]["nonce"]),
        (&json!(8), &json!("n"))
    );
    assert!(refused["retry_after"].as_f64().unwrap() > 20.0);
    gateway
        .send(
            8,
            json!({"guild_id": GUILD.to_string(), "user_ids": [demo::OWNER.to_string(), "1"]}),
        )
        .await;
    let chunk = gateway.event("GUILD_MEMBERS_CHUNK").await;
    assert_eq!(
        (chunk["members"].as_array().unwrap().len(), &chunk["not_found"]),
        (1, &json!(["1"]))
    );
}

#[tokio::test]
async fn identifying_too_soon_is_answered_with_an_invalid_session() {
    let world =
        start_with(|config| config.gateway.identify_interval = std::time::Duration::from_mins(10)).await;
    let _first = world.identified(GUILDS).await;
    let mut second = world.connect().await;
    second.identify(GUILDS).await;
    assert_eq!(second.next().await["op"], 9);
}

#[tokio::test]
async fn who_spends_all_identifies_loses_sessions_and_token() {
    let world = start().await;
    let (gateway, _) = world.identified(GUILDS).await;
    world
        .discord
        .act(GatewayAction::SetIdentifyBudget { remaining: 0 })
        .unwrap();
    let mut second = world.connect().await;
    second.identify(GUILDS).await;
    assert_eq!(second.closed().await, Some(4004));
    assert_eq!(gateway.closed().await, Some(4004));
    assert_eq!(world.get("/users/@me").await.status().as_u16(), 401);
}

#[tokio::test]
async fn the_gateway_can_ask_to_reconnect_close_and_cut() {
    let world = start().await;
    let (mut gateway, _) = world.identified(GUILDS).await;
    world.discord.act(GatewayAction::Reconnect).unwrap();
    assert_eq!(gateway.next().await["op"], 7);
    world
        .discord
        .act(GatewayAction::CloseGateway { code: 4009 })
        .unwrap();
    assert_eq!(gateway.closed().await, Some(4009));
    let (gateway, _) = world.identified(GUILDS).await;
    world.discord.act(GatewayAction::CutGateway).unwrap();
    assert_eq!(gateway.closed().await, None);
    assert_eq!(world.discord.gateway().sessions.len(), 2, "both can be resumed");
}

#[tokio::test]
async fn an_invalidated_session_can_identify_again_on_its_connection() {
    let world = start().await;
    let (mut gateway, start) = world.identified(GUILDS).await;
    let seen = gateway.sequence;
    world
        .discord
        .act(GatewayAction::InvalidateSessions { resumable: true })
        .unwrap();
    assert_eq!(gateway.next().await["d"], true);
    gateway.resume(&start.ready, seen).await;
    gateway.event("RESUMED").await;
    world
        .discord
        .act(GatewayAction::InvalidateSessions { resumable: false })
        .unwrap();
    assert_eq!(gateway.next().await["d"], false);
    gateway.identify(GUILDS).await;
    assert_ne!(
        gateway.event("READY").await["session_id"],
        start.ready["session_id"]
    );
}

#[tokio::test]
async fn who_never_beats_is_closed() {
    let world =
        start_with(|config| config.gateway.heartbeat_interval = std::time::Duration::from_millis(50)).await;
    let (gateway, _) = world.identified(GUILDS).await;
    assert_eq!(gateway.closed().await, Some(4009));
}

#[tokio::test]
async fn more_than_120_payloads_a_minute_are_too_many() {
    let world = start().await;
    let (mut gateway, _) = world.identified(GUILDS).await;
    for _ in 0..120 {
        gateway.send(1, json!(null)).await;
    }
    assert_eq!(gateway.closed().await, Some(4008));
}

#[tokio::test]
async fn the_bot_hears_of_guilds_it_enters_and_leaves() {
    let world = start().await;
    let (mut gateway, _) = world.identified(GUILDS).await;
    world.discord.leave(GUILD, demo::CLIENT_ID).unwrap();
    assert_eq!(
        gateway.event("GUILD_DELETE").await,
        json!({"id": GUILD.to_string()})
    );
    world.discord.join(GUILD, demo::CLIENT_ID).unwrap();
    assert_eq!(gateway.event("GUILD_CREATE").await["id"], GUILD.to_string());
}

#[tokio::test]
async fn the_gateway_is_announced_with_the_identifies_left() {
    let world = start().await;
    world.identified(GUILDS).await;
    let body: Value = world.get("/gateway/bot").await.json().await.unwrap();
    assert_eq!(body["url"], world.discord.gateway_url());
    let limit = &body["session_start_limit"];
    assert_eq!(
        (&limit["total"], &limit["remaining"]),
        (&json!(1_000), &json!(999))
    );
}
