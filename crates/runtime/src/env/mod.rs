//! The environment as a value: read once when a process starts, passed in everywhere else.

mod document;
mod fault;
pub mod parse;
mod reader;
pub mod registry;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
};

use crate::config::given;

pub use document::{env_example, env_table};
pub use fault::{ConfigError, EXIT_BAD_CONFIG, Fault, check_config_report};
pub use reader::{Read, Reader, Reported};
pub use registry::Service;

/// The variables of a process. An empty value counts as unset, as compose files leave them.
#[derive(Clone, Default)]
pub struct Env {
    values: BTreeMap<String, OsString>,
}

impl Env {
    /// The environment of this process.
    pub fn from_process() -> Self {
        // `vars_os`, because `vars` panics on a value that is not UTF-8. Such a value becomes a
        // fault of the variable that holds it, if anybody reads it.
        Self::from_pairs(
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))),
        )
    }

    /// An environment of the given names and values; a later pair replaces an earlier one.
    pub fn from_pairs<N: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let values = pairs
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self { values }
    }

    /// This environment with one variable set otherwise; an empty value unsets it.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.values.insert(name.into(), value.into());
        self
    }

    /// Reads the sections that `service` needs, and either builds `T` or names every fault, also of what the service
    /// is given beyond that.
    ///
    /// The closure first reads all of its sections and only then takes them apart with `?`, so
    /// that a fault in one does not hide the faults of the next.
    pub fn read<T>(
        &self,
        service: Service,
        sections: impl FnOnce(&mut Reader<'_>) -> Read<T>,
    ) -> Result<T, ConfigError> {
        let mut reader = Reader::new(self, service);
        let built = sections(&mut reader);
        given::check(&mut reader);
        reader.finish()?;
        Ok(built?)
    }

    /// The value of `name`, unless it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.values
            .get(name)
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }
}

/// Names only: a value may be a secret.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_names_variables_and_hides_their_values() {
        let env = Env::from_pairs([("JWT_SECRET", "correct horse battery staple")]);
        assert_eq!(format!("{env:?}"), r#"{"JWT_SECRET"}"#);
    }

    #[test]
    fn an_empty_value_is_unset() {
        let env = Env::from_pairs([("PORT", "")]);
        assert_eq!(env.get("PORT"), None);
        assert_eq!(env.with("PORT", "1").get("PORT"), Some(OsStr::new("1")));
    }

    #[test]
    fn the_process_environment_is_read_whole() {
        let env = Env::from_process();
        assert!(
            env.get("PATH").is_some(),
            "PATH is set in every process that can run cargo"
        );
    }
}
