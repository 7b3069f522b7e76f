//! Pages of lists: how long they are, and where the next one begins.

use std::str::FromStr;

use serde::Deserialize;

use crate::{error::ApiError, json::List};

/// A page unless the client says how long.
const PAGE: i64 = 50;
const LONGEST_PAGE: i64 = 200;

/// `?cursor=&limit=`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Paging {
    cursor: Option<String>,
    limit: Option<i64>,
}

impl Paging {
    /// Made of parts of a query that has more of them.
    pub(crate) const fn new(cursor: Option<String>, limit: Option<i64>) -> Self {
        Self { cursor, limit }
    }

    /// Where the page begins. An empty cursor, as a form sends it, is none.
    pub(crate) fn after<T: FromStr>(&self) -> Result<Option<T>, ApiError> {
        let given = self.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        given
            .map(|cursor| {
                cursor
                    .parse()
                    .map_err(|_| bad("cursor", "the next_cursor of a list"))
            })
            .transpose()
    }

    /// How many rows to read: one more than are shown tells whether there is a next page.
    pub(crate) fn rows(&self) -> Result<i64, ApiError> {
        Ok(self.limit()? + 1)
    }

    /// The page made of these rows; `place` tells where a row stands.
    pub(crate) fn list<T>(
        &self,
        mut rows: Vec<T>,
        place: impl Fn(&T) -> String,
    ) -> Result<List<T>, ApiError> {
        let limit = usize::try_from(self.limit()?).unwrap_or(usize::MAX);
        let is_last = rows.len() <= limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| !is_last);
        Ok(List {
            next_cursor: next.map(place),
            data: rows,
        })
    }

    fn limit(&self) -> Result<i64, ApiError> {
        let limit = self.limit.unwrap_or(PAGE);
        if (1..=LONGEST_PAGE).contains(&limit) {
            Ok(limit)
        } else {
            Err(bad("limit", "from 1 to 200"))
        }
    }
}

fn bad(name: &str, expected: &str) -> ApiError {
    ApiError::BadRequest {
        detail: format!("`{name}` has to be {expected}"),
    }
}
