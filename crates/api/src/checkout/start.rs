//! Opening a Checkout Session at Stripe for somebody who is signed in.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rolecall_db::{
    audit::{AuditLine, insert_audit_line},
    checkout_sessions::{find_checkout, insert_checkout},
    customers::find_customer_of,
    members::find_member,
    prices::Price,
    subscriptions::{StoredSubscription, list_subscriptions_of},
};
use rolecall_domain::{
    catalog::{Plan, PlanSlug},
    ids::{AuditId, MemberId, StripeCheckoutSessionId},
    standing::Standing,
};
use rolecall_stripe::client::checkout::{Buyer, NewCheckoutSession, Purchase};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    checkout::offer::{choose, list_offers},
    error::ApiError,
    session::SignedIn,
    state::State,
};

/// Clicks within this long are one purchase. Stripe keeps a session open for a day.
const SAME_PURCHASE_SECONDS: i64 = 600;

/// The other request of a double click was first.
const CHECKOUT_KEPT: &str = "checkout_sessions_pkey";

/// What somebody wants to buy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) plan: &'a str,
    pub(crate) price: Option<&'a str>,
    pub(crate) quantity: u64,
    /// They know that they have the plan already.
    pub(crate) confirmed: bool,
}

/// A Checkout Session to go to.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) id: StripeCheckoutSessionId,
    pub(crate) url: Url,
}

/// What the database knows that a session depends on.
struct Facts {
    plan: Plan,
    price: Price,
    buyer: Buyer,
    /// How many subscriptions the person ever had.
    subscriptions: usize,
}

/// Opens a session. The same click twice opens the same one.
pub(crate) async fn start(state: &State, signed_in: SignedIn, order: Order<'_>) -> Result<Started, ApiError> {
    let now = state.now();
    let facts = read(state, signed_in, order, now).await?;
    let session = new_session(state, signed_in.member_id, &facts);
    let key = idempotency_key(signed_in.member_id, &session, &facts, now);
    let session = state
        .stripe
        .create_checkout_session(session, &key)
        .await
        .map_err(ApiError::Stripe)?;
    let url = session.url.as_deref().and_then(|url| Url::parse(url).ok());
    let url =
        url.ok_or_else(|| ApiError::internal("opening a Checkout Session", "Stripe named no address"))?;
    keep(state, signed_in.member_id, &session.id, &facts.plan.slug, now).await?;
    Ok(Started { id: session.id, url })
}

async fn read(
    state: &State,
    signed_in: SignedIn,
    order: Order<'_>,
    now: DateTime<Utc>,
) -> Result<Facts, ApiError> {
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    let offers = list_offers(&mut tx).await?;
    let (plan, price) = choose(&offers, order.plan, order.price, order.quantity)?;
    let subscriptions = list_subscriptions_of(&mut tx, signed_in.member_id).await?;
    if !order.confirmed && subscriptions.iter().any(|stored| holds(stored, &plan.slug)) {
        return Err(ApiError::AlreadySubscribed);
    }
    let buyer = if let Some(customer) = find_customer_of(&mut tx, signed_in.member_id).await? {
        Buyer::Customer(customer)
    } else {
        let member = find_member(&mut tx, signed_in.member_id)
            .await?
            .ok_or(ApiError::SessionEnded)?;
        member.email.map_or(Buyer::Unknown, Buyer::Email)
    };
    tx.commit().await?;
    Ok(Facts {
        plan,
        price,
        buyer,
        subscriptions: subscriptions.len(),
    })
}

/// Whether a subscription still stands for this plan. A first payment that is not done does not.
pub(crate) fn holds(stored: &StoredSubscription, plan: &PlanSlug) -> bool {
    stored.facts.plan.as_ref() == Some(plan)
        && !matches!(stored.standing, Standing::Ended | Standing::Pending)
}

fn new_session(state: &State, member_id: MemberId, facts: &Facts) -> NewCheckoutSession {
    let metadata = BTreeMap::from([
        ("rolecall_member_id".to_owned(), member_id.to_string()),
        ("rolecall_plan".to_owned(), facts.plan.slug.to_string()),
    ]);
    let public_url = &state.site.public_url;
    NewCheckoutSession {
        // A trial is for people who have never been here.
        purchase: Purchase::Subscription {
            trial_days: Some(facts.plan.trial_days).filter(|days| *days > 0 && facts.subscriptions == 0),
        },
        price: facts.price.id.clone(),
        quantity: 1,
        buyer: facts.buyer.clone(),
        client_reference_id: Some(member_id.to_string()),
        // Written out: Stripe fills the braces in, so they must not be encoded.
        success_url: format!("{public_url}/checkout/success?session_id={{CHECKOUT_SESSION_ID}}"),
        cancel_url: format!("{public_url}/plans"),
        purchase_metadata: metadata.clone(),
        metadata,
        allow_promotion_codes: true,
        automatic_tax: false,
    }
}

/// The same for clicks that mean the same: who, what, and about when. What else the request is made
/// of goes in too, because Stripe refuses a key that comes with another request.
fn idempotency_key(
    member_id: MemberId,
    session: &NewCheckoutSession,
    facts: &Facts,
    now: DateTime<Utc>,
) -> String {
    let bucket = now.timestamp().div_euclid(SAME_PURCHASE_SECONDS);
    let text = format!("{member_id}|{}|{bucket}|{session:?}", facts.subscriptions);
    format!("checkout-{}", hex::encode(Sha256::digest(text)))
}

async fn keep(
    state: &State,
    member_id: MemberId,
    id: &StripeCheckoutSessionId,
    plan: &PlanSlug,
    now: DateTime<Utc>,
) -> Result<(), ApiError> {
    let mut tx = state.database.begin().await?;
    if find_checkout(&mut tx, id).await?.is_some() {
        return Ok(());
    }
    match insert_checkout(&mut tx, id, member_id, plan, now).await {
        Ok(()) => {}
        Err(error) if error.constraint() == Some(CHECKOUT_KEPT) => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let line = AuditLine {
        id: AuditId::generate(now, &*state.rng),
        at: now,
        actor: &format!("member:{member_id}"),
        action: "checkout.opened",
        member_id: Some(member_id),
        subject: id.as_str(),
        detail: json!({"plan": plan.as_str()}),
    };
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(())
}
