//! Payments, charges, refunds and cards.

use serde_json::{Value, json};

use crate::stripe::shape::legacy;
use crate::stripe::world::World;
use crate::stripe::world::customer::PaymentMethod;
use crate::stripe::world::payment::{Charge, IntentStatus, PaymentIntent, Refund, RefundStatus};

/// A charge.
pub(crate) fn charge(world: &World, charge: &Charge) -> Value {
    let method = charge.payment_method.as_ref();
    let method = method.and_then(|id| world.payment_methods.get(id));
    let failure = (!charge.succeeded).then_some("card_declined");
    json!({
        "id": charge.id,
        "object": "charge",
        "amount": charge.amount,
        "amount_captured": if charge.succeeded { charge.amount } else { 0 },
        "amount_refunded": charge.amount_refunded,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        "calculated_statement_descriptor": null,
        "captured": charge.succeeded,
        "created": charge.created,
        "currency": charge.currency,
        "customer": charge.customer,
        "description": null,
        "disputed": charge.disputed,
        "failure_balance_transaction": null,
        "failure_code": failure,
        "failure_message": failure.map(|_| "Your card was declined."),
        "fraud_details": {},
        "livemode": world.livemode,
        "metadata": charge.metadata,
        "on_behalf_of": null,
        "outcome": outcome(charge),
        "paid": charge.succeeded,
        "payment_intent": charge.payment_intent,
        "payment_method": charge.payment_method,
        "payment_method_details": method.map(details),
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": charge.succeeded && charge.amount_refunded == charge.amount,
        "review": null,
        "shipping": null,
        "source": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": if charge.succeeded { "succeeded" } else { "failed" },
        "transfer_data": null,
        "transfer_group": null,
        legacy::ONLY: { "invoice": charge.invoice },
    })
}

fn outcome(charge: &Charge) -> Value {
    json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": null,
        "network_status": if charge.succeeded { "approved_by_network" } else { "declined_by_network" },
        "reason": (!charge.succeeded).then_some("generic_decline"),
        "risk_level": "normal",
        "seller_message": if charge.succeeded { "Payment complete." } else { "The bank declined." },
        "type": if charge.succeeded { "authorized" } else { "issuer_declined" },
    })
}

/// The payment method as a charge remembers it, with the fingerprint that equal numbers share.
fn details(method: &PaymentMethod) -> Value {
    if method.card.takes_days() {
        return json!({ "type": "us_bank_account", "us_bank_account": bank_account(method) });
    }
    json!({
        "type": "card",
        "card": {
            "amount_authorized": null,
            "authorization_code": null,
            "brand": "visa",
            "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": method.fingerprint,
            "funding": "credit",
            "installments": null,
            "last4": method.last4(),
            "mandate": null,
            "network": "visa",
            "network_token": { "used": false },
            "network_transaction_id": null,
            "regulated_status": "unregulated",
            "three_d_secure": null,
            "wallet": null,
        },
    })
}

fn bank_account(method: &PaymentMethod) -> Value {
    json!({
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "SIMULATED BANK",
        "fingerprint": method.fingerprint,
        "last4": method.last4(),
        "routing_number": "110000000",
    })
}

/// A payment.
pub(crate) fn payment_intent(world: &World, intent: &PaymentIntent) -> Value {
    let open = !matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled);
    let received = match intent.status {
        IntentStatus::Succeeded => intent.amount,
        _ => 0,
    };
    let error = intent.declined.then(|| {
        json!({
            "charge": intent.latest_charge,
            "code": "card_declined",
            "decline_code": "generic_decline",
            "message": "Your card was declined.",
            "type": "card_error",
        })
    });
    let action = (intent.status == IntentStatus::RequiresAction)
        .then(|| json!({ "type": "use_stripe_sdk", "use_stripe_sdk": {} }));
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "allowed_payment_method_types": null,
        "amount": intent.amount,
        "amount_capturable": 0,
        "amount_details": { "tip": {} },
        "amount_received": received,
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": null,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.canceled_at.map(|_| "void_invoice"),
        "capture_method": "automatic",
        "client_secret": format!("{}_secret_sandbox", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": intent.customer,
        "customer_account": null,
        "description": null,
        "excluded_payment_method_types": null,
        "last_payment_error": error,
        "latest_charge": intent.latest_charge,
        "livemode": world.livemode,
        "managed_payments": null,
        "metadata": intent.metadata,
        "next_action": action,
        "on_behalf_of": null,
        "payment_method": if open && intent.declined { None } else { intent.payment_method.as_ref() },
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": {
            "installments": null, "mandate_options": null, "network": null,
            "request_three_d_secure": "automatic",
        } },
        "payment_method_types": ["card", "us_bank_account"],
        "payment_record": null,
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": intent.invoice.as_ref().map(|_| "off_session"),
        "shipping": null,
        "source": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": intent.status.name(),
        "transfer_data": null,
        "transfer_group": null,
        legacy::ONLY: { "invoice": intent.invoice },
    })
}

/// A refund.
pub(crate) fn refund(refund: &Refund) -> Value {
    let failed = refund.status == RefundStatus::Failed;
    let mut object = json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "balance_transaction": null,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "customer": null,
        "customer_account": null,
        "destination_details": { "card": { "type": "refund" }, "type": "card" },
        "metadata": refund.metadata,
        "payment_intent": refund.payment_intent,
        "payment_method": null,
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": refund.status.name(),
        "transfer_reversal": null,
    });
    if let (true, Some(map)) = (failed, object.as_object_mut()) {
        map.insert("failure_reason".to_owned(), json!("expired_or_canceled_card"));
    }
    if let (RefundStatus::Pending, Some(map)) = (refund.status, object.as_object_mut()) {
        map.insert("pending_reason".to_owned(), json!("processing"));
    }
    object
}

/// A card on file.
pub(crate) fn payment_method(world: &World, method: &PaymentMethod) -> Value {
    let (kind, own) = if method.card.takes_days() {
        ("us_bank_account", bank_account(method))
    } else {
        ("card", card(method))
    };
    json!({
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "limited",
        "billing_details": { "address": null, "email": null, "name": null, "phone": null, "tax_id": null },
        (kind): own,
        "created": method.created,
        "customer": method.customer,
        "customer_account": null,
        "livemode": world.livemode,
        "metadata": {},
        "type": kind,
    })
}

fn card(method: &PaymentMethod) -> Value {
    json!({
        "brand": "visa",
        "checks": null,
        "country": "US",
        "display_brand": "visa",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": method.fingerprint,
        "funding": "credit",
        "generated_from": null,
        "last4": method.last4(),
        "networks": { "available": ["visa"], "preferred": null },
        "regulated_status": "unregulated",
        "three_d_secure_usage": { "supported": true },
        "wallet": null,
    })
}
