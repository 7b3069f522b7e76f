//! A server: its members with their roles, the order of roles, the audit log, and what can be done.

use std::collections::HashMap;

use actix_web::{HttpResponse, http::header, web};
use askama::Template;
use serde_json::{Map, Value};

use crate::discord::{
    control::Action,
    pages::{refused, render},
    state::{
        World,
        audit::{AuditAction, AuditEntry},
        channels::Place,
        guild::{Guild, Member, Role},
        shared::Shared,
    },
};

#[derive(Template)]
#[template(path = "discord/guild.html")]
struct GuildPage {
    id: u64,
    name: String,
    refresh: bool,
    roles: Vec<RoleLine>,
    members: Vec<MemberLine>,
    outsiders: Vec<Outsider>,
    audit: Vec<AuditLine>,
    messages: Vec<MessageLine>,
}

struct RoleLine {
    id: u64,
    name: String,
    color: String,
    holders: usize,
    up: i64,
    down: i64,
    /// The bot's own highest role: what is above it the bot cannot give.
    is_bot: bool,
    out_of_reach: bool,
}

struct MemberLine {
    id: u64,
    name: String,
    username: String,
    initial: char,
    bot: bool,
    owner: bool,
    pending: bool,
    roles: Vec<Chip>,
    missing: Vec<Chip>,
}

#[derive(Clone)]
struct Chip {
    id: u64,
    name: String,
    color: String,
    managed: bool,
}

struct Outsider {
    id: u64,
    name: String,
}

struct AuditLine {
    at: String,
    actor: String,
    text: String,
    reason: String,
}

struct MessageLine {
    at: String,
    to: String,
    text: String,
}

/// Shows it; with `?refresh=1` it loads itself again every two seconds.
pub(crate) async fn show(
    path: web::Path<u64>,
    query: web::Query<HashMap<String, String>>,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let world = shared.world();
    match world.guild(*path) {
        Ok(guild) => render(&page(&world, guild, query.contains_key("refresh"))),
        Err(_) => refused("There is no such server."),
    }
}

/// Does what a button says, and shows the page again.
pub(crate) async fn act(
    path: web::Path<u64>,
    form: web::Form<HashMap<String, String>>,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let guild = path.into_inner();
    let number = |text: &str| text.parse::<i64>().map_or(Value::Null, Value::from);
    let mut fields: Map<String, Value> = form
        .iter()
        .map(|(name, value)| {
            let value = if name == "position" {
                number(value)
            } else {
                Value::String(value.clone())
            };
            (name.clone(), value)
        })
        .collect();
    fields.insert("guild".to_owned(), guild.to_string().into());
    let action = Action::parse(&Value::Object(fields)).map_err(|error| error.to_string());
    let done = action.and_then(|action| {
        shared
            .change(|world, now| world.act(action, now))
            .map_err(|error| error.to_string())
    });
    match done {
        Ok(_) => HttpResponse::SeeOther()
            .insert_header((header::LOCATION, format!("/guilds/{guild}")))
            .finish(),
        Err(fault) => refused(&fault),
    }
}

fn page(world: &World, guild: &Guild, refresh: bool) -> GuildPage {
    let outsiders = world
        .users
        .values()
        .filter(|user| !guild.members.contains_key(&user.id));
    let audit = world
        .audit
        .iter()
        .rev()
        .filter(|entry| entry.guild.0 == guild.id)
        .take(30);
    let direct = world.messages.iter().rev().filter_map(|message| {
        let channel = world.channels.get(&message.channel.0)?;
        let Place::Direct { user } = channel.place else {
            return None;
        };
        let to = name_of(world, user);
        Some(MessageLine {
            at: message.at.format("%H:%M:%S").to_string(),
            to,
            text: message.content.clone(),
        })
    });
    GuildPage {
        id: guild.id,
        name: guild.name.clone(),
        refresh,
        roles: role_lines(world, guild),
        members: guild
            .members
            .values()
            .map(|member| member_line(world, guild, member))
            .collect(),
        outsiders: outsiders
            .map(|user| Outsider {
                id: user.id,
                name: user.display_name().to_owned(),
            })
            .collect(),
        audit: audit.map(|entry| audit_line(world, guild, entry)).collect(),
        messages: direct.take(10).collect(),
    }
}

fn role_lines(world: &World, guild: &Guild) -> Vec<RoleLine> {
    let bot = guild.top_rank(world.bot());
    let above_everyone = guild
        .ordered_roles()
        .into_iter()
        .filter(|role| role.id != guild.id);
    above_everyone
        .map(|role| RoleLine {
            id: role.id,
            name: role.name.clone(),
            color: css(role.color),
            holders: guild
                .members
                .values()
                .filter(|member| member.roles.contains(&role.id))
                .count(),
            up: role.position + 1,
            down: role.position - 1,
            is_bot: bot == Some(role.rank()),
            out_of_reach: bot.is_some_and(|bot| role.rank() > bot),
        })
        .collect()
}

fn member_line(world: &World, guild: &Guild, member: &Member) -> MemberLine {
    let user = world.users.get(&member.user);
    let name = name_of(world, member.user);
    let chips = |held: bool| -> Vec<Chip> {
        let roles = guild
            .ordered_roles()
            .into_iter()
            .filter(|role| role.id != guild.id);
        roles
            .filter(|role| member.roles.contains(&role.id) == held)
            .map(chip)
            .collect()
    };
    MemberLine {
        id: member.user,
        initial: name.chars().next().unwrap_or('?'),
        name,
        username: user.map(|user| user.username.clone()).unwrap_or_default(),
        bot: user.is_some_and(|user| user.bot),
        owner: guild.owner == member.user,
        pending: member.pending,
        roles: chips(true),
        missing: chips(false).into_iter().filter(|chip| !chip.managed).collect(),
    }
}

fn chip(role: &Role) -> Chip {
    Chip {
        id: role.id,
        name: role.name.clone(),
        color: css(role.color),
        managed: role.managed,
    }
}

fn audit_line(world: &World, guild: &Guild, entry: &AuditEntry) -> AuditLine {
    let role = |id: u64| {
        guild
            .roles
            .get(&id)
            .map_or_else(|| "a deleted role".to_owned(), |role| role.name.clone())
    };
    let target = entry.target.0;
    let text = match entry.action {
        AuditAction::MemberRoleUpdate => {
            let added = entry.added.iter().map(|id| format!("+{}", role(id.0)));
            let removed = entry.removed.iter().map(|id| format!("\u{2212}{}", role(id.0)));
            let changes: Vec<String> = added.chain(removed).collect();
            format!("{} {}", name_of(world, target), changes.join(" "))
        }
        AuditAction::MemberKick => format!("kicked {}", name_of(world, target)),
        AuditAction::MemberBanAdd => format!("banned {}", name_of(world, target)),
        AuditAction::MemberBanRemove => format!("lifted the ban of {}", name_of(world, target)),
        AuditAction::MemberUpdate => format!("changed {}", name_of(world, target)),
        AuditAction::RoleCreate => format!("made the role {}", role(target)),
        AuditAction::RoleUpdate => format!("changed or moved the role {}", role(target)),
        AuditAction::RoleDelete => "deleted a role".to_owned(),
    };
    AuditLine {
        at: entry.at.format("%H:%M:%S").to_string(),
        actor: name_of(world, entry.actor.0),
        text,
        reason: entry.reason.clone().unwrap_or_default(),
    }
}

fn name_of(world: &World, user: u64) -> String {
    world
        .users
        .get(&user)
        .map_or_else(|| user.to_string(), |user| user.display_name().to_owned())
}

fn css(color: u32) -> String {
    if color == 0 {
        "#9aa0ab".to_owned()
    } else {
        format!("#{color:06x}")
    }
}
