//! One command a file.

mod admin;
mod jobs;
mod migrate;
mod plans_apply;
mod plans_show;
mod why;

use std::process::ExitCode;

use rolecall_runtime::env::Env;

use crate::{
    args::{Admin, Command, Jobs, Plans},
    output::Printer,
};

/// Runs a command.
pub(crate) async fn run(command: Command, env: &Env, printer: &Printer) -> anyhow::Result<ExitCode> {
    match command {
        Command::Migrate => migrate::run(env, printer).await,
        Command::Plans(Plans::Apply { file, dry_run }) => {
            plans_apply::run(env, printer, &file, dry_run).await
        }
        Command::Plans(Plans::Show) => plans_show::run(env, printer).await,
        Command::Admin(Admin::Grant { who }) => admin::grant(env, printer, &who).await,
        Command::Jobs(Jobs::List) => jobs::list(env, printer).await,
        Command::Jobs(Jobs::Run { name }) => jobs::run(env, printer, &name).await,
        Command::Why { who } => why::run(env, printer, &who).await,
    }
}
