//! What can go wrong, with whom, and for how long.

use std::fmt;

use rolecall_sandbox::rng::Rng;

use crate::chaos::plan::pick;

/// A service of which several processes run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// Takes webhooks in and shows pages.
    Api,
    /// Reads, decides and writes.
    Worker,
    /// Acts in Discord.
    Bot,
}

/// One process of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instance {
    /// Of which service.
    pub service: Service,
    /// Which one, from 1.
    pub number: u8,
}

/// What a service speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// The record.
    Postgres,
    /// The queues.
    Redis,
    /// Stripe's API.
    Stripe,
    /// Discord's API.
    Discord,
}

/// What becomes of the connections between an instance and what it speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// All are cut once.
    Cut,
    /// Nobody is let in.
    Refused,
    /// Nothing is heard any more.
    Silent,
    /// Everything takes this many milliseconds longer, each way.
    Slow(u16),
    /// Each is cut after so many bytes: in the middle of something.
    CutAfter(u16),
}

/// What Stripe's API does with the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripeMood {
    /// An error with this status.
    Status(u16),
    /// 429, with a second to wait.
    TooMany,
    /// The right answer of the moment of the question, this many milliseconds late.
    Late(u16),
    /// 200, and no JSON.
    Garbage,
    /// No answer.
    Hang,
}

/// What Discord's API does with the next requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscordMood {
    /// An error page with this status.
    Status(u16),
    /// 429 for this route, with milliseconds to wait.
    TooMany(u16),
    /// This many milliseconds late.
    Late(u16),
    /// 200, and no JSON.
    Garbage,
    /// The connection is cut before anything is done.
    Dropped,
    /// It is done, and the connection is cut.
    LostAnswer,
    /// A role change is answered with 204, and not done.
    Lie,
}

/// What happens on Discord's gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatewayMood {
    /// All connections are cut.
    Cut,
    /// Everybody is asked to reconnect.
    Reconnect,
    /// Sessions are declared invalid; `true` where a RESUME is worth trying.
    Invalid(bool),
    /// Sessions are forgotten without a word, and the connections cut.
    Forgotten,
    /// Changes of members are not told.
    Mute,
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL, until it is started again.
    Killed(Instance),
    /// SIGSTOP, until SIGCONT.
    Stopped(Instance),
    /// Redis is killed, until it is started again.
    RedisDown,
    /// Postgres is killed, until it is started again.
    PostgresDown,
    /// Redis forgets everything.
    RedisEmptied,
    /// The network between an instance and what it speaks to.
    Network(Instance, Upstream, Weather),
    /// Stripe's API.
    Stripe(StripeMood),
    /// Discord's API.
    Discord(DiscordMood),
    /// Discord's gateway.
    Gateway(GatewayMood),
}

impl Instance {
    /// Three apis, three workers, two bots of which one stands by.
    pub const ALL: [Self; 8] = [
        Self::new(Service::Api, 1),
        Self::new(Service::Api, 2),
        Self::new(Service::Api, 3),
        Self::new(Service::Worker, 1),
        Self::new(Service::Worker, 2),
        Self::new(Service::Worker, 3),
        Self::new(Service::Bot, 1),
        Self::new(Service::Bot, 2),
    ];

    const fn new(service: Service, number: u8) -> Self {
        Self { service, number }
    }

    fn draw(rng: &mut Rng) -> Self {
        draw(rng, &Self::ALL).unwrap_or(Self::new(Service::Worker, 1))
    }
}

impl Service {
    /// The name that its binary ends with.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Bot => "bot",
        }
    }

    /// What it speaks to.
    pub const fn upstreams(self) -> &'static [Upstream] {
        match self {
            Self::Api => &[
                Upstream::Postgres,
                Upstream::Redis,
                Upstream::Stripe,
                Upstream::Discord,
            ],
            Self::Worker => &[Upstream::Postgres, Upstream::Redis, Upstream::Stripe],
            Self::Bot => &[Upstream::Redis, Upstream::Discord],
        }
    }
}

impl Fault {
    /// The kinds that there are.
    pub const KINDS: [&'static str; 9] = [
        "killed",
        "stopped",
        "redis down",
        "postgres down",
        "redis emptied",
        "network",
        "stripe",
        "discord",
        "gateway",
    ];

    /// Its kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Killed(_) => "killed",
            Self::Stopped(_) => "stopped",
            Self::RedisDown => "redis down",
            Self::PostgresDown => "postgres down",
            Self::RedisEmptied => "redis emptied",
            Self::Network(..) => "network",
            Self::Stripe(_) => "stripe",
            Self::Discord(_) => "discord",
            Self::Gateway(_) => "gateway",
        }
    }

    /// Whether it has to be ended; the others are over at once, or after some requests.
    pub const fn lasts(self) -> bool {
        match self {
            Self::RedisEmptied
            | Self::Stripe(_)
            | Self::Discord(_)
            | Self::Network(_, _, Weather::Cut)
            | Self::Gateway(
                GatewayMood::Cut | GatewayMood::Reconnect | GatewayMood::Invalid(_) | GatewayMood::Forgotten,
            ) => false,
            Self::Killed(_)
            | Self::Stopped(_)
            | Self::RedisDown
            | Self::PostgresDown
            | Self::Network(..)
            | Self::Gateway(GatewayMood::Mute) => true,
        }
    }

    /// A fault, and how many milliseconds it lasts: 0 for one that does not.
    pub(crate) fn draw(rng: &mut Rng) -> (Self, u64) {
        let fault = match rng.below(100) {
            0..22 => Self::Killed(Instance::draw(rng)),
            22..30 => Self::Stopped(Instance::draw(rng)),
            30..35 => Self::RedisDown,
            35..40 => Self::PostgresDown,
            40..43 => Self::RedisEmptied,
            43..68 => draw_network(rng),
            68..78 => Self::Stripe(draw_stripe(rng)),
            78..91 => Self::Discord(draw_discord(rng)),
            _ => Self::Gateway(draw_gateway(rng)),
        };
        let lasts = match fault {
            _ if !fault.lasts() => 0,
            Self::Killed(_) => 100 + rng.below(3_000),
            // Longer than the lease lasts, more often than not.
            Self::Stopped(_) => 1_000 + rng.below(7_000),
            Self::RedisDown | Self::PostgresDown => 200 + rng.below(2_500),
            _ => 300 + rng.below(4_000),
        };
        (fault, lasts)
    }
}

fn draw_network(rng: &mut Rng) -> Fault {
    let instance = Instance::draw(rng);
    let upstream = draw(rng, instance.service.upstreams()).unwrap_or(Upstream::Redis);
    let weather = match rng.below(100) {
        0..30 => Weather::Cut,
        30..45 => Weather::Refused,
        45..65 => Weather::Silent,
        65..85 => Weather::Slow(small(rng, 5, 200)),
        _ => Weather::CutAfter(small(rng, 1, 5_000)),
    };
    Fault::Network(instance, upstream, weather)
}

fn draw_stripe(rng: &mut Rng) -> StripeMood {
    match rng.below(5) {
        0 => StripeMood::Status(draw(rng, &[500, 502, 503]).unwrap_or(500)),
        1 => StripeMood::TooMany,
        2 => StripeMood::Late(small(rng, 50, 1_500)),
        3 => StripeMood::Garbage,
        _ => StripeMood::Hang,
    }
}

fn draw_discord(rng: &mut Rng) -> DiscordMood {
    match rng.below(7) {
        0 => DiscordMood::Status(draw(rng, &[500, 502, 503, 504]).unwrap_or(500)),
        1 => DiscordMood::TooMany(small(rng, 50, 1_000)),
        2 => DiscordMood::Late(small(rng, 50, 500)),
        3 => DiscordMood::Garbage,
        4 => DiscordMood::Dropped,
        5 => DiscordMood::LostAnswer,
        _ => DiscordMood::Lie,
    }
}

fn draw_gateway(rng: &mut Rng) -> GatewayMood {
    match rng.below(5) {
        0 => GatewayMood::Cut,
        1 => GatewayMood::Reconnect,
        2 => GatewayMood::Invalid(rng.chance(50)),
        3 => GatewayMood::Forgotten,
        _ => GatewayMood::Mute,
    }
}

fn draw<T: Copy>(rng: &mut Rng, from: &[T]) -> Option<T> {
    from.get(pick(rng, from.len())).copied()
}

fn small(rng: &mut Rng, least: u16, most: u16) -> u16 {
    let span = u64::from(most.saturating_sub(least));
    least.saturating_add(u16::try_from(rng.below(span)).unwrap_or(0))
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.service.name(), self.number)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Killed(instance) => write!(f, "{instance} is killed"),
            Self::Stopped(instance) => write!(f, "{instance} is stopped"),
            Self::RedisDown => f.write_str("Redis is killed"),
            Self::PostgresDown => f.write_str("Postgres is killed"),
            Self::RedisEmptied => f.write_str("Redis forgets everything"),
            Self::Network(instance, upstream, weather) => {
                write!(f, "{weather:?} between {instance} and {upstream:?}")
            }
            Self::Stripe(mood) => write!(f, "Stripe: {mood:?}"),
            Self::Discord(mood) => write!(f, "Discord: {mood:?}"),
            Self::Gateway(mood) => write!(f, "the gateway: {mood:?}"),
        }
    }
}
