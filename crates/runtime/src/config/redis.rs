//! How to reach Redis, and what our keys begin with.

use secrecy::SecretString;

use crate::env::{Read, Reader, parse, registry};

const LONGEST_NAMESPACE: usize = 64;

/// How to reach Redis.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// `REDIS_URL`.
    pub url: SecretString,
    /// `REDIS_NAMESPACE`.
    pub namespace: String,
}

impl RedisConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let url = reader.get(&registry::REDIS_URL, parse_redis_url);
        let namespace = reader.get(&registry::REDIS_NAMESPACE, parse_namespace);
        Ok(Self {
            url: url?,
            namespace: namespace?,
        })
    }
}

fn parse_redis_url(text: &str) -> Result<SecretString, parse::Problem> {
    let url = parse::url(&["redis", "rediss", "unix"])(text)?;
    if url.scheme() == "unix" && url.path().trim_matches('/').is_empty() {
        return Err("names no socket".to_owned());
    }
    if url.scheme() != "unix" && url.host_str().unwrap_or_default().is_empty() {
        return Err("names no host".to_owned());
    }
    parse::secret(text)
}

/// Braces would end the hash tag that keeps the keys of one queue on one cluster node.
fn parse_namespace(text: &str) -> Result<String, parse::Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':');
    let alphabet = text.bytes().all(plain);
    let ends = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric());
    if alphabet && ends && text.len() <= LONGEST_NAMESPACE {
        return Ok(text.to_owned());
    }
    Err(format!(
        "must be 1 to {LONGEST_NAMESPACE} ASCII letters, digits, - _ . : and begin and end with a letter or digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_keeps_to_an_alphabet_that_cannot_break_a_key() {
        for good in [
            "rolecall",
            "rolecall-2",
            "acme:staging",
            "t_1.x",
            "a",
            &"n".repeat(64),
        ] {
            assert_eq!(parse_namespace(good).as_deref(), Ok(good));
        }
        for bad in [
            "role call",
            "{x}",
            "x}",
            ":x",
            "x:",
            "-",
            "ü",
            "a\nb",
            "*",
            &"n".repeat(65),
        ] {
            assert!(parse_namespace(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn redis_is_reached_by_tcp_tls_or_socket() {
        for good in [
            "redis://localhost",
            "rediss://:pw@r.example:6380/1",
            "unix:///run/redis.sock",
        ] {
            assert!(parse_redis_url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://localhost",
            "localhost:6379",
            "redis://",
            "unix://",
            "unix:///",
        ] {
            assert!(parse_redis_url(bad).is_err(), "{bad} was accepted");
        }
    }
}
