//! Who runs which tick, and how it went: `cron_runs`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Connection, DbError, error::one_row};

/// A run of a cron job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronRun {
    /// Our id.
    pub id: Uuid,
    /// The job's name.
    pub job: String,
    /// The tick, or when it was asked for.
    pub scheduled_for: DateTime<Utc>,
    /// `requested`, `running`, `succeeded` or `failed`.
    pub state: String,
    /// When it began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// What it did, or why it failed.
    pub outcome: Option<String>,
}

/// Claims a tick. Says whether it is ours: exactly one worker gets it. A run that began in the future is
/// one of before the clock was set back; it is taken over, or the job would rest for as long as that was.
pub async fn insert_tick(
    conn: &mut Connection,
    id: Uuid,
    job: &str,
    scheduled_for: DateTime<Utc>,
    worker: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "INSERT INTO cron_runs (id, job, scheduled_for, manual, state, worker, started_at)
         VALUES ($1, $2, $3, false, 'running', $4, $5)
         ON CONFLICT (job, scheduled_for) WHERE NOT manual DO UPDATE
         SET id = excluded.id, state = 'running', worker = excluded.worker, started_at = excluded.started_at,
             finished_at = NULL, outcome = NULL
         WHERE cron_runs.started_at > $5 + interval '1 minute'",
        id,
        job,
        scheduled_for,
        worker,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Asks for a run by hand.
pub async fn insert_manual_run(
    conn: &mut Connection,
    id: Uuid,
    job: &str,
    now: DateTime<Utc>,
) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO cron_runs (id, job, scheduled_for, manual, state) VALUES ($1, $2, $3, true, 'requested')",
        id,
        job,
        now,
    )
    .execute(conn)
    .await?;
    one_row("cron_runs", &done)
}

/// Starts a run that was asked for. Says whether it still had to be started.
pub async fn start_manual_run(
    conn: &mut Connection,
    id: Uuid,
    worker: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE cron_runs SET state = 'running', worker = $2, started_at = $3
         WHERE id = $1 AND state IN ('requested', 'running')",
        id,
        worker,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes how a run ended. Says whether there was such a run: a tick may have been taken over.
pub async fn finish_run(
    conn: &mut Connection,
    id: Uuid,
    succeeded: bool,
    outcome: &str,
    now: DateTime<Utc>,
) -> Result<bool, DbError> {
    let done = sqlx::query!(
        "UPDATE cron_runs SET state = $2, outcome = $3, finished_at = $4 WHERE id = $1",
        id,
        if succeeded { "succeeded" } else { "failed" },
        outcome,
        now,
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// One run.
pub async fn find_run(conn: &mut Connection, id: Uuid) -> Result<Option<CronRun>, DbError> {
    Ok(sqlx::query_as!(
        CronRun,
        "SELECT id, job, scheduled_for, state, started_at, finished_at, outcome FROM cron_runs WHERE id = $1",
        id
    )
    .fetch_optional(conn)
    .await?)
}

/// The newest run of every job.
pub async fn list_last_runs(conn: &mut Connection) -> Result<Vec<CronRun>, DbError> {
    Ok(sqlx::query_as!(
        CronRun,
        "SELECT DISTINCT ON (job) id, job, scheduled_for, state, started_at, finished_at, outcome
         FROM cron_runs ORDER BY job, scheduled_for DESC"
    )
    .fetch_all(conn)
    .await?)
}

/// Forgets runs that ended before `before`, and those from before it that never ended. Returns how many.
pub async fn delete_runs_before(conn: &mut Connection, before: DateTime<Utc>) -> Result<u64, DbError> {
    let done = sqlx::query!(
        "DELETE FROM cron_runs WHERE coalesce(finished_at, scheduled_for) < $1",
        before
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}
