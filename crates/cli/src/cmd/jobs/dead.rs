//! `rolecall jobs dead`: the jobs that were given up.

use std::{fmt, process::ExitCode, str::FromStr};

use anyhow::bail;
use chrono::{DateTime, Utc};
use rolecall_queue::{DeadJob, DeadJobs, Envelope, Link, Queue, stats};
use rolecall_runtime::env::Env;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    args::jobs::{Dead, Which},
    cmd::jobs::redact,
    config,
    host::{link, now},
    output::Printer,
};

/// Where a dead job lies: `<queue>/<entry>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadId {
    queue: Queue,
    entry: String,
}

impl fmt::Display for DeadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.queue, self.entry)
    }
}

impl FromStr for DeadId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected an id as `rolecall jobs dead list` prints it, such as jobs/1763720000000-0";
        let (queue, entry) = text.split_once('/').ok_or(expected)?;
        let queue = queue.parse().map_err(|_| expected)?;
        let is_entry = entry.split_once('-').is_some_and(|(time, number)| {
            [time, number]
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        });
        if !is_entry {
            return Err(expected.to_owned());
        }
        Ok(Self {
            queue,
            entry: entry.to_owned(),
        })
    }
}

pub(super) async fn run(env: &Env, printer: &Printer, command: Dead) -> anyhow::Result<ExitCode> {
    let link = link(&config::redis(env)?)?;
    match command {
        Dead::List { queue, limit } => list(&link, printer, queue, limit.into()).await,
        Dead::Show { id } => show(&link, printer, &id).await,
        Dead::Redrive(which) => redrive(&link, printer, &which).await,
        Dead::Purge(which) => purge(&link, printer, &which).await,
    }
}

#[derive(Debug, Serialize)]
struct DeadView {
    id: String,
    kind: Option<String>,
    attempts: u32,
    died_at: Option<DateTime<Utc>>,
    reason: String,
}

impl DeadView {
    fn new(queue: Queue, job: DeadJob) -> Self {
        Self {
            id: DeadId {
                queue,
                entry: job.entry,
            }
            .to_string(),
            kind: job.kind,
            attempts: job.attempts,
            died_at: job.died_at,
            reason: job.reason,
        }
    }

    fn text(&self) -> String {
        format!(
            "{:<40} {:<20} {:>3} attempts  {}\n    {}",
            self.id,
            self.kind.as_deref().unwrap_or("(unreadable)"),
            self.attempts,
            time(self.died_at),
            self.reason
        )
    }
}

fn time(at: Option<DateTime<Utc>>) -> String {
    at.map_or_else(
        || "?".to_owned(),
        |at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
    )
}

fn queues(queue: Option<Queue>) -> Vec<Queue> {
    queue.map_or_else(|| Queue::ALL.to_vec(), |queue| vec![queue])
}

async fn list(
    link: &Link,
    printer: &Printer,
    queue: Option<Queue>,
    limit: usize,
) -> anyhow::Result<ExitCode> {
    let mut jobs = Vec::new();
    for queue in queues(queue) {
        let some = DeadJobs::new(link, queue).list(None, limit - jobs.len()).await?;
        jobs.extend(some.into_iter().map(|job| DeadView::new(queue, job)));
        if jobs.len() >= limit {
            break;
        }
    }
    printer.answer(&jobs, |jobs| {
        if jobs.is_empty() {
            return "No job is dead.".to_owned();
        }
        jobs.iter().map(DeadView::text).collect::<Vec<_>>().join("\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn show(link: &Link, printer: &Printer, id: &DeadId) -> anyhow::Result<ExitCode> {
    let Some(job) = DeadJobs::new(link, id.queue).get(&id.entry).await? else {
        bail!("there is no dead job {id}; `rolecall jobs dead list` prints those that are there");
    };
    let more = match Envelope::decode(job.envelope.as_bytes()) {
        Ok(envelope) => json!({
            "job_id": envelope.id,
            "enqueued_at": envelope.enqueued_at,
            "traceparent": envelope.traceparent,
            "args": redact::args(envelope.args.get()),
        }),
        Err(error) => json!({ "unreadable": error.to_string(), "bytes": job.envelope.len() }),
    };
    let mut answer = serde_json::to_value(DeadView::new(id.queue, job))?;
    if let (Value::Object(answer), Value::Object(more)) = (&mut answer, more) {
        answer.extend(more);
    }
    // For people too: the arguments are a tree.
    printer.answer(&answer, |answer| format!("{answer:#}"))?;
    Ok(ExitCode::SUCCESS)
}

/// What became of the jobs that were named.
#[derive(Debug, Default, Serialize)]
struct Done {
    #[serde(skip_serializing_if = "Option::is_none")]
    redriven: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purged: Option<u64>,
    /// Named, and not there.
    missing: Vec<String>,
}

impl Done {
    fn print(self, printer: Printer) -> anyhow::Result<ExitCode> {
        printer.answer(&self, |done| {
            let mut lines = Vec::new();
            if let Some(count) = done.redriven {
                lines.push(format!("{count} jobs have all their attempts again."));
            }
            if let Some(count) = done.purged {
                lines.push(format!("{count} jobs are gone."));
            }
            lines.extend(
                done.missing
                    .iter()
                    .map(|id| format!("! there is no dead job {id}")),
            );
            lines.join("\n")
        })?;
        Ok(if self.missing.is_empty() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

async fn redrive(link: &Link, printer: &Printer, which: &Which) -> anyhow::Result<ExitCode> {
    let (mut done, mut count) = (Done::default(), 0);
    for id in &which.ids {
        if DeadJobs::new(link, id.queue).redrive(&id.entry).await? {
            count += 1;
        } else {
            done.missing.push(id.to_string());
        }
    }
    if which.all {
        for queue in queues(which.queue) {
            let redriven = DeadJobs::new(link, queue).redrive_all().await?;
            count += u64::try_from(redriven)?;
        }
    }
    done.redriven = Some(count);
    done.print(*printer)
}

async fn purge(link: &Link, printer: &Printer, which: &Which) -> anyhow::Result<ExitCode> {
    let (mut done, mut count) = (Done::default(), 0);
    for id in &which.ids {
        if DeadJobs::new(link, id.queue).remove(&id.entry).await? {
            count += 1;
        } else {
            done.missing.push(id.to_string());
        }
    }
    if which.all {
        for queue in queues(which.queue) {
            count += stats(link, queue, now()).await?.dead;
            DeadJobs::new(link, queue).purge().await?;
        }
    }
    done.purged = Some(count);
    done.print(*printer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_the_queue_and_the_entry() {
        let id: DeadId = "role-commands-now/1763720000000-0".parse().unwrap();
        assert_eq!(
            (id.queue, id.entry.as_str()),
            (Queue::RoleCommandsNow, "1763720000000-0")
        );
        assert_eq!(id.to_string(), "role-commands-now/1763720000000-0");
        for wrong in [
            "",
            "jobs",
            "jobs/",
            "jobs/+",
            "jobs/-",
            "jobs/1-",
            "coffee/1-0",
            "1-0",
        ] {
            let error = wrong.parse::<DeadId>().unwrap_err();
            assert!(error.contains("rolecall jobs dead list"), "{wrong}: {error}");
        }
    }
}
