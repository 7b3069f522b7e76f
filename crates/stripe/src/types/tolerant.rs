//! Field readers that let missing and null values pass.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};

use crate::types::expandable::{AnyReference, Expandable};

/// The value, or the default for `null`.
pub(crate) fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The id of another object, whether that object is expanded or not. What is not an id of the
/// wanted kind is none: an odd reference must not cost us the object that holds it.
pub(crate) fn reference<'de, D, I>(deserializer: D) -> Result<Option<I>, D::Error>
where
    D: Deserializer<'de>,
    I: FromStr,
{
    let reference = Option::<AnyReference>::deserialize(deserializer)?;
    Ok(reference.and_then(|reference| reference.id?.parse().ok()))
}

/// Another object, expanded or by its id; an odd id is none.
pub(crate) fn expandable<'de, D, I, T>(deserializer: D) -> Result<Option<Expandable<I, T>>, D::Error>
where
    D: Deserializer<'de>,
    I: FromStr,
    T: Deserialize<'de>,
{
    Ok(
        match Option::<Expandable<String, T>>::deserialize(deserializer)? {
            Some(Expandable::Object(object)) => Some(Expandable::Object(object)),
            Some(Expandable::Id(id)) => id.parse().ok().map(Expandable::Id),
            None => None,
        },
    )
}
