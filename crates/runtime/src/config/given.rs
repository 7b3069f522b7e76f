//! Variables that a service may be given without reading them yet. What is wrong with them is told all the same: a slip
//! shows where it was made, and not on the day on which somebody reads the variable.

use crate::{
    config::{AppEnv, DiscordApiConfig, EncryptionKeys, InviteConfig, SessionConfig, StripeWebhookConfig},
    env::{Reader, Service},
};

/// Records the faults of what is set. Nothing of it has to be set.
pub(crate) fn check(reader: &mut Reader<'_>) {
    let service = reader.service();
    if service == Service::Cli {
        return;
    }
    // The reader remembers the faults; the values are of no use here.
    drop(AppEnv::from_env(reader));
    SessionConfig::check(reader);
    EncryptionKeys::check(reader);
    drop(DiscordApiConfig::from_env(reader));
    if service != Service::Bot {
        StripeWebhookConfig::check(reader);
        drop(InviteConfig::from_env(reader));
    }
}

#[cfg(test)]
mod tests {
    use crate::env::{Env, Fault, Service};

    #[track_caller]
    fn faults(service: Service, pairs: &[(&str, &str)]) -> Vec<&'static str> {
        let read = Env::from_pairs(pairs.iter().copied()).read(service, |_| Ok(()));
        read.map_or_else(
            |error| error.faults().iter().map(Fault::name).collect(),
            |()| Vec::new(),
        )
    }

    const SLIPS: [(&str, &str); 7] = [
        ("APP_ENV", "live"),
        ("JWT_SECRET", "short"),
        ("JWT_REFRESH_SECRET", "short"),
        ("ENCRYPTION_KEYS", "nonsense"),
        ("DISCORD_API_BASE", "discord"),
        ("STRIPE_WEBHOOK_SECRET_TEST", "sk_test_1"),
        ("INVITE_TTL", "banana"),
    ];

    #[test]
    fn what_is_given_to_a_service_is_checked_though_it_does_not_read_it() {
        let names = SLIPS.map(|(name, _)| name);
        assert_eq!(faults(Service::Api, &SLIPS), names);
        assert_eq!(faults(Service::Worker, &SLIPS), names);
        assert_eq!(faults(Service::Bot, &SLIPS), names[..5]);
    }

    #[test]
    fn what_is_not_given_is_not_missed() {
        for service in [Service::Api, Service::Worker, Service::Bot, Service::Cli] {
            assert_eq!(faults(service, &[]), Vec::<&str>::new(), "{service}");
        }
    }

    #[test]
    fn two_secrets_that_are_one_are_a_slip_everywhere() {
        let secret = "a".repeat(32);
        let pairs = [("JWT_SECRET", &*secret), ("JWT_REFRESH_SECRET", &*secret)];
        assert_eq!(faults(Service::Worker, &pairs), ["JWT_REFRESH_SECRET"]);
        assert_eq!(faults(Service::Worker, &pairs[..1]), Vec::<&str>::new());
    }
}
