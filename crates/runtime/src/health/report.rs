//! What `/health` and `/ready` say.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use crate::health::part::Importance;

const LONGEST_DETAIL: usize = 200;

/// The process lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Alive {
    /// Always `ok`.
    pub status: &'static str,
    /// When it was asked.
    pub timestamp: String,
}

/// Whether the service can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It can.
    Ready,
    /// It can, but something that it would like to have is away.
    Degraded,
    /// It cannot; send it nothing.
    Unready,
}

/// The state of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartReport {
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

impl PartReport {
    /// The state of a part; what could be a secret or break a line is taken out of `detail`.
    pub(crate) fn new(ok: bool, detail: &str) -> Self {
        Self {
            ok,
            detail: presentable(detail),
        }
    }

    /// With since when it is so, and what is done meanwhile.
    pub(crate) fn explained(self, since: &str, meanwhile: Option<&str>) -> Self {
        let meanwhile = meanwhile.map(|text| format!("; meanwhile {text}"));
        Self {
            ok: self.ok,
            detail: format!("{}; since {since}{}", self.detail, meanwhile.unwrap_or_default()),
        }
    }
}

/// Whether the service can do its work, and the state of each part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Cow<'static, str>>,
    parts: BTreeMap<&'static str, PartReport>,
}

impl Report {
    pub(crate) fn new(
        role: Option<Cow<'static, str>>,
        reports: Vec<(&'static str, Importance, PartReport)>,
        draining: bool,
    ) -> Self {
        let mut reports = reports;
        if draining {
            reports.push((
                "draining",
                Importance::Required,
                PartReport::new(false, "shutting down"),
            ));
        }
        let is_away = |importance| {
            reports
                .iter()
                .any(|(_, of, report)| *of == importance && !report.ok)
        };
        let status = if is_away(Importance::Required) {
            Status::Unready
        } else if is_away(Importance::Degrading) {
            Status::Degraded
        } else {
            Status::Ready
        };
        let parts = reports
            .into_iter()
            .map(|(name, _, report)| (name, report))
            .collect();
        Self { status, role, parts }
    }

    /// The sum of it.
    pub fn status(&self) -> Status {
        self.status
    }
}

/// `detail` in one line of bounded length, without the user part of any URL in it: drivers like
/// to quote the address that they could not reach, password and all.
fn presentable(detail: &str) -> String {
    let words = detail
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty());
    let line = words.map(without_user).collect::<Vec<_>>().join(" ");
    line.chars().take(LONGEST_DETAIL).collect()
}

fn without_user(word: &str) -> Cow<'_, str> {
    let Some((before, after)) = word.split_once("://") else {
        return Cow::Borrowed(word);
    };
    match after.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{before}://{host}")),
        None => Cow::Borrowed(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_detail_is_one_short_line() {
        let report = PartReport::new(false, "first\nsecond\r\n\tthird");
        assert_eq!(report.detail, "first second third");
        assert_eq!(
            PartReport::new(false, &"é".repeat(500)).detail.chars().count(),
            LONGEST_DETAIL
        );
    }

    #[test]
    fn the_password_of_a_url_does_not_reach_a_detail() {
        let report = PartReport::new(
            false,
            "cannot reach postgres://app:p@ss@db.example:5432/app, refused",
        );
        assert_eq!(
            report.detail,
            "cannot reach postgres://db.example:5432/app, refused"
        );
        assert_eq!(
            PartReport::new(true, "see https://a.b/c").detail,
            "see https://a.b/c"
        );
    }
}
