//! Invoices.

use serde_json::Value;

use crate::stripe::api::items::settled_from;
use crate::stripe::api::list::{PAGING, page, page_in_order};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::change::{ItemChange, Proration};
use crate::stripe::story::pay::{Means, Outcome};
use crate::stripe::world::World;
use crate::stripe::world::invoice::{Invoice, InvoiceStatus, Line};

const PREVIEW: &[&str] = &[
    "customer",
    "subscription",
    "subscription_details.items.#.id",
    "subscription_details.items.#.price",
    "subscription_details.items.#.quantity",
    "subscription_details.items.#.deleted",
    "subscription_details.proration_behavior",
    "subscription_details.proration_date",
    "preview_mode",
];

/// `/v1/invoices...`
pub(crate) fn invoices(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list(world, params),
        ("POST", ["create_preview"]) => preview(world, params),
        ("GET", [id]) => get(world, id, params),
        ("GET", [id, "lines"]) => lines(world, id, params),
        ("POST", [id, "finalize"]) => act(world, id, params, World::finalize),
        ("POST", [id, "void"]) => act(world, id, params, World::void_invoice),
        ("POST", [id, "mark_uncollectible"]) => act(world, id, params, World::mark_uncollectible),
        ("POST", [id, "pay"]) => pay(world, id, params),
        _ => return None,
    })
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a Invoice, Refusal> {
    world
        .invoices
        .get(id)
        .ok_or_else(|| Refusal::not_found("invoice", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::invoice(world, found(world, id)?))
}

fn lines(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[&["limit", "starting_after", "ending_before", "expand.#"]])?;
    let invoice = found(world, id)?;
    let show = |row: &Line| shape::line(world, invoice, row);
    let url = format!("/v1/invoices/{id}/lines");
    page_in_order(&invoice.lines, params, &url, |row| &row.id, show)
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["customer", "subscription", "status"]])?;
    let status = params.choice("status", &InvoiceStatus::NAMES)?;
    let keep = |row: &Invoice| {
        status.is_none_or(|status| row.status == status)
            && params.text("customer").is_none_or(|id| row.customer == id)
            && params
                .text("subscription")
                .is_none_or(|id| row.subscription.as_deref() == Some(id))
    };
    page(&world.invoices, params, "/v1/invoices", keep, |row| {
        shape::invoice(world, row)
    })
}

fn act(
    world: &mut World,
    id: &str,
    params: &Params,
    action: impl FnOnce(&mut World, &str) -> Result<(), Refusal>,
) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    found(world, id)?;
    action(world, id)?;
    get(world, id, &Params::default())
}

fn pay(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["off_session"]])?;
    found(world, id)?;
    match world.pay_invoice(id, Means::OnFile)? {
        Outcome::Paid | Outcome::Processing => get(world, id, &Params::default()),
        Outcome::Declined => Err(Refusal::declined()),
        Outcome::ActionRequired => Err(Refusal::action_required()),
    }
}

fn preview(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, PREVIEW])?;
    let subscription = params.text("subscription").ok_or_else(|| {
        let message = "This sandbox previews the invoices of subscriptions only: pass `subscription`.";
        Refusal::invalid(message).param("subscription")
    })?;
    let row = world
        .subscription(subscription)
        .map_err(|refusal| refusal.param("subscription"))?;
    if params
        .text("customer")
        .is_some_and(|customer| customer != row.customer)
    {
        let message = "The subscription does not belong to the customer.";
        return Err(Refusal::invalid(message).param("customer"));
    }
    let changes = params
        .branches("subscription_details.items")
        .into_iter()
        .map(|item| {
            Ok(ItemChange {
                id: item.owned("id"),
                price: item.owned("price"),
                quantity: item.integer_within("quantity", 0, 999_999)?,
                deleted: item.boolean("deleted")?.unwrap_or(false),
            })
        });
    let changes = changes.collect::<Result<Vec<_>, Refusal>>()?;
    params.choice("preview_mode", &[("next", ())])?;
    let proration = params.choice("subscription_details.proration_behavior", &Proration::NAMES)?;
    let at = settled_from(params, proration, "subscription_details.proration_date")?;
    world.preview_change(
        subscription,
        &changes,
        proration.unwrap_or(Proration::NextInvoice),
        at.unwrap_or_else(|| world.now()),
    )
}
