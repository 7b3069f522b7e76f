//! What is wrong with the set-up, from when it was found until it is mended: `alarms`.

use chrono::{DateTime, Utc};

use crate::{Connection, DbError};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something does not work.
    Alarm,
    /// Something cannot be looked at. Told once.
    Notice,
}

impl Severity {
    /// The word for it in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Notice => "notice",
        }
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What is checked.
    pub name: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Since when.
    pub began_at: DateTime<Utc>,
}

/// A check that found something.
#[derive(Debug, Clone, Copy)]
pub struct Raised<'a> {
    /// What was checked.
    pub name: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub problem: &'a str,
    /// What to do.
    pub fix: &'a str,
}

/// Keeps that something is wrong. Says whether that is new.
pub async fn raise_alarm(
    conn: &mut Connection,
    raised: &Raised<'_>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    Ok(sqlx::query_scalar!(
        r#"INSERT INTO alarms (name, severity, problem, fix, began_at, checked_at)
           VALUES ($1, $2, $3, $4, $5, $5)
           ON CONFLICT (name) DO UPDATE
           SET severity = excluded.severity, problem = excluded.problem, fix = excluded.fix,
               checked_at = excluded.checked_at
           RETURNING (xmax = 0) AS "new!""#,
        raised.name,
        raised.severity.as_str(),
        raised.problem,
        raised.fix,
        now,
    )
    .fetch_one(conn)
    .await?)
}

/// Ends what is mended. Returns since when it was wrong; `None` if it was not.
pub async fn end_alarm(conn: &mut Connection, name: &str) -> Result<Option<DateTime<Utc>>, DbError> {
    Ok(
        sqlx::query_scalar!("DELETE FROM alarms WHERE name = $1 RETURNING began_at", name)
            .fetch_optional(conn)
            .await?,
    )
}

/// Everything that is wrong now, in the order of the names.
pub async fn list_alarms(conn: &mut Connection) -> Result<Vec<Alarm>, DbError> {
    let rows = sqlx::query!("SELECT name, severity, problem, fix, began_at FROM alarms ORDER BY name")
        .fetch_all(conn)
        .await?;
    rows.into_iter()
        .map(|row| {
            let severities = [Severity::Alarm, Severity::Notice];
            let severity = severities
                .into_iter()
                .find(|severity| severity.as_str() == row.severity);
            Ok(Alarm {
                name: row.name,
                severity: severity.ok_or(DbError::Corrupt {
                    table: "alarms",
                    column: "severity",
                    detail: row.severity,
                })?,
                problem: row.problem,
                fix: row.fix,
                began_at: row.began_at,
            })
        })
        .collect()
}
