//! The roles of a person, server by server, each with its reason and where it stands.

use rolecall_db::{
    member_guilds::{GuildState, MemberGuild},
    member_roles::MemberRole,
};
use rolecall_domain::roles::Reason;

use crate::{
    account::{Account, Names},
    pages::tone::Tone,
};

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) advice: Option<&'static str>,
    pub(crate) roles: Vec<RoleLine>,
    pub(crate) url: Option<String>,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleLine {
    pub(crate) name: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) reasons: Vec<String>,
}

/// The servers in which a person has or gets a role, or is losing one.
pub(crate) fn servers(account: &Account) -> Vec<Server> {
    let all = account
        .guilds
        .iter()
        .map(|(guild, roles)| server(guild, roles, &account.names));
    all.filter(|server| !server.roles.is_empty()).collect()
}

fn server(guild: &MemberGuild, roles: &[MemberRole], names: &Names) -> Server {
    let (state, tone) = match guild.state {
        GuildState::InSync => ("Up to date", Tone::Good),
        GuildState::Due => ("Being updated", Tone::Plain),
        GuildState::WaitingForMember => ("Waiting for you", Tone::Warn),
        GuildState::Blocked => ("Held up", Tone::Warn),
        GuildState::Held => ("Being checked", Tone::Plain),
    };
    let shown = roles.iter().filter(|role| role.desired || role.must_go());
    let is_there = guild.state != GuildState::WaitingForMember;
    Server {
        name: names.server(guild.guild_id),
        state,
        tone,
        advice: advice(guild),
        roles: shown.map(|role| line(guild, role, names)).collect(),
        url: is_there.then(|| format!("https://discord.com/channels/{}", guild.guild_id)),
    }
}

/// What the person can do, or need not do.
fn advice(guild: &MemberGuild) -> Option<&'static str> {
    match guild.state {
        GuildState::WaitingForMember => Some(
            "You are not on this server. Press “Fix my roles” and we add you, or use an invitation you have.",
        ),
        GuildState::Blocked => Some(
            "The server does not let us change this role yet. Its owners have been told, and it comes by itself. \
             Nothing is wrong with your membership.",
        ),
        GuildState::Held => Some("The team looks at this change before it is made."),
        _ if guild.screening_pending => {
            Some("Open Discord and accept the server’s rules: until then your roles may not show.")
        }
        GuildState::InSync | GuildState::Due => None,
    }
}

fn line(guild: &MemberGuild, role: &MemberRole, names: &Names) -> RoleLine {
    let (state, tone) = match (role.desired, role.observed) {
        (true, Some(true)) => ("You have it", Tone::Good),
        (true, _) => match guild.state {
            GuildState::WaitingForMember => ("When you join", Tone::Warn),
            GuildState::Blocked | GuildState::Held => ("Held up", Tone::Warn),
            GuildState::InSync | GuildState::Due => ("On its way", Tone::Plain),
        },
        (false, _) => ("Being removed", Tone::Plain),
    };
    RoleLine {
        name: names.role(guild.guild_id, role.role_id),
        state,
        tone,
        reasons: role.reasons.iter().map(|reason| words(reason, names)).collect(),
    }
}

fn words(reason: &Reason, names: &Names) -> String {
    match reason {
        Reason::Subscription { plan, detail, .. } if detail.contains(' ') => {
            format!("Because of your plan {}: {detail}.", names.plan(Some(plan)))
        }
        Reason::Subscription { plan, .. } => format!("Because of your plan {}.", names.plan(Some(plan))),
        Reason::Purchase { plan, .. } => format!("Because you bought {}.", names.plan(Some(plan))),
        Reason::Grant { plan, detail, .. } => {
            format!("A gift from the team: {}, {detail}.", names.plan(Some(plan)))
        }
        Reason::Debt { plan, detail, .. } => {
            format!(
                "Because a payment for {} is open: {detail}.",
                names.plan(Some(plan))
            )
        }
        Reason::Policy { plan, detail, .. } => format!(
            "Because your membership with {} is {detail}.",
            names.plan(Some(plan))
        ),
        Reason::Alumni { plan, .. } => format!("Because you were a member with {}.", names.plan(Some(plan))),
    }
}
