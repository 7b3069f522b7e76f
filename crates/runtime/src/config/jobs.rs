//! How jobs are repeated, and whether this process runs the recurring ones.

use std::time::Duration;

use crate::env::{Read, Reader, parse, registry};

/// `JOB_RETRY_SCHEDULE`: the waits between attempts, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule(Vec<Duration>);

impl RetrySchedule {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let wait = parse::duration(Duration::from_millis(1)..=Duration::from_hours(7 * 24));
        reader
            .get(&registry::JOB_RETRY_SCHEDULE, parse::list(wait))
            .map(Self)
    }

    /// The waits, the first after the first attempt.
    pub fn waits(&self) -> &[Duration] {
        &self.0
    }
}

/// Jobs of the worker.
#[derive(Debug, Clone)]
pub struct JobsConfig {
    /// `JOB_RETRY_SCHEDULE`.
    pub retry_schedule: RetrySchedule,
    /// `ENABLE_CRON_JOBS`.
    pub enable_cron_jobs: bool,
}

impl JobsConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let retry_schedule = RetrySchedule::from_env(reader);
        let enable_cron_jobs = reader.get(&registry::ENABLE_CRON_JOBS, parse::boolean);
        Ok(Self {
            retry_schedule: retry_schedule?,
            enable_cron_jobs: enable_cron_jobs?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Service};

    #[test]
    fn the_default_schedule_waits_longer_each_time() {
        let config = Env::default()
            .read(Service::Worker, JobsConfig::from_env)
            .unwrap();
        let waits = config.retry_schedule.waits();
        assert_eq!(waits.first(), Some(&Duration::from_secs(2)));
        assert_eq!(waits.last(), Some(&Duration::from_hours(12)));
        assert_eq!(waits.len(), 8);
        assert!(waits.is_sorted());
        assert!(config.enable_cron_jobs);
    }

    #[test]
    fn a_schedule_without_waits_is_refused() {
        for text in [",", "0s", "1s,", "8d", "soon"] {
            let env = Env::from_pairs([("JOB_RETRY_SCHEDULE", text)]);
            assert!(
                env.read(Service::Bot, RetrySchedule::from_env).is_err(),
                "{text:?} was accepted"
            );
        }
    }
}
