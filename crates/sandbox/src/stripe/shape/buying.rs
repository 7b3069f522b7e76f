//! Checkout sessions and portal sessions.

use serde_json::{Value, json};

use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::session::{CheckoutSession, Mode, PortalSession, SessionStatus};

/// A checkout session, without its lines.
pub(crate) fn checkout(world: &World, session: &CheckoutSession) -> Value {
    let open = session.status == SessionStatus::Open;
    let total = world.checkout_total(session);
    let sums = total.map(|total| sums(world, session, total));
    let paid = world.checkout_payment_status(session);
    let mut object = fixed_fields();
    let details = session
        .entered_email
        .as_ref()
        .or(session.customer_email.as_ref())
        .map(|email| {
            json!({
                "address": null, "business_name": null, "email": email, "individual_name": null,
                "name": null, "phone": null, "tax_exempt": "none", "tax_ids": [],
            })
        });
    let fields = json!({
        "id": session.id,
        "allow_promotion_codes": session.allow_promotion_codes,
        "amount_subtotal": sums.map(|(subtotal, _)| subtotal),
        "amount_total": total,
        "automatic_tax": {
            "enabled": session.automatic_tax,
            "liability": session.automatic_tax.then(|| json!({ "type": "self" })),
            "provider": session.automatic_tax.then_some("stripe"),
            "status": session.automatic_tax.then_some(if open { "requires_location_inputs" } else { "complete" }),
        },
        "cancel_url": session.cancel_url,
        "client_reference_id": session.client_reference_id,
        "created": session.created,
        "currency": session.currency,
        "customer": session.customer,
        "customer_creation": session.customer_creation.clone().or_else(|| default_creation(session)),
        "customer_details": details,
        "customer_email": session.customer_email,
        "discounts": shape::checkout_discounts(session),
        "expires_at": session.expires_at,
        "invoice": session.invoice,
        "livemode": world.livemode,
        "locale": session.locale,
        "metadata": session.metadata,
        "mode": session.mode.name(),
        "payment_intent": session.payment_intent,
        "payment_method_collection": (session.mode == Mode::Subscription)
            .then_some(if session.card_if_required { "if_required" } else { "always" }),
        "payment_method_types": kinds(session),
        "payment_status": paid,
        "setup_intent": session.setup_intent,
        "status": session.status.name(),
        "subscription": session.subscription,
        "success_url": session.success_url,
        "total_details": sums.map(|(_, off)| json!({
            "amount_discount": off, "amount_shipping": 0, "amount_tax": 0,
        })),
        "url": open.then(|| format!("{}/c/pay/{}", world.origin, session.id)),
    });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    object
}

/// What is paid at once before discounts, and what they take off it. A trial makes both nothing.
fn sums(world: &World, session: &CheckoutSession, total: i64) -> (i64, i64) {
    if world.begins_with_trial(session) {
        return (0, 0);
    }
    let lines = world.checkout_lines(session);
    let subtotal = lines.iter().map(|line| line.amount).sum::<i64>();
    (subtotal, subtotal - total)
}

fn kinds(session: &CheckoutSession) -> Vec<String> {
    if session.payment_method_types.is_empty() {
        return vec!["card".to_owned(), "us_bank_account".to_owned()];
    }
    session.payment_method_types.clone()
}

fn default_creation(session: &CheckoutSession) -> Option<String> {
    match (session.mode, &session.customer) {
        (Mode::Payment, None) => Some("if_required".to_owned()),
        (Mode::Subscription, None) => Some("always".to_owned()),
        _ => None,
    }
}

fn fixed_fields() -> Value {
    json!({
        "object": "checkout.session",
        "adaptive_pricing": { "enabled": false },
        "after_expiration": null,
        "allowed_payment_method_types": null,
        "billing_address_collection": null,
        "client_secret": null,
        "collected_information": null,
        "consent": null,
        "consent_collection": null,
        "currency_conversion": null,
        "custom_fields": [],
        "custom_text": {
            "after_submit": null, "shipping_address": null, "submit": null,
            "terms_of_service_acceptance": null,
        },
        "customer_account": null,
        "integration_identifier": null,
        "invoice_creation": null,
        "managed_payments": { "enabled": false },
        "origin_context": null,
        "payment_link": null,
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
        "permissions": null,
        "phone_number_collection": { "enabled": false },
        "recovered_from": null,
        "saved_payment_method_options": null,
        "shipping_address_collection": null,
        "shipping_cost": null,
        "shipping_options": [],
        "submit_type": null,
        "ui_mode": "hosted_page",
        "wallet_options": null,
    })
}

/// The lines of a checkout session, which it carries only when they are asked for.
pub(crate) fn checkout_lines(world: &World, session: &CheckoutSession) -> Value {
    let lines = world.checkout_lines(session).into_iter().filter_map(|line| {
        let price = world.prices.get(&line.price)?;
        Some(json!({
            "id": line.id,
            "object": "item",
            "adjustable_quantity": null,
            "amount_discount": line.amount - line.net(),
            "amount_subtotal": line.amount,
            "amount_tax": 0,
            "amount_total": line.net(),
            "currency": price.currency,
            "description": line.description,
            "metadata": {},
            "price": shape::price(world, price),
            "quantity": line.quantity,
        }))
    });
    let lines: Vec<Value> = lines.collect();
    shape::list(
        &format!("/v1/checkout/sessions/{}/line_items", session.id),
        &lines,
    )
}

/// A portal session.
pub(crate) fn portal(world: &World, session: &PortalSession) -> Value {
    json!({
        "id": session.id,
        "object": "billing_portal.session",
        "after_expiration": null,
        "configuration": "bpc_1SandboxDefaultPortal00",
        "created": session.created,
        "customer": session.customer,
        "customer_account": null,
        "flow": null,
        "livemode": world.livemode,
        "locale": session.locale,
        "on_behalf_of": null,
        "return_url": session.return_url,
        "url": format!("{}/p/session/{}", world.origin, session.id),
    })
}
