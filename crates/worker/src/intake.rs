//! What an event leads to: an event is a hint that objects changed, and each of them is read again.

use chrono::{DateTime, Utc};
use rolecall_db::{
    inbox::{InboxState, database_time, set_event_finished},
    invoice_failures::upsert_invoice_failure,
};
use rolecall_domain::ids::{StripeEventId, StripeInvoiceId};
use rolecall_queue::jobs::SyncPlans;
use rolecall_stripe::event::{Subjects, subjects};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    checkout::fulfill,
    ctx::Ctx,
    error::WorkError,
    sync::{Hint, sync_subscription},
};

/// An event that was kept.
#[derive(Debug)]
pub struct Event {
    /// Stripe's id.
    pub id: StripeEventId,
    /// Stripe's type.
    pub kind: String,
    /// Stripe's time of it.
    pub occurred_at: DateTime<Utc>,
    /// The body.
    pub payload: Box<RawValue>,
    /// When it was first seen, by the database's clock.
    pub seen_at: DateTime<Utc>,
}

/// Lets an event take effect. It is done in the transaction of its last effect.
pub async fn take_effect(ctx: &Ctx, event: &Event) -> Result<(), WorkError> {
    let subjects = subjects(event.payload.get())
        .map_err(|error| WorkError::Unusable(format!("event {} cannot be read: {error}", event.id)))?;
    let seen_at = match first_failure(event) {
        Some(invoice) => keep_failure(ctx, &invoice, event.occurred_at).await?,
        None => event.seen_at,
    };
    let member_id = match &subjects.checkout_session {
        Some(session) => fulfill(ctx, session, seen_at).await?,
        None => None,
    };
    let Some((last, others)) = subjects.subscriptions.split_last() else {
        return finish_without_subscription(ctx, event, &subjects).await;
    };
    for subscription in others {
        let hint = Hint {
            seen_at,
            event: None,
            member_id,
        };
        sync_subscription(ctx, subscription, hint).await?;
    }
    let hint = Hint {
        seen_at,
        event: Some(&event.id),
        member_id,
    };
    sync_subscription(ctx, last, hint).await
}

async fn finish_without_subscription(ctx: &Ctx, event: &Event, subjects: &Subjects) -> Result<(), WorkError> {
    if subjects.price.is_some() || subjects.product.is_some() {
        ctx.hint(&SyncPlans {}).await;
    }
    let known = subjects.checkout_session.is_some() || subjects.price.is_some() || subjects.product.is_some();
    let state = if known {
        InboxState::Done
    } else {
        InboxState::Ignored
    };
    let mut tx = ctx.db.begin().await?;
    set_event_finished(&mut tx, &event.id, state, ctx.clock.now()).await?;
    tx.commit().await?;
    Ok(())
}

/// Keeps when the first attempt on an invoice failed. Returns from when on a read can have dated the debt
/// by it: one that began before does not cover the event.
async fn keep_failure(
    ctx: &Ctx,
    invoice: &StripeInvoiceId,
    failed_at: DateTime<Utc>,
) -> Result<DateTime<Utc>, WorkError> {
    let mut tx = ctx.db.begin().await?;
    upsert_invoice_failure(&mut tx, invoice, failed_at).await?;
    tx.commit().await?;
    let mut tx = ctx.db.begin().await?;
    let kept_at = database_time(&mut tx).await?;
    tx.commit().await?;
    Ok(kept_at)
}

/// The invoice whose first attempt the event says has failed. Later attempts do not date the debt.
fn first_failure(event: &Event) -> Option<StripeInvoiceId> {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        object: Invoice,
    }
    #[derive(Deserialize)]
    struct Invoice {
        id: StripeInvoiceId,
        attempt_count: u64,
    }
    if event.kind != "invoice.payment_failed" {
        return None;
    }
    let body: Body = serde_json::from_str(event.payload.get()).ok()?;
    (body.data.object.attempt_count <= 1).then_some(body.data.object.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, object: &str) -> Event {
        Event {
            id: "evt_1".parse().unwrap(),
            kind: kind.to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            payload: RawValue::from_string(format!(r#"{{"data":{{"object":{object}}}}}"#)).unwrap(),
            seen_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn only_a_failed_first_attempt_dates_the_debt() {
        let first = event("invoice.payment_failed", r#"{"id":"in_1","attempt_count":1}"#);
        assert_eq!(first_failure(&first), Some("in_1".parse().unwrap()));
        let second = event("invoice.payment_failed", r#"{"id":"in_1","attempt_count":2}"#);
        assert_eq!(first_failure(&second), None);
        let paid = event("invoice.paid", r#"{"id":"in_1","attempt_count":1}"#);
        assert_eq!(first_failure(&paid), None);
        assert_eq!(
            first_failure(&event("invoice.payment_failed", r#"{"object":"invoice"}"#)),
            None
        );
    }
}
