//! Runs that a worker is asked for: the command waits until they have ended.

use std::time::Duration;

use anyhow::bail;
use rolecall_db::{
    Connection, DbError,
    cron_runs::{self, CronRun},
    reconcile_runs::{self, find_reconcile_run},
};
use uuid::Uuid;

use crate::host::Host;

/// A run that no worker has taken up for this long: probably none is running.
const NO_WORKER: Duration = Duration::from_secs(30);

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a worker does by request, as its row tells.
pub(crate) trait Run: Sized {
    /// Reads it.
    async fn find(conn: &mut Connection, id: Uuid) -> Result<Option<Self>, DbError>;

    /// Whether a worker has taken it up.
    fn is_begun(&self) -> bool;

    /// Whether it has come to its end, or to a question.
    fn is_ended(&self) -> bool;
}

impl Run for CronRun {
    async fn find(conn: &mut Connection, id: Uuid) -> Result<Option<Self>, DbError> {
        cron_runs::find_run(conn, id).await
    }

    fn is_begun(&self) -> bool {
        self.started_at.is_some()
    }

    fn is_ended(&self) -> bool {
        self.finished_at.is_some()
    }
}

impl Run for reconcile_runs::Run {
    async fn find(conn: &mut Connection, id: Uuid) -> Result<Option<Self>, DbError> {
        find_reconcile_run(conn, id).await
    }

    fn is_begun(&self) -> bool {
        self.started_at.is_some()
    }

    fn is_ended(&self) -> bool {
        self.finished_at.is_some()
    }
}

/// Waits until a worker has ended the run.
pub(crate) async fn wait<R: Run>(host: &Host, id: Uuid) -> anyhow::Result<R> {
    let mut waited = Duration::ZERO;
    loop {
        let mut tx = host.db.begin().await?;
        let run = R::find(&mut tx, id).await?;
        tx.commit().await?;
        match run {
            Some(run) if run.is_ended() => return Ok(run),
            Some(run) if !run.is_begun() && waited >= NO_WORKER => {
                bail!(
                    "no worker has taken the run up within {} s; is one running?",
                    NO_WORKER.as_secs()
                )
            }
            Some(_) => {}
            None => bail!("the run {id} is gone"),
        }
        tokio::time::sleep(LOOK_EVERY).await;
        waited += LOOK_EVERY;
    }
}
