//! The frame of a service's process: its configuration is read or refused, and what ends it is said.

use std::{fmt::Display, process::ExitCode};

use crate::env::{ConfigError, EXIT_BAD_CONFIG, Env, check_config_report};

/// Reads the configuration of this process. `Err` is the code to exit with at once: because only a check was
/// asked for, or because of faults, which are all named on standard error.
#[expect(clippy::print_stderr, reason = "logging is set up by the configuration")]
pub fn configure<T>(
    check_only: bool,
    read: impl FnOnce(&Env) -> Result<T, ConfigError>,
) -> Result<T, ExitCode> {
    match read(&Env::from_process()) {
        Ok(_) if check_only => Err(ExitCode::SUCCESS),
        Ok(config) => Ok(config),
        Err(error) => {
            eprint!("{}", check_config_report(&error));
            Err(ExitCode::from(EXIT_BAD_CONFIG))
        }
    }
}

/// The code to exit with after the service has ended. An error is logged, with its causes.
#[expect(clippy::print_stderr, reason = "logging itself may be what failed")]
pub fn exit_code(ended: Result<(), impl Display>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if tracing::dispatcher::has_been_set() => {
            tracing::error!(error = format!("{error:#}"), "ended");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
