//! Products and prices.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::catalog::{Interval, Price, Product, Recurring};

const PRODUCT: &[&str] = &["id", "name", "description", "active", "metadata.*"];
const NEW_PRICE: &[&str] = &[
    "currency",
    "unit_amount",
    "product",
    "product_data.name",
    "product_data.metadata.*",
    "recurring.interval",
    "recurring.interval_count",
    "nickname",
    "lookup_key",
    "active",
    "metadata.*",
];

/// `/v1/products...`
pub(crate) fn products(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create_product(world, params),
        ("GET", []) => list_products(world, params),
        ("GET", [id]) => get_product(world, id, params),
        ("POST", [id]) => update_product(world, id, params),
        ("DELETE", [id]) => delete_product(world, id, params),
        _ => return None,
    })
}

fn create_product(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, PRODUCT])?;
    let now = world.now();
    let id = params.owned("id").unwrap_or_else(|| world.ids.product());
    if world.products.get(&id).is_some() {
        return Err(Refusal::invalid(format!("Product already exists: {id}")).code("resource_already_exists"));
    }
    let product = Product {
        id,
        name: params.required("name")?.to_owned(),
        description: params.owned("description"),
        active: params.boolean("active")?.unwrap_or(true),
        metadata: params.metadata("metadata")?,
        deleted: false,
        created: now,
        updated: now,
    };
    let shown = shape::product(world, &product);
    world.products.insert(product);
    world.emit("product.created", shown.clone(), None);
    Ok(shown)
}

fn get_product(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let product = world
        .products
        .get(id)
        .ok_or_else(|| Refusal::not_found("product", id))?;
    Ok(shape::product(world, product))
}

fn update_product(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["name", "description", "active", "metadata.*"]])?;
    living_product(world, id)?;
    let before = get_product(world, id, &Params::default())?;
    let active = params.boolean("active")?;
    let now = world.now();
    if let Some(product) = world.products.get_mut(id) {
        product.name = params.owned("name").unwrap_or_else(|| product.name.clone());
        product.active = active.unwrap_or(product.active);
        product.updated = now;
        if params.has("description") {
            product.description = params.owned("description");
        }
        params.merge_metadata("metadata", &mut product.metadata)?;
    }
    let after = get_product(world, id, &Params::default())?;
    world.emit(
        "product.updated",
        after.clone(),
        shape::previous_attributes(&before, &after),
    );
    Ok(after)
}

/// Only a product without prices can be deleted by the API.
fn delete_product(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[])?;
    living_product(world, id)?;
    if world.prices.rows().iter().any(|price| price.product == id) {
        let message = "This product cannot be deleted because it has one or more user-created prices.";
        return Err(Refusal::invalid(message));
    }
    world.delete_product(id)?;
    get_product(world, id, &Params::default())
}

fn living_product(world: &World, id: &str) -> Result<(), Refusal> {
    let found = world.products.get(id).filter(|product| !product.deleted);
    found.map(drop).ok_or_else(|| Refusal::not_found("product", id))
}

fn list_products(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["active", "ids.#"]])?;
    let active = params.boolean("active")?;
    let ids = params.texts("ids");
    let keep = |row: &Product| {
        !row.deleted
            && active.is_none_or(|active| row.active == active)
            && (ids.is_empty() || ids.contains(&row.id))
    };
    page(&world.products, params, "/v1/products", keep, |row| {
        shape::product(world, row)
    })
}

/// `/v1/prices...`
pub(crate) fn prices(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create_price(world, params),
        ("GET", []) => list_prices(world, params),
        ("GET", [id]) => get_price(world, id, params),
        ("POST", [id]) => update_price(world, id, params),
        _ => return None,
    })
}

fn create_price(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, NEW_PRICE])?;
    let currency = currency(params)?;
    let unit_amount = params.integer_within("unit_amount", 0, 99_999_999)?;
    let unit_amount = unit_amount.ok_or_else(|| Refusal::required("unit_amount"))?;
    let recurring = recurring(params)?;
    let product = product_of(world, params)?;
    let price = Price {
        id: world.ids.price(),
        product,
        currency,
        unit_amount,
        recurring,
        nickname: params.owned("nickname"),
        lookup_key: params.owned("lookup_key"),
        active: params.boolean("active")?.unwrap_or(true),
        metadata: params.metadata("metadata")?,
        deleted: false,
        created: world.now(),
    };
    let shown = shape::price(world, &price);
    world.prices.insert(price);
    world.emit("price.created", shown.clone(), None);
    Ok(shown)
}

/// Three letters, told in lower case.
fn currency(params: &Params) -> Result<String, Refusal> {
    let currency = params.required("currency")?.to_ascii_lowercase();
    if currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(currency);
    }
    Err(Refusal::invalid(format!("Invalid currency: {currency}.")).param("currency"))
}

fn recurring(params: &Params) -> Result<Option<Recurring>, Refusal> {
    if !params.has("recurring") {
        return Ok(None);
    }
    let interval = params.choice("recurring.interval", &Interval::NAMES)?;
    let interval = interval.ok_or_else(|| Refusal::required("recurring[interval]"))?;
    let count = params
        .integer_within("recurring.interval_count", 1, 36)?
        .unwrap_or(1);
    Ok(Some(Recurring {
        interval,
        count: u32::try_from(count).unwrap_or(1),
    }))
}

fn product_of(world: &mut World, params: &Params) -> Result<String, Refusal> {
    if let Some(id) = params.text("product") {
        let found = world.products.get(id).filter(|product| !product.deleted);
        let found = found.map(|product| product.id.clone());
        return found.ok_or_else(|| Refusal::missing("product", id).param("product"));
    }
    if !params.has("product_data") {
        return Err(Refusal::required("product"));
    }
    let now = world.now();
    let product = Product {
        id: world.ids.product(),
        name: params.required("product_data.name")?.to_owned(),
        description: None,
        active: true,
        metadata: params.metadata("product_data.metadata")?,
        deleted: false,
        created: now,
        updated: now,
    };
    let id = product.id.clone();
    let shown = shape::product(world, &product);
    world.products.insert(product);
    world.emit("product.created", shown, None);
    Ok(id)
}

fn get_price(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let price = world.price(id).map_err(|_| Refusal::not_found("price", id))?;
    Ok(shape::price(world, price))
}

fn update_price(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["active", "nickname", "lookup_key", "metadata.*"]])?;
    let before = get_price(world, id, &Params::default())?;
    let active = params.boolean("active")?;
    if let Some(price) = world.prices.get_mut(id) {
        price.active = active.unwrap_or(price.active);
        if params.has("nickname") {
            price.nickname = params.owned("nickname");
        }
        if params.has("lookup_key") {
            price.lookup_key = params.owned("lookup_key");
        }
        params.merge_metadata("metadata", &mut price.metadata)?;
    }
    let after = get_price(world, id, &Params::default())?;
    world.emit(
        "price.updated",
        after.clone(),
        shape::previous_attributes(&before, &after),
    );
    Ok(after)
}

fn list_prices(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[
        PAGING,
        &["active", "product", "currency", "type", "lookup_keys.#"],
    ])?;
    let active = params.boolean("active")?;
    let lookup_keys = params.texts("lookup_keys");
    let recurring = params.choice("type", &[("one_time", false), ("recurring", true)])?;
    let keep = |row: &Price| {
        !row.deleted
            && active.is_none_or(|active| row.active == active)
            && params.text("product").is_none_or(|id| row.product == id)
            && params
                .text("currency")
                .is_none_or(|currency| row.currency == currency)
            && recurring.is_none_or(|recurring| row.recurring.is_some() == recurring)
            && (lookup_keys.is_empty()
                || row
                    .lookup_key
                    .as_ref()
                    .is_some_and(|key| lookup_keys.contains(key)))
    };
    page(&world.prices, params, "/v1/prices", keep, |row| {
        shape::price(world, row)
    })
}
