//! Where the process runs.

use std::fmt;

use crate::env::{Read, Reader, parse, registry};

/// `APP_ENV`: where the process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppEnv {
    /// On somebody's machine: plain http is fine.
    Development,
    /// A rehearsal of production.
    Staging,
    /// The real thing: https, and no secrets from the examples.
    Production,
}

impl AppEnv {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let allowed = [Self::Development, Self::Staging, Self::Production].map(|env| (env.name(), env));
        reader.get(&registry::APP_ENV, parse::choice(&allowed))
    }

    /// Whether this is production.
    pub fn is_production(self) -> bool {
        self == Self::Production
    }

    /// The name as it stands in the variable.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for AppEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
