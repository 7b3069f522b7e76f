//! `rolecall migrate`.

use std::process::ExitCode;

use anyhow::Context;
use rolecall_runtime::env::Env;
use serde_json::json;

use crate::{config, output::Printer};

pub(super) async fn run(env: &Env, printer: &Printer) -> anyhow::Result<ExitCode> {
    let config = config::database(env)?;
    let applied = rolecall_db::database::migrate(&config.direct_url)
        .await
        .context("migrate through DIRECT_URL")?;
    printer.answer(&json!({ "applied": applied }), |_| match applied {
        0 => "The database is up to date.".to_owned(),
        1 => "Applied 1 migration.".to_owned(),
        more => format!("Applied {more} migrations."),
    })?;
    Ok(ExitCode::SUCCESS)
}
