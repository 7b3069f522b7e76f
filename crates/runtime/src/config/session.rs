//! What signs sessions.

use secrecy::{ExposeSecret, SecretString};

use crate::env::{Read, Reader, parse, registry};

/// HMAC-SHA256 is as strong as its key, up to the 32 bytes of its output.
const SHORTEST_SECRET: usize = 32;

const ONE: &str = "must differ from JWT_SECRET";

/// The keys of sessions.
#[derive(Debug, Clone)]
pub struct SessionConfig {
    /// `JWT_SECRET`: signs access tokens.
    pub access_secret: SecretString,
    /// `JWT_REFRESH_SECRET`: signs refresh tokens.
    pub refresh_secret: SecretString,
}

impl SessionConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let access_secret = reader.get(&registry::JWT_SECRET, parse::secret_of_at_least(SHORTEST_SECRET));
        let refresh_secret = reader.get(
            &registry::JWT_REFRESH_SECRET,
            parse::secret_of_at_least(SHORTEST_SECRET),
        );
        let (access_secret, refresh_secret) = (access_secret?, refresh_secret?);
        if is_one(&access_secret, &refresh_secret) {
            return Err(reader.fault(&registry::JWT_REFRESH_SECRET, ONE));
        }
        Ok(Self {
            access_secret,
            refresh_secret,
        })
    }

    /// Checks the section where it is set.
    pub(crate) fn check(reader: &mut Reader<'_>) {
        let mut secret = |variable| reader.find(variable, parse::secret_of_at_least(SHORTEST_SECRET));
        let (access, refresh) = (
            secret(&registry::JWT_SECRET),
            secret(&registry::JWT_REFRESH_SECRET),
        );
        if let (Ok(Some(access)), Ok(Some(refresh))) = (access, refresh)
            && is_one(&access, &refresh)
        {
            reader.fault(&registry::JWT_REFRESH_SECRET, ONE);
        }
    }
}

fn is_one(access: &SecretString, refresh: &SecretString) -> bool {
    access.expose_secret() == refresh.expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::{Env, Service};

    fn read(access: &str, refresh: &str) -> Result<SessionConfig, String> {
        let env = Env::from_pairs([("JWT_SECRET", access), ("JWT_REFRESH_SECRET", refresh)]);
        env.read(Service::Api, SessionConfig::from_env)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn thirty_two_bytes_are_enough_and_thirty_one_are_not() {
        assert!(read(&"a".repeat(32), &"b".repeat(32)).is_ok());
        let error = read(&"a".repeat(31), &"b".repeat(31)).unwrap_err();
        assert_eq!(
            error.matches("is 31 bytes long, must be at least 32").count(),
            2,
            "{error}"
        );
    }

    #[test]
    fn the_two_secrets_differ() {
        let error = read(&"a".repeat(32), &"a".repeat(32)).unwrap_err();
        assert!(
            error.starts_with("JWT_REFRESH_SECRET: must differ from JWT_SECRET"),
            "{error}"
        );
    }
}
