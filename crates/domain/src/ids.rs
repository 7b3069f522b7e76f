//! One newtype per entity: our own ids (UUID version 7), Discord's snowflakes, Stripe's ids.
//!
//! All of them travel as strings in JSON: a snowflake does not fit a JavaScript number.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::clock::{Rng, random_bytes};

/// A text that is not an id of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind}: expected {expected}")]
pub struct InvalidId {
    kind: &'static str,
    expected: &'static str,
    text: String,
}

/// A text that is not a slug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a slug: expected at most 64 of a-z, 0-9, - and _, such as \"council\"")]
pub struct InvalidSlug(pub(crate) String);

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, ordered by `now` (milliseconds) and then by chance.
            pub fn generate(now: DateTime<Utc>, rng: &dyn Rng) -> Self {
                Self(uuid_v7(now, rng))
            }

            /// The id read from storage.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id as it is stored.
            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.parse().map(Self).map_err(|_| InvalidId {
                    kind: $kind,
                    expected: "a UUID",
                    text: text.to_owned(),
                })
            }
        }
    )*};
}

uuid_ids! {
    /// A person.
    MemberId = "member id";
    /// A manual grant: a comp, free days, a lifetime membership.
    GrantId = "grant id";
    /// A signed-in browser or API client.
    SessionId = "session id";
    /// One refresh token of a session.
    RefreshTokenId = "refresh token id";
    /// A message owed to a person.
    NotificationId = "notification id";
    /// A line of the audit log.
    AuditId = "audit id";
    /// A company that holds seats.
    CompanyId = "company id";
}

/// A UUID version 7 made of the given milliseconds and random bits.
pub fn uuid_v7(now: DateTime<Utc>, rng: &dyn Rng) -> Uuid {
    let millis = u64::try_from(now.timestamp_millis()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &random_bytes(rng)).into_uuid()
}

macro_rules! snowflakes {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// The id with this number; `None` for zero, which Discord never gives, and for what
            /// does not fit Postgres' `bigint`.
            pub const fn new(id: u64) -> Option<Self> {
                if id == 0 || id > i64::MAX.unsigned_abs() { None } else { Some(Self(id)) }
            }

            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                text.parse().ok().filter(|_| digits).and_then(Self::new).ok_or_else(|| InvalidId {
                    kind: $kind,
                    expected: "a number such as 175928847299117063",
                    text: text.to_owned(),
                })
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

snowflakes! {
    /// A Discord server.
    GuildId = "Discord server id";
    /// A Discord role.
    RoleId = "Discord role id";
    /// A Discord account.
    DiscordUserId = "Discord user id";
    /// A Discord channel.
    ChannelId = "Discord channel id";
}

macro_rules! stripe_ids {
    ($($(#[$doc:meta])* $name:ident = $prefixes:expr, $kind:literal, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The id as Stripe writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let prefixes: &[&str] = &$prefixes;
                let known = prefixes.iter().any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()));
                let plain = text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
                if known && plain {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidId { kind: $kind, expected: $expected, text: text.to_owned() })
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

stripe_ids! {
    /// A Stripe customer.
    StripeCustomerId = ["cus_", "gcus_"], "Stripe customer id", "cus_...";
    /// A Stripe subscription.
    StripeSubscriptionId = ["sub_"], "Stripe subscription id", "sub_...";
    /// A Stripe invoice.
    StripeInvoiceId = ["in_"], "Stripe invoice id", "in_...";
    /// A Stripe Checkout Session.
    StripeCheckoutSessionId = ["cs_"], "Stripe Checkout Session id", "cs_...";
    /// A Stripe event, snapshot or thin.
    StripeEventId = ["evt_"], "Stripe event id", "evt_...";
}

/// A Stripe price. Old accounts also sell by plan ids that their owners named, so only the
/// alphabet is checked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StripePriceId(String);

impl StripePriceId {
    /// The price id as Stripe writes it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as Stripe writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StripePriceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snowflake_is_digits_only() {
        for bad in [
            "",
            "0",
            "-1",
            "+1",
            "1x",
            "99999999999999999999",
            "9223372036854775808",
        ] {
            assert!(bad.parse::<GuildId>().is_err(), "{bad:?} was accepted");
        }
        assert_eq!(
            "175928847299117063".parse::<GuildId>().unwrap().get(),
            175_928_847_299_117_063
        );
    }

    #[test]
    fn a_snowflake_is_a_string_in_json() {
        let role = RoleId::new(42).unwrap();
        assert_eq!(serde_json::to_string(&role).unwrap(), r#""42""#);
        assert_eq!(serde_json::from_str::<RoleId>(r#""42""#).unwrap(), role);
        assert!(serde_json::from_str::<RoleId>("42").is_err());
    }

    #[test]
    fn a_stripe_id_shows_its_kind() {
        assert!("cus_1".parse::<StripeCustomerId>().is_ok());
        for bad in ["", "cus_", "sub_1", "cus_1/../x", "cus_1 "] {
            assert!(bad.parse::<StripeCustomerId>().is_err(), "{bad:?} was accepted");
        }
    }
}
