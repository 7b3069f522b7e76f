//! Carrying out faults, and ending them. Each has to be quick: the next deed of the plan waits for it.

use std::time::Duration;

use rolecall_sandbox::{
    discord::{
        self,
        control::gateway::GatewayAction,
        faults::{Fault as DiscordFault, FaultKind as DiscordFaultKind},
        gateway::GatewaySwitches,
        limits::answer::Scope,
    },
    network::{Conduct, Proxy},
    stripe::{
        self,
        faults::{FaultKind, RequestFault, Snapshot},
    },
};

use crate::chaos::{
    fault::{DiscordMood, Fault, GatewayMood, StripeMood, Weather},
    installation::Installation,
};

/// How many requests a mood of Stripe's or Discord's meets.
const REQUESTS: u32 = 3;

/// Lets a fault begin.
pub(super) async fn begin(installation: &mut Installation, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Killed(instance) => installation.kill(instance).await?,
        Fault::Stopped(instance) => installation.signal(instance, "STOP").await?,
        Fault::RedisDown => installation.redis.kill().await?,
        Fault::PostgresDown => installation.postgres.kill().await?,
        // One that is down has nothing to forget at the moment.
        Fault::RedisEmptied if installation.redis.is_down() => {}
        Fault::RedisEmptied => installation.redis.flush().await?,
        Fault::Network(instance, upstream, weather) => {
            if let Some(proxy) = installation.proxy(instance, upstream) {
                change(proxy, weather);
            }
        }
        Fault::Stripe(mood) => vex_stripe(&installation.stack.stripe, mood),
        Fault::Discord(mood) => vex_discord(&installation.stack.discord, mood),
        Fault::Gateway(mood) => vex_gateway(&installation.stack.discord, mood)?,
    }
    Ok(())
}

/// Lets a fault end.
pub(super) async fn end(installation: &mut Installation, fault: Fault) -> anyhow::Result<()> {
    match fault {
        Fault::Killed(instance) => installation.occupy(instance)?,
        Fault::Stopped(instance) => installation.signal(instance, "CONT").await?,
        Fault::RedisDown => installation.redis.restart().await?,
        Fault::PostgresDown => installation.postgres.restart().await?,
        Fault::Network(instance, upstream, _) => {
            if let Some(proxy) = installation.proxy(instance, upstream) {
                proxy.set(Conduct::Pass);
            }
        }
        Fault::Gateway(_) => installation.stack.discord.set_gateway(GatewaySwitches::default()),
        Fault::RedisEmptied | Fault::Stripe(_) | Fault::Discord(_) => {}
    }
    Ok(())
}

fn change(proxy: &Proxy, weather: Weather) {
    match weather {
        Weather::Cut => proxy.cut(),
        Weather::Refused => proxy.set(Conduct::Refuse),
        Weather::Silent => proxy.set(Conduct::Silent),
        Weather::Slow(millis) => proxy.set(Conduct::Slow {
            delay: Duration::from_millis(millis.into()),
        }),
        Weather::CutAfter(bytes) => proxy.set(Conduct::CutAfter { bytes: bytes.into() }),
    }
}

fn vex_stripe(stripe: &stripe::Simulator, mood: StripeMood) {
    let status = |status, retry_after| FaultKind::Status {
        status,
        retry_after,
        applied: false,
    };
    let fault = match mood {
        StripeMood::Status(code) => status(code, None),
        StripeMood::TooMany => status(429, Some(1)),
        StripeMood::Late(millis) => FaultKind::Slow {
            delay_ms: millis.into(),
            snapshot: Snapshot::Before,
        },
        StripeMood::Garbage => FaultKind::Garbage,
        StripeMood::Hang => FaultKind::Hang { applied: false },
    };
    stripe.add_request_fault(RequestFault {
        path_contains: None,
        times: Some(REQUESTS),
        fault,
    });
}

fn vex_discord(discord: &discord::Simulator, mood: DiscordMood) {
    let kind = match mood {
        DiscordMood::Status(status) => DiscordFaultKind::Status { status },
        DiscordMood::TooMany(millis) => DiscordFaultKind::TooMany {
            retry_after_ms: millis.into(),
            scope: Scope::User,
        },
        DiscordMood::Late(millis) => DiscordFaultKind::Delay {
            millis: millis.into(),
        },
        DiscordMood::Garbage => DiscordFaultKind::Garbage,
        DiscordMood::Dropped => DiscordFaultKind::Drop,
        DiscordMood::LostAnswer => DiscordFaultKind::LoseAnswer,
        DiscordMood::Lie => DiscordFaultKind::Lie,
    };
    discord.add_fault(DiscordFault::new(kind).path("/members/").times(REQUESTS));
}

fn vex_gateway(discord: &discord::Simulator, mood: GatewayMood) -> anyhow::Result<()> {
    let act = |action: GatewayAction| -> anyhow::Result<()> {
        let done = discord.act(action);
        done.map(drop).map_err(|error| anyhow::anyhow!("{error}"))
    };
    match mood {
        GatewayMood::Cut => act(GatewayAction::CutGateway),
        GatewayMood::Reconnect => act(GatewayAction::Reconnect),
        GatewayMood::Invalid(resumable) => act(GatewayAction::InvalidateSessions { resumable }),
        GatewayMood::Forgotten => {
            act(GatewayAction::ForgetSessions)?;
            act(GatewayAction::CutGateway)
        }
        GatewayMood::Mute => {
            discord.set_gateway(GatewaySwitches {
                no_member_updates: true,
                ..GatewaySwitches::default()
            });
            Ok(())
        }
    }
}
