//! Making a change as it was shown.

use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    change_previews::delete_change_preview,
};
use rolecall_domain::ids::AuditId;
use serde_json::json;
use sha2::{Digest, Sha256};

use chrono::{DateTime, SubsecRound, Utc};

use crate::{
    checkout::{
        change::{Planned, Wish, ask, plan_change, quote::Quote, shown},
        refusal::in_words_of_a_buyer,
    },
    error::ApiError,
    hints,
    http::context::Trace,
    session::SignedIn,
    state::State,
};

/// Makes a change. If it was previewed, it costs what the preview said, or it is not made: prices and
/// discounts may end in between. `confirmed` is what somebody agreed to pay now.
pub(crate) async fn make_change(
    state: &State,
    trace: &Trace,
    signed_in: SignedIn,
    wish: Wish<'_>,
    confirmed: Option<i64>,
) -> Result<Quote, ApiError> {
    let now = state.now().trunc_subsecs(0);
    let planned = plan_change(state, signed_in, wish).await?;
    let mut tx = state.database.begin().await?;
    let preview = shown(&mut tx, &planned, now).await?;
    tx.commit().await?;
    let (prorated_at, expected) = match &preview {
        Some(preview) => (preview.prorated_at, Some(preview.total)),
        None => (now, None),
    };
    let quote = ask(state, &planned, prorated_at).await?;
    if expected.is_some_and(|expected| expected != quote.total)
        || confirmed.is_some_and(|confirmed| confirmed != quote.amount_due)
    {
        // The other one of two clicks may have changed it in the meantime: then that is said instead.
        plan_change(state, signed_in, wish).await?;
        return Err(ApiError::PreviewOutdated);
    }
    let changed = state
        .stripe
        .change_subscription(&planned.change(prorated_at), &key(&planned, prorated_at))
        .await;
    if let Err(error) = changed {
        if error.is_saved() {
            forget(state, &planned).await?;
        }
        return Err(in_words_of_a_buyer(error));
    }
    keep(state, signed_in, &planned, &quote).await?;
    hints::subscription_changed(state, trace, planned.subscription).await;
    Ok(quote)
}

/// Forgets the preview, and so the key: Stripe would repeat its answer to the same request, whatever card is on
/// file by then and whatever else has been mended.
async fn forget(state: &State, planned: &Planned) -> Result<(), ApiError> {
    let mut tx = state.database.begin().await?;
    delete_change_preview(&mut tx, &planned.subscription).await?;
    tx.commit().await?;
    Ok(())
}

/// The same for clicks that mean the same change.
fn key(planned: &Planned, prorated_at: DateTime<Utc>) -> String {
    let text = format!("{:?}", planned.change(prorated_at));
    format!("change-{}", hex::encode(Sha256::digest(text)))
}

async fn keep(state: &State, signed_in: SignedIn, planned: &Planned, quote: &Quote) -> Result<(), ApiError> {
    let now = state.now();
    let mut tx = state.database.begin().await?;
    delete_change_preview(&mut tx, &planned.subscription).await?;
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &format!("member:{}", signed_in.member_id),
        action: "subscription.changed",
        member_id: Some(signed_in.member_id),
        subject: planned.subscription.as_str(),
        detail: json!({
            "plan": planned.plan.slug.as_str(),
            "price": planned.price.id.as_str(),
            "quantity": planned.quantity,
            "amount_due": quote.amount_due,
            "currency": quote.currency,
        }),
    };
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(())
}
