//! What is wrong with the environment: all of it at once, each fault with an example.
//!
//! A fault never quotes the value it complains about, because the value may be a secret, or a
//! secret that was put into the wrong variable.

use std::fmt;

use crate::env::registry::Variable;

/// The exit code of a process that was configured wrongly.
pub const EXIT_BAD_CONFIG: u8 = 2;

/// One thing that is wrong with one variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    name: &'static str,
    problem: String,
    example: &'static str,
}

impl Fault {
    pub(crate) fn new(variable: &'static Variable, problem: String) -> Self {
        Self {
            name: variable.name,
            problem,
            example: variable.example,
        }
    }

    /// The variable.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What is wrong with it, without its value.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (example: {})", self.name, self.problem, self.example)
    }
}

/// Everything that is wrong with the environment; displays one line a fault.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigError {
    faults: Vec<Fault>,
}

impl ConfigError {
    pub(crate) fn new(faults: Vec<Fault>) -> Self {
        Self { faults }
    }

    /// The faults, in the order in which the variables were read.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// What `--check-config` and a refused start print: one line a fault, each ended.
pub fn check_config_report(error: &ConfigError) -> String {
    format!("{error}\n")
}
