//! What the plans' prices cost, read from Stripe.

use chrono::{DateTime, Utc};
use rolecall_db::prices::{PriceRead, list_stale_prices, set_price_gone, set_price_read};
use rolecall_stripe::error::StripeError;

use crate::{ctx::Ctx, error::WorkError};

/// At most this many are read at a time.
const BATCH: i64 = 50;

/// Reads the prices that were not read since `read_before`. A price that Stripe does not know, and one
/// whose product cannot be bought, is taken off sale.
pub async fn read_stale(ctx: &Ctx, read_before: DateTime<Utc>) -> Result<usize, WorkError> {
    let mut tx = ctx.db.begin().await?;
    let stale = list_stale_prices(&mut tx, read_before, BATCH).await?;
    tx.commit().await?;
    let mut done = 0;
    for id in &stale {
        let price = match ctx.stripe.get_price(id).await {
            Ok(price) => price,
            Err(StripeError::NotFound { .. }) => {
                tracing::warn!(
                    stripe.price_id = %id,
                    "Stripe has no such price, so it is off sale here: correct the plans file and apply it"
                );
                let mut tx = ctx.db.begin().await?;
                set_price_gone(&mut tx, id, ctx.clock.now()).await?;
                tx.commit().await?;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let interval = price
            .recurring
            .as_ref()
            .map(|recurring| recurring.interval.as_str());
        if !price.is_buyable() {
            tracing::warn!(
                stripe.price_id = %id,
                "the price or its product is archived or deleted at Stripe, so it is off sale here"
            );
        }
        let read = PriceRead {
            id,
            active: price.is_buyable(),
            unit_amount: price.unit_amount,
            currency: &price.currency,
            interval,
            interval_count: price
                .recurring
                .as_ref()
                .and_then(|recurring| i32::try_from(recurring.interval_count).ok()),
        };
        let mut tx = ctx.db.begin().await?;
        set_price_read(&mut tx, &read, ctx.clock.now()).await?;
        tx.commit().await?;
        done += 1;
    }
    Ok(done)
}
