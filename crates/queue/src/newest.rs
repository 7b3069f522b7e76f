//! The new end of a queue: what has just come in behind everything that waits.

use redis::{RedisError, streams::StreamRangeReply};

use crate::{
    envelope::Envelope,
    job::Job,
    keys::{Keys, Queue},
    link::Link,
};

/// A job that waits, or is being run, seen without being taken.
#[derive(Debug)]
pub struct Seen<J> {
    /// Where it lies: newer entries are greater.
    pub entry: String,
    /// The job; `None` if it is of another kind, or cannot be read.
    pub job: Option<J>,
    /// The trace the job was pushed in (W3C).
    pub traceparent: Option<String>,
}

/// The newest jobs of a queue, the newest first: up to `limit`, and none that came before the entry `after`.
///
/// Nobody takes them by this, so they are run in their turn all the same: only for jobs that do no harm twice.
pub async fn newest<J: Job>(
    link: &Link,
    queue: Queue,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Seen<J>>, RedisError> {
    let end = after.map_or_else(|| "-".to_owned(), |entry| format!("({entry}"));
    let mut range = redis::cmd("XREVRANGE");
    range
        .arg(Keys::new(link.namespace(), queue).stream())
        .arg("+")
        .arg(end)
        .arg("COUNT")
        .arg(limit);
    let found: StreamRangeReply = range.query_async(&mut link.clone()).await?;
    Ok(found.ids.into_iter().map(seen).collect())
}

fn seen<J: Job>(entry: redis::streams::StreamId) -> Seen<J> {
    let bytes: Vec<u8> = entry.get("job").unwrap_or_default();
    let envelope = Envelope::decode(&bytes)
        .ok()
        .filter(|envelope| envelope.kind == J::KIND);
    Seen {
        job: envelope
            .as_ref()
            .and_then(|envelope| serde_json::from_str(envelope.args.get()).ok()),
        traceparent: envelope.and_then(|envelope| envelope.traceparent),
        entry: entry.id,
    }
}
