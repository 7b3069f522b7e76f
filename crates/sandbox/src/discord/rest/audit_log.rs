//! The audit log of a server, as REST gives it.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::discord::{
    error::ApiError,
    ids::Snowflake,
    rest::body::snowflake,
    server::caller::ByBot,
    state::{World, audit::AuditEntry, permissions::VIEW_AUDIT_LOG, shared::Shared},
};

/// The newest entries first.
pub(crate) async fn list(
    _: ByBot,
    path: web::Path<String>,
    query: web::Query<HashMap<String, String>>,
    shared: web::Data<Shared>,
) -> Result<HttpResponse, ApiError> {
    let id = snowflake("guild_id", &path)?;
    let world = shared.world();
    world.guild_of_bot(id)?.require(world.bot(), VIEW_AUDIT_LOG)?;
    let wanted = |name: &str| query.get(name).map(|text| snowflake(name, text)).transpose();
    let (action, user, target) = (wanted("action_type")?, wanted("user_id")?, wanted("target_id")?);
    let (before, after) = (wanted("before")?, wanted("after")?);
    let limit = usize::try_from(wanted("limit")?.unwrap_or(50))
        .unwrap_or(50)
        .clamp(1, 100);
    let matching = world.audit.iter().rev().filter(|entry| {
        entry.guild.0 == id
            && action.is_none_or(|action| u64::from(entry.action.number()) == action)
            && user.is_none_or(|user| entry.actor.0 == user)
            && target.is_none_or(|target| entry.target.0 == target)
            && before.is_none_or(|before| entry.id.0 < before)
            && after.is_none_or(|after| entry.id.0 > after)
    });
    let entries: Vec<&AuditEntry> = matching.take(limit).collect();
    let users: Vec<Value> = entries
        .iter()
        .map(|entry| world.user_json(entry.actor.0))
        .collect();
    Ok(HttpResponse::Ok().json(json!({
        "audit_log_entries": entries.into_iter().map(|entry| entry_json(&world, entry)).collect::<Vec<_>>(),
        "users": users,
        "application_commands": [],
        "auto_moderation_rules": [],
        "guild_scheduled_events": [],
        "integrations": [],
        "threads": [],
        "webhooks": [],
    })))
}

fn entry_json(world: &World, entry: &AuditEntry) -> Value {
    let named = |roles: &[Snowflake]| -> Vec<Value> {
        let guild = world.guilds.get(&entry.guild.0);
        let name = |id: u64| {
            guild
                .and_then(|guild| guild.roles.get(&id))
                .map(|role| role.name.clone())
        };
        roles
            .iter()
            .map(|id| json!({"id": id, "name": name(id.0)}))
            .collect()
    };
    let mut changes = Vec::new();
    if !entry.added.is_empty() {
        changes.push(json!({"key": "$add", "new_value": named(&entry.added)}));
    }
    if !entry.removed.is_empty() {
        changes.push(json!({"key": "$remove", "new_value": named(&entry.removed)}));
    }
    json!({
        "id": entry.id,
        "user_id": entry.actor,
        "target_id": entry.target,
        "action_type": entry.action.number(),
        "changes": changes,
        "reason": entry.reason,
    })
}
