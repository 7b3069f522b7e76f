//! `GET /api/v1/admin/jobs`: the recurring jobs, and how full the queues are.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};
use rolecall_db::cron_runs::{CronRun, list_last_runs};
use rolecall_queue::{Queue, RedisError, stats};
use serde::Serialize;

use crate::{
    error::{ApiError, chain},
    json::{
        List,
        admin::{json, require_staff},
    },
    session::SignedIn,
    state::State,
};

#[derive(Serialize)]
struct Jobs {
    /// The newest run of every recurring job.
    #[serde(flatten)]
    runs: List<Run>,
    /// `null` while Redis is away: the runs are told all the same.
    queues: Option<Vec<QueueView>>,
}

#[derive(Serialize)]
struct Run {
    job: String,
    state: String,
    scheduled_for: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
}

impl From<CronRun> for Run {
    fn from(run: CronRun) -> Self {
        Self {
            job: run.job,
            state: run.state,
            scheduled_for: run.scheduled_for,
            started_at: run.started_at,
            finished_at: run.finished_at,
            outcome: run.outcome,
        }
    }
}

/// What `rolecall jobs queues --json` prints.
#[derive(Serialize)]
struct QueueView {
    queue: &'static str,
    depth: u64,
    pending: u64,
    delayed: u64,
    dead: u64,
    oldest_age_ms: u64,
}

/// `GET /api/v1/admin/jobs`.
pub(crate) async fn get_jobs(signed_in: SignedIn, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let mut tx = state.database.begin().await?;
    require_staff(&mut tx, signed_in, state.now()).await?;
    let runs = list_last_runs(&mut tx).await?;
    tx.commit().await?;
    let queues = match queues(&state).await {
        Ok(queues) => Some(queues),
        Err(error) => {
            tracing::warn!(error = %chain(&error), "the queues cannot be looked at");
            None
        }
    };
    Ok(json(&Jobs {
        runs: List::whole(runs.into_iter().map(Run::from)),
        queues,
    }))
}

async fn queues(state: &State) -> Result<Vec<QueueView>, RedisError> {
    let mut queues = Vec::with_capacity(Queue::ALL.len());
    for queue in Queue::ALL {
        let stats = stats(&state.redis, queue, state.now()).await?;
        queues.push(QueueView {
            queue: queue.name(),
            depth: stats.depth,
            pending: stats.pending,
            delayed: stats.delayed,
            dead: stats.dead,
            oldest_age_ms: u64::try_from(stats.oldest_age.as_millis()).unwrap_or(u64::MAX),
        });
    }
    Ok(queues)
}
