//! Objects carry every field that Discord's published API description requires of them.

use serde_json::Value;

use super::support::{GUILD, World, start};

const USER: &str = "id username avatar discriminator public_flags flags global_name primary_guild";
const MEMBER: &str = "avatar banner communication_disabled_until flags joined_at nick pending premium_since \
    roles user mute deaf";
const ROLE: &str =
    "id name permissions position color colors hoist managed mentionable icon unicode_emoji flags";
const GUILD_FIELDS: &str = "id name icon description home_header splash discovery_splash features banner \
    owner_id application_id region afk_channel_id afk_timeout system_channel_id system_channel_flags \
    widget_enabled widget_channel_id verification_level roles default_message_notifications mfa_level \
    explicit_content_filter max_presences max_members max_stage_video_channel_users \
    max_video_channel_users vanity_url_code premium_tier premium_subscription_count preferred_locale \
    rules_channel_id safety_alerts_channel_id public_updates_channel_id premium_progress_bar_enabled nsfw \
    nsfw_level emojis stickers incidents_data";
const APPLICATION: &str = "id name icon description type verify_key flags flags_new redirect_uris \
    interactions_endpoint_url role_connections_verification_url owner approximate_guild_count \
    approximate_user_install_count approximate_user_authorization_count explicit_content_filter team \
    eligible_oauth2_scopes";

async fn check(world: &World, path: &str, pointer: &str, fields: &str) {
    let body: Value = world.get(path).await.json().await.unwrap();
    let object = body
        .pointer(pointer)
        .and_then(Value::as_object)
        .unwrap_or_else(|| panic!("{path}: {body}"));
    for field in fields.split_whitespace() {
        assert!(object.contains_key(field), "{path}{pointer} lacks {field}");
    }
}

#[tokio::test]
async fn objects_have_all_required_fields() {
    let world = start().await;
    let bot = rolecall_sandbox::discord::demo::CLIENT_ID;
    check(&world, "/users/@me", "", &format!("{USER} mfa_enabled locale")).await;
    check(&world, &format!("/guilds/{GUILD}"), "", GUILD_FIELDS).await;
    check(&world, &format!("/guilds/{GUILD}/roles"), "/0", ROLE).await;
    check(&world, &format!("/guilds/{GUILD}/members/{bot}"), "", MEMBER).await;
    check(&world, &format!("/guilds/{GUILD}/members/{bot}"), "/user", USER).await;
    check(&world, "/applications/@me", "", APPLICATION).await;
    check(&world, "/oauth2/applications/@me", "/owner", USER).await;
}
