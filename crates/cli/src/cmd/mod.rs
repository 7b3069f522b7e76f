//! One command a file.

mod admin;
mod events;
mod grants;
pub(crate) mod jobs;
mod members;
mod migrate;
mod plans_apply;
mod plans_show;
mod policy;
mod reconcile;
mod why;

use std::process::ExitCode;

use rolecall_runtime::env::Env;

use crate::{
    args::{Admin, Command, Plans},
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
        Command::Events(command) => events::run(env, printer, command).await,
        Command::Jobs(command) => jobs::run(env, printer, command).await,
        Command::Reconcile(asked) => reconcile::run(env, printer, &asked).await,
        Command::Grants(command) => grants::run(env, printer, command).await,
        Command::Policy(command) => policy::run(env, printer, command).await,
        Command::Members(command) => members::run(env, printer, command).await,
        Command::Messages(of) => members::messages(env, printer, &of).await,
        Command::Why { who } => why::run(env, printer, &who).await,
    }
}
