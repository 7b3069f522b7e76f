//! An event that never came in is fetched from Stripe.

use anyhow::bail;
use chrono::{DateTime, Utc};
use rolecall_db::{Connection, event_sweeps::insert_missing_events, inbox::NewInboxEvent};
use rolecall_domain::ids::StripeEventId;
use rolecall_runtime::{config::StripeConfig, env::Env};
use rolecall_stripe::{client::events::ListedEvent, error::StripeError, event::EventEnvelope};
use serde_json::value::RawValue;

use crate::{config, host::Host};

/// An event of the right mode.
pub(super) struct Fetched {
    envelope: EventEnvelope,
    payload: Box<RawValue>,
}

/// Asks Stripe, if this command may.
pub(super) async fn fetch(env: &Env, host: &Host, id: &StripeEventId) -> anyhow::Result<Fetched> {
    let Some(stripe) = config::stripe(env)? else {
        bail!(
            "the inbox has no event {id}, and without STRIPE_SECRET_KEY Stripe cannot be asked for it; \
             `rolecall events list` prints what the inbox has"
        );
    };
    match host.stripe(&stripe)?.get_event(id).await {
        Ok(event) => check(&stripe, event),
        Err(StripeError::NotFound { .. }) => bail!(
            "neither the inbox nor Stripe has an event {id}; `rolecall events list` prints what the inbox has, \
             and Stripe keeps events for 30 days"
        ),
        Err(error) => Err(error.into()),
    }
}

fn check(stripe: &StripeConfig, event: ListedEvent) -> anyhow::Result<Fetched> {
    let envelope = event.envelope()?;
    if envelope.livemode != stripe.mode.is_live() {
        bail!(
            "the event is of the other mode: STRIPE_MODE is {}",
            stripe.mode.name()
        );
    }
    Ok(Fetched {
        envelope,
        payload: event.into_payload(),
    })
}

impl Fetched {
    /// Takes it in, unless a webhook was faster.
    pub(super) async fn take_in(
        &self,
        conn: &mut Connection,
        next_attempt_at: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let new = NewInboxEvent {
            id: &self.envelope.id,
            kind: &self.envelope.event_type,
            livemode: self.envelope.livemode,
            occurred_at: self.envelope.created,
            payload: &self.payload,
            next_attempt_at,
        };
        insert_missing_events(conn, &[new]).await?;
        Ok(())
    }
}
