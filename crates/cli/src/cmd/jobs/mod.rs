//! `rolecall jobs`.

mod cron;
pub(crate) mod dead;
mod queues;
mod redact;

use std::process::ExitCode;

use rolecall_runtime::env::Env;

use crate::{args::jobs::Jobs, output::Printer};

pub(crate) async fn run(env: &Env, printer: &Printer, command: Jobs) -> anyhow::Result<ExitCode> {
    match command {
        Jobs::List => cron::list(env, printer).await,
        Jobs::Run { name } => cron::run(env, printer, &name).await,
        Jobs::Queues => queues::list(env, printer).await,
        Jobs::Dead(command) => dead::run(env, printer, command).await,
    }
}
