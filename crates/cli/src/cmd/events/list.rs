//! `rolecall events list`.

use std::process::ExitCode;

use chrono::{DateTime, SecondsFormat, Utc};
use rolecall_db::{
    inbox::InboxState,
    inbox_admin::{EventRow, EventSelection, list_events},
};
use rolecall_runtime::env::Env;

use crate::{config, host::Host, output::Printer};

pub(super) async fn run(
    env: &Env,
    printer: &Printer,
    state: Option<InboxState>,
    kind: Option<&str>,
    limit: i64,
) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let selection = EventSelection {
        state,
        kind,
        ..EventSelection::default()
    };
    let mut tx = host.db.begin().await?;
    let events = list_events(&mut tx, &selection, None, limit).await?;
    tx.commit().await?;
    printer.answer(&events, |events| {
        if events.is_empty() {
            return "No such event has come in.".to_owned();
        }
        events.iter().map(text).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

fn text(event: &EventRow) -> String {
    let mut lines = vec![format!(
        "{:<30} {:<8} {:<36} {}",
        event.id,
        event.state,
        event.kind,
        time(event.occurred_at)
    )];
    if event.attempts > 0 {
        let again = event
            .next_attempt_at
            .map(|at| format!(", taken up again by {} at the latest", time(at)));
        lines.push(format!(
            "    {} failed attempts{}",
            event.attempts,
            again.unwrap_or_default()
        ));
    }
    lines.extend(event.last_error.as_ref().map(|error| format!("    {error}")));
    lines.join("\n")
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_shown_with_its_error_attempts_and_times() {
        let mut event = EventRow {
            id: "evt_1".to_owned(),
            kind: "invoice.paid".to_owned(),
            state: "pending".to_owned(),
            livemode: false,
            occurred_at: "2026-11-20T12:00:00Z".parse().unwrap(),
            seen_at: "2026-11-20T12:00:01Z".parse().unwrap(),
            attempts: 0,
            last_error: None,
            next_attempt_at: Some("2026-11-20T12:03:00Z".parse().unwrap()),
            done_at: None,
        };
        let calm = text(&event);
        assert!(
            calm.contains("evt_1") && calm.contains("2026-11-20T12:00:00Z"),
            "{calm}"
        );
        assert_eq!(calm.lines().count(), 1);
        (event.attempts, event.last_error) = (2, Some("Stripe is away".to_owned()));
        let failed: Vec<_> = text(&event).lines().skip(1).map(str::to_owned).collect();
        assert_eq!(
            failed,
            [
                "    2 failed attempts, taken up again by 2026-11-20T12:03:00Z at the latest",
                "    Stripe is away"
            ]
        );
    }
}
