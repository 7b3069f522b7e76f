//! The gateway session: kept across drops and restarts, and never begun in vain.

use rolecall_sandbox::discord::{
    config::PrivilegedIntents,
    control::{gateway::GatewayAction, platform::PlatformAction},
    demo::COUNCIL_ROLE,
    gateway::{GatewaySwitches, log::GatewayStep},
};

use crate::support::{Bot, Rig, Seen, command, no_intents, soon, until};

#[tokio::test]
async fn a_restart_resumes_the_session_and_hears_what_it_missed() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    assert!(rig.worker.guild().await.identified);
    bot.stop().await;
    soon(
        rig.discord
            .wait_until(|discord| discord.gateway().connections == 0),
    )
    .await;
    rig.discord
        .give_role(rolecall_sandbox::discord::demo::GUILD, ben, COUNCIL_ROLE)
        .unwrap();

    let bot = rig.bot().await;
    assert_eq!((rig.identified(), rig.resumed()), (1, 1));
    let Seen::Changed(changed) = rig.worker.person().await else {
        panic!()
    };
    assert_eq!(
        (changed.user_id.get(), changed.roles[0].get()),
        (ben, COUNCIL_ROLE)
    );
    // The server is known again, though a resumed session does not show it.
    assert!(!rig.worker.guild().await.identified);
    until(async || bot.ready().await["parts"]["setup"]["detail"] == "every mapped role can be given").await;
    bot.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_resumed() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    for (number, action) in [
        GatewayAction::CutGateway,
        GatewayAction::Reconnect,
        GatewayAction::CloseGateway { code: 4000 },
        GatewayAction::InvalidateSessions { resumable: true },
    ]
    .into_iter()
    .enumerate()
    {
        rig.discord.act(action).unwrap();
        soon(rig.discord.wait_until(|_| rig.resumed() == number + 1)).await;
    }
    assert_eq!(rig.identified(), 1);
    let metrics = bot.metrics().await;
    assert!(
        metrics.contains("rolecall_bot_gateway_reconnects_total 4"),
        "{metrics}"
    );
    until(async || bot.ready().await["parts"]["gateway"]["ok"] == true).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_session_that_discord_forgot_is_begun_anew_and_the_server_told_as_such() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    assert!(rig.worker.guild().await.identified);
    rig.discord
        .act(GatewayAction::InvalidateSessions { resumable: false })
        .unwrap();
    soon(rig.discord.wait_until(|_| rig.identified() == 2)).await;
    assert!(rig.worker.guild().await.identified, "events may have been missed");
    bot.stop().await;
}

#[tokio::test]
async fn a_close_that_ends_the_session_is_not_answered_with_a_resume() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    rig.discord
        .act(GatewayAction::CloseGateway { code: 4009 })
        .unwrap();
    soon(rig.discord.wait_until(|_| rig.identified() == 2)).await;
    assert_eq!(rig.resumed(), 0);
    bot.stop().await;
}

#[tokio::test]
async fn redis_that_forgets_everything_does_not_cost_the_session() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot_with_ttl("1s").await;
    assert!(rig.worker.guild().await.identified);
    let _: String = rig.redis.run(&["FLUSHALL"]).await;
    soon(rig.discord.wait_until(|_| rig.resumed() == 1)).await;
    // What had been told of people and was not heard yet is lost: everybody is looked at again.
    rig.worker
        .sighting(|seen| matches!(seen, Seen::Guild(guild) if guild.identified).then_some(()))
        .await;
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE].into());
    assert_eq!(rig.identified(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn a_dead_connection_is_noticed_by_its_silence_and_resumed() {
    let rig =
        Rig::start_with(|config| config.gateway.heartbeat_interval = std::time::Duration::from_millis(200))
            .await;
    let bot = rig.bot().await;
    rig.discord.set_gateway(GatewaySwitches {
        silent: true,
        no_acks: true,
        ..GatewaySwitches::default()
    });
    soon(rig.discord.wait_until(|_| rig.resumed() > 0)).await;
    rig.discord.set_gateway(GatewaySwitches::default());
    until(async || bot.ready().await["parts"]["gateway"]["ok"] == true).await;
    assert_eq!(rig.identified(), 1);
    bot.stop().await;
}

#[tokio::test]
async fn an_intent_that_is_not_switched_on_degrades_the_bot_and_is_not_tried_again() {
    let rig = Rig::start_with(no_intents).await;
    let bot = rig.idle_bot("10s");
    let gateway = async || {
        bot.ready().await["parts"]["gateway"]["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    until(async || gateway().await.contains("4014")).await;
    assert!(gateway().await.contains("Server Members Intent"));
    assert_eq!(
        (bot.ready_status().await, bot.ready().await["status"].as_str()),
        (200, Some("degraded"))
    );
    // The bot lives: commands are carried out by asking instead of listening.
    let ben = rig.member("Ben B");
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.result().await;
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE].into());
    assert_eq!(rig.steps(|step| matches!(step, GatewayStep::Connected { .. })), 1);
    assert_eq!(
        rig.requests("GET", "/applications/@me"),
        1,
        "somebody is asked whether it is mended, slowly"
    );
    bot.stop().await;
}

#[tokio::test]
async fn an_intent_that_was_switched_on_meanwhile_is_noticed() {
    let rig = Rig::start_with(no_intents).await;
    // Switched on between the refusal and the first look.
    let members = PrivilegedIntents {
        members: true,
        ..PrivilegedIntents::default()
    };
    let refused = rig.discord.wait_until(|discord| {
        let refused =
            |step: &GatewayStep| matches!(step, GatewayStep::ClosedBySimulator { code: Some(4014) });
        discord.gateway().log.iter().any(|entry| refused(&entry.step))
    });
    rig.discord.add_fault(
        rolecall_sandbox::discord::faults::Fault::new(rolecall_sandbox::discord::faults::FaultKind::Delay {
            millis: 300,
        })
        .path("/applications/@me"),
    );
    let bot = rig.idle_bot("10s");
    soon(refused).await;
    rig.discord
        .act(PlatformAction::SetPrivilegedIntents(members))
        .unwrap();
    soon(rig.discord.wait_until(|_| rig.identified() == 1)).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_discord_refuses_is_said_once_and_not_tried_again() {
    let rig = Rig::start().await;
    let bot = Bot::start(&rig.redis, &rig.discord, &[("DISCORD_BOT_TOKEN", "an.old.token")]);
    until(async || bot.ready().await["parts"]["discord_rest"]["ok"] == false).await;
    let ready = bot.ready().await;
    for part in ["discord_rest", "gateway"] {
        let detail = ready["parts"][part]["detail"].as_str().unwrap();
        assert!(
            detail.contains("DISCORD_BOT_TOKEN") && !detail.contains("an.old.token"),
            "{detail}"
        );
    }
    assert_eq!(
        (bot.ready_status().await, ready["status"].as_str()),
        (200, Some("degraded"))
    );
    for revision in 1..=5 {
        rig.worker
            .push(&command(
                rig.member(&format!("m{revision}")),
                revision,
                &[COUNCIL_ROLE],
                &[],
            ))
            .await;
    }
    until(async || {
        rig.redis
            .run::<u64>(&["ZCARD", "{test:role-commands-now}:delayed"])
            .await
            == 5
    })
    .await;
    assert_eq!(rig.discord.requests().len(), 1, "{:?}", rig.discord.requests());
    assert_eq!(rig.identified(), 0);
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_is_reset_while_the_bot_runs_ends_all_tries() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord
        .act(PlatformAction::ResetBotToken {
            token: "another".to_owned(),
        })
        .unwrap();
    until(async || {
        bot.ready().await["parts"]["gateway"]["detail"]
            .as_str()
            .unwrap()
            .contains("4004")
    })
    .await;
    let before = rig.discord.requests().len();
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    until(async || {
        rig.redis
            .run::<u64>(&["ZCARD", "{test:role-commands-now}:delayed"])
            .await
            == 1
    })
    .await;
    assert_eq!(
        rig.discord.requests().len(),
        before,
        "the gateway's word counts for REST as well"
    );
    bot.stop().await;
}

#[tokio::test]
async fn without_session_starts_left_none_is_risked() {
    let rig = Rig::start().await;
    rig.discord
        .act(GatewayAction::SetIdentifyBudget { remaining: 0 })
        .unwrap();
    let bot = rig.idle_bot("10s");
    until(async || {
        bot.ready().await["parts"]["gateway"]["detail"]
            .as_str()
            .unwrap()
            .contains("waiting until 20")
    })
    .await;
    assert_eq!(rig.discord.gateway().connections, 0);
    assert!(
        bot.metrics()
            .await
            .contains("rolecall_bot_session_starts_remaining 0")
    );
    bot.stop().await;
}

#[tokio::test]
async fn discord_being_away_degrades_the_bot_and_ends_by_itself() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    rig.discord.set_gateway(GatewaySwitches {
        refuse_connections: true,
        ..GatewaySwitches::default()
    });
    rig.discord.act(GatewayAction::CutGateway).unwrap();
    until(async || bot.ready().await["status"] == "degraded").await;
    assert_eq!(bot.ready_status().await, 200);
    rig.discord.set_gateway(GatewaySwitches::default());
    until(async || bot.ready().await["status"] == "ready").await;
    assert_eq!(rig.identified(), 1);
    bot.stop().await;
}
