//! `rolecall members` and `rolecall messages`: people, and what happened to them.

use std::{fmt::Write, process::ExitCode};

use chrono::{DateTime, Utc};
use rolecall_db::{
    members::{FoundMember, search_members},
    notifications::{NotificationLine, list_notifications_of},
    timeline::{Happening, list_happenings},
};
use rolecall_domain::ids::{DiscordUserId, MemberId};
use rolecall_runtime::env::Env;
use serde::Serialize;

use crate::{
    args::members::{Members, OfMember},
    config,
    host::Host,
    output::Printer,
    who,
};

pub(super) async fn run(env: &Env, printer: &Printer, command: Members) -> anyhow::Result<ExitCode> {
    match command {
        Members::List { query, limit } => list(env, printer, &query.unwrap_or_default(), limit).await,
        Members::Timeline(of) => timeline(env, printer, &of).await,
    }
}

#[derive(Debug, Serialize)]
struct Line {
    id: MemberId,
    display_name: String,
    email: Option<String>,
    discord_user_id: Option<DiscordUserId>,
    username: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<FoundMember> for Line {
    fn from(found: FoundMember) -> Self {
        let (discord_user_id, username) = found.discord.unzip();
        Self {
            id: found.member.id,
            display_name: found.member.display_name,
            email: found.member.email,
            discord_user_id,
            username,
            created_at: found.member.created_at,
        }
    }
}

impl Line {
    fn text(&self) -> String {
        let none = || "-".to_owned();
        let user = self.discord_user_id.map_or_else(none, |user| user.to_string());
        let email = self.email.clone().unwrap_or_else(none);
        format!("{}  {user}  {email}  {}", self.id, self.display_name)
    }
}

async fn list(env: &Env, printer: &Printer, query: &str, limit: u16) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let found = search_members(&mut tx, query, None, limit.into()).await?;
    tx.commit().await?;
    let lines: Vec<Line> = found.into_iter().map(Line::from).collect();
    printer.answer(&lines, |lines| {
        text(lines, Line::text, "Nobody is known by that.")
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn timeline(env: &Env, printer: &Printer, of: &OfMember) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let member_id = who::find(&mut tx, &of.who).await?;
    let happenings = list_happenings(&mut tx, member_id, None, of.limit.into()).await?;
    tx.commit().await?;
    printer.answer(&happenings, |list| {
        text(list, happening_text, "Nothing has happened yet.")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn happening_text(happening: &Happening) -> String {
    let mut text = format!("{}  {:7}  {}", time(happening.at), happening.kind, happening.what);
    let more = [&happening.state, &happening.subject, &happening.actor];
    for more in more.into_iter().flatten() {
        // Writing to a String cannot fail.
        let _ = write!(text, "  {more}");
    }
    text
}

pub(super) async fn messages(env: &Env, printer: &Printer, of: &OfMember) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let member_id = who::find(&mut tx, &of.who).await?;
    let messages = list_notifications_of(&mut tx, member_id, None, of.limit.into()).await?;
    tx.commit().await?;
    printer.answer(&messages, |list| {
        text(
            list,
            message_text,
            "Nothing was sent to them, and nothing is owed.",
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn message_text(message: &NotificationLine) -> String {
    let when = message.sent_at.unwrap_or(message.created_at);
    let way = message.channel.as_str();
    let mut text = format!("{}  {way:7}  {:13}  {}", time(when), message.state, message.kind);
    if let Some(error) = &message.last_error {
        // Writing to a String cannot fail.
        let _ = write!(text, "\n    {error}");
    }
    if let Some(again) = message.send_at {
        let _ = write!(text, "\n    tried by {} at the latest", time(again));
    }
    text
}

fn text<T>(list: &[T], line: impl Fn(&T) -> String, none: &str) -> String {
    if list.is_empty() {
        return none.to_owned();
    }
    let lines: Vec<String> = list.iter().map(line).collect();
    lines.join("\n")
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}
