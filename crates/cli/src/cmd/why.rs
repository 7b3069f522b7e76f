//! `rolecall why`.

use std::{fmt::Write, process::ExitCode};

use anyhow::bail;
use rolecall_db::why::{Why, WhyGuild, WhyRole, find_why};
use rolecall_domain::roles::Reason;
use rolecall_runtime::env::Env;

use crate::{config, host::Host, output::Printer, who};

pub(super) async fn run(env: &Env, printer: &Printer, name: &str) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let member_id = who::find(&mut tx, name).await?;
    let why = find_why(&mut tx, member_id, host.clock.now()).await?;
    tx.commit().await?;
    let Some(why) = why else {
        bail!("there is no member {member_id}")
    };
    printer.answer(&why, text)?;
    Ok(ExitCode::SUCCESS)
}

fn text(why: &Why) -> String {
    let mut text = format!("member   {}\n", why.member.id);
    let discord = why
        .member
        .discord_user_id
        .map_or_else(|| "not linked".to_owned(), |id| id.to_string());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "discord  {discord}");
    let _ = writeln!(text, "standing {}", why.standing.unwrap_or("none"));
    if why.guilds.is_empty() {
        text.push_str("\nNothing in any server depends on this member.\n");
    }
    for guild in &why.guilds {
        write_guild(&mut text, guild);
    }
    text
}

fn write_guild(text: &mut String, guild: &WhyGuild) {
    let _ = writeln!(
        text,
        "\nserver {}: {} (revision {}, applied {})",
        guild.guild, guild.state, guild.revision, guild.applied_revision
    );
    if let Some(reason) = &guild.blocked_reason {
        let _ = writeln!(text, "  blocked: {reason}");
    }
    for role in &guild.roles {
        let _ = writeln!(text, "  role {}: {}", role.role, state(role));
        for reason in &role.reasons {
            let _ = writeln!(text, "    because {}", because(reason));
        }
    }
}

const fn state(role: &WhyRole) -> &'static str {
    match (role.desired, role.observed) {
        (true, Some(true)) => "has it, and should",
        (true, Some(false)) => "lacks it, and should have it",
        (true, None) => "should have it; not looked at yet",
        (false, Some(true)) => "has it, and should not, unless somebody else gave it",
        (false, _) => "should not have it",
    }
}

fn because(reason: &Reason) -> String {
    match reason {
        Reason::Subscription { id, plan, detail } => {
            format!("subscription {id} to plan {plan}: {detail}")
        }
        Reason::Purchase { id, plan, detail } => format!("purchase {id} of plan {plan}: {detail}"),
        Reason::Alumni { id, plan, detail } => format!("{id}, for plan {plan}: {detail}"),
        Reason::Policy { id, plan, detail } => {
            format!("the policy gives it to who is {detail} with {id} for plan {plan}")
        }
        Reason::Grant { id, plan, detail } => format!("grant {id} of plan {plan}: {detail}"),
        Reason::Debt { id, plan, detail } => {
            format!("money is owed on {id} for plan {plan}: {detail}")
        }
    }
}
