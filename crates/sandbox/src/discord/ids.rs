//! Snowflakes, and the source of ids and secrets that the simulator hands out.

use std::{fmt, num::ParseIntError, str::FromStr};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// The first millisecond of 2015, from which snowflakes count.
const DISCORD_EPOCH_MILLIS: i64 = 1_420_070_400_000;

/// An id of Discord: a number that travels as a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Snowflake(pub u64);

impl From<u64> for Snowflake {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

impl fmt::Display for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Snowflake {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self)
    }
}

impl Serialize for Snowflake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Wire {
            Text(String),
            Number(u64),
        }
        match Wire::deserialize(deserializer)? {
            Wire::Text(text) => text.parse().map_err(de::Error::custom),
            Wire::Number(number) => Ok(Self(number)),
        }
    }
}

/// Where new ids and secrets come from.
///
/// Secrets are hashes of a counter and of the moment the simulator started: no two runs share a
/// token, and a run under a fixed clock repeats itself.
#[derive(Debug)]
pub(crate) struct IdSource {
    seed: i64,
    last_snowflake: u64,
    secrets: u64,
}

impl IdSource {
    pub(crate) fn new(started_at: DateTime<Utc>) -> Self {
        Self {
            seed: started_at.timestamp_micros(),
            last_snowflake: 0,
            secrets: 0,
        }
    }

    pub(crate) fn snowflake(&mut self, now: DateTime<Utc>) -> u64 {
        let millis = now.timestamp_millis().saturating_sub(DISCORD_EPOCH_MILLIS);
        let of_time = u64::try_from(millis).unwrap_or_default() << 22;
        self.last_snowflake = of_time.max(self.last_snowflake + 1);
        self.last_snowflake
    }

    pub(crate) fn secret(&mut self, purpose: &str) -> String {
        self.secrets += 1;
        let text = format!("{purpose}:{}:{}", self.seed, self.secrets);
        URL_SAFE_NO_PAD
            .encode(Sha256::digest(text))
            .chars()
            .take(30)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_millisecond_differ_and_grow() {
        let now = DateTime::from_timestamp_millis(1_790_000_000_000).unwrap();
        let mut ids = IdSource::new(now);
        let (first, second) = (ids.snowflake(now), ids.snowflake(now));
        assert!(first < second);
        assert_eq!(
            i64::try_from(first >> 22).unwrap() + DISCORD_EPOCH_MILLIS,
            1_790_000_000_000
        );
    }

    #[test]
    fn secrets_differ_between_calls_and_between_starts() {
        let start = DateTime::from_timestamp_millis(1_790_000_000_000).unwrap();
        let mut ids = IdSource::new(start);
        let mut later = IdSource::new(start + chrono::TimeDelta::microseconds(1));
        let secrets = [ids.secret("code"), ids.secret("code"), later.secret("code")];
        assert_ne!(secrets[0], secrets[1]);
        assert_ne!(secrets[0], secrets[2]);
        assert!(secrets.iter().all(|secret| secret.len() == 30));
    }

    #[test]
    fn snowflakes_are_read_as_text_or_number_and_written_as_text() {
        let ids: Vec<Snowflake> = serde_json::from_str(r#"["18", 19]"#).unwrap();
        assert_eq!(ids, [Snowflake(18), Snowflake(19)]);
        assert_eq!(serde_json::to_string(&ids).unwrap(), r#"["18","19"]"#);
        assert!(serde_json::from_str::<Snowflake>(r#""x""#).is_err());
    }
}
