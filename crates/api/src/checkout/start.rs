//! Opening a Checkout Session at Stripe for somebody who is signed in.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::{
    Connection,
    audit::{AuditLine, insert_audit_line},
    checkout_clicks::{forget_click, note_click},
    checkout_sessions::{find_checkout, insert_checkout},
    customers::find_customer_of,
    members::find_member,
    prices::Price,
};
use rolecall_domain::{
    catalog::PlanSlug,
    ids::{AuditId, MemberId, StripeCheckoutSessionId},
};
use rolecall_stripe::client::checkout::{Buyer, NewCheckoutSession, Purchase};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use crate::{
    checkout::{
        customer::{MOST_LOST, forget_customer},
        held::Held,
        offer::{Offer, choose, list_offers},
        refusal::{in_words_of_a_buyer, is_about_a_lost_customer},
    },
    error::ApiError,
    hints,
    http::context::Trace,
    session::SignedIn,
    state::State,
};

/// Clicks within this long are one purchase. Stripe keeps a session open for a day.
const SAME_PURCHASE: TimeDelta = TimeDelta::minutes(10);

/// The other request of a double click was first.
const CHECKOUT_KEPT: &str = "checkout_sessions_pkey";

/// What somebody wants to buy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) plan: &'a str,
    pub(crate) price: Option<&'a str>,
    pub(crate) quantity: i64,
    /// They know that they have the plan already.
    pub(crate) again: bool,
}

/// A Checkout Session to go to.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) id: StripeCheckoutSessionId,
    pub(crate) url: Url,
}

/// What is asked of Stripe, and by which key.
struct Prepared {
    plan: PlanSlug,
    trial_days: u32,
    session: NewCheckoutSession,
    click: Click,
    idempotency_key: String,
}

/// The first of the clicks that mean one purchase.
struct Click {
    order_hash: Vec<u8>,
    at: DateTime<Utc>,
}

/// Opens a session. The same click twice opens the same one, unless Stripe has refused it or failed at it.
pub(crate) async fn start(
    state: &State,
    trace: &Trace,
    signed_in: SignedIn,
    order: Order<'_>,
) -> Result<Started, ApiError> {
    let started = open(state, signed_in, order).await;
    if matches!(started, Err(ApiError::PriceGone)) {
        // Whatever else is gone goes off sale with it.
        hints::sync_plans(state, trace).await;
    }
    started
}

async fn open(state: &State, signed_in: SignedIn, order: Order<'_>) -> Result<Started, ApiError> {
    let now = state.now();
    for _ in 0..=MOST_LOST {
        let prepared = prepare(state, signed_in, order, now).await?;
        let buyer = prepared.session.buyer.clone();
        let opened = state
            .stripe
            .create_checkout_session(prepared.session, &prepared.idempotency_key)
            .await;
        let session = match (opened, buyer) {
            (Err(error), Buyer::Customer(customer)) if is_about_a_lost_customer(&error) => {
                forget_customer(state, signed_in.member_id, &customer).await?;
                continue;
            }
            (Err(error), _) => {
                if error.is_saved() {
                    forget(state, signed_in.member_id, &prepared.click).await?;
                }
                return Err(in_words_of_a_buyer(error));
            }
            (Ok(session), _) => session,
        };
        let url = session.url.as_deref().and_then(|url| Url::parse(url).ok());
        let url =
            url.ok_or_else(|| ApiError::internal("opening a Checkout Session", "Stripe named no address"))?;
        let opened = Opened {
            id: &session.id,
            member_id: signed_in.member_id,
            plan: &prepared.plan,
            trial_days: prepared.trial_days,
        };
        keep(state, opened, now).await?;
        return Ok(Started { id: session.id, url });
    }
    Err(ApiError::internal(
        "opening a Checkout Session",
        "Stripe knows none of the person's customers",
    ))
}

/// The next click is another purchase: Stripe would answer this one as before, whatever has been mended.
async fn forget(state: &State, member_id: MemberId, click: &Click) -> Result<(), ApiError> {
    let mut tx = state.database.begin().await?;
    forget_click(&mut tx, member_id, &click.order_hash, click.at).await?;
    tx.commit().await?;
    Ok(())
}

async fn prepare(
    state: &State,
    signed_in: SignedIn,
    order: Order<'_>,
    now: DateTime<Utc>,
) -> Result<Prepared, ApiError> {
    let member_id = signed_in.member_id;
    let mut tx = state.database.begin().await?;
    signed_in.require_live(&mut tx, now).await?;
    let offers = list_offers(&mut tx).await?;
    let (offer, price) = choose(&offers, order.plan, order.price, order.quantity)?;
    let held = Held::load(&mut tx, member_id).await?;
    if !order.again && held.holds(&offer.plan.slug) {
        return Err(ApiError::AlreadySubscribed);
    }
    let currency = price.currency.as_deref();
    if !price.is_one_time() && currency.is_some_and(|currency| held.pays_in_another(currency)) {
        return Err(ApiError::OtherCurrency);
    }
    let trial_days = offer.trial_days(price, &held);
    let buyer = buyer(&mut tx, member_id).await?;
    let session = new_session(state, member_id, offer, price, trial_days, buyer);
    // What else the request is made of goes in too, because Stripe refuses a key that comes with another
    // request; and what was bought so far, because after that the same is meant once more.
    let text = format!("{member_id}|{}|{}|{session:?}", order.again, held.count());
    let order_hash = Sha256::digest(text);
    let clicked_at = note_click(&mut tx, member_id, &order_hash, SAME_PURCHASE, now).await?;
    tx.commit().await?;
    let idempotency_key = format!(
        "checkout-{}-{}",
        hex::encode(order_hash),
        clicked_at.timestamp_micros()
    );
    Ok(Prepared {
        plan: offer.plan.slug.clone(),
        trial_days,
        session,
        click: Click {
            order_hash: order_hash.to_vec(),
            at: clicked_at,
        },
        idempotency_key,
    })
}

/// The customer that Stripe knows, or somebody new. Who has no verified address types one in at Stripe.
async fn buyer(conn: &mut Connection, member_id: MemberId) -> Result<Buyer, ApiError> {
    if let Some(customer) = find_customer_of(conn, member_id).await? {
        return Ok(Buyer::Customer(customer));
    }
    let member = find_member(conn, member_id)
        .await?
        .ok_or(ApiError::SessionEnded)?;
    Ok(member.email.map_or(Buyer::Unknown, Buyer::Email))
}

fn new_session(
    state: &State,
    member_id: MemberId,
    offer: &Offer,
    price: &Price,
    trial_days: u32,
    buyer: Buyer,
) -> NewCheckoutSession {
    let metadata = BTreeMap::from([
        ("rolecall_member_id".to_owned(), member_id.to_string()),
        ("rolecall_plan".to_owned(), offer.plan.slug.to_string()),
    ]);
    let public_url = &state.site.public_url;
    NewCheckoutSession {
        purchase: if price.is_one_time() {
            Purchase::OneTime
        } else {
            Purchase::Subscription {
                trial_days: Some(trial_days).filter(|days| *days > 0),
            }
        },
        price: price.id.clone(),
        quantity: 1,
        buyer,
        client_reference_id: Some(member_id.to_string()),
        // Written out: Stripe fills the braces in, so they must not be encoded.
        success_url: format!("{public_url}/checkout/success?session_id={{CHECKOUT_SESSION_ID}}"),
        cancel_url: format!("{public_url}/plans"),
        purchase_metadata: metadata.clone(),
        metadata,
        allow_promotion_codes: offer.promotion_codes,
        automatic_tax: offer.tax,
    }
}

/// A session that was opened.
#[derive(Clone, Copy)]
struct Opened<'a> {
    id: &'a StripeCheckoutSessionId,
    member_id: MemberId,
    plan: &'a PlanSlug,
    trial_days: u32,
}

async fn keep(state: &State, opened: Opened<'_>, now: DateTime<Utc>) -> Result<(), ApiError> {
    let Opened { id, member_id, .. } = opened;
    let mut tx = state.database.begin().await?;
    if find_checkout(&mut tx, id).await?.is_some() {
        return Ok(());
    }
    match insert_checkout(&mut tx, id, member_id, opened.plan, opened.trial_days, now).await {
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
        detail: json!({"plan": opened.plan.as_str()}),
    };
    insert_audit_line(&mut tx, &line).await?;
    tx.commit().await?;
    Ok(())
}
