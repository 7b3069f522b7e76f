//! `rolecall plans show`.

use std::process::ExitCode;

use rolecall_db::catalog::{list_guilds, list_plans};
use rolecall_runtime::env::Env;
use serde_json::json;

use crate::{config, host::Host, output::Printer, plans::show};

pub(super) async fn run(env: &Env, printer: &Printer) -> anyhow::Result<ExitCode> {
    let host = Host::new(&config::database(env)?)?;
    let mut tx = host.db.begin().await?;
    let (plans, guilds) = (list_plans(&mut tx).await?, list_guilds(&mut tx).await?);
    tx.commit().await?;
    let text = show::file(&plans, &guilds);
    let sold: Vec<_> = plans
        .iter()
        .map(|row| {
            json!({
                "slug": row.plan.slug, "name": row.plan.name, "kind": row.plan.kind,
                "prices": row.plan.prices, "lifetime_prices": row.lifetime_prices,
                "roles": row.plan.roles, "archived": row.plan.archived,
            })
        })
        .collect();
    printer.answer(&json!({ "plans": sold, "file": text }), |_| {
        if text.is_empty() {
            "Nothing is sold yet: rolecall plans apply plans.toml".to_owned()
        } else {
            text.clone()
        }
    })?;
    Ok(ExitCode::SUCCESS)
}
