//! The blocking read, on a connection of its own.

use std::{collections::HashMap, pin::Pin, time::Duration};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind, Value, aio::MultiplexedConnection};

use crate::{
    backend::{
        entry::{self, Entry},
        shared::{GROUP, Shared},
    },
    link::is_full,
    time::millis,
};

/// Past the time a read may block, Redis is waited for this long before it counts as away.
const GRACE: Duration = Duration::from_secs(5);
/// Ending a blocked read from outside may take this long, and is repeated this often.
const UNBLOCK_TIMEOUT: Duration = Duration::from_secs(1);
const UNBLOCK_WAIT: Duration = Duration::from_millis(50);

/// Reads new entries.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: MultiplexedConnection,
    client_id: i64,
}

impl Reader {
    /// Connects, and sees to it that there is a group to read in.
    pub(crate) async fn connect(shared: &Shared) -> RedisResult<Self> {
        ensure_group(shared).await?;
        let mut connection = shared.link.dedicated().await?;
        let mut ask = redis::cmd("CLIENT");
        ask.arg("ID");
        let answer = tokio::time::timeout(GRACE, ask.query_async(&mut connection)).await;
        let client_id = answer.unwrap_or_else(|_| Err(silent()))?;
        Ok(Self {
            connection,
            client_id,
        })
    }

    /// Up to `count` new entries; waits for the first one for up to `block`, or until the worker
    /// is told to stop.
    pub(crate) async fn read(
        &mut self,
        shared: &Shared,
        count: usize,
        block: Duration,
    ) -> RedisResult<Vec<Entry>> {
        let mut command = redis::cmd("XREADGROUP");
        command
            .arg("GROUP")
            .arg(GROUP)
            .arg(&shared.consumer)
            .arg("COUNT")
            .arg(count);
        // Zero would block for ever.
        command
            .arg("BLOCK")
            .arg(millis(block).max(1))
            .arg("STREAMS")
            .arg(shared.keys.stream())
            .arg(">");

        let read = tokio::time::timeout(block + GRACE, command.query_async::<Value>(&mut self.connection));
        tokio::pin!(read);
        let answer = tokio::select! {
            biased;
            answer = &mut read => answer,
            // Not just dropped: Redis would go on serving the read, and an entry that comes now
            // would wait for the visibility timeout.
            () = shared.stop.cancelled() => {
                let ended = end_read(shared, self.client_id, read);
                tokio::time::timeout(UNBLOCK_TIMEOUT, ended).await.unwrap_or(Ok(Ok(Value::Nil)))
            }
        };
        answer.unwrap_or_else(|_| Err(silent())).map(entry::read)
    }
}

/// Ends a blocking read from outside, and returns its answer. Again and again, because Redis may
/// hear of the end before it hears of the read.
async fn end_read<T>(shared: &Shared, client_id: i64, mut read: Pin<&mut impl Future<Output = T>>) -> T {
    let mut unblock = redis::cmd("CLIENT");
    unblock.arg("UNBLOCK").arg(client_id);
    loop {
        // Whether it worked shows in the answer to the read.
        let _: RedisResult<()> = unblock.query_async(&mut shared.link.clone()).await;
        if let Ok(answer) = tokio::time::timeout(UNBLOCK_WAIT, &mut read).await {
            return answer;
        }
    }
}

/// Makes the stream and its group where they are not there. A full Redis does not even tell that
/// they are, but lets what is in them be worked off.
async fn ensure_group(shared: &Shared) -> RedisResult<()> {
    let mut create = redis::cmd("XGROUP");
    create
        .arg("CREATE")
        .arg(shared.keys.stream())
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM");
    match create.query_async::<()>(&mut shared.link.clone()).await {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        Err(error) if is_full(&error) && has_group(shared).await? => Ok(()),
        answer => answer,
    }
}

async fn has_group(shared: &Shared) -> RedisResult<bool> {
    let mut list = redis::cmd("XINFO");
    list.arg("GROUPS").arg(shared.keys.stream());
    let groups: Vec<HashMap<String, Value>> = match list.query_async(&mut shared.link.clone()).await {
        // No stream.
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => return Ok(false),
        answer => answer?,
    };
    let name = Value::BulkString(GROUP.as_bytes().to_vec());
    Ok(groups.iter().any(|group| group.get("name") == Some(&name)))
}

fn silent() -> RedisError {
    std::io::Error::new(
        std::io::ErrorKind::TimedOut,
        "no answer on the connection that reads",
    )
    .into()
}
