//! `rolecall admin grant`.

use std::process::ExitCode;

use anyhow::bail;
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    staff::{StaffName, insert_staff},
};
use rolecall_domain::ids::{AuditId, DiscordUserId, uuid_v7};
use rolecall_runtime::env::Env;
use serde_json::json;

use crate::{config, host::Host, output::Printer};

pub(super) async fn grant(env: &Env, printer: &Printer, who: &str) -> anyhow::Result<ExitCode> {
    let name = staff_name(who)?;
    let host = Host::new(&config::database(env)?)?;
    let now = host.clock.now();
    let mut tx = host.db.begin().await?;
    let new = insert_staff(&mut tx, uuid_v7(now, &*host.rng), &name, "cli", now).await?;
    if new {
        let kind = match name {
            StaffName::Discord(_) => "discord_user_id",
            StaffName::Email(_) => "email",
        };
        let line = AuditLine {
            id: AuditId::generate(now, &*host.rng),
            at: now,
            actor: "cli",
            action: "staff.grant",
            member_id: None,
            subject: kind,
            detail: json!({}),
        };
        insert_audit_line(&mut tx, &line).await?;
    }
    tx.commit().await?;
    printer.answer(&json!({ "granted": new }), |_| {
        if new {
            format!("{who} is staff now.")
        } else {
            format!("{who} was staff already.")
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Who is meant: a Discord user id is a number, an address has an @.
fn staff_name(who: &str) -> anyhow::Result<StaffName> {
    if let Ok(user_id) = who.parse::<DiscordUserId>() {
        return Ok(StaffName::Discord(user_id));
    }
    match who.split_once('@') {
        Some((local, domain))
            if !local.is_empty() && domain.contains('.') && !who.contains(char::is_whitespace) =>
        {
            Ok(StaffName::Email(who.to_lowercase()))
        }
        _ => bail!("{who:?} is neither a Discord user id (such as 175928847299117063) nor an e-mail address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_is_named_by_discord_id_or_by_address() {
        assert!(matches!(
            staff_name("175928847299117063"),
            Ok(StaffName::Discord(_))
        ));
        assert!(
            matches!(staff_name("Ada@Example.com"), Ok(StaffName::Email(email)) if email == "ada@example.com")
        );
        for bad in ["ada", "@", "ada@", "ada@localhost", "ada @example.com", ""] {
            assert!(staff_name(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
