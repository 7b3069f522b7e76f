//! What can be asked on the command line.

pub(crate) mod events;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod members;
pub(crate) mod policy;
pub(crate) mod reconcile;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rolecall_runtime::version::version;

use crate::args::{
    events::Events,
    grants::Grants,
    jobs::Jobs,
    members::{Members, OfMember},
    policy::PolicyCommand,
    reconcile::Reconcile,
};

/// Runs a Rolecall installation: migrations, plans, staff, events, jobs, and why somebody has a role.
#[derive(Debug, Parser)]
#[command(name = "rolecall", version = version(), arg_required_else_help = true)]
pub(crate) struct Args {
    /// Print JSON for machines instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply the database migrations that are missing, through `DIRECT_URL`.
    Migrate,
    /// What is sold, and which roles it gives.
    #[command(subcommand)]
    Plans(Plans),
    /// Who is staff.
    #[command(subcommand)]
    Admin(Admin),
    /// What came from Stripe, and another chance for what failed.
    #[command(subcommand)]
    Events(Events),
    /// Recurring jobs, queues, and jobs that were given up.
    #[command(subcommand)]
    Jobs(Jobs),
    /// Compare what is kept with what Stripe says, and mend what differs. Exits with 1 if a dry run finds
    /// something, or if the run is held.
    Reconcile(Reconcile),
    /// Plans that staff gives without payment.
    #[command(subcommand)]
    Grants(Grants),
    /// What each standing means: access, roles, messages.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// People, and what happened to them.
    #[command(subcommand)]
    Members(Members),
    /// Every message that was sent to a member or is owed to them.
    Messages(OfMember),
    /// Why somebody has, or lacks, their roles.
    Why {
        /// A member id, a Discord user id or an e-mail address.
        who: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plans {
    /// Make the installation sell what the file says; prints what changes.
    Apply {
        /// The plans file.
        file: PathBuf,
        /// Only print what would change.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what is sold now, in the form of a plans file.
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Make somebody staff, even before they first sign in.
    Grant {
        /// A Discord user id or an e-mail address.
        who: String,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}
