//! Lists: newest first, by cursor, 1 to 100 at a time.

use serde_json::{Value, json};

use crate::stripe::api::params::Params;
use crate::stripe::error::Refusal;
use crate::stripe::world::{Row, Table};

/// Parameters that every list takes.
pub const PAGING: &[&str] = &[
    "limit",
    "starting_after",
    "ending_before",
    "expand.#",
    "created",
    "created.gt",
    "created.gte",
    "created.lt",
    "created.lte",
];

/// One page of the rows that `keep` lets through.
pub fn page<T: Row>(
    table: &Table<T>,
    params: &Params,
    url: &str,
    keep: impl Fn(&T) -> bool,
    show: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let limit = limit(params)?;
    let created = Range::read(params, "created")?;
    let wanted = |row: &&T| keep(row) && created.has(row.created());
    let after = cursor(table, params, "starting_after")?;
    let before = cursor(table, params, "ending_before")?;
    let rows = table.rows();
    let (found, has_more) = match (after, before) {
        (Some(_), Some(_)) => {
            let message = "You cannot parameterize both `starting_after` and `ending_before`.";
            return Err(Refusal::invalid(message));
        }
        // Towards the present: the rows nearest to the cursor, told newest first all the same.
        (None, Some(place)) => {
            let newer = rows.get(place + 1..).unwrap_or_default();
            let (mut found, more) = take(newer.iter().filter(wanted), limit);
            found.reverse();
            (found, more)
        }
        (after, None) => {
            let older = rows.get(..after.unwrap_or(rows.len())).unwrap_or_default();
            take(older.iter().rev().filter(wanted), limit)
        }
    };
    let data: Vec<Value> = found.into_iter().map(show).collect();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

/// A page of a list that is told in the order of its making, such as the items of a subscription.
pub fn page_in_order<T>(
    rows: &[T],
    params: &Params,
    url: &str,
    id: impl Fn(&T) -> &str,
    show: impl Fn(&T) -> Value,
) -> Result<Value, Refusal> {
    let limit = limit(params)?;
    let place = |name: &str| match params.text(name) {
        None => Ok(None),
        Some(cursor) => {
            let place = rows.iter().position(|row| id(row) == cursor);
            let refusal = || Refusal::missing("object", cursor).param(name);
            place.map(Some).ok_or_else(refusal)
        }
    };
    let (after, before) = (place("starting_after")?, place("ending_before")?);
    let from = after.map_or(0, |place| place + 1);
    let to = before.unwrap_or(rows.len());
    let range = rows.get(from..to.max(from)).unwrap_or_default();
    let found = match before {
        Some(_) => range.get(range.len().saturating_sub(limit)..).unwrap_or_default(),
        None => range.get(..limit.min(range.len())).unwrap_or_default(),
    };
    let data: Vec<Value> = found.iter().map(show).collect();
    let has_more = found.len() < range.len();
    Ok(json!({ "object": "list", "data": data, "has_more": has_more, "url": url }))
}

fn limit(params: &Params) -> Result<usize, Refusal> {
    let limit = params.integer_within("limit", 1, 100)?.unwrap_or(10);
    Ok(usize::try_from(limit).unwrap_or(10))
}

fn take<'a, T>(mut rows: impl Iterator<Item = &'a T>, limit: usize) -> (Vec<&'a T>, bool) {
    let found: Vec<&T> = rows.by_ref().take(limit).collect();
    (found, rows.next().is_some())
}

fn cursor<T: Row>(table: &Table<T>, params: &Params, name: &str) -> Result<Option<usize>, Refusal> {
    let Some(id) = params.text(name) else {
        return Ok(None);
    };
    let place = table.place(id);
    place
        .map(Some)
        .ok_or_else(|| Refusal::missing(T::OBJECT, id).param(name))
}

/// `created=...` or `created[gte]=...` and its like.
pub(crate) struct Range {
    exactly: Option<i64>,
    above: Option<i64>,
    from: Option<i64>,
    below: Option<i64>,
    to: Option<i64>,
}

impl Range {
    /// Reads a parameter and its bounds.
    pub(crate) fn read(params: &Params, name: &str) -> Result<Self, Refusal> {
        let bound = |bound: &str| params.integer(&format!("{name}.{bound}"));
        Ok(Self {
            exactly: params.integer(name)?,
            above: bound("gt")?,
            from: bound("gte")?,
            below: bound("lt")?,
            to: bound("lte")?,
        })
    }

    /// Whether a moment lies within.
    pub(crate) fn has(&self, at: i64) -> bool {
        self.exactly.is_none_or(|bound| at == bound)
            && self.above.is_none_or(|bound| at > bound)
            && self.from.is_none_or(|bound| at >= bound)
            && self.below.is_none_or(|bound| at < bound)
            && self.to.is_none_or(|bound| at <= bound)
    }
}
