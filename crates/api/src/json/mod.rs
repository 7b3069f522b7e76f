//! The JSON API under `/api/v1`.

pub(crate) mod admin;
pub(crate) mod billing;
pub(crate) mod me;
pub(crate) mod messages;
pub(crate) mod paging;
pub(crate) mod plans;

use actix_web::{HttpResponse, http::header};
use serde::Serialize;

/// What is personal, or changes: no cache may keep it.
pub(crate) fn uncached(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body)
}

/// A list as every list is answered.
#[derive(Debug, Serialize)]
pub(crate) struct List<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that is all there is.
    pub(crate) fn whole(data: impl IntoIterator<Item = T>) -> Self {
        Self {
            data: data.into_iter().collect(),
            next_cursor: None,
        }
    }
}
