//! Direct messages.

use rolecall_domain::ids::{ChannelId, DiscordUserId};
use serde::{Deserialize, Serialize};
use twilight_http::{request::Request, routing::Route as Endpoint};

use crate::{
    error::DiscordError,
    rest::{BotClient, Pass},
};

#[derive(Serialize)]
struct OpenChannel {
    recipient_id: DiscordUserId,
}

#[derive(Deserialize)]
struct OpenedChannel {
    id: ChannelId,
}

#[derive(Serialize)]
struct Message<'a> {
    content: &'a str,
    nonce: &'a str,
    enforce_nonce: bool,
    allowed_mentions: AllowedMentions,
}

/// Nobody is pinged, whatever the text says.
#[derive(Serialize)]
struct AllowedMentions {
    parse: [&'static str; 0],
}

impl BotClient {
    /// The direct channel with a user, opened if there is none. Whether they take messages shows only when
    /// one is sent.
    pub async fn open_direct_channel(
        &self,
        user: DiscordUserId,
        pass: impl Into<Pass>,
    ) -> Result<ChannelId, DiscordError> {
        let body = OpenChannel { recipient_id: user };
        let request = Request::builder(&Endpoint::CreatePrivateChannel).json(&body);
        let channel: OpenedChannel = self.send_built(request, pass).await?.json()?;
        Ok(channel.id)
    }

    /// Writes into a channel, once: for a few minutes Discord knows a second message with the same nonce (at
    /// most 25 characters) for the first one.
    ///
    /// Source: `enforce_nonce` in <https://discord.com/developers/docs/resources/message#create-message>.
    pub async fn create_message(
        &self,
        channel: ChannelId,
        text: &str,
        nonce: &str,
        pass: impl Into<Pass>,
    ) -> Result<(), DiscordError> {
        let endpoint = Endpoint::CreateMessage {
            channel_id: channel.get(),
        };
        let body = Message {
            content: text,
            nonce,
            enforce_nonce: true,
            allowed_mentions: AllowedMentions { parse: [] },
        };
        let request = Request::builder(&endpoint).json(&body);
        self.send_built(request, pass).await.map(drop)
    }
}
