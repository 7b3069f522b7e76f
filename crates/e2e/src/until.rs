//! Waiting for something to become true, with a limit and a word for what did not.

use std::time::Duration;

use anyhow::bail;
use tokio::time::{Instant, sleep};

/// How often a process of its own, which cannot signal us, is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(15);

/// Looks again and again until there is an answer.
pub async fn until<T>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + limit;
    let mut last = None;
    loop {
        match look().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => {}
            Err(error) => last = Some(error),
        }
        if Instant::now() >= deadline {
            match last {
                Some(error) => return Err(error.context(format!("{what} did not happen within {limit:?}"))),
                None => bail!("{what} did not happen within {limit:?}"),
            }
        }
        sleep(LOOK_EVERY).await;
    }
}
