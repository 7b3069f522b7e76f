//! What the dashboard says, made of what is stored: no reading, no clock, no markup.

mod membership;
mod messages;
mod server;
mod standing;

use chrono::{DateTime, Utc};
use rolecall_db::sessions::Session;
use rolecall_domain::ids::SessionId;
use serde::Deserialize;

use crate::{account::Account, pages::text};

pub(crate) use membership::Membership;
pub(crate) use messages::{MOST_MESSAGES, MessageLine, Messages, Told, line as message_line};
pub(crate) use server::Server;
pub(crate) use standing::{Debt, StandingText};

/// More than these are only counted.
const MOST_SESSIONS: usize = 4;

/// What the page says once, after a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Notice {
    Welcome,
    Checking,
    Changed,
    DiscordOn,
    DiscordOff,
    /// A notice of another version: nothing is said.
    #[serde(other)]
    Unknown,
}

impl Notice {
    const fn text(self) -> Option<&'static str> {
        match self {
            Self::Welcome => Some("Welcome. Your payment has arrived and your roles are on Discord."),
            Self::Checking => {
                Some("We are comparing your roles with Discord. This page shows it when it is done.")
            }
            Self::DiscordOn => Some("From now on messages about your membership come by Discord, too."),
            Self::DiscordOff => {
                Some("From now on messages about your membership come by e-mail only, not by Discord.")
            }
            Self::Changed => Some("Your plan is being changed. This page shows it when it is done."),
            Self::Unknown => None,
        }
    }
}

/// What the dashboard says.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) display_name: String,
    pub(crate) username: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) notice: Option<&'static str>,
    pub(crate) standing: StandingText,
    pub(crate) debts: Vec<Debt>,
    pub(crate) servers: Vec<Server>,
    pub(crate) memberships: Vec<Membership>,
    /// The newest ones, this one first.
    pub(crate) sessions: Vec<SessionLine>,
    pub(crate) more_sessions: usize,
    pub(crate) messages: Messages,
    pub(crate) can_manage_billing: bool,
    /// They hold something, or have roles: there is something to be fixed.
    pub(crate) holds_something: bool,
}

/// A place where the person is signed in.
#[derive(Debug)]
pub(crate) struct SessionLine {
    pub(crate) device: String,
    pub(crate) since: String,
    pub(crate) is_current: bool,
}

impl View {
    pub(crate) fn new(
        account: &Account,
        sessions: &[Session],
        current: SessionId,
        told: &Told,
        notice: Option<Notice>,
        now: DateTime<Utc>,
    ) -> Self {
        let servers = server::servers(account);
        let memberships = membership::memberships(account, now);
        Self {
            display_name: account.member.display_name.clone(),
            username: account.discord.as_ref().map(|discord| discord.username.clone()),
            email: account.member.email.clone(),
            notice: notice.and_then(Notice::text),
            standing: standing::text(account),
            debts: standing::debts(account),
            holds_something: !memberships.is_empty() || !servers.is_empty(),
            servers,
            memberships,
            sessions: session_lines(sessions, current),
            more_sessions: sessions.len().saturating_sub(MOST_SESSIONS),
            messages: Messages::new(told, account.discord.is_some(), account.member.email.is_some()),
            can_manage_billing: account.has_customer,
        }
    }
}

/// The sessions that are shown: this one, and then the newest.
fn session_lines(sessions: &[Session], current: SessionId) -> Vec<SessionLine> {
    let (this, others): (Vec<_>, Vec<_>) = sessions.iter().partition(|session| session.id == current);
    let shown = this.into_iter().chain(others).take(MOST_SESSIONS);
    shown
        .map(|session| SessionLine {
            device: text::device(&session.user_agent),
            since: text::date(session.created_at),
            is_current: session.id == current,
        })
        .collect()
}
