//! From money that moved back to the invoice it had paid.

use rolecall_domain::ids::StripeInvoiceId;
use serde::Deserialize;

use crate::{
    client::{Client, call::Call},
    error::StripeError,
    types::{
        charge::Charge,
        dispute::{Dispute, EarlyFraudWarning},
        page::Page,
        tolerant,
    },
};

#[derive(Deserialize)]
struct InvoicePayment {
    #[serde(default, deserialize_with = "tolerant::reference")]
    invoice: Option<StripeInvoiceId>,
}

impl Client {
    /// A charge, `ch_...` or `py_...`
    pub async fn get_charge(&self, id: &str) -> Result<Charge, StripeError> {
        let subject = format!("charge {id}");
        if !id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            || id.is_empty()
        {
            return Err(StripeError::NotFound { subject });
        }
        self.transport
            .send(&Call::read_path(
                "GET /v1/charges/{id}",
                subject,
                format!("/charges/{id}"),
                &[],
            ))
            .await
    }

    /// The disputes of a charge, the newest first. There is hardly ever more than one.
    pub async fn list_disputes(&self, charge: &str) -> Result<Vec<Dispute>, StripeError> {
        let call = Call::read_path(
            "GET /v1/disputes",
            format!("the disputes of charge {charge}"),
            "/disputes",
            &[("charge", charge)],
        );
        let page: Page<Dispute> = self.transport.send(&call).await?;
        Ok(page.data)
    }

    /// The warnings of fraud about a charge, the newest first.
    pub async fn list_early_fraud_warnings(
        &self,
        charge: &str,
    ) -> Result<Vec<EarlyFraudWarning>, StripeError> {
        let call = Call::read_path(
            "GET /v1/radar/early_fraud_warnings",
            format!("the warnings about charge {charge}"),
            "/radar/early_fraud_warnings",
            &[("charge", charge)],
        );
        let page: Page<EarlyFraudWarning> = self.transport.send(&call).await?;
        Ok(page.data)
    }

    /// The invoice that the payment `pi_...` paid: since 2025-03-31 a charge does not name it.
    pub async fn find_invoice_paid_by(
        &self,
        payment_intent: &str,
    ) -> Result<Option<StripeInvoiceId>, StripeError> {
        let call = Call::read_path(
            "GET /v1/invoice_payments",
            format!("the invoice of payment {payment_intent}"),
            "/invoice_payments",
            &[
                ("payment[type]", "payment_intent"),
                ("payment[payment_intent]", payment_intent),
            ],
        );
        let page: Page<InvoicePayment> = self.transport.send(&call).await?;
        Ok(page.data.into_iter().find_map(|payment| payment.invoice))
    }
}
