//! Leave to begin a new session: not more often than Discord allows, and never the one that is too many.

use std::time::Duration;

use tokio::time::{sleep, sleep_until};

use crate::{
    gateway::{BETWEEN_IDENTIFIES, Gateway},
    rest::CallError,
    status::{Phase, TOKEN_REFUSED},
};

/// The longest wait before the budget is asked for again.
const LONGEST_LOOK: Duration = Duration::from_mins(5);

/// The longest wait while Discord does not answer.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

impl Gateway {
    /// Waits until the next connection may be made, and learns where. To resume a session costs nothing.
    pub(super) async fn wait_for_clearance(&mut self) {
        let resumes = self.session.is_some();
        if resumes && (self.resume_url.is_some() || self.address.is_some()) {
            return;
        }
        if let Some(last) = self.identified_at.filter(|_| !resumes) {
            sleep_until(last + BETWEEN_IDENTIFIES).await;
        }
        let mut retry = Duration::from_secs(1);
        loop {
            let wait = match self.ctx.rest.gateway_bot().await {
                Ok(gateway) => {
                    let starts = gateway.session_start_limit;
                    self.ctx.bot.status.set_starts(starts);
                    if resumes || starts.remaining > 0 {
                        self.address
                            .get_or_insert(gateway.url.trim_end_matches('/').to_owned());
                        return;
                    }
                    self.out_of_starts(Duration::from_millis(starts.reset_after))
                }
                // The operator has said where; the budget is not known then.
                Err(CallError::Discord(error)) if self.address.is_some() && !error.is_transient() => {
                    tracing::warn!(%error, "Discord does not tell how many session starts are left");
                    return;
                }
                Err(CallError::Discord(error)) => {
                    tracing::warn!(%error, "Discord does not tell where its gateway is");
                    let why = format!("waiting for Discord: {error}");
                    self.ctx.bot.status.set_phase(Phase::Waiting(why));
                    let wait = error.retry_after().unwrap_or(retry);
                    retry = (retry * 2).min(LONGEST_RETRY);
                    wait
                }
                Err(CallError::TokenRefused) => {
                    self.ctx
                        .bot
                        .status
                        .set_phase(Phase::Broken(TOKEN_REFUSED.to_owned()));
                    Duration::from_secs(1)
                }
                Err(CallError::LeaseLost(_)) => std::future::pending().await,
            };
            sleep(wait).await;
        }
    }

    fn out_of_starts(&self, reset_after: Duration) -> Duration {
        let resets_at = self.ctx.bot.clock.now() + reset_after;
        let why = format!(
            "no session starts are left for today, and one more would reset the token: waiting until {}",
            resets_at.format("%Y-%m-%d %H:%M UTC")
        );
        tracing::error!("{why}");
        self.ctx.bot.status.set_phase(Phase::Waiting(why));
        reset_after.clamp(Duration::from_secs(1), LONGEST_LOOK)
    }
}
