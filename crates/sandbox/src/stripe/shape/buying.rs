//! Checkout sessions and portal sessions.

use serde_json::{Value, json};

use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::session::{CheckoutSession, Mode, PortalSession, SessionStatus};

/// A checkout session, without its lines.
pub(crate) fn checkout(world: &World, session: &CheckoutSession) -> Value {
    let open = session.status == SessionStatus::Open;
    let total = world.checkout_total(session);
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
        "amount_subtotal": total,
        "amount_total": total,
        "cancel_url": session.cancel_url,
        "client_reference_id": session.client_reference_id,
        "created": session.created,
        "currency": session.currency,
        "customer": session.customer,
        "customer_creation": session.customer_creation.clone().or_else(|| default_creation(session)),
        "customer_details": details,
        "customer_email": session.customer_email,
        "expires_at": session.expires_at,
        "invoice": session.invoice,
        "livemode": world.livemode,
        "locale": session.locale,
        "metadata": session.metadata,
        "mode": session.mode.name(),
        "payment_intent": session.payment_intent,
        "payment_method_collection": (session.mode == Mode::Subscription).then_some("always"),
        "payment_status": paid,
        "setup_intent": session.setup_intent,
        "status": session.status.name(),
        "subscription": session.subscription,
        "success_url": session.success_url,
        "total_details": total.map(|_| json!({
            "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0,
        })),
        "url": open.then(|| format!("{}/c/pay/{}", world.origin, session.id)),
    });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    object
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
        "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
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
        "discounts": [],
        "integration_identifier": null,
        "invoice_creation": null,
        "managed_payments": { "enabled": false },
        "origin_context": null,
        "payment_link": null,
        "payment_method_configuration_details": null,
        "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
        "payment_method_types": ["card"],
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
    let lines = session.lines.iter().filter_map(|line| {
        let price = world.prices.get(&line.price)?;
        let product = world.products.get(&price.product);
        let amount = price.unit_amount * line.quantity;
        Some(json!({
            "id": line.id,
            "object": "item",
            "adjustable_quantity": null,
            "amount_discount": 0,
            "amount_subtotal": amount,
            "amount_tax": 0,
            "amount_total": amount,
            "currency": price.currency,
            "description": product.map(|product| product.name.clone()),
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
