//! The command line.

use clap::Parser;
use rolecall_runtime::version::version;

/// The public web service of Rolecall.
///
/// Everything else is configured by the environment; `--check-config` says what is wrong with it.
#[derive(Debug, Parser)]
#[command(name = "rolecall-api", version = version())]
pub struct Args {
    /// Read the configuration, name every fault, and end: 0 if there is none, 2 if there is one.
    #[arg(long)]
    pub check_config: bool,
}
