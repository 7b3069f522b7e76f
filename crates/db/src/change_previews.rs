//! What people were told that a change of their subscription costs: `change_previews`, the newest of each.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::{StripePriceId, StripeSubscriptionId};

use crate::{Connection, DbError, error::one_row};

/// A change as it was previewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePreview {
    /// What would be changed.
    pub subscription: StripeSubscriptionId,
    /// The new price.
    pub price: StripePriceId,
    /// How many of it.
    pub quantity: i64,
    /// The moment that the settlement is reckoned from.
    pub prorated_at: DateTime<Utc>,
    /// What the invoice comes to, in the smallest unit of the currency; below zero for a credit.
    pub total: i64,
    /// Three lower-case letters.
    pub currency: String,
    /// When it was told.
    pub previewed_at: DateTime<Utc>,
}

/// Keeps a preview in the place of the one before.
pub async fn upsert_change_preview(conn: &mut Connection, preview: &ChangePreview) -> Result<(), DbError> {
    let done = sqlx::query!(
        "INSERT INTO change_previews (subscription_id, price_id, quantity, prorated_at, total, currency,
                                      previewed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (subscription_id) DO UPDATE
         SET price_id = excluded.price_id, quantity = excluded.quantity, prorated_at = excluded.prorated_at,
             total = excluded.total, currency = excluded.currency, previewed_at = excluded.previewed_at",
        preview.subscription.as_str(),
        preview.price.as_str(),
        preview.quantity,
        preview.prorated_at,
        preview.total,
        preview.currency,
        preview.previewed_at,
    )
    .execute(conn)
    .await?;
    one_row("change_previews", &done)
}

/// The newest preview for a subscription.
pub async fn find_change_preview(
    conn: &mut Connection,
    subscription: &StripeSubscriptionId,
) -> Result<Option<ChangePreview>, DbError> {
    let row = sqlx::query!(
        "SELECT price_id, quantity, prorated_at, total, currency, previewed_at FROM change_previews
         WHERE subscription_id = $1",
        subscription.as_str()
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ChangePreview {
        subscription: subscription.clone(),
        price: StripePriceId::new(row.price_id),
        quantity: row.quantity,
        prorated_at: row.prorated_at,
        total: row.total,
        currency: row.currency,
        previewed_at: row.previewed_at,
    }))
}

/// Forgets the preview: it was carried out.
pub async fn delete_change_preview(
    conn: &mut Connection,
    subscription: &StripeSubscriptionId,
) -> Result<(), DbError> {
    sqlx::query!(
        "DELETE FROM change_previews WHERE subscription_id = $1",
        subscription.as_str()
    )
    .execute(conn)
    .await?;
    Ok(())
}
