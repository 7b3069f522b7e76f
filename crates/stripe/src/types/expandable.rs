//! References between objects: an id, or on request the whole object in its place.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        self, MapAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
};

/// A referenced object: its id, or the object where it was expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expandable<I, T> {
    /// Not expanded.
    Id(I),
    /// Expanded.
    Object(Box<T>),
}

impl<I, T> Expandable<I, T> {
    /// The object, where it was expanded.
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Id(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

impl<'de, I: Deserialize<'de>, T: Deserialize<'de>> Deserialize<'de> for Expandable<I, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IdOrObject<I, T>(PhantomData<(I, T)>);

        impl<'de, I: Deserialize<'de>, T: Deserialize<'de>> Visitor<'de> for IdOrObject<I, T> {
            type Value = Expandable<I, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an id or an object")
            }

            fn visit_str<E: de::Error>(self, id: &str) -> Result<Self::Value, E> {
                I::deserialize(StrDeserializer::new(id)).map(Expandable::Id)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let object = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Expandable::Object(Box::new(object)))
            }
        }

        deserializer.deserialize_any(IdOrObject(PhantomData))
    }
}

/// The id alone, of a reference in either form.
pub(crate) struct AnyReference {
    pub(crate) id: Option<String>,
}

impl<'de> Deserialize<'de> for AnyReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Object {
            #[serde(default)]
            id: Option<String>,
        }

        Ok(match Expandable::<String, Object>::deserialize(deserializer)? {
            Expandable::Id(id) => Self { id: Some(id) },
            Expandable::Object(object) => Self { id: object.id },
        })
    }
}
