//! What the owner of the community decides for the whole installation.

use std::{ops::RangeInclusive, time::Duration};

use crate::env::{Read, Reader, parse, registry};

/// Down to a second, so that a test can see the end of it.
const POLICY_RANGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(365 * 24);

/// Money and guard rails.
#[derive(Debug, Clone)]
pub struct PolicyConfig {
    /// `GRACE_PERIOD`: how long access stays after the first failed payment.
    pub grace_period: Duration,
    /// `RECONCILE_MAX_REMOVALS`: more than this hold a run; `None`: the larger of 10 and 10 %.
    pub reconcile_max_removals: Option<u32>,
}

impl PolicyConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let grace_period = Self::grace_period_from_env(reader);
        let removals = reader.find(&registry::RECONCILE_MAX_REMOVALS, parse::number(0..=u32::MAX));
        Ok(Self {
            grace_period: grace_period?,
            reconcile_max_removals: removals?,
        })
    }
}

impl PolicyConfig {
    /// Reads `GRACE_PERIOD` alone, for who only has to know what a standing would be.
    pub fn grace_period_from_env(reader: &mut Reader<'_>) -> Read<Duration> {
        reader.get(&registry::GRACE_PERIOD, parse::duration(POLICY_RANGE))
    }
}

/// Invitations to a company.
#[derive(Debug, Clone, Copy)]
pub struct InviteConfig {
    /// `INVITE_TTL`: how long an invitation is good.
    pub ttl: Duration,
}

impl InviteConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            ttl: reader.get(&registry::INVITE_TTL, parse::duration(POLICY_RANGE))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Service};

    const WEEK: Duration = Duration::from_hours(7 * 24);

    #[test]
    fn grace_and_invitations_last_a_week_unless_told_otherwise() {
        let policy = Env::default()
            .read(Service::Worker, PolicyConfig::from_env)
            .unwrap();
        assert_eq!((policy.grace_period, policy.reconcile_max_removals), (WEEK, None));
        assert_eq!(
            Env::default()
                .read(Service::Api, InviteConfig::from_env)
                .unwrap()
                .ttl,
            WEEK
        );
    }

    #[test]
    fn a_limit_of_no_removals_at_all_is_a_limit() {
        let env = Env::from_pairs([("RECONCILE_MAX_REMOVALS", "0")]);
        let policy = env.read(Service::Worker, PolicyConfig::from_env).unwrap();
        assert_eq!(policy.reconcile_max_removals, Some(0));
    }

    #[test]
    fn no_grace_at_all_is_a_slip() {
        for text in ["0s", "0d", "366d"] {
            let env = Env::from_pairs([("GRACE_PERIOD", text), ("INVITE_TTL", text)]);
            assert!(
                env.read(Service::Worker, PolicyConfig::from_env).is_err(),
                "{text}"
            );
            assert!(env.read(Service::Api, InviteConfig::from_env).is_err(), "{text}");
        }
    }
}
