//! Leave to begin a new session: not more often than Discord allows, and never the one that is too many.

use std::time::Duration;

use rolecall_discord::{error::DiscordError, rest::SessionStartLimit};
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    gateway::{BETWEEN_IDENTIFIES, Gateway},
    rest::CallError,
    status::{Phase, TOKEN_REFUSED},
};

/// The longest wait before the budget is asked for again.
const LONGEST_LOOK: Duration = Duration::from_mins(5);

/// With less than this part of the day's session starts left, they are made to last until there are new ones.
const SCARCE: u32 = 4;

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
        let mut failures = 0;
        loop {
            let wait = match self.ctx.rest.gateway_bot().await {
                Ok(gateway) => {
                    let starts = gateway.session_start_limit;
                    self.ctx.bot.status.set_starts(starts);
                    let early = self.too_early(starts).filter(|_| !resumes);
                    if early.is_none() && (resumes || starts.remaining > 0) {
                        self.address
                            .get_or_insert(gateway.url.trim_end_matches('/').to_owned());
                        return;
                    }
                    match early {
                        Some(wait) => wait,
                        None => self.out_of_starts(Duration::from_millis(starts.reset_after)),
                    }
                }
                // It is known where; the budget is not known then.
                Err(CallError::Discord(error)) if self.address.is_some() && is_not_served(&error) => {
                    tracing::warn!(%error, "Discord does not tell how many session starts are left");
                    return;
                }
                Err(CallError::Discord(error)) => {
                    tracing::warn!(%error, "Discord does not tell where its gateway is");
                    let why = format!("waiting for Discord: {error}");
                    self.ctx.bot.status.set_phase(Phase::Waiting(why));
                    let pace = &self.ctx.bot.config.pace;
                    let wait = pace.wait(failures, pace.longest, &*self.ctx.bot.rng);
                    failures = failures.saturating_add(1);
                    error.retry_after().unwrap_or(wait)
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

    /// How much longer to wait before a start, if there are so few left that they have to be made to last.
    fn too_early(&self, starts: SessionStartLimit) -> Option<Duration> {
        let ready_at = self.identified_at? + between_scarce(starts)?;
        let wait = ready_at.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return None;
        }
        let why = format!(
            "only {} of {} session starts are left for today: the next one in {} s",
            starts.remaining,
            starts.total,
            wait.as_secs()
        );
        tracing::warn!("{why}");
        self.ctx.bot.status.set_phase(Phase::Waiting(why));
        Some(wait.min(LONGEST_LOOK))
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

/// Whether this is the answer of somebody who does not tell it, such as a proxy of the gateway, and will not later on.
fn is_not_served(error: &DiscordError) -> bool {
    match error {
        DiscordError::Decode { .. } => true,
        DiscordError::Outage { status, .. } => *status < 500,
        _ => !error.is_transient(),
    }
}

/// The time between two starts with which the last ones reach until there are new ones; `None` while there are enough.
fn between_scarce(starts: SessionStartLimit) -> Option<Duration> {
    let scarce = starts.remaining > 0 && starts.remaining < starts.total / SCARCE;
    scarce.then(|| Duration::from_millis(starts.reset_after) / starts.remaining)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_nobody_tells_is_waited_for_only_where_it_may_still_be_told() {
        let outage = |status| DiscordError::Outage {
            call: "GET /gateway/bot".to_owned(),
            status,
        };
        assert!(
            is_not_served(&outage(404)),
            "a page of somebody who knows no such address"
        );
        assert!(!is_not_served(&outage(503)));
    }

    #[test]
    fn session_starts_that_run_short_are_made_to_last() {
        let starts = |remaining| SessionStartLimit {
            total: 1000,
            remaining,
            reset_after: 10_000_000,
            max_concurrency: 1,
        };
        assert_eq!(between_scarce(starts(1000)), None);
        assert_eq!(between_scarce(starts(250)), None);
        assert_eq!(between_scarce(starts(200)), Some(Duration::from_secs(50)));
        assert_eq!(between_scarce(starts(1)), Some(Duration::from_secs(10_000)));
        assert_eq!(between_scarce(starts(0)), None, "waits until the reset instead");
    }
}
