//! Between Postgres' types and the domain's: snowflakes, durations, names of states.

use std::{fmt::Display, str::FromStr};

use chrono::TimeDelta;
use rolecall_domain::ids::{ChannelId, DiscordUserId, GuildId, MemberId, RoleId};

use crate::DbError;

/// A Discord id that is stored as `bigint`.
pub trait Snowflake: Sized + Copy {
    /// The id with this number.
    fn from_number(number: u64) -> Option<Self>;
    /// The number of the id.
    fn number(self) -> u64;

    /// As Postgres stores it. Every id fits: the types refuse larger numbers when they are made.
    fn to_sql(self) -> i64 {
        i64::try_from(self.number()).unwrap_or(i64::MAX)
    }

    /// As Postgres gave it.
    fn from_sql(table: &'static str, column: &'static str, value: i64) -> Result<Self, DbError> {
        u64::try_from(value)
            .ok()
            .and_then(Self::from_number)
            .ok_or_else(|| DbError::Corrupt {
                table,
                column,
                detail: format!("{value} is not a Discord id"),
            })
    }
}

macro_rules! snowflakes {
    ($($name:ident),*) => {$(
        impl Snowflake for $name {
            fn from_number(number: u64) -> Option<Self> {
                Self::new(number)
            }

            fn number(self) -> u64 {
                self.get()
            }
        }
    )*};
}

snowflakes!(GuildId, RoleId, DiscordUserId, ChannelId);

/// Parses a stored text.
pub(crate) fn parse<T>(table: &'static str, column: &'static str, text: &str) -> Result<T, DbError>
where
    T: FromStr,
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| DbError::Corrupt {
        table,
        column,
        detail: error.to_string(),
    })
}

/// Ids of people as Postgres takes a list of them.
pub(crate) fn uuids(members: &[MemberId]) -> Vec<uuid::Uuid> {
    members.iter().map(|member| member.as_uuid()).collect()
}

/// Reads stored JSON.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    table: &'static str,
    column: &'static str,
    value: serde_json::Value,
) -> Result<T, DbError> {
    serde_json::from_value(value).map_err(|error| DbError::Corrupt {
        table,
        column,
        detail: error.to_string(),
    })
}

/// Writes a value as JSON. The domain's types have no maps with keys that are not strings, which is
/// the one thing that `serde_json` cannot write.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<serde_json::Value, DbError> {
    serde_json::to_value(value).map_err(|error| DbError::Sql(sqlx::Error::Encode(error.into())))
}

/// A duration from stored seconds.
pub(crate) fn seconds(value: i64) -> TimeDelta {
    TimeDelta::try_seconds(value).unwrap_or(TimeDelta::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_snowflake_is_read_as_it_is_written(number in 1..=i64::MAX.unsigned_abs()) {
            let id = GuildId::new(number).unwrap();
            prop_assert_eq!(id.to_sql().unsigned_abs(), number);
            prop_assert_eq!(GuildId::from_sql("t", "c", id.to_sql()).unwrap(), id);
        }

        #[test]
        fn a_number_that_is_no_snowflake_is_reported_with_its_column(number in i64::MIN..=0) {
            let error = RoleId::from_sql("member_roles", "role_id", number).unwrap_err().to_string();
            prop_assert!(error.starts_with("member_roles.role_id holds"), "{}", error);
        }

        #[test]
        fn seconds_of_any_size_make_a_duration(value: i64) {
            let duration = seconds(value);
            prop_assert!(duration.num_seconds() == value || duration == TimeDelta::MAX);
        }
    }
}
