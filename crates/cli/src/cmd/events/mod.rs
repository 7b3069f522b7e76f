//! `rolecall events`.

mod fetch;
mod list;
mod replay;

use std::process::ExitCode;

use rolecall_runtime::env::Env;

use crate::{args::events::Events, output::Printer};

pub(super) async fn run(env: &Env, printer: &Printer, command: Events) -> anyhow::Result<ExitCode> {
    match command {
        Events::List { state, kind, limit } => {
            list::run(env, printer, state, kind.as_deref(), limit.into()).await
        }
        Events::Replay(replay) => replay::run(env, printer, &replay).await,
    }
}
