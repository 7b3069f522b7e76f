//! Payments that were given back, disputed or warned of follow Stripe as subscriptions do: an event says
//! that something happened to a charge, and a read says what.

use chrono::{DateTime, Utc};
use rolecall_db::{
    inbox::database_time,
    members::lock_member,
    payments::{
        PaidFor, PaymentRead, find_payer, find_payment_mark, lock_paid_for, lock_unclaimed, write_payment,
    },
};
use rolecall_domain::{
    ids::StripeInvoiceId,
    reversal::{DisputeStage, Payment},
    trigger::Trigger,
};
use rolecall_stripe::{
    error::StripeError,
    types::{charge::Charge, dispute::Dispute},
};

use crate::{
    converge::{Converged, converge},
    ctx::Ctx,
    error::WorkError,
};

/// A write that loses this many times is left for later.
const MOST_READS: usize = 8;

/// Reads a charge and what became of it, unless a read has done so since `seen_at`, and converges who
/// paid it.
pub async fn sync_payment(ctx: &Ctx, charge: &str, seen_at: DateTime<Utc>) -> Result<(), WorkError> {
    let _turn = ctx.turns.take(charge).await;
    for _ in 0..MOST_READS {
        let mut tx = ctx.db.begin().await?;
        let mark = find_payment_mark(&mut tx, charge).await?;
        if mark.is_some_and(|mark| mark.read_started_at > seen_at) {
            tx.commit().await?;
            return Ok(());
        }
        let read_started_at = database_time(&mut tx).await?;
        tx.commit().await?;

        let read = read(ctx, charge, read_started_at).await?;
        let now = ctx.clock.now();
        let mut tx = ctx.db.begin().await?;
        lock_paid_for(&mut tx, &read.paid_for).await?;
        let payer = find_payer(&mut tx, &read.paid_for).await?;
        if let Some(payer) = payer {
            // The person before the payment, in the order of every other convergence.
            lock_member(&mut tx, payer).await?;
        } else if lock_unclaimed(&mut tx, &read.paid_for).await?.is_some() {
            // It has just become somebody's.
            tx.rollback().await?;
            continue;
        }
        if !write_payment(&mut tx, &read, mark, now).await? {
            tx.rollback().await?;
            continue;
        }
        let converged = match payer {
            Some(payer) => converge(&mut tx, ctx, payer, Trigger::Payment, now).await?,
            // Whoever it turns out to be is converged with it when their purchase is linked.
            None => Converged::default(),
        };
        tx.commit().await?;
        ctx.tell(converged).await;
        return Ok(());
    }
    Err(WorkError::Contended(format!("charge {charge}")))
}

/// Reads a charge and what became of it.
pub(crate) async fn read(
    ctx: &Ctx,
    id: &str,
    read_started_at: DateTime<Utc>,
) -> Result<PaymentRead, WorkError> {
    let charge = ctx.stripe.get_charge(id).await?;
    // The charge may not say it yet when the event of its dispute is here.
    let disputes = match ctx.stripe.list_disputes(id).await {
        Err(error) if error.is_refusal() && !charge.disputed => Vec::new(),
        disputes => disputes?,
    };
    let warnings = match ctx.stripe.list_early_fraud_warnings(id).await {
        Err(error) if error.is_refusal() => {
            tracing::warn!(charge.id = id, %error, "no warning of fraud is known of a payment, because Stripe does not list them");
            Vec::new()
        }
        warnings => warnings?,
    };
    let paid_for = paid_for(ctx, &charge).await?;
    let created_at = charge.created.unwrap_or(read_started_at);
    Ok(PaymentRead {
        payment: Payment {
            amount: charge.amount,
            amount_refunded: charge.amount_refunded,
            created_at,
            dispute: gravest(&disputes, created_at),
            fraud_warning_at: warnings.iter().filter_map(|warning| warning.created).min(),
        },
        paid_for,
        currency: charge.currency,
        livemode: charge.livemode.unwrap_or(ctx.livemode),
        read_started_at,
        id: charge.id,
    })
}

/// What the charge paid for. A change inside a period (an upgrade, more seats) is not the period: giving
/// that back ends nothing.
async fn paid_for(ctx: &Ctx, charge: &Charge) -> Result<PaidFor, WorkError> {
    let mut paid_for = PaidFor {
        payment_intent: charge.payment_intent.clone(),
        ..PaidFor::default()
    };
    let invoice = match (&charge.invoice, &charge.payment_intent) {
        (Some(invoice), _) => Some(invoice.clone()),
        (None, Some(payment_intent)) => find_invoice(ctx, payment_intent).await?,
        (None, None) => None,
    };
    let Some(invoice) = invoice else {
        return Ok(paid_for);
    };
    let invoice = ctx.stripe.get_invoice(&invoice).await?;
    if invoice.is_for_a_period() {
        paid_for.subscription = invoice.subscription().cloned();
        paid_for.period_end = invoice.pays_until();
    }
    Ok(paid_for)
}

/// The invoice that a payment paid, where Stripe can say it. A key that may not ask is for the owner to mend:
/// until then nothing can be said of a refund.
async fn find_invoice(ctx: &Ctx, payment_intent: &str) -> Result<Option<StripeInvoiceId>, StripeError> {
    match ctx.stripe.find_invoice_paid_by(payment_intent).await {
        Err(error @ (StripeError::NotFound { .. } | StripeError::Invalid { .. })) => {
            tracing::warn!(payment.id = payment_intent, %error, "Stripe does not say which invoice a payment paid");
            Ok(None)
        }
        invoice => invoice,
    }
}

/// Of several disputes the one that still weighs most.
fn gravest(disputes: &[Dispute], otherwise_at: DateTime<Utc>) -> Option<(DisputeStage, DateTime<Utc>)> {
    let weight = |stage: DisputeStage| match stage {
        DisputeStage::Lost => 3,
        DisputeStage::Open => 2,
        DisputeStage::Inquiry => 1,
        DisputeStage::Won => 0,
    };
    disputes
        .iter()
        .map(|dispute| {
            let stage = DisputeStage::from_stripe(&dispute.status);
            (stage, dispute.created.unwrap_or(otherwise_at))
        })
        .max_by_key(|(stage, since)| (weight(*stage), std::cmp::Reverse(*since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_disputes_the_gravest_counts_since_it_was_opened() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let dispute = |status: &str, created| Dispute {
            id: "du_1".to_owned(),
            status: status.to_owned(),
            charge: None,
            created: Some(at(created)),
        };
        assert_eq!(gravest(&[], at(0)), None);
        let disputes = [
            dispute("won", 1),
            dispute("under_review", 3),
            dispute("needs_response", 2),
        ];
        assert_eq!(gravest(&disputes, at(0)), Some((DisputeStage::Open, at(2))));
    }
}
