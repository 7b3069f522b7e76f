//! Runs that compare what is kept with what Stripe says: `reconcile_runs`. Their JSON is a contract: the
//! command line and the API print it.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Connection, DbError, error::one_row};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident in $column:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// The word for it in SQL and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// What the word means.
            pub fn named(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }

            fn from_sql(word: &str) -> Result<Self, DbError> {
                Self::named(word).ok_or_else(|| DbError::Corrupt {
                    table: "reconcile_runs",
                    column: $column,
                    detail: word.to_owned(),
                })
            }
        }
    };
}

words! {
    /// What a run compares.
    Scope in "scope" {
        /// What Stripe says.
        Stripe = "stripe",
        /// What Discord says.
        Discord = "discord",
        /// Both.
        All = "all",
    }
}

words! {
    /// How far a run has come.
    RunState in "state" {
        /// No worker has taken it up yet.
        Requested = "requested",
        /// It reads and compares.
        Reading = "reading",
        /// It asks before it goes on.
        Held = "held",
        /// It mends what it found.
        Applying = "applying",
        /// It has ended.
        Done = "done",
        /// It could not be done; nothing was mended that is not said to be.
        Failed = "failed",
    }
}

/// What a run has counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Subscriptions that were known when it began.
    pub known: u64,
    /// Subscriptions that Stripe listed.
    pub listed: u64,
    /// Of those that were known, how many had not ended.
    pub living: u64,
    /// Of the living, how many Stripe listed.
    pub named: u64,
    /// Known ones that Stripe's list did not name, and that a read of them alone found.
    pub unlisted: u64,
    /// One-time purchases that were compared.
    pub purchases: u64,
    /// Payments given back or disputed that were compared.
    pub payments: u64,
    /// What is not as it should be.
    pub findings: u64,
    /// People to whom a room would be closed.
    pub removals: u64,
    /// How many may be without asking.
    pub removal_limit: u64,
    /// People to whom some room was open; counted only where it decides something.
    pub with_access: u64,
    /// Findings that were mended.
    pub applied: u64,
    /// Findings that only the owner can mend.
    pub noted: u64,
    /// Findings that could not be mended.
    pub failed: u64,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Our id.
    pub id: Uuid,
    /// What it compares.
    pub scope: Scope,
    /// Findings only.
    pub dry_run: bool,
    /// How far it has come.
    pub state: RunState,
    /// Who asked.
    pub requested_by: String,
    /// When.
    pub requested_at: DateTime<Utc>,
    /// Who said yes to whatever it takes away.
    pub approved_by: Option<String>,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended, or began to wait for a yes.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it has counted.
    pub figures: Figures,
    /// Why it is, or was, held.
    pub hold_reasons: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
}

/// A run that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// Our id.
    pub id: Uuid,
    /// What to compare.
    pub scope: Scope,
    /// Findings only.
    pub dry_run: bool,
    /// Who asks.
    pub requested_by: &'a str,
    /// Whoever asks says yes to whatever it takes away.
    pub approved: bool,
}

macro_rules! run {
    ($row:expr) => {{
        let row = $row;
        Ok(Run {
            id: row.id,
            scope: Scope::from_sql(&row.scope)?,
            dry_run: row.dry_run,
            state: RunState::from_sql(&row.state)?,
            requested_by: row.requested_by,
            requested_at: row.requested_at,
            approved_by: row.approved_by,
            started_at: row.started_at,
            finished_at: row.finished_at,
            figures: row.figures.0,
            hold_reasons: row.hold_reasons,
            error: row.error,
        })
    }};
}

/// Asks for a run.
pub async fn insert_reconcile_run(
    conn: &mut Connection,
    run: &NewRun<'_>,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let approved_by = run.approved.then_some(run.requested_by);
    let done = sqlx::query!(
        "INSERT INTO reconcile_runs (
           id, scope, dry_run, requested_by, requested_at, state, approved_by, approved_at, figures, hold_reasons)
         VALUES ($1, $2, $3, $4, $5, 'requested', $6, $7, $8, '{}')",
        run.id,
        run.scope.as_str(),
        run.dry_run,
        run.requested_by,
        now,
        approved_by,
        approved_by.map(|_| now),
        Json(Figures::default()) as _,
    )
    .execute(conn)
    .await?;
    one_row("reconcile_runs", &done)
}

/// One run.
pub async fn find_reconcile_run(conn: &mut Connection, id: Uuid) -> Result<Option<Run>, DbError> {
    let row = sqlx::query!(
        r#"SELECT id, scope, dry_run, state, requested_by, requested_at, approved_by, started_at, finished_at,
                  figures AS "figures: Json<Figures>", hold_reasons, error
           FROM reconcile_runs WHERE id = $1"#,
        id
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| run!(row)).transpose()
}

/// Takes a run up that has still to be worked on and that nobody works on. A run that was asked for
/// begins to read.
pub async fn claim_reconcile_run(
    conn: &mut Connection,
    id: Uuid,
    worker: &str,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Option<Run>, DbError> {
    let row = sqlx::query!(
        r#"UPDATE reconcile_runs
           SET state = CASE state WHEN 'requested' THEN 'reading' ELSE state END, worker = $2,
               claimed_until = $4, started_at = coalesce(started_at, $3)
           WHERE id = $1 AND state IN ('requested', 'reading', 'applying')
             AND (claimed_until IS NULL OR claimed_until <= $3)
           RETURNING id, scope, dry_run, state, requested_by, requested_at, approved_by, started_at,
                     finished_at, figures AS "figures: Json<Figures>", hold_reasons, error"#,
        id,
        worker,
        now,
        until,
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| run!(row)).transpose()
}

/// Keeps a run for longer. Says whether it is still the worker's: if not, somebody else took it up.
pub async fn renew_reconcile_claim(
    conn: &mut Connection,
    id: Uuid,
    worker: &str,
    until: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE reconcile_runs SET claimed_until = $3
         WHERE id = $1 AND worker = $2 AND state IN ('reading', 'applying')",
        id,
        worker,
        until,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What a run comes to next.
#[derive(Debug, Clone, Copy)]
pub struct NextState<'a> {
    /// The state.
    pub state: RunState,
    /// What was counted.
    pub figures: &'a Figures,
    /// Why it is held.
    pub hold_reasons: &'a [String],
    /// Why it failed.
    pub error: Option<&'a str>,
}

/// Takes a run further, if it is still the worker's. Says whether it was.
pub async fn set_reconcile_state(
    conn: &mut Connection,
    id: Uuid,
    worker: &str,
    next: &NextState<'_>,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let goes_on = matches!(
        next.state,
        RunState::Requested | RunState::Reading | RunState::Applying
    );
    let done = sqlx::query!(
        "UPDATE reconcile_runs
         SET state = $3, figures = $4, hold_reasons = $5, error = $6, finished_at = $7,
             claimed_until = CASE WHEN $8 THEN claimed_until END
         WHERE id = $1 AND worker = $2 AND state IN ('reading', 'applying')",
        id,
        worker,
        next.state.as_str(),
        Json(next.figures) as _,
        next.hold_reasons,
        next.error,
        (!goes_on).then_some(now),
        goes_on,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says yes to a run that is held, or to the findings of a dry run: they are applied. Says whether there
/// was anything to say yes to.
pub async fn approve_reconcile_run(
    conn: &mut Connection,
    id: Uuid,
    approved_by: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE reconcile_runs
         SET state = 'applying', dry_run = false, approved_by = $2, approved_at = $3, worker = NULL,
             claimed_until = NULL, finished_at = NULL
         WHERE id = $1 AND (state = 'held' OR (state = 'done' AND dry_run))",
        id,
        approved_by,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Runs that somebody should work on and nobody does, those asked for first first.
pub async fn list_abandoned_reconcile_runs(
    conn: &mut Connection,
    asked_before: DateTime<Utc>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<Uuid>, DbError> {
    Ok(sqlx::query_scalar!(
        "SELECT id FROM reconcile_runs
         WHERE state IN ('requested', 'reading', 'applying') AND requested_at <= $1
           AND coalesce(approved_at, requested_at) <= $1
           AND (claimed_until IS NULL OR claimed_until <= $2)
         ORDER BY requested_at LIMIT $3",
        asked_before,
        now,
        limit,
    )
    .fetch_all(conn)
    .await?)
}

/// Forgets runs that ended before `before`, with their findings. Returns how many.
pub async fn delete_reconcile_runs_before(
    conn: &mut Connection,
    before: DateTime<Utc>,
) -> Result<u64, DbError> {
    let done = sqlx::query!("DELETE FROM reconcile_runs WHERE finished_at < $1", before)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}
