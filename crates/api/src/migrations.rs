//! Migrations at the start, for hosts that have no release step. The service is up meanwhile, and not
//! ready; while Postgres is away it keeps trying.

use std::time::Duration;

use rolecall_db::{DbError, database};
use rolecall_runtime::health::PartHandle;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Applies what is missing, then waits for the end. Errs only on what waiting does not mend.
pub(crate) async fn keep(
    direct_url: SecretString,
    part: PartHandle,
    draining: CancellationToken,
) -> Result<(), DbError> {
    tokio::select! {
        applied = apply(&direct_url, &part) => applied?,
        () = draining.cancelled() => {}
    }
    draining.cancelled().await;
    Ok(())
}

async fn apply(direct_url: &SecretString, part: &PartHandle) -> Result<(), DbError> {
    let mut wait = FIRST_WAIT;
    loop {
        match database::migrate(direct_url).await {
            Ok(applied) => {
                tracing::info!(applied, "the database is up to date");
                part.set(true, "up to date");
                return Ok(());
            }
            Err(error) if error.is_outage() => {
                if wait == FIRST_WAIT {
                    let error = crate::error::chain(&error);
                    tracing::warn!(error, "migrations wait for Postgres");
                }
                part.set(false, "waiting for Postgres");
            }
            Err(error) => {
                part.set(false, "failed");
                return Err(error);
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
