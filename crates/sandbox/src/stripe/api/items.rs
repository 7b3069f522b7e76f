//! The items of subscriptions.

use serde_json::{Value, json};

use crate::stripe::api::list::page_in_order;
use crate::stripe::api::params::{Params, bracketed_path};
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::change::{HowToChange, ItemChange, PaymentBehavior, Proration};
use crate::stripe::world::World;
use crate::stripe::world::subscription::{Item, Subscription};

const CHANGE: &[&str] = &[
    "price",
    "quantity",
    "metadata.*",
    "proration_behavior",
    "proration_date",
    "payment_behavior",
];

/// `/v1/subscription_items...`
pub(crate) fn items(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("GET", []) => list(world, params),
        ("POST", []) => create(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id]) => update(world, id, params),
        ("DELETE", [id]) => delete(world, id, params),
        _ => return None,
    })
}

fn found<'a>(world: &'a World, id: &str) -> Result<(&'a Subscription, &'a Item), Refusal> {
    let subscription = world.subscription_of_item(id).filter(|row| !row.over());
    let found = subscription.and_then(|row| {
        let item = row.items.iter().find(|item| item.id == id)?;
        Some((row, item))
    });
    found.ok_or_else(|| Refusal::not_found("subscription_item", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let (subscription, item) = found(world, id)?;
    Ok(shape::item(world, &subscription.id, item))
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    let paging = &[
        "limit",
        "starting_after",
        "ending_before",
        "expand.#",
        "subscription",
    ];
    params.allow(&[paging])?;
    let id = params.required("subscription")?;
    let subscription = world
        .subscription(id)
        .map_err(|refusal| refusal.param("subscription"))?;
    let show = |row: &Item| shape::item(world, id, row);
    let url = "/v1/subscription_items";
    page_in_order(&subscription.items, params, url, |row| &row.id, show)
}

/// How a call wants a change to be made.
pub(super) fn how(params: &Params) -> Result<HowToChange, Refusal> {
    let proration = params.choice("proration_behavior", &Proration::NAMES)?;
    let payment = params.choice("payment_behavior", &PaymentBehavior::NAMES)?;
    Ok(HowToChange {
        proration: proration.unwrap_or(Proration::NextInvoice),
        payment: payment.unwrap_or_default(),
        at: settled_from(params, proration, "proration_date")?,
    })
}

/// The moment from which a change is settled, which where nothing is settled must not be named. Stripe's
/// reference says so of previews; of changes it is taken to be the same.
pub(super) fn settled_from(
    params: &Params,
    proration: Option<Proration>,
    name: &str,
) -> Result<Option<i64>, Refusal> {
    let at = params.integer(name)?;
    if at.is_some() && proration == Some(Proration::Nothing) {
        let behavior = name.replace("proration_date", "proration_behavior");
        let message = format!("`{behavior}` cannot be set to `none` when `{name}` is set.");
        return Err(Refusal::invalid(message).param(bracketed_path(name)));
    }
    Ok(at)
}

fn create(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, CHANGE, &["subscription"]])?;
    let subscription = params.required("subscription")?.to_owned();
    let change = ItemChange {
        price: Some(params.required("price")?.to_owned()),
        quantity: params.integer_within("quantity", 0, 999_999)?,
        ..ItemChange::default()
    };
    let metadata = params.metadata("metadata")?;
    world
        .subscription(&subscription)
        .map_err(|refusal| refusal.param("subscription"))?;
    let known: Vec<String> = ids(world, &subscription)?;
    world.change_items_as(&subscription, &[change], how(params)?)?;
    let new = ids(world, &subscription)?
        .into_iter()
        .find(|id| !known.contains(id));
    // A change that waits for its payment has not made the item yet.
    let new = new.ok_or_else(Refusal::declined)?;
    set_metadata(world, &subscription, &new, metadata)?;
    get(world, &new, &Params::default())
}

fn ids(world: &World, subscription: &str) -> Result<Vec<String>, Refusal> {
    let items = &world.subscription(subscription)?.items;
    Ok(items.iter().map(|item| item.id.clone()).collect())
}

fn set_metadata(
    world: &mut World,
    subscription: &str,
    id: &str,
    metadata: crate::stripe::world::Metadata,
) -> Result<(), Refusal> {
    world.change_subscription(subscription, |row| {
        if let Some(item) = row.items.iter_mut().find(|item| item.id == id) {
            item.metadata = metadata;
        }
    })
}

fn update(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, CHANGE])?;
    let (subscription, item) = found(world, id)?;
    let (subscription, mut metadata) = (subscription.id.clone(), item.metadata.clone());
    params.merge_metadata("metadata", &mut metadata)?;
    let change = ItemChange {
        id: Some(id.to_owned()),
        price: params.owned("price"),
        quantity: params.integer_within("quantity", 0, 999_999)?,
        deleted: false,
    };
    world.change_items_as(&subscription, &[change], how(params)?)?;
    set_metadata(world, &subscription, id, metadata)?;
    get(world, id, &Params::default())
}

fn delete(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    let names = &[
        "proration_behavior",
        "proration_date",
        "payment_behavior",
        "clear_usage",
    ];
    params.allow(&[names])?;
    let subscription = found(world, id)?.0.id.clone();
    let change = ItemChange {
        id: Some(id.to_owned()),
        deleted: true,
        ..ItemChange::default()
    };
    world.change_items_as(&subscription, &[change], how(params)?)?;
    Ok(json!({ "id": id, "object": "subscription_item", "deleted": true }))
}
