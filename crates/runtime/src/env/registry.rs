//! Every environment variable, said once: who reads it, its default, what it means, an example.
//!
//! The readers in `config` take defaults and examples from here; `.env.example` and the table in
//! the documentation are rendered from here.

use std::fmt;

/// A program that reads the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// `rolecall-api`.
    Api,
    /// `rolecall-worker`.
    Worker,
    /// `rolecall-bot`.
    Bot,
    /// `rolecall`, the operator's command.
    Cli,
}

impl Service {
    /// The short name, as logs and metrics carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Bot => "bot",
            Self::Cli => "cli",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What happens when a variable is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The service does not start.
    Required,
    /// The service does not start if this holds.
    RequiredIf(&'static str),
    /// This value is taken.
    Default(&'static str),
    /// The value of the service that reads it is taken.
    DefaultOf(&'static [(Service, &'static str)]),
    /// What it switches on stays off, or takes the value described.
    Optional,
}

/// How much of a value must stay hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// Nothing.
    Public,
    /// A URL that may carry a password.
    MayHoldPassword,
    /// All of it.
    Secret,
}

/// One environment variable.
#[derive(Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name; `NAME_FILE` works as well.
    pub name: &'static str,
    /// Who reads it.
    pub services: &'static [Service],
    /// What happens without it.
    pub need: Need,
    /// How much of it must stay hidden.
    pub secrecy: Secrecy,
    /// What it means, in one line.
    pub doc: &'static str,
    /// A value that would be accepted.
    pub example: &'static str,
}

impl Variable {
    /// The default that `service` takes, if there is one.
    pub fn default_for(&self, service: Service) -> Option<&'static str> {
        match self.need {
            Need::Default(text) => Some(text),
            Need::DefaultOf(texts) => texts
                .iter()
                .find(|(owner, _)| *owner == service)
                .map(|(_, text)| *text),
            Need::Required | Need::RequiredIf(_) | Need::Optional => None,
        }
    }

    /// Whether all of the value is secret.
    pub fn is_secret(&self) -> bool {
        self.secrecy == Secrecy::Secret
    }
}

/// Variables that belong together, under one heading.
#[derive(Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The variables, in reading order.
    pub variables: &'static [&'static Variable],
}

macro_rules! variables {
    ($($title:literal { $($name:ident [$($service:ident)+] $need:expr, $secrecy:ident, $doc:literal, $example:literal;)+ })+) => {
        $($(
            #[doc = $doc]
            pub static $name: Variable = Variable {
                name: stringify!($name),
                services: &[$(Service::$service),+],
                need: $need,
                secrecy: Secrecy::$secrecy,
                doc: $doc,
                example: $example,
            };
        )+)+

        /// Every variable, grouped.
        pub static GROUPS: &[Group] = &[$(Group { title: $title, variables: &[$(&$name),+] }),+];
    };
}

use Need::{Default, DefaultOf, Optional, Required, RequiredIf};

variables! {
    "Process" {
        APP_ENV [Api Worker Bot Cli] Default("development"), Public,
            "`development`, `staging` or `production`; production insists on https and on secrets of your own.",
            "production";
        LOG_FORMAT [Api Worker Bot Cli] Default("json"), Public,
            "`json`, one object a line, or `pretty`, for people.", "pretty";
        RUST_LOG [Api Worker Bot Cli] Default("info"), Public,
            "What is logged: a level, or levels by module.", "info,rolecall_worker=debug";
        OTEL_EXPORTER_OTLP_ENDPOINT [Api Worker Bot] Optional, Public,
            "Where traces are to go by OTLP over HTTP; checked, but nothing is sent there yet.",
            "http://localhost:4318";
        DRAIN_DELAY [Api] Default("5s"), Public,
            "How long the listener stays open after `/ready` turned 503, so that proxies notice.", "5s";
        DRAIN_TIMEOUT [Api Worker Bot] Default("25s"), Public,
            "How long running work may take to finish before it is cut off.", "25s";
    }
    "Postgres" {
        DATABASE_URL [Api Worker Cli] Required, MayHoldPassword,
            "The record; may go through a pooler in transaction mode.",
            "postgres://rolecall:rolecall@localhost:5432/rolecall";
        DIRECT_URL [Api Worker Cli] Optional, MayHoldPassword,
            "For migrations, past any transaction pooler; unset: `DATABASE_URL`.",
            "postgres://rolecall:rolecall@localhost:5432/rolecall";
        DATABASE_POOLER [Api Worker Cli] Default("auto"), Public,
            "`auto`, `none`, `session` or `transaction`; `auto`: port 6543 or `pgbouncer=true` means transaction.",
            "transaction";
        DATABASE_MAX_CONNECTIONS [Api Worker Cli] Default("3"), Public,
            "The largest number of connections of one process.", "3";
    }
    "Redis" {
        REDIS_URL [Api Worker Bot Cli] Required, MayHoldPassword,
            "Queues, leases and live updates; `redis://`, `rediss://` or `unix://`.", "redis://localhost:6379";
        REDIS_NAMESPACE [Api Worker Bot Cli] Default("rolecall"), Public,
            "What the keys begin with, so that two installations can share one Redis.", "rolecall";
    }
    "HTTP" {
        HOST [Api Worker Bot] Default("0.0.0.0"), Public,
            "The address that listeners bind.", "0.0.0.0";
        PORT [Api] Default("3000"), Public,
            "The public port.", "3000";
        HEALTH_PORT [Api Worker Bot]
            DefaultOf(&[(Service::Api, "3003"), (Service::Worker, "3001"), (Service::Bot, "3002")]), Public,
            "The port of `/health`, `/ready` and `/metrics`; not for the public.", "3003";
        PUBLIC_URL [Api Worker] Required, Public,
            "The origin that members see; https in production. A worker without it sends mails without links to it.",
            "http://localhost:3000";
        CORS_ALLOWED_ORIGINS [Api] Optional, Public,
            "Comma list of other origins whose pages may call the API; unset: none.", "https://www.example.com";
        TRUSTED_PROXIES [Api] Optional, Public,
            "Comma list of the addresses or networks whose forwarded headers are believed; unset: none.",
            "10.0.0.0/8,172.16.0.0/12";
    }
    "Stripe" {
        STRIPE_MODE [Api Worker Cli] Default("test"), Public,
            "`test` or `live`; keys, secrets and events of the other mode are refused.", "test";
        STRIPE_SECRET_KEY [Api Worker Cli] Required, Secret,
            "A secret or restricted key of that mode.", "sk_test_replace_me";
        STRIPE_WEBHOOK_SECRET_TEST [Api] RequiredIf("`STRIPE_MODE` is `test`"), Secret,
            "The webhook endpoint's signing secrets in test mode; a comma list while one is rolled.",
            "whsec_replace_me_test";
        STRIPE_WEBHOOK_SECRET_LIVE [Api] RequiredIf("`STRIPE_MODE` is `live`"), Secret,
            "The same in live mode.", "whsec_replace_me_live";
        STRIPE_API_BASE [Api Worker Cli] Default("https://api.stripe.com"), Public,
            "The origin of Stripe's API; another one for tests.", "https://api.stripe.com";
    }
    "Discord" {
        DISCORD_CLIENT_ID [Api] Required, Public,
            "The application's id.", "175928847299117063";
        DISCORD_CLIENT_SECRET [Api] Required, Secret,
            "The application's client secret.", "replace-me-with-the-client-secret";
        DISCORD_REDIRECT_URI [Api] Required, Public,
            "`PUBLIC_URL` and `/auth/discord/callback`, exactly as entered at Discord.",
            "http://localhost:3000/auth/discord/callback";
        DISCORD_BOT_TOKEN [Bot] Required, Secret,
            "The bot's token.", "replace-me-with-the-bot-token";
        DISCORD_GUILD_ID [Bot] Required, Public,
            "The server.", "175928847299117063";
        DISCORD_INTENTS [Bot] Default("guilds,guild_members"), Public,
            "Comma list of gateway intents; `guilds` is needed, `guild_members` and `message_content` are privileged.",
            "guilds,guild_members";
        DISCORD_GATEWAY_URL [Bot] Optional, Public,
            "Where the gateway is first connected; unset: as Discord says.", "wss://gateway.discord.gg";
        DISCORD_API_BASE [Api Worker Bot Cli] Default("https://discord.com"), Public,
            "The origin of Discord's API; another one for tests.", "https://discord.com";
    }
    "Secrets of this installation" {
        JWT_SECRET [Api] Required, Secret,
            "Signs access tokens; at least 32 bytes (`openssl rand -base64 32`).",
            "replace-me-with-openssl-rand-base64-32-a";
        JWT_REFRESH_SECRET [Api] Required, Secret,
            "Signs refresh tokens; at least 32 bytes and another one than `JWT_SECRET`.",
            "replace-me-with-openssl-rand-base64-32-b";
        ENCRYPTION_KEYS [Api Bot] Required, Secret,
            "Comma list of `id:base64` of 32 bytes each; the first seals, all open.",
            "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    }
    "Mail" {
        SMTP_URL [Worker] RequiredIf("`MAIL_FROM` is set"), MayHoldPassword,
            "The mail server: `smtps://`, or `smtp://` with `?tls=required` (STARTTLS); unset: no mail is sent.",
            "smtp://localhost:1025";
        MAIL_FROM [Worker] RequiredIf("`SMTP_URL` is set"), Public,
            "The sender of every mail.", "Rolecall <billing@example.com>";
    }
    "Policy and jobs" {
        GRACE_PERIOD [Api Worker Cli] Default("7d"), Public,
            "How long access stays after the first failed payment; a plan's own `grace` wins.", "7d";
        INVITE_TTL [Api Worker] Default("7d"), Public,
            "How long an invitation is good.", "7d";
        ENABLE_CRON_JOBS [Worker] Default("true"), Public,
            "Whether this process takes part in recurring jobs.", "true";
        RECONCILE_MAX_REMOVALS [Worker Cli] Optional, Public,
            "If more people than this would lose access a sweep waits for a yes; unset: the larger of 10 and 10 %.", "10";
        JOB_RETRY_SCHEDULE [Worker Bot] Default("2s,15s,1m,5m,30m,2h,6h,12h"), Public,
            "Comma list of the waits between the attempts of a job.", "2s,15s,1m,5m,30m,2h,6h,12h";
        LEASE_TTL [Bot] Default("10s"), Public,
            "How long the bot's lease outlives its last renewal.", "10s";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_variable_is_declared_twice_or_read_by_nobody() {
        let mut names = BTreeSet::new();
        for variable in GROUPS.iter().flat_map(|group| group.variables) {
            assert!(names.insert(variable.name), "{} is declared twice", variable.name);
            assert!(!variable.services.is_empty(), "{} has no reader", variable.name);
            assert!(
                !variable.name.ends_with("_FILE"),
                "{} looks like a file variable",
                variable.name
            );
        }
        assert!(names.len() > 40, "the registry holds {} variables", names.len());
    }

    #[test]
    fn defaults_by_service_cover_every_reader() {
        for service in HEALTH_PORT.services {
            assert!(
                HEALTH_PORT.default_for(*service).is_some(),
                "{service} has no default"
            );
        }
        assert_eq!(HEALTH_PORT.default_for(Service::Cli), None);
    }
}
