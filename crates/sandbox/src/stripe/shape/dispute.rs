//! Disputes and early fraud warnings.

use serde_json::{Value, json};

use crate::stripe::world::World;
use crate::stripe::world::dispute::{Dispute, DisputeStatus, FraudWarning};

/// A dispute.
pub(crate) fn dispute(world: &World, dispute: &Dispute) -> Value {
    let refundable = !dispute.funds_withdrawn && dispute.status.warns();
    let case = if dispute.status.warns() {
        "inquiry"
    } else {
        "chargeback"
    };
    json!({
        "id": dispute.id,
        "object": "dispute",
        "amount": dispute.amount,
        "balance_transaction": null,
        "balance_transactions": [],
        "charge": dispute.charge,
        "created": dispute.created,
        "currency": dispute.currency,
        "enhanced_eligibility_types": [],
        "evidence": evidence(),
        "evidence_details": {
            "due_by": dispute.due_by,
            "enhanced_eligibility": {},
            "has_evidence": dispute.submissions > 0,
            "past_due": world.now() > dispute.due_by,
            "submission_count": dispute.submissions,
            "submission_method": if dispute.submissions > 0 { "manual" } else { "not_submitted" },
        },
        "intended_submission_method": "manual",
        "is_charge_refundable": refundable,
        "livemode": world.livemode,
        "metadata": {},
        "payment_intent": dispute.payment_intent,
        "payment_method_details": {
            "card": {
                "brand": "visa", "case_type": case, "network": "visa", "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": dispute.reason.name(),
        "status": DisputeStatus::name(dispute.status),
    })
}

fn evidence() -> Value {
    json!({
        "access_activity_log": null, "billing_address": null, "cancellation_policy": null,
        "cancellation_policy_disclosure": null, "cancellation_rebuttal": null,
        "customer_communication": null, "customer_email_address": null, "customer_name": null,
        "customer_purchase_ip": null, "customer_signature": null, "duplicate_charge_documentation": null,
        "duplicate_charge_explanation": null, "duplicate_charge_id": null, "enhanced_evidence": {},
        "product_description": null, "receipt": null, "refund_policy": null,
        "refund_policy_disclosure": null, "refund_refusal_explanation": null, "service_date": null,
        "service_documentation": null, "shipping_address": null, "shipping_carrier": null,
        "shipping_date": null, "shipping_documentation": null, "shipping_tracking_number": null,
        "uncategorized_file": null, "uncategorized_text": null,
    })
}

/// An early fraud warning.
pub(crate) fn fraud_warning(world: &World, warning: &FraudWarning) -> Value {
    let charge = world.charges.get(&warning.charge);
    json!({
        "id": warning.id,
        "object": "radar.early_fraud_warning",
        "actionable": charge.is_some_and(crate::stripe::world::payment::Charge::actionable),
        "charge": warning.charge,
        "created": warning.created,
        "fraud_type": warning.fraud_type,
        "livemode": world.livemode,
        "payment_intent": warning.payment_intent,
    })
}
