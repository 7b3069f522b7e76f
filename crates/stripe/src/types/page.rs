//! One page of a list.

use serde::Deserialize;

use crate::types::tolerant;

/// One page of a list. Lists inside an object are pages too: their first one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Page<T> {
    /// The objects of this page.
    #[serde(default = "Vec::new", deserialize_with = "tolerant::or_default")]
    #[serde(bound(deserialize = "T: Deserialize<'de>"))]
    pub data: Vec<T>,
    /// Whether there are more after this page.
    #[serde(default, deserialize_with = "tolerant::or_default")]
    pub has_more: bool,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            has_more: false,
        }
    }
}
