//! What was bought once, and what was given back or disputed: Stripe's lists beside what is kept.
//!
//! The lists only tell where to look: a charge that seems to differ is read as an event about it would be, and
//! what that read says decides.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rolecall_db::{
    Connection,
    inbox::database_time,
    payments::{PaidFor, find_payer},
    purchases::StoredPurchase,
    reconcile_findings::{FindingState, NewFinding, insert_finding},
    reconcile_money::{
        KnownPayment, KnownPurchase, list_known_payments, list_known_purchases, list_opened_checkouts,
    },
};
use rolecall_domain::{
    catalog::{Catalog, PlanSlug},
    ids::{MemberId, StripeCheckoutSessionId},
    reconcile::difference::FindingKind,
    reversal::{DisputeStage, Payment},
    standing::Standing,
};
use rolecall_stripe::types::checkout::{CheckoutMode, CheckoutSession};
use serde_json::json;

use crate::{
    checkout::PLAN_METADATA,
    error::WorkError,
    payments,
    reconcile::{Hands, Work},
    sync::named_member,
};

/// So many charges are compared in one statement.
const CHARGES: usize = 100;

/// What would change for people besides their subscriptions.
#[derive(Debug, Default)]
pub(super) struct Money {
    /// Purchases as they would be kept.
    pub(super) purchases: Vec<(MemberId, StoredPurchase)>,
    /// What became of payments.
    pub(super) payments: Vec<(MemberId, PaidFor, Payment)>,
    /// Purchases that were compared.
    pub(super) purchases_seen: u64,
    /// Payments that were compared.
    pub(super) payments_seen: u64,
}

/// Compares purchases, refunds and disputes. `None` if somebody else has taken the run over meanwhile.
pub(super) async fn compare_money(work: Work<'_>) -> Result<Option<Money>, WorkError> {
    let mut money = Money::default();
    let purchases = permitted(compare_purchases(work, &mut money).await)?;
    let charges = list_charges(work).await?;
    if purchases == Some(Hands::Others) || compare_charges(work, &charges, &mut money).await? == Hands::Others
    {
        return Ok(None);
    }
    Ok(Some(money))
}

/// A restricted key may read subscriptions and nothing else, and an account may lack what a list is of: then
/// there is nothing to compare.
fn permitted<T>(result: Result<T, WorkError>) -> Result<Option<T>, WorkError> {
    match result {
        Err(WorkError::Stripe(error)) if error.is_refusal() => {
            tracing::warn!(%error, "a sweep leaves out what Stripe does not list");
            Ok(None)
        }
        other => other.map(Some),
    }
}

async fn compare_purchases(work: Work<'_>, money: &mut Money) -> Result<Hands, WorkError> {
    let mut after: Option<StripeCheckoutSessionId> = None;
    loop {
        let mut tx = work.ctx.db.begin().await?;
        let hands = work.keep(&mut tx).await?;
        let asked_at = database_time(&mut tx).await?;
        tx.commit().await?;
        if hands == Hands::Others {
            return Ok(hands);
        }
        let page = work.ctx.stripe.list_complete_checkouts(after.as_ref()).await?;
        after = page.data.last().map(|session| session.id.clone());
        let sold: Vec<&CheckoutSession> = page
            .data
            .iter()
            .filter(|session| session.mode == CheckoutMode::Payment)
            .collect();
        let mut tx = work.ctx.db.begin().await?;
        compare_sold(&mut tx, work, &sold, asked_at, money).await?;
        tx.commit().await?;
        if !page.has_more || after.is_none() {
            return Ok(Hands::Ours);
        }
    }
}

async fn compare_sold(
    conn: &mut Connection,
    work: Work<'_>,
    sold: &[&CheckoutSession],
    asked_at: DateTime<Utc>,
    money: &mut Money,
) -> Result<(), WorkError> {
    let ids: Vec<&StripeCheckoutSessionId> = sold.iter().map(|session| &session.id).collect();
    let known: BTreeMap<StripeCheckoutSessionId, KnownPurchase> = list_known_purchases(conn, &ids)
        .await?
        .into_iter()
        .map(|known| (known.id.clone(), known))
        .collect();
    let opened: BTreeMap<StripeCheckoutSessionId, (MemberId, PlanSlug)> = list_opened_checkouts(conn, &ids)
        .await?
        .into_iter()
        .map(|(id, member_id, plan)| (id, (member_id, plan)))
        .collect();
    let catalog = work.ctx.catalog.load(conn).await?;
    for session in sold {
        let known = known.get(&session.id);
        let (buyer, plan) = if let Some((member_id, plan)) = opened.get(&session.id) {
            (Some(*member_id), Some(plan.clone()))
        } else {
            let buyer = named_member(conn, session.client_reference_id.as_deref()).await?;
            (buyer, sells(session, &catalog))
        };
        // What sells nothing of ours is nothing to us, and what was read meanwhile may be newer than the page.
        let Some(plan) = plan.filter(|_| known.is_none_or(|known| known.read_started_at <= asked_at)) else {
            continue;
        };
        money.purchases_seen += 1;
        let owner = known.and_then(|known| known.member_id).or(buyer);
        let Some(finding) = purchase_finding(session, &plan, known, owner) else {
            continue;
        };
        insert_finding(conn, work.run.id, &finding).await?;
        money
            .purchases
            .extend(owner.map(|owner| (owner, bought(session, plan, asked_at))));
    }
    Ok(())
}

/// What is not as it should be with a purchase.
fn purchase_finding(
    session: &CheckoutSession,
    plan: &PlanSlug,
    known: Option<&KnownPurchase>,
    owner: Option<MemberId>,
) -> Option<NewFinding> {
    let paid = session.is_fulfillable();
    let (kind, details) = match known {
        None => (
            FindingKind::MissingHere,
            format!("{plan} was bought once at Stripe"),
        ),
        Some(known) if known.paid != paid => {
            let word = |paid: bool| if paid { "paid" } else { "not paid" };
            let details = format!("{} here, {} at Stripe", word(known.paid), word(paid));
            (FindingKind::PaymentDiffers, details)
        }
        Some(_) => return None,
    };
    Some(NewFinding {
        object_id: session.id.as_str().to_owned(),
        kind,
        reason: format!("{}: {details}", kind.words()),
        member_id: owner,
        other_member_id: None,
        ours: known.map(|known| json!({ "paid": known.paid })),
        theirs: Some(json!({ "paid": paid, "plan": plan, "amount": session.amount_total })),
        state: FindingState::Open,
    })
}

/// The plan that a session which somebody else opened names, if it is one of ours.
fn sells(session: &CheckoutSession, catalog: &Catalog) -> Option<PlanSlug> {
    let named: PlanSlug = session.metadata.get(PLAN_METADATA)?.parse().ok()?;
    catalog.plans.contains_key(&named).then_some(named)
}

fn bought(session: &CheckoutSession, plan: PlanSlug, at: DateTime<Utc>) -> StoredPurchase {
    StoredPurchase {
        id: session.id.clone(),
        plan: Some(plan),
        payment_intent: session.payment_intent.clone(),
        paid: session.is_fulfillable(),
        amount: session.amount_total.unwrap_or_default(),
        currency: session.currency.clone().unwrap_or_default(),
        bought_at: session.created.unwrap_or(at),
        had_access: false,
        standing: Standing::Pending,
        standing_since: None,
    }
}

/// What Stripe's lists say of a charge.
#[derive(Debug, Default)]
struct Charged {
    refunded: i64,
    disputes: Vec<DisputeStage>,
}

/// Every charge of which something went back, or which is disputed, as far as Stripe lists them.
async fn list_charges(work: Work<'_>) -> Result<BTreeMap<String, Charged>, WorkError> {
    let mut charges: BTreeMap<String, Charged> = BTreeMap::new();
    permitted(add_refunds(work, &mut charges).await)?;
    permitted(add_disputes(work, &mut charges).await)?;
    Ok(charges)
}

async fn add_refunds(work: Work<'_>, charges: &mut BTreeMap<String, Charged>) -> Result<(), WorkError> {
    let mut after: Option<String> = None;
    loop {
        work.refresh().await?;
        let page = work.ctx.stripe.list_refunds(after.as_deref()).await?;
        after = page.data.last().map(|refund| refund.id.clone());
        for refund in page.data {
            let counted = refund.amount * i64::from(refund.counts());
            if let Some(charge) = refund.charge {
                charges.entry(charge).or_default().refunded += counted;
            }
        }
        if !page.has_more || after.is_none() {
            return Ok(());
        }
    }
}

async fn add_disputes(work: Work<'_>, charges: &mut BTreeMap<String, Charged>) -> Result<(), WorkError> {
    let mut after: Option<String> = None;
    loop {
        work.refresh().await?;
        let page = work.ctx.stripe.list_all_disputes(after.as_deref()).await?;
        after = page.data.last().map(|dispute| dispute.id.clone());
        for dispute in page.data {
            let stage = DisputeStage::from_stripe(&dispute.status);
            if let Some(charge) = dispute.charge {
                charges.entry(charge).or_default().disputes.push(stage);
            }
        }
        if !page.has_more || after.is_none() {
            return Ok(());
        }
    }
}

async fn compare_charges(
    work: Work<'_>,
    charges: &BTreeMap<String, Charged>,
    money: &mut Money,
) -> Result<Hands, WorkError> {
    let ids: Vec<String> = charges.keys().cloned().collect();
    for some in ids.chunks(CHARGES) {
        let mut tx = work.ctx.db.begin().await?;
        let hands = work.keep(&mut tx).await?;
        let known: BTreeMap<String, KnownPayment> = list_known_payments(&mut tx, some)
            .await?
            .into_iter()
            .map(|known| (known.id.clone(), known))
            .collect();
        tx.commit().await?;
        if hands == Hands::Others {
            return Ok(hands);
        }
        for id in some {
            money.payments_seen += 1;
            let listed = charges.get(id);
            if !listed.is_some_and(|listed| agrees(known.get(id), listed)) {
                compare_charge(work, id, known.get(id), money).await?;
            }
        }
    }
    Ok(Hands::Ours)
}

/// Whether the lists say what is kept, as far as they tell.
fn agrees(known: Option<&KnownPayment>, listed: &Charged) -> bool {
    known.is_some_and(|known| {
        known.amount_refunded == listed.refunded
            && known.dispute.is_some() != listed.disputes.is_empty()
            && known.dispute.is_none_or(|stage| listed.disputes.contains(&stage))
    })
}

/// Reads a charge, and keeps that it differs if it does.
async fn compare_charge(
    work: Work<'_>,
    id: &str,
    known: Option<&KnownPayment>,
    money: &mut Money,
) -> Result<(), WorkError> {
    let mut tx = work.ctx.db.begin().await?;
    let read_started_at = database_time(&mut tx).await?;
    work.keep(&mut tx).await?;
    tx.commit().await?;
    let read = payments::read(work.ctx, id, read_started_at).await?;
    let theirs = (
        read.payment.amount_refunded,
        read.payment.dispute.map(|(stage, _)| stage),
    );
    let ours = known.map(|known| (known.amount_refunded, known.dispute));
    if ours == Some(theirs) {
        return Ok(());
    }
    let mut tx = work.ctx.db.begin().await?;
    let payer = find_payer(&mut tx, &read.paid_for).await?;
    let words = |(refunded, dispute): (i64, Option<DisputeStage>)| {
        let dispute = dispute.map_or("no dispute", DisputeStage::as_str);
        format!("{refunded} of {} given back and {dispute}", read.payment.amount)
    };
    let side = |side: (i64, Option<DisputeStage>)| json!({ "amount_refunded": side.0, "dispute": side.1.map(DisputeStage::as_str) });
    let kind = FindingKind::PaymentDiffers;
    let finding = NewFinding {
        object_id: id.to_owned(),
        kind,
        reason: format!(
            "{}: {} here, {} at Stripe",
            kind.words(),
            ours.map_or_else(|| "nothing known".to_owned(), words),
            words(theirs)
        ),
        member_id: payer,
        other_member_id: None,
        ours: ours.map(side),
        theirs: Some(side(theirs)),
        state: FindingState::Open,
    };
    insert_finding(&mut tx, work.run.id, &finding).await?;
    tx.commit().await?;
    if let Some(payer) = payer {
        money.payments.push((payer, read.paid_for, read.payment));
    }
    Ok(())
}
