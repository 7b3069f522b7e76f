//! How long a stop may take.

use std::time::Duration;

use crate::env::{Read, Reader, Service, parse, registry};

/// How long a stop may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrainConfig {
    /// `DRAIN_DELAY`: how long a public listener stays open after `/ready` turned 503. Zero where
    /// there is no public listener: nobody has to notice.
    pub delay: Duration,
    /// `DRAIN_TIMEOUT`: how long running work may then take.
    pub timeout: Duration,
}

impl DrainConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let longest = Duration::from_mins(10);
        let delay = match reader.service() {
            Service::Api => reader.get(&registry::DRAIN_DELAY, parse::duration(Duration::ZERO..=longest)),
            Service::Worker | Service::Bot | Service::Cli => Ok(Duration::ZERO),
        };
        // Without any time to finish, every deploy would cut off requests and jobs.
        let timeout = reader.get(
            &registry::DRAIN_TIMEOUT,
            parse::duration(Duration::from_millis(100)..=longest),
        );
        Ok(Self {
            delay: delay?,
            timeout: timeout?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    #[test]
    fn only_the_api_waits_for_proxies() {
        for (service, delay) in [(Service::Api, 5), (Service::Worker, 0), (Service::Bot, 0)] {
            let drain = Env::default().read(service, DrainConfig::from_env).unwrap();
            assert_eq!(drain.delay, Duration::from_secs(delay), "{service}");
            assert_eq!(drain.timeout, Duration::from_secs(25), "{service}");
        }
    }

    #[test]
    fn a_delay_may_be_left_out_and_a_timeout_may_not() {
        let env = Env::from_pairs([("DRAIN_DELAY", "0s"), ("DRAIN_TIMEOUT", "0s")]);
        let error = env.read(Service::Api, DrainConfig::from_env).unwrap_err();
        assert_eq!(
            error.to_string(),
            "DRAIN_TIMEOUT: is too short, must be at least 100ms (example: 25s)"
        );
    }
}
