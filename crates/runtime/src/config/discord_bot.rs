//! How the bot signs in to Discord, and which events it asks for.

use std::time::Duration;

use rolecall_domain::ids::GuildId;
use secrecy::SecretString;
use url::Url;

use crate::{
    config::{DiscordApiConfig, Origin},
    env::{Read, Reader, parse, registry},
};

/// The bot's side of the Discord application.
#[derive(Debug, Clone)]
pub struct DiscordBotConfig {
    /// `DISCORD_BOT_TOKEN`.
    pub token: SecretString,
    /// `DISCORD_GUILD_ID`.
    pub guild_id: GuildId,
    /// `DISCORD_INTENTS`, each once.
    pub intents: Vec<Intent>,
    /// `DISCORD_GATEWAY_URL`: where to connect first, instead of where Discord says.
    pub gateway_url: Option<Url>,
    /// `DISCORD_API_BASE`, without `/api/v10`.
    pub api_base: Origin,
}

impl DiscordBotConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let token = reader.get(&registry::DISCORD_BOT_TOKEN, parse_token);
        let guild_id = reader.get(
            &registry::DISCORD_GUILD_ID,
            parse::from_str("a server id: digits, by \"Copy Server ID\" in Discord"),
        );
        let intents = reader.get(&registry::DISCORD_INTENTS, parse_intents);
        let gateway_url = reader.find(&registry::DISCORD_GATEWAY_URL, parse::url(&["ws", "wss"]));
        let api = DiscordApiConfig::from_env(reader);
        Ok(Self {
            token: token?,
            guild_id: guild_id?,
            intents: intents?,
            gateway_url: gateway_url?,
            api_base: api?.api_base,
        })
    }

    /// The intents as the number that IDENTIFY carries.
    pub fn intent_bits(&self) -> u64 {
        self.intents.iter().fold(0, |bits, intent| bits | intent.bit())
    }
}

/// How the bot stays the only one.
#[derive(Debug, Clone, Copy)]
pub struct LeaseConfig {
    /// `LEASE_TTL`: how long the lease outlives its last renewal.
    pub ttl: Duration,
}

impl LeaseConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        // Shorter, and a slow answer of Redis would cost the lease; longer, and a standby waits
        // for minutes.
        let range = Duration::from_secs(1)..=Duration::from_mins(5);
        Ok(Self {
            ttl: reader.get(&registry::LEASE_TTL, parse::duration(range))?,
        })
    }
}

macro_rules! intents {
    ($($(#[$doc:meta])* $variant:ident = $shift:literal, $name:literal;)+) => {
        /// A kind of gateway events that a bot can ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Intent {
            $(#[doc = concat!("`", $name, "`")] $variant),+
        }

        impl Intent {
            /// Every intent, in the order of its bits.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name, in the letters that Discord's documentation has in capitals.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The bit of this intent.
            pub const fn bit(self) -> u64 {
                match self { $(Self::$variant => 1 << $shift),+ }
            }
        }
    };
}

intents! {
    Guilds = 0, "guilds";
    GuildMembers = 1, "guild_members";
    GuildModeration = 2, "guild_moderation";
    GuildExpressions = 3, "guild_expressions";
    GuildIntegrations = 4, "guild_integrations";
    GuildWebhooks = 5, "guild_webhooks";
    GuildInvites = 6, "guild_invites";
    GuildVoiceStates = 7, "guild_voice_states";
    GuildPresences = 8, "guild_presences";
    GuildMessages = 9, "guild_messages";
    GuildMessageReactions = 10, "guild_message_reactions";
    GuildMessageTyping = 11, "guild_message_typing";
    DirectMessages = 12, "direct_messages";
    DirectMessageReactions = 13, "direct_message_reactions";
    DirectMessageTyping = 14, "direct_message_typing";
    MessageContent = 15, "message_content";
    GuildScheduledEvents = 16, "guild_scheduled_events";
    AutoModerationConfiguration = 20, "auto_moderation_configuration";
    AutoModerationExecution = 21, "auto_moderation_execution";
    GuildMessagePolls = 24, "guild_message_polls";
    DirectMessagePolls = 25, "direct_message_polls";
}

fn parse_token(text: &str) -> Result<SecretString, parse::Problem> {
    if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
        return Err(
            "holds white space or other characters that no token has; leave out the word Bot".to_owned(),
        );
    }
    parse::secret(text)
}

fn parse_intents(text: &str) -> Result<Vec<Intent>, parse::Problem> {
    let named: Vec<_> = Intent::ALL
        .iter()
        .map(|intent| (intent.name(), *intent))
        .collect();
    let intent = parse::choice(&named);
    let mut intents = parse::list(|name| intent(&name.to_ascii_lowercase()))(text)?;
    intents.sort_unstable();
    intents.dedup();
    if !intents.contains(&Intent::Guilds) {
        return Err("must hold guilds, which brings the roles".to_owned());
    }
    Ok(intents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{ConfigError, Env, Service};

    fn read(pairs: &[(&str, &str)]) -> Result<DiscordBotConfig, ConfigError> {
        let env = Env::from_pairs([("DISCORD_BOT_TOKEN", "a.b.c"), ("DISCORD_GUILD_ID", "7")]);
        let env = pairs
            .iter()
            .fold(env, |env, (name, value)| env.with(*name, *value));
        env.read(Service::Bot, DiscordBotConfig::from_env)
    }

    #[test]
    fn the_default_intents_are_guilds_and_their_members() {
        let config = read(&[]).unwrap();
        assert_eq!(config.intents, [Intent::Guilds, Intent::GuildMembers]);
        assert_eq!(config.intent_bits(), 3);
        assert_eq!(config.gateway_url, None);
        assert_eq!(config.api_base.as_str(), "https://discord.com");
    }

    #[test]
    fn intents_may_be_written_in_capitals_and_twice() {
        let config = read(&[("DISCORD_INTENTS", "MESSAGE_CONTENT, GUILDS,guilds,Guild_Messages")]).unwrap();
        assert_eq!(
            config.intents,
            [Intent::Guilds, Intent::GuildMessages, Intent::MessageContent]
        );
        assert_eq!(config.intent_bits(), 1 | (1 << 9) | (1 << 15));
    }

    #[test]
    fn an_unknown_intent_is_answered_with_the_list() {
        let error = read(&[("DISCORD_INTENTS", "guilds,everything")])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("DISCORD_INTENTS: item 2 is not one of guilds, guild_members,"),
            "{error}"
        );
        let error = read(&[("DISCORD_INTENTS", "guild_members")])
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("DISCORD_INTENTS: must hold guilds"), "{error}");
    }

    #[test]
    fn a_token_is_one_word() {
        for token in ["Bot a.b.c", "a.b\nc", "tökén"] {
            assert!(
                read(&[("DISCORD_BOT_TOKEN", token)]).is_err(),
                "{token:?} was accepted"
            );
        }
    }

    #[test]
    fn the_gateway_is_a_websocket() {
        assert!(read(&[("DISCORD_GATEWAY_URL", "ws://127.0.0.1:9000")]).is_ok());
        assert!(read(&[("DISCORD_GATEWAY_URL", "https://discord.com")]).is_err());
    }

    #[test]
    fn a_lease_lasts_at_least_a_second() {
        for (ttl, good) in [
            ("1s", true),
            ("10s", true),
            ("999ms", false),
            ("6m", false),
            ("0s", false),
        ] {
            let env = Env::from_pairs([("LEASE_TTL", ttl)]);
            assert_eq!(
                env.read(Service::Bot, LeaseConfig::from_env).is_ok(),
                good,
                "{ttl}"
            );
        }
    }
}
