//! Discord that is away, in part or altogether, for long.

use std::time::Duration;

use rolecall_queue::jobs::RoleResult;
use rolecall_sandbox::discord::{
    Simulator,
    control::{gateway::GatewayAction, platform::PlatformAction},
    demo::{BOT_TOKEN, COUNCIL_ROLE},
    faults::{Fault, FaultKind},
    gateway::{GatewaySwitches, log::GatewayStep},
};

use crate::support::{Bot, Rig, command, soon, until};

impl Rig {
    /// A bot whose waits for Discord are so many times shorter, with a session.
    async fn hurried_bot(&self, times: u32) -> Bot {
        let bot = Bot::start_with(&self.redis, &self.discord, &[], |config| {
            config.pace = config.pace.hurried(times);
        });
        let has_session =
            |discord: &Simulator| discord.gateway().sessions.iter().any(|session| session.connected);
        soon(self.discord.wait_until(has_session)).await;
        until(async || bot.role().await == "leader" && is_well(&bot).await).await;
        bot
    }

    fn connections(&self) -> usize {
        self.steps(|step| matches!(step, GatewayStep::Connected { .. }))
    }
}

async fn is_well(bot: &Bot) -> bool {
    let ready = bot.ready().await;
    let gateway = &ready["parts"]["gateway"];
    gateway["ok"] == true
        && gateway["detail"]
            .as_str()
            .unwrap_or_default()
            .contains("heartbeat ack")
}

async fn detail(bot: &Bot, part: &str) -> String {
    let ready = bot.ready().await;
    ready["parts"][part]["detail"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

fn ends(metrics: &str, cause: &str) -> u64 {
    let series = format!(r#"rolecall_bot_gateway_ends_total{{cause="{cause}"}} "#);
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap_or_else(|| panic!("no {series}")).parse().unwrap()
}

#[tokio::test]
async fn a_gateway_that_accepts_us_and_says_nothing_is_told_since_when_and_left_more_and_more_in_peace() {
    let rig = Rig::start_with(|config| config.gateway.heartbeat_interval = Duration::from_secs(1)).await;
    let bot = rig.hurried_bot(40).await;
    let identified = rig.identified();
    rig.discord.set_gateway(GatewaySwitches {
        no_session: true,
        no_acks: true,
        ..GatewaySwitches::default()
    });
    rig.discord.act(GatewayAction::CutGateway).unwrap();
    until(async || ends(&bot.metrics().await, "no_session") >= 5).await;
    until(async || {
        detail(&bot, "gateway")
            .await
            .contains("accepts us but says nothing since 20")
    })
    .await;
    assert!(detail(&bot, "gateway").await.contains("connecting again"));
    assert_eq!(
        (bot.ready_status().await, bot.ready().await["status"].as_str()),
        (200, Some("degraded"))
    );
    assert!(
        rig.identified() > identified,
        "a session that is never resumed is given up in the end"
    );
    rig.discord.set_gateway(GatewaySwitches::default());
    until(async || is_well(&bot).await).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_gateway_that_is_silent_from_the_first_byte_is_noticed_too() {
    let rig = Rig::start().await;
    let bot = rig.hurried_bot(40).await;
    rig.discord.set_gateway(GatewaySwitches {
        no_hello: true,
        ..GatewaySwitches::default()
    });
    rig.discord.act(GatewayAction::CutGateway).unwrap();
    until(async || ends(&bot.metrics().await, "no_session") >= 2).await;
    rig.discord.set_gateway(GatewaySwitches::default());
    until(async || is_well(&bot).await).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_gateway_that_breaks_off_before_it_says_hello_does_not_cost_the_session() {
    let rig = Rig::start().await;
    let bot = rig.hurried_bot(40).await;
    let mute = GatewaySwitches {
        no_hello: true,
        ..GatewaySwitches::default()
    };
    rig.discord.set_gateway(mute);
    rig.discord.act(GatewayAction::CutGateway).unwrap();
    until(async || ends(&bot.metrics().await, "no_session") >= 5).await;
    rig.discord.set_gateway(GatewaySwitches::default());
    until(async || is_well(&bot).await).await;
    assert_eq!(
        (rig.identified(), rig.resumed()),
        (1, 1),
        "nobody was asked to resume meanwhile"
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_discord_takes_again_is_noticed_without_a_restart() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.hurried_bot(60).await;
    let refuse = FaultKind::Refuse { status: 401, code: 0 };
    rig.discord.add_fault(Fault::new(refuse).times(1));
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    let takes_token = async || bot.ready().await["parts"]["discord_rest"]["ok"] == true;
    until(async || !takes_token().await).await;
    until(takes_token).await;
    rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.outcome().await.revision, 2);
    assert!(rig.roles_of(ben).contains(&COUNCIL_ROLE));

    // The same at the gateway, and with a first try that fails.
    let reset = |token: &str| PlatformAction::ResetBotToken {
        token: token.to_owned(),
    };
    rig.discord.act(reset("another")).unwrap();
    until(async || !takes_token().await).await;
    let tries = rig.requests("GET", "/users/@me");
    until(async || rig.requests("GET", "/users/@me") > tries).await;
    rig.discord.act(reset(BOT_TOKEN)).unwrap();
    until(async || takes_token().await && is_well(&bot).await).await;
    bot.stop().await;
}

#[tokio::test]
async fn a_connection_that_looks_alive_and_acknowledges_nothing_stays_suspect_until_it_does() {
    let rig = Rig::start_with(|config| config.gateway.heartbeat_interval = Duration::from_millis(150)).await;
    let bot = rig.hurried_bot(20).await;
    rig.discord.set_gateway(GatewaySwitches {
        no_acks: true,
        ..GatewaySwitches::default()
    });
    until(async || ends(&bot.metrics().await, "zombie") >= 3).await;
    until(async || {
        detail(&bot, "gateway")
            .await
            .contains("acknowledges no heartbeat since 20")
    })
    .await;
    assert_eq!(bot.ready().await["status"], "degraded");
    rig.discord.set_gateway(GatewaySwitches::default());
    until(async || is_well(&bot).await).await;
    assert_eq!(rig.identified(), 1, "each of them was resumed");
    bot.stop().await;
}

#[tokio::test]
async fn a_close_that_no_new_connection_mends_is_not_answered_with_one_and_says_what_to_do() {
    for code in [4010, 4011, 4012, 4013] {
        let rig = Rig::start().await;
        let bot = rig.hurried_bot(40).await;
        let connections = rig.connections();
        rig.discord.act(GatewayAction::CloseGateway { code }).unwrap();
        until(async || detail(&bot, "gateway").await.contains(&code.to_string())).await;
        // The bot lives: what is told to it is carried out by asking.
        let ben = rig.member("Ben B");
        rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
        rig.worker.result().await;
        assert_eq!(rig.connections(), connections, "{code}");
        assert_eq!(bot.ready_status().await, 200);
        bot.stop().await;
    }
}

#[tokio::test]
async fn discord_gone_altogether_costs_a_few_questions_and_no_attempt_and_all_is_caught_up_afterwards() {
    let rig = Rig::start().await;
    let people: Vec<u64> = (0..30)
        .map(|number| rig.member(&format!("person{number}")))
        .collect();
    rig.discord.set_limit("member-roles", 50, 1_000).unwrap();
    let bot = rig.hurried_bot(20).await;
    rig.discord.set_gateway(GatewaySwitches {
        refuse_connections: true,
        ..GatewaySwitches::default()
    });
    rig.discord
        .add_fault(Fault::new(FaultKind::Status { status: 503 }));
    rig.discord.act(GatewayAction::CutGateway).unwrap();
    for who in &people {
        rig.worker.push(&command(*who, 1, &[COUNCIL_ROLE], &[])).await;
    }
    until(async || {
        detail(&bot, "discord_rest")
            .await
            .contains("answers no call since 20")
    })
    .await;
    let asked = || rig.requests("GET", "/users/@me");
    let (before, members) = (asked(), rig.requests("GET", "/members/"));
    soon(rig.discord.wait_until(|_| asked() >= before + 5)).await;
    assert_eq!(
        rig.requests("GET", "/members/"),
        members,
        "only one question is asked again and again"
    );
    assert!(members <= 16, "{members} commands were begun");
    assert_eq!(
        (bot.ready_status().await, bot.ready().await["status"].as_str()),
        (200, Some("degraded"))
    );

    rig.discord.clear_faults();
    rig.discord.set_gateway(GatewaySwitches::default());
    for _ in &people {
        let result = rig.worker.result().await;
        assert!(matches!(result, RoleResult::Applied { .. }), "{result:?}");
    }
    assert_eq!(
        rig.requests("PUT", "/roles/"),
        people.len(),
        "nothing is done twice"
    );
    until(async || bot.ready().await["status"] == "ready").await;
    bot.stop().await;
}

#[tokio::test]
async fn a_gateway_that_cannot_be_reached_is_told_with_what_is_in_the_way() {
    let rig = Rig::start().await;
    let plain = rig.discord.gateway_url();
    let table = [
        ("ws://127.0.0.1:9".to_owned(), "refused: look at firewall"),
        (
            plain.replace("ws://", "wss://"),
            "TLS failed: look at this machine's clock",
        ),
        (
            plain.replace("/gateway", "/nowhere"),
            "answers with an error: wait",
        ),
    ];
    for (url, words) in table {
        let bot = Bot::start(&rig.redis, &rig.discord, &[("DISCORD_GATEWAY_URL", &url)]);
        until(async || detail(&bot, "gateway").await.contains(words)).await;
        assert_eq!(bot.ready_status().await, 200);
        bot.stop().await;
    }
}

#[tokio::test]
async fn a_day_in_which_the_session_starts_run_out_is_told_with_its_end() {
    let rig = Rig::start().await;
    rig.discord
        .act(GatewayAction::SetIdentifyBudget { remaining: 0 })
        .unwrap();
    let bot = Bot::start(&rig.redis, &rig.discord, &[]);
    until(async || detail(&bot, "gateway").await.contains("waiting until 20")).await;
    assert_eq!(rig.connections(), 0);
    bot.stop().await;
}
