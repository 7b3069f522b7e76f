//! Customers.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::money::KINDS;
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::purchase::NewCustomer;
use crate::stripe::world::World;
use crate::stripe::world::customer::{Card, Customer, PaymentMethod};

const FIELDS: &[&str] = &["email", "name", "phone", "description", "metadata.*"];

/// `/v1/customers...`
pub(crate) fn customers(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create(world, params),
        ("GET", []) => list(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id]) => update(world, id, params),
        ("DELETE", [id]) => delete(world, id, params),
        ("GET", [id, "payment_methods"]) => payment_methods(world, id, params),
        _ => return None,
    })
}

fn create(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    let card_params = &[
        "payment_method",
        "invoice_settings.default_payment_method",
        "test_clock",
    ];
    params.allow(&[COMMON, FIELDS, card_params])?;
    check_email(params)?;
    let new = NewCustomer {
        email: params.owned("email"),
        name: params.owned("name"),
        phone: params.owned("phone"),
        description: params.owned("description"),
        metadata: params.metadata("metadata")?,
        test_clock: params.owned("test_clock"),
    };
    if let Some(clock) = &new.test_clock {
        world.check_room_on_clock(clock)?;
    }
    let card = params
        .text("payment_method")
        .or(params.text("invoice_settings.default_payment_method"));
    let card = card.map(shorthand).transpose()?;
    let id = world.create_customer(new)?;
    if let Some(card) = card {
        world.attach_card(&id, card)?;
    }
    get(world, &id, &Params::default())
}

/// Only Stripe's shorthand cards can be put on file without a page.
fn shorthand(id: &str) -> Result<Card, Refusal> {
    Card::from_shorthand(id).ok_or_else(|| Refusal::missing("PaymentMethod", id).param("payment_method"))
}

fn check_email(params: &Params) -> Result<(), Refusal> {
    match params.text("email") {
        Some(email) if !email.contains('@') || email.len() > 512 => {
            let message = format!("Invalid email address: {email}");
            Err(Refusal::invalid(message).code("email_invalid").param("email"))
        }
        _ => Ok(()),
    }
}

/// A deleted customer is still answered, as a trace of itself.
fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let customer = world
        .customers
        .get(id)
        .ok_or_else(|| Refusal::not_found("customer", id))?;
    Ok(shape::customer(world, customer))
}

fn living(world: &World, id: &str) -> Result<(), Refusal> {
    world
        .customer(id)
        .map(drop)
        .map_err(|_| Refusal::not_found("customer", id))
}

fn update(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, FIELDS, &["invoice_settings.default_payment_method"]])?;
    living(world, id)?;
    check_email(params)?;
    let mut metadata = world.customer(id)?.metadata.clone();
    params.merge_metadata("metadata", &mut metadata)?;
    let card = params
        .text("invoice_settings.default_payment_method")
        .map(|card| {
            let theirs = world
                .payment_methods
                .get(card)
                .filter(|method| method.customer.as_deref() == Some(id));
            theirs
                .map(|method| method.id.clone())
                .ok_or_else(|| Refusal::missing("PaymentMethod", card))
        });
    let card = card.transpose()?;
    world.change_customer(id, |customer| {
        change(&mut customer.email, params, "email");
        change(&mut customer.name, params, "name");
        change(&mut customer.phone, params, "phone");
        change(&mut customer.description, params, "description");
        customer.metadata = metadata;
        if card.is_some() {
            customer.card = card;
        }
    })?;
    get(world, id, &Params::default())
}

fn change(field: &mut Option<String>, params: &Params, name: &str) {
    if params.has(name) {
        *field = params.owned(name);
    }
}

fn delete(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[])?;
    living(world, id)?;
    world.delete_customer(id)?;
    get(world, id, &Params::default())
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["email", "test_clock"]])?;
    let keep = |row: &Customer| {
        !row.deleted
            && row.test_clock.as_deref() == params.text("test_clock")
            && params
                .text("email")
                .is_none_or(|email| row.email.as_deref() == Some(email))
    };
    page(&world.customers, params, "/v1/customers", keep, |row| {
        shape::customer(world, row)
    })
}

fn payment_methods(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["type"]])?;
    living(world, id)?;
    let url = format!("/v1/customers/{id}/payment_methods");
    let days = params.choice("type", &KINDS)?;
    let keep = |row: &PaymentMethod| {
        row.customer.as_deref() == Some(id) && days.is_none_or(|days| row.card.takes_days() == days)
    };
    page(&world.payment_methods, params, &url, keep, |row| {
        shape::payment_method(world, row)
    })
}
