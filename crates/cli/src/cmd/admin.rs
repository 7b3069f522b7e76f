//! `rolecall admin grant`.

use std::process::ExitCode;

use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    staff::{StaffName, insert_staff},
};
use rolecall_domain::ids::{AuditId, DiscordUserId, uuid_v7};
use rolecall_runtime::env::Env;
use serde_json::json;

use crate::{config, host::Host, output::Printer};

pub(super) async fn grant(env: &Env, printer: &Printer, who: &str) -> anyhow::Result<ExitCode> {
    let Some(name) = staff_name(who) else {
        printer.error(&format!(
            "{who:?} is neither a Discord user id (such as 175928847299117063) nor an e-mail address"
        ));
        return Ok(ExitCode::from(2));
    };
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
fn staff_name(who: &str) -> Option<StaffName> {
    if let Ok(user_id) = who.parse::<DiscordUserId>() {
        return Some(StaffName::Discord(user_id));
    }
    let (local, domain) = who.split_once('@')?;
    let is_address = !local.is_empty() && domain.contains('.') && !who.contains(char::is_whitespace);
    is_address.then(|| StaffName::Email(who.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staff_is_named_by_discord_id_or_by_address() {
        assert!(matches!(
            staff_name("175928847299117063"),
            Some(StaffName::Discord(_))
        ));
        assert!(
            matches!(staff_name("Ada@Example.com"), Some(StaffName::Email(email)) if email == "ada@example.com")
        );
        for bad in ["ada", "@", "ada@", "ada@localhost", "ada @example.com", ""] {
            assert!(staff_name(bad).is_none(), "{bad:?} was accepted");
        }
    }
}
