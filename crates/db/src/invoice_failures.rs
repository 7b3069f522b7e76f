//! When an invoice's first attempt failed, as its event told it: `invoice_failures`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeInvoiceId;

use crate::{Connection, DbError, convert::parse};

/// Notes a failed first attempt. The earliest time wins, so that no order of events matters.
pub async fn upsert_invoice_failure(
    conn: &mut Connection,
    invoice_id: &StripeInvoiceId,
    first_failed_at: DateTime<Utc>,
) -> Result<(), DbError> {
    sqlx::query!(
        "INSERT INTO invoice_failures (invoice_id, first_failed_at) VALUES ($1, $2)
         ON CONFLICT (invoice_id) DO UPDATE
         SET first_failed_at = least(invoice_failures.first_failed_at, excluded.first_failed_at)",
        invoice_id.as_str(),
        first_failed_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// The known first failures among `invoices`.
pub async fn list_invoice_failures(
    conn: &mut Connection,
    invoices: &[StripeInvoiceId],
) -> Result<Vec<(StripeInvoiceId, DateTime<Utc>)>, DbError> {
    let ids: Vec<String> = invoices.iter().map(|id| id.as_str().to_owned()).collect();
    let rows = sqlx::query!(
        "SELECT invoice_id, first_failed_at FROM invoice_failures WHERE invoice_id = ANY($1)",
        &ids
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok((
                parse("invoice_failures", "invoice_id", &row.invoice_id)?,
                row.first_failed_at,
            ))
        })
        .collect()
}
