//! Whether Discord's API is there at all. While it is not, one request asks now and then whether it is back, and
//! everything else waits: it would only spend its attempts, and meet a Discord that comes back with a storm.

use std::{convert::Infallible, sync::Arc};

use chrono::{DateTime, Utc};
use rolecall_discord::error::ErrorClass;
use tokio::{sync::watch, time::sleep};

use crate::{rest::CallError, term::Ctx};

/// What is thought of Discord's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It answers.
    Up,
    /// A call got no answer: that may be about this one call.
    Suspected,
    /// It answers nobody, since then.
    Down(DateTime<Utc>),
}

/// Whether Discord's API is there.
#[derive(Debug)]
pub(crate) struct Outage {
    state: watch::Sender<State>,
}

impl Default for Outage {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Up),
        }
    }
}

impl Outage {
    /// A call got no answer, or that of something broken.
    pub(crate) fn unanswered(&self) {
        self.change(|state| (state == State::Up).then_some(State::Suspected));
    }

    /// Discord has answered, if only to say no.
    pub(crate) fn answered(&self) {
        self.change(|state| (state != State::Up).then_some(State::Up));
    }

    /// Since when nothing is answered.
    pub(crate) fn since(&self) -> Option<DateTime<Utc>> {
        match *self.state.borrow() {
            State::Down(since) => Some(since),
            State::Up | State::Suspected => None,
        }
    }

    /// Waits until Discord is there; at once if it is, or if only one call has failed yet.
    pub(crate) async fn over(&self) {
        self.wait_for(|state| !matches!(state, State::Down(_))).await;
    }

    /// Whether a call that got no answer was not the only one: waits until that is known.
    pub(crate) async fn is_general(&self) -> bool {
        matches!(
            self.wait_for(|state| state != State::Suspected).await,
            State::Down(_)
        )
    }

    fn confirmed(&self, now: DateTime<Utc>) {
        self.change(|state| (state == State::Suspected).then_some(State::Down(now)));
    }

    fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    async fn wait_for(&self, wanted: impl Fn(State) -> bool) -> State {
        let mut watch = self.state.subscribe();
        // The sender lives in `self`.
        watch
            .wait_for(|state| wanted(*state))
            .await
            .map_or(State::Up, |state| *state)
    }

    fn change(&self, next: impl FnOnce(State) -> Option<State>) {
        self.state.send_if_modified(|state| match next(*state) {
            Some(next) => {
                *state = next;
                true
            }
            None => false,
        });
    }
}

/// Asks, whenever a call got no answer, until Discord answers.
pub(crate) async fn watch(ctx: Arc<Ctx>) -> Infallible {
    let (bot, outage) = (&ctx.bot, &ctx.bot.outage);
    loop {
        outage.wait_for(|state| state != State::Up).await;
        let mut probes = 0;
        while !outage.is_up() {
            if is_away(&ctx).await {
                outage.confirmed(bot.clock.now());
                if probes == 0 {
                    tracing::error!("Discord's API does not answer: commands wait until it does");
                }
                sleep(bot.config.pace.wait(probes, bot.config.pace.longest, &*bot.rng)).await;
                probes = probes.saturating_add(1);
            } else {
                outage.answered();
                if probes > 0 {
                    tracing::info!(probes, "Discord's API answers again");
                }
            }
        }
    }
}

async fn is_away(ctx: &Ctx) -> bool {
    match ctx.rest.probe().await {
        Err(CallError::Discord(error)) => error.class() == ErrorClass::Unavailable,
        // Whether Discord is there is the next holder's to know.
        Err(CallError::LeaseLost(_)) => std::future::pending().await,
        // What else may have kept the question from being asked has its own way to be waited for.
        Ok(()) | Err(CallError::TokenRefused) => false,
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_call_without_an_answer_holds_nobody_up_until_a_second_one_confirms_it() {
        let outage = Outage::default();
        outage.unanswered();
        assert!(outage.over().now_or_never().is_some());
        assert!(outage.is_general().now_or_never().is_none(), "not known yet");
        outage.confirmed(DateTime::UNIX_EPOCH);
        assert_eq!(outage.is_general().now_or_never(), Some(true));
        assert!(outage.over().now_or_never().is_none());
        outage.unanswered();
        assert!(outage.since().is_some());
        outage.answered();
        assert!(outage.over().now_or_never().is_some());
        assert_eq!(outage.is_general().now_or_never(), Some(false));
    }

    #[tokio::test]
    async fn an_answer_that_comes_before_the_confirmation_wins() {
        let outage = Outage::default();
        outage.unanswered();
        outage.answered();
        outage.confirmed(DateTime::UNIX_EPOCH);
        assert!(outage.is_up());
    }
}
