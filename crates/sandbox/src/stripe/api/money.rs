//! Charges and cards.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::customer::{Card, PaymentMethod};
use crate::stripe::world::payment::Charge;

/// `/v1/charges...`
pub(crate) fn charges(world: &World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list_charges(world, params),
        ("GET", [id]) => get_charge(world, id, params),
        _ => return None,
    })
}

fn get_charge(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let charge = world
        .charges
        .get(id)
        .ok_or_else(|| Refusal::not_found("charge", id))?;
    Ok(shape::charge(world, charge))
}

fn list_charges(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["customer", "payment_intent"]])?;
    let keep = |row: &Charge| {
        params
            .text("customer")
            .is_none_or(|id| row.customer.as_deref() == Some(id))
            && params
                .text("payment_intent")
                .is_none_or(|id| row.payment_intent == id)
    };
    page(&world.charges, params, "/v1/charges", keep, |row| {
        shape::charge(world, row)
    })
}

/// `/v1/payment_methods...`
pub(crate) fn payment_methods(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list_payment_methods(world, params),
        ("GET", [id]) => get_payment_method(world, id, params),
        ("POST", [id, "attach"]) => attach(world, id, params),
        ("POST", [id, "detach"]) => detach(world, id, params),
        _ => return None,
    })
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a PaymentMethod, Refusal> {
    world
        .payment_methods
        .get(id)
        .ok_or_else(|| Refusal::not_found("PaymentMethod", id))
}

fn get_payment_method(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::payment_method(world, found(world, id)?))
}

fn list_payment_methods(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["customer", "type"]])?;
    let customer = params.required("customer")?;
    world
        .customer(customer)
        .map_err(|refusal| refusal.param("customer"))?;
    let days = params.choice("type", &KINDS)?;
    let keep = |row: &PaymentMethod| {
        row.customer.as_deref() == Some(customer) && days.is_none_or(|days| row.card.takes_days() == days)
    };
    page(
        &world.payment_methods,
        params,
        "/v1/payment_methods",
        keep,
        |row| shape::payment_method(world, row),
    )
}

/// The simulated kinds of payment, and whether they take days.
pub(super) const KINDS: [(&str, bool); 2] = [("card", false), ("us_bank_account", true)];

/// Puts one of Stripe's shorthand cards on file.
fn attach(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["customer"]])?;
    let customer = params.required("customer")?;
    world
        .customer(customer)
        .map_err(|refusal| refusal.param("customer"))?;
    let card = Card::from_shorthand(id).ok_or_else(|| Refusal::not_found("PaymentMethod", id))?;
    let before = world.customer(customer)?.card.clone();
    let id = world.attach_card(customer, card)?;
    // Attaching alone does not make it the one that invoices are charged to.
    world.change_customer(customer, |row| row.card = before.or_else(|| Some(id.clone())))?;
    get_payment_method(world, &id, &Params::default())
}

fn detach(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let customer = found(world, id)?.customer.clone();
    let Some(customer) = customer else {
        let message =
            "The payment method you provided is not attached to a customer so detachment is impossible.";
        return Err(Refusal::invalid(message));
    };
    world.detach_card(&customer, id)?;
    get_payment_method(world, id, &Params::default())
}
