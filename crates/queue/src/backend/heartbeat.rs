//! Keeping hold of what is worked on: in a task of its own, so that it goes on when every permit
//! is taken by a long job and nothing is fetched.

use std::sync::Arc;

use redis::RedisResult;

use crate::{backend::shared::Shared, backoff::Backoff, link::is_group_gone, scripts};

/// How many entries one script call keeps alive.
const BATCH: usize = 100;

/// Runs until it is dropped: the last job of a stopping worker needs it too.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(&shared.rng);
    loop {
        let pause = shared.options.visibility / 3;
        tokio::time::sleep(pause).await;
        while let Err(error) = beat(&shared).await {
            shared.trouble(&error);
            tokio::time::sleep(backoff.next().min(pause)).await;
        }
        backoff.reset();
    }
}

async fn beat(shared: &Shared) -> RedisResult<()> {
    let entries = shared.in_flight.snapshot();
    for batch in entries.chunks(BATCH) {
        let mut call = shared.call(&scripts::HEARTBEAT, &[shared.keys.stream()]);
        call.arg(batch);
        match shared.run::<usize>(&scripts::HEARTBEAT, &call).await {
            Ok(_) => {}
            // Nothing is held any more, because nothing is there any more.
            Err(error) if is_group_gone(&error) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
