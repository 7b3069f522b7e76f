//! What a failure says: whether others would have failed as well, and when its events are tried again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    DbError,
    inbox_line::{set_events_failed, set_events_postponed},
};
use rolecall_domain::ids::StripeEventId;
use rolecall_queue::{Job, RetrySchedule, jobs::StripeEvent};
use rolecall_stripe::error::StripeError;

use crate::{
    ctx::Ctx,
    error::{WorkError, in_one_line},
    intake::line::{Waiting, Work},
};

/// Who failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The database is away: nothing was tried.
    Postgres,
    /// Stripe; `sure` that the next call fails as well, at least until after `wait`.
    Stripe { sure: bool, wait: Option<Duration> },
    /// Somebody who was at the same at the same time: it can be tried again at once.
    Chance,
    /// Nobody else: only these events.
    Event,
}

/// Whose failure it was.
pub(super) fn cause(error: &WorkError) -> Cause {
    match error {
        WorkError::Db(error) if error.is_outage() => Cause::Postgres,
        WorkError::Db(error) if error.is_deadlock() => Cause::Chance,
        // Stripe has answered, and others get an answer of their own.
        WorkError::Stripe(
            StripeError::NotFound { .. }
            | StripeError::Invalid { .. }
            | StripeError::Decode { .. }
            | StripeError::TooLarge { .. },
        ) => Cause::Event,
        WorkError::Stripe(error) => Cause::Stripe {
            sure: matches!(
                error,
                StripeError::RateLimited { .. } | StripeError::Unauthorized | StripeError::Unreachable { .. }
            ),
            wait: error.retry_after(),
        },
        WorkError::Db(_) | WorkError::Contended(_) | WorkError::Unusable(_) | WorkError::Fault(_) => {
            Cause::Event
        }
    }
}

impl Cause {
    /// Whether it was no attempt of the event's own: Stripe says that it takes none at all for now.
    const fn spares(self) -> bool {
        matches!(
            self,
            Self::Stripe { sure: true, .. } | Self::Stripe { wait: Some(_), .. }
        )
    }
}

/// What becomes of an event after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It is tried again then, as if it had not been tried.
    Postponed(DateTime<Utc>),
    /// It is tried again then.
    Again(DateTime<Utc>),
    /// It is listed, and staff may replay it.
    Dead,
}

/// Notes with each event that it failed, and when it is tried again; after the last attempt it is dead. Says
/// whether it could be noted.
pub(super) async fn note(ctx: &Ctx, work: &Work, error: &WorkError) -> bool {
    let next: Vec<_> = work
        .events
        .iter()
        .map(|event| (&event.id, next(ctx, event, error)))
        .collect();
    let reason = in_one_line(error);
    for (id, next) in &next {
        match next {
            Next::Postponed(at) | Next::Again(at) => {
                tracing::warn!(stripe.event_id = %id, reason, next_attempt_at = %at, "an event could not take effect; tried again later");
            }
            Next::Dead => {
                tracing::error!(stripe.event_id = %id, reason, "an event is dead: look into it and replay it");
            }
        }
    }
    match write(ctx, &next, &reason).await {
        Ok(()) => {
            let dead = next.iter().filter(|(_, next)| *next == Next::Dead).count();
            ctx.metrics.count_failures(next.len() - dead, dead);
            true
        }
        Err(error) => {
            tracing::warn!(%error, "a failure could not be noted with its events");
            false
        }
    }
}

async fn write(ctx: &Ctx, next: &[(&StripeEventId, Next)], reason: &str) -> Result<(), DbError> {
    let (mut failed, mut postponed) = (Vec::new(), Vec::new());
    for (id, next) in next {
        match next {
            Next::Postponed(at) => postponed.push((*id, *at)),
            Next::Again(at) => failed.push((*id, Some(*at))),
            Next::Dead => failed.push((*id, None)),
        }
    }
    let mut tx = ctx.db.begin().await?;
    set_events_failed(&mut tx, &failed, reason).await?;
    set_events_postponed(&mut tx, &postponed, reason).await?;
    tx.commit().await
}

fn next(ctx: &Ctx, event: &Waiting, error: &WorkError) -> Next {
    let attempt = event.attempts.saturating_add(1);
    let again = || again_at(ctx, attempt, error);
    if cause(error).spares() {
        Next::Postponed(again())
    } else if attempt >= StripeEvent::MAX_ATTEMPTS || matches!(error, WorkError::Unusable(_)) {
        Next::Dead
    } else {
        Next::Again(again())
    }
}

/// When Stripe wants to be asked again, or when the schedule says.
fn again_at(ctx: &Ctx, attempt: u32, error: &WorkError) -> DateTime<Utc> {
    let asked = match error {
        WorkError::Stripe(error) => error.retry_after(),
        _ => None,
    };
    let wait = match asked.map(|wait| RetrySchedule::new(vec![wait.max(Duration::from_secs(1))])) {
        Some(Ok(asked)) => asked.wait(1, &*ctx.rng),
        _ => ctx.retry.wait(attempt, &*ctx.rng),
    };
    let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX);
    let at = ctx.clock.now().checked_add_signed(wait);
    at.unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_would_meet_too_is_told_from_what_is_one_events_own() {
        let stripe = |error: StripeError| cause(&error.into());
        let subject = || "subscription sub_1".to_owned();
        assert_eq!(stripe(StripeError::NotFound { subject: subject() }), Cause::Event);
        let source = serde_json::from_str::<u8>("x").unwrap_err();
        let unreadable = StripeError::Decode {
            subject: subject(),
            source,
        };
        assert_eq!(stripe(unreadable), Cause::Event);
        let not_stripe = StripeError::NotStripe {
            endpoint: "GET /v1/subscriptions/{id}",
            status: 200,
        };
        assert_eq!(
            stripe(not_stripe),
            Cause::Stripe {
                sure: false,
                wait: None
            },
            "a page of somebody who stands in between"
        );
        let wait = Some(Duration::from_secs(7));
        assert_eq!(
            stripe(StripeError::RateLimited { retry_after: wait }),
            Cause::Stripe { sure: true, wait }
        );
        assert_eq!(
            stripe(StripeError::Unauthorized),
            Cause::Stripe {
                sure: true,
                wait: None
            }
        );
        let unavailable = StripeError::Unavailable {
            endpoint: "GET /v1/subscriptions/{id}",
            status: 500,
            retry_after: None,
        };
        assert_eq!(
            stripe(unavailable),
            Cause::Stripe {
                sure: false,
                wait: None
            }
        );
        assert_eq!(cause(&WorkError::Contended(subject())), Cause::Event);
    }
}
