//! When an invoice's first attempt failed, as its event told it: `invoice_failures`.

use chrono::{DateTime, Utc};
use rolecall_domain::ids::StripeInvoiceId;

use crate::{Connection, DbError, convert::parse};

/// Notes failed first attempts on invoices, each invoice once, in the order of their ids. The earliest
/// time wins, so that no order of events matters.
pub async fn upsert_invoice_failures(
    conn: &mut Connection,
    failures: &[(StripeInvoiceId, DateTime<Utc>)],
) -> Result<(), DbError> {
    let ids: Vec<String> = failures.iter().map(|(id, _)| id.as_str().to_owned()).collect();
    let times: Vec<DateTime<Utc>> = failures.iter().map(|(_, at)| *at).collect();
    sqlx::query!(
        "INSERT INTO invoice_failures (invoice_id, first_failed_at)
         SELECT invoice_id, min(at) FROM unnest($1::text[], $2::timestamptz[]) AS f (invoice_id, at)
         GROUP BY invoice_id ORDER BY invoice_id
         ON CONFLICT (invoice_id) DO UPDATE
         SET first_failed_at = least(invoice_failures.first_failed_at, excluded.first_failed_at)",
        &ids,
        &times,
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
