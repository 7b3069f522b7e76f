//! A corner of Redis of one's own, and the jobs in it.

use chrono::{DateTime, Utc};
use redis::streams::StreamRangeReply;
use rolecall_domain::clock::random_bytes;
use rolecall_queue::{Envelope, Keys, Link, LinkOptions, Queue};
use rolecall_runtime::clock::SystemRng;
use serde::de::DeserializeOwned;

/// A job that was taken from its stream.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) kind: String,
    pub(crate) enqueued_at: DateTime<Utc>,
    args: String,
}

impl Taken {
    pub(crate) fn args<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.args).unwrap()
    }
}

/// A namespace; what is in it goes with this value.
pub(crate) struct Redis {
    url: String,
    pub(crate) link: Link,
}

/// The Redis of all tests.
#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
pub(crate) fn redis_url() -> String {
    std::env::var("REDIS_URL").expect("REDIS_URL must name a Redis; `cargo xtask test` brings one")
}

impl Redis {
    pub(crate) fn new() -> Self {
        let url = redis_url();
        let namespace = format!("test-{:016x}", u64::from_be_bytes(random_bytes(&SystemRng)));
        let link = Link::new(&url, &namespace, LinkOptions::default()).unwrap();
        Self { url, link }
    }

    /// Takes all jobs of a queue that are not scheduled for later.
    pub(crate) async fn take(&self, queue: Queue) -> Vec<Taken> {
        let keys = Keys::new(self.link.namespace(), queue);
        let (found, _): (StreamRangeReply, u64) = redis::pipe()
            .atomic()
            .xrange_all(keys.stream())
            .del(keys.stream())
            .query_async(&mut self.link.clone())
            .await
            .unwrap();
        found
            .ids
            .iter()
            .map(|entry| taken(&entry.get::<Vec<u8>>("job").unwrap()))
            .collect()
    }

    /// Forgets everything, as `FLUSHALL` would.
    pub(crate) async fn flush(&self) {
        flush(&mut self.link.clone(), self.link.namespace())
            .await
            .unwrap();
    }
}

fn taken(bytes: &[u8]) -> Taken {
    let envelope = Envelope::decode(bytes).unwrap();
    Taken {
        kind: envelope.kind.into_owned(),
        enqueued_at: envelope.enqueued_at,
        args: envelope.args.get().to_owned(),
    }
}

async fn flush(connection: &mut impl redis::aio::ConnectionLike, namespace: &str) -> redis::RedisResult<()> {
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(format!("*{namespace}*"))
        .query_async(connection)
        .await?;
    for key in keys {
        redis::cmd("DEL").arg(key).query_async::<()>(connection).await?;
    }
    Ok(())
}

impl Drop for Redis {
    fn drop(&mut self) {
        // A destructor cannot wait on the test's runtime, so it brings its own.
        let (url, namespace) = (self.url.clone(), self.link.namespace().to_owned());
        let clean = move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut connection = redis::Client::open(url)?
                    .get_multiplexed_async_connection()
                    .await?;
                Ok(flush(&mut connection, &namespace).await?)
            })
        };
        if !matches!(std::thread::spawn(clean).join(), Ok(Ok(()))) {
            tracing::warn!("a test left keys in Redis");
        }
    }
}
