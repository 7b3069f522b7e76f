//! A bank that waits for its customer: the person is asked to confirm the payment.

use rolecall_db::customers::find_member_of;
use rolecall_domain::ids::StripeInvoiceId;
use rolecall_queue::jobs::SendNotification;
use rolecall_stripe::types::invoice::InvoiceStatus;

use crate::{converge::messages::owe_confirmation, ctx::Ctx, error::WorkError, mail::MessageArgs};

/// Owes the message, unless the invoice is not open any more or nobody knows whose it is.
pub(crate) async fn ask_to_confirm(ctx: &Ctx, id: &StripeInvoiceId) -> Result<(), WorkError> {
    let invoice = ctx.stripe.get_invoice(id).await?;
    let (InvoiceStatus::Open, Some(customer)) = (&invoice.status, &invoice.customer) else {
        return Ok(());
    };
    let mut tx = ctx.db.begin().await?;
    let Some(member_id) = find_member_of(&mut tx, customer).await? else {
        return Ok(());
    };
    let args = MessageArgs {
        subscription: invoice.subscription().map(ToString::to_string),
        pay_url: invoice.hosted_invoice_url,
        ..MessageArgs::default()
    };
    let owed = owe_confirmation(&mut tx, ctx, member_id, id, &args).await?;
    tx.commit().await?;
    for notification_id in owed {
        ctx.hint(&SendNotification { notification_id }).await;
    }
    Ok(())
}
