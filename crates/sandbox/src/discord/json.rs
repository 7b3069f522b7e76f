//! Discord's objects as JSON, with every field that the published API description requires.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::discord::state::{
    World,
    channels::{Channel, Message, Place},
    guild::{Guild, Member, Role},
    users::User,
};

/// A time as Discord prints it.
pub(crate) fn timestamp(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, false)
}

/// `object` with the fields of `more` added.
pub(crate) fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    object
}

/// A user as others see them.
pub(crate) fn user(user: &User) -> Value {
    let mut json = json!({
        "id": user.id.to_string(),
        "username": user.username,
        "global_name": user.global_name,
        "discriminator": if user.bot { "0001" } else { "0" },
        "avatar": null,
        "avatar_decoration_data": null,
        "collectibles": null,
        "banner": null,
        "accent_color": null,
        "flags": 0,
        "public_flags": 0,
        "primary_guild": null,
    });
    if user.bot {
        json = with(json, json!({"bot": true}));
    }
    json
}

/// A user as they see themselves; `email` if they let the application see it.
pub(crate) fn current_user(account: &User, email: bool) -> Value {
    let json = with(
        user(account),
        json!({"mfa_enabled": account.bot, "locale": "en-US", "premium_type": 0}),
    );
    if email {
        with(
            json,
            json!({"email": account.email, "verified": account.verified}),
        )
    } else {
        json
    }
}

/// A role.
pub(crate) fn role(role: &Role) -> Value {
    let mut json = json!({
        "id": role.id.to_string(),
        "name": role.name,
        "description": null,
        "permissions": role.permissions.to_string(),
        "position": role.position,
        "color": role.color,
        "colors": {"primary_color": role.color, "secondary_color": null, "tertiary_color": null},
        "hoist": false,
        "managed": role.managed,
        "mentionable": false,
        "icon": null,
        "unicode_emoji": null,
        "flags": 0,
    });
    if let Some(bot) = role.bot {
        json = with(json, json!({"tags": {"bot_id": bot.to_string()}}));
    }
    json
}

/// The roles of a guild, as lists of them come.
pub(crate) fn roles(guild: &Guild) -> Value {
    guild.roles.values().map(role).collect()
}

/// A member without their account, as in a message.
pub(crate) fn bare_member(member: &Member) -> Value {
    json!({
        "roles": member.roles.iter().map(u64::to_string).collect::<Vec<_>>(),
        "nick": member.nick,
        "joined_at": timestamp(member.joined_at),
        "pending": member.pending,
        "flags": member.flags,
        "avatar": null,
        "banner": null,
        "communication_disabled_until": null,
        "premium_since": null,
        "mute": false,
        "deaf": false,
    })
}

impl World {
    /// A member.
    pub(crate) fn member_json(&self, member: &Member) -> Value {
        with(bare_member(member), json!({"user": self.user_json(member.user)}))
    }

    /// A user by id; one who is gone keeps their id, as in Discord.
    pub(crate) fn user_json(&self, id: u64) -> Value {
        self.users.get(&id).map_or_else(
            || {
                user(&User {
                    id,
                    username: format!("deleted_user_{id}"),
                    ..User::bot(id, "")
                })
            },
            user,
        )
    }

    /// A message.
    pub(crate) fn message_json(&self, message: &Message) -> Value {
        json!({
            "id": message.id,
            "channel_id": message.channel,
            "author": self.user_json(message.author.0),
            "content": message.content,
            "timestamp": timestamp(message.at),
            "edited_timestamp": null,
            "type": 0,
            "flags": 0,
            "tts": false,
            "pinned": false,
            "mention_everyone": false,
            "mentions": [],
            "mention_roles": [],
            "attachments": [],
            "embeds": message.embeds,
            "components": message.components,
            "nonce": message.nonce,
        })
    }

    /// A channel.
    pub(crate) fn channel_json(&self, channel: &Channel) -> Value {
        match &channel.place {
            Place::Direct { user } => json!({
                "id": channel.id.to_string(),
                "type": 1,
                "flags": 0,
                "last_message_id": null,
                "recipients": [self.user_json(*user)],
            }),
            Place::Guild {
                guild,
                name,
                position,
            } => json!({
                "id": channel.id.to_string(),
                "type": 0,
                "guild_id": guild.to_string(),
                "name": name,
                "position": position,
                "topic": null,
                "nsfw": false,
                "flags": 0,
                "parent_id": null,
                "permission_overwrites": [],
                "rate_limit_per_user": 0,
                "last_message_id": null,
            }),
        }
    }
}

/// A guild as REST gives it.
pub(crate) fn guild(guild: &Guild) -> Value {
    let features: &[&str] = if guild.screening {
        &["MEMBER_VERIFICATION_GATE_ENABLED"]
    } else {
        &[]
    };
    let identity = json!({
        "id": guild.id.to_string(),
        "name": guild.name,
        "owner_id": guild.owner.to_string(),
        "features": features,
        "roles": roles(guild),
        "icon": null,
        "description": null,
        "home_header": null,
        "splash": null,
        "discovery_splash": null,
        "banner": null,
        "application_id": null,
        "region": "deprecated",
        "preferred_locale": "en-US",
        "vanity_url_code": null,
        "emojis": [],
        "stickers": [],
        "incidents_data": null,
    });
    let channels = json!({
        "afk_channel_id": null,
        "afk_timeout": 300,
        "system_channel_id": null,
        "system_channel_flags": 0,
        "widget_enabled": false,
        "widget_channel_id": null,
        "rules_channel_id": null,
        "safety_alerts_channel_id": null,
        "public_updates_channel_id": null,
    });
    let levels = json!({
        "verification_level": 0,
        "default_message_notifications": 0,
        "mfa_level": 0,
        "explicit_content_filter": 0,
        "max_presences": null,
        "max_members": 500_000,
        "max_stage_video_channel_users": 50,
        "max_video_channel_users": 25,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": false,
        "nsfw": false,
        "nsfw_level": 0,
    });
    with(with(identity, channels), levels)
}
