//! Subscriptions.

use serde_json::Value;

use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served, discounts, items, listing};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::change::{ItemChange, PaymentBehavior};
use crate::stripe::story::discount::Redemption;
use crate::stripe::story::pay::Means;
use crate::stripe::story::purchase::NewSubscription;
use crate::stripe::world::World;
use crate::stripe::world::subscription::{
    MissingPaymentMethod, PauseBehavior, PauseCollection, PauseReason, Status, Subscription,
};

const NEW: &[&str] = &[
    "customer",
    "items.#.price",
    "items.#.quantity",
    "metadata.*",
    "description",
    "trial_period_days",
    "trial_end",
    "automatic_tax.enabled",
    "trial_settings.end_behavior.missing_payment_method",
    "default_payment_method",
    "payment_behavior",
    "off_session",
];
const CHANGE: &[&str] = &[
    "cancel_at_period_end",
    "cancel_at",
    "items.#.id",
    "items.#.price",
    "items.#.quantity",
    "items.#.deleted",
    "proration_behavior",
    "proration_date",
    "trial_end",
    "trial_settings.end_behavior.missing_payment_method",
    "automatic_tax.enabled",
    "off_session",
    "pause_collection.behavior",
    "pause_collection.resumes_at",
    "metadata.*",
    "description",
    "default_payment_method",
    "payment_behavior",
    "cancellation_details.comment",
    "cancellation_details.feedback",
];
const FEEDBACK: [(&str, &str); 8] = [
    ("customer_service", "customer_service"),
    ("low_quality", "low_quality"),
    ("missing_features", "missing_features"),
    ("other", "other"),
    ("switched_service", "switched_service"),
    ("too_complex", "too_complex"),
    ("too_expensive", "too_expensive"),
    ("unused", "unused"),
];

/// `/v1/subscriptions...`
pub(crate) fn subscriptions(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create(world, params),
        ("GET", []) => listing::subscriptions(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id]) => update(world, id, params),
        ("DELETE", [id]) => cancel(world, id, params),
        ("DELETE", [id, "discount"]) => clear_discounts(world, id, params),
        ("POST", [id, "pause"]) => pause(world, id, params),
        ("POST", [id, "resume"]) => resume(world, id, params),
        _ => return None,
    })
}

fn create(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, NEW, discounts::WISHES])?;
    let customer = params.required("customer")?.to_owned();
    world
        .customer(&customer)
        .map_err(|refusal| refusal.param("customer"))?;
    let items = new_items(world, params)?;
    let missing = "trial_settings.end_behavior.missing_payment_method";
    let new = NewSubscription {
        customer: customer.clone(),
        items,
        metadata: params.metadata("metadata")?,
        description: params.owned("description"),
        trial_days: params.integer_within("trial_period_days", 1, 730)?,
        trial_end: trial_end(world, params)?.filter(|end| *end > world.now()),
        discounts: discounts::wishes(world, params)?,
        checkout_session: None,
        automatic_tax: params.boolean("automatic_tax.enabled")?.unwrap_or(false),
        payment: params
            .choice("payment_behavior", &PaymentBehavior::NAMES)?
            .unwrap_or_default(),
        missing_payment_method: params.choice(missing, &MissingPaymentMethod::NAMES)?,
        payment_method: card(world, params, &customer)?,
    };
    let has_card = new.payment_method.is_some() || world.customer(&customer)?.card.is_some();
    let pays_later = new.trial_days.is_some()
        || new.trial_end.is_some()
        || new.payment == PaymentBehavior::DefaultIncomplete;
    if !has_card && !pays_later {
        let message = "This customer has no attached payment source or default payment method. Please \
                       consider adding a default payment method.";
        return Err(Refusal::invalid(message).code("resource_missing"));
    }
    let (id, _) = world.create_subscription(new, Means::OnFile)?;
    get(world, &id, &Params::default())
}

fn new_items(world: &World, params: &Params) -> Result<Vec<(String, i64)>, Refusal> {
    let mut items = Vec::new();
    for (place, item) in params.branches("items").iter().enumerate() {
        let price = item
            .text("price")
            .ok_or_else(|| Refusal::required(&format!("items[{place}][price]")))?;
        world
            .price(price)
            .map_err(|refusal| refusal.param(format!("items[{place}][price]")))?;
        items.push((
            price.to_owned(),
            item.integer_within("quantity", 0, 999_999)?.unwrap_or(1),
        ));
    }
    if items.is_empty() {
        return Err(Refusal::required("items"));
    }
    if items.len() > 20 {
        return Err(Refusal::invalid("Array items exceeded maximum 20 allowed elements.").param("items"));
    }
    Ok(items)
}

/// `now`, or a moment that is not long ago.
fn trial_end(world: &World, params: &Params) -> Result<Option<i64>, Refusal> {
    let now = world.now();
    if params.text("trial_end") == Some("now") {
        return Ok(Some(now));
    }
    let end = params.integer("trial_end")?;
    if end.is_some_and(|end| end < now) {
        let message = "Invalid timestamp: must be an integer Unix timestamp in the future.";
        return Err(Refusal::invalid(message).param("trial_end"));
    }
    Ok(end)
}

/// The customer's own card that `default_payment_method` names.
fn card(world: &World, params: &Params, customer: &str) -> Result<Option<String>, Refusal> {
    let name = "default_payment_method";
    let Some(id) = params.text(name) else {
        return Ok(None);
    };
    let theirs = world
        .payment_methods
        .get(id)
        .filter(|method| method.customer.as_deref() == Some(customer));
    let theirs = theirs.map(|method| Some(method.id.clone()));
    theirs.ok_or_else(|| Refusal::missing("PaymentMethod", id).param(name))
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a Subscription, Refusal> {
    world
        .subscriptions
        .get(id)
        .ok_or_else(|| Refusal::not_found("subscription", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::subscription(world, found(world, id)?))
}

fn update(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, CHANGE, discounts::WISHES])?;
    let before = found(world, id)?.clone();
    let only_words = params.flat().iter().all(|(name, _)| {
        name.starts_with("metadata") || name.starts_with("cancellation_details") || name.starts_with("expand")
    });
    if !only_words {
        world.living(id)?;
    }
    let changes = item_changes(params)?;
    if params.has("cancel_at_period_end") && params.text("cancel_at").is_some() {
        let message = "You cannot set `cancel_at` and `cancel_at_period_end` at the same time.";
        return Err(Refusal::invalid(message));
    }
    if !changes.is_empty() {
        world.change_items_as(id, &changes, items::how(params)?)?;
    }
    update_discounts(world, id, params)?;
    update_trial(world, id, params)?;
    match params.boolean("cancel_at_period_end")? {
        Some(ends) if ends != before.cancel_at_period_end => world.cancel_at_period_end(id, ends)?,
        _ => {}
    }
    if params.has("cancel_at") {
        let at = params.integer("cancel_at")?;
        if at.is_some_and(|at| at <= world.now()) {
            let message = "The timestamp for `cancel_at` must be in the future.";
            return Err(Refusal::invalid(message).param("cancel_at"));
        }
        world.cancel_at(id, at)?;
    }
    if params.has("pause_collection") {
        let pause = pause_collection(params)?;
        world.set_pause_collection(id, pause)?;
    }
    update_fields(world, id, params)?;
    get(world, id, &Params::default())
}

fn update_discounts(world: &mut World, id: &str, params: &Params) -> Result<(), Refusal> {
    if !params.has("discounts") {
        return Ok(());
    }
    let wishes = discounts::wishes(world, params)?;
    let row = found(world, id)?.clone();
    let purchase = Redemption {
        customer: Some(&row.customer),
        amount: i64::MAX,
        currency: &row.currency,
    };
    for wish in &wishes {
        world.check_wish(wish, &purchase)?;
    }
    world.clear_discounts(id)?;
    for wish in &wishes {
        let discount = world.redeem(wish, &purchase, Some(id), None)?;
        world.change_subscription(id, |subscription| subscription.discounts.push(discount))?;
    }
    Ok(())
}

fn update_trial(world: &mut World, id: &str, params: &Params) -> Result<(), Refusal> {
    match trial_end(world, params)? {
        None => Ok(()),
        Some(end) if end <= world.now() => world.end_trial_now(id),
        Some(end) => world.move_trial_end(id, end),
    }
}

fn item_changes(params: &Params) -> Result<Vec<ItemChange>, Refusal> {
    let changes = params.branches("items").into_iter().map(|item| {
        Ok(ItemChange {
            id: item.owned("id"),
            price: item.owned("price"),
            quantity: item.integer_within("quantity", 0, 999_999)?,
            deleted: item.boolean("deleted")?.unwrap_or(false),
        })
    });
    changes.collect()
}

fn pause_collection(params: &Params) -> Result<Option<PauseCollection>, Refusal> {
    if params.unsets("pause_collection") {
        return Ok(None);
    }
    let behavior = params.choice("pause_collection.behavior", &PauseBehavior::NAMES)?;
    let behavior = behavior.ok_or_else(|| Refusal::required("pause_collection[behavior]"))?;
    let resumes_at = params.integer("pause_collection.resumes_at")?;
    Ok(Some(PauseCollection { behavior, resumes_at }))
}

fn update_fields(world: &mut World, id: &str, params: &Params) -> Result<(), Refusal> {
    let before = found(world, id)?;
    let mut metadata = before.metadata.clone();
    params.merge_metadata("metadata", &mut metadata)?;
    let card = card(world, params, &before.customer)?;
    let feedback = params.choice("cancellation_details.feedback", &FEEDBACK)?;
    let missing = "trial_settings.end_behavior.missing_payment_method";
    let missing = params.choice(missing, &MissingPaymentMethod::NAMES)?;
    let automatic_tax = params.boolean("automatic_tax.enabled")?;
    world.change_subscription(id, |subscription| {
        subscription.metadata = metadata;
        if params.has("description") {
            subscription.description = params.owned("description");
        }
        if params.has("default_payment_method") {
            subscription.payment_method = card;
        }
        if let Some(missing) = missing {
            subscription.missing_payment_method = missing;
        }
        subscription.automatic_tax = automatic_tax.unwrap_or(subscription.automatic_tax);
        if let Some(feedback) = feedback {
            subscription.cancellation.feedback = Some(feedback.to_owned());
        }
        if params.has("cancellation_details.comment") {
            subscription.cancellation.comment = params.owned("cancellation_details.comment");
        }
    })
}

fn cancel(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    let details = &[
        "cancellation_details.comment",
        "cancellation_details.feedback",
        "invoice_now",
        "prorate",
    ];
    params.allow(&[COMMON, details])?;
    for name in ["invoice_now", "prorate"] {
        if params.boolean(name)? == Some(true) {
            let message = format!("This sandbox does not simulate `{name}` on cancellation.");
            return Err(Refusal::invalid(message).param(name));
        }
    }
    found(world, id)?;
    world
        .cancel(id, "cancellation_requested")
        .map_err(|_| Refusal::not_found("subscription", id))?;
    get(world, id, &Params::default())
}

fn clear_discounts(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[])?;
    let first = found(world, id)?.discounts.first().cloned();
    let first = first.ok_or_else(|| Refusal::invalid("No active discount for this subscription."))?;
    world.clear_discounts(id)?;
    let trace = world.discounts.get(&first).map(|row| {
        let mut object = shape::discount(world, row);
        if let Some(map) = object.as_object_mut() {
            map.insert("deleted".to_owned(), Value::Bool(true));
        }
        object
    });
    Ok(trace.unwrap_or_default())
}

/// On demand: only what is in order can be paused, and nothing is billed for the rest of the period.
fn pause(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["type", "invoicing_behavior", "bill_for.*.type"]])?;
    if params.choice("type", &[("subscription", ())])?.is_none() {
        return Err(Refusal::required("type"));
    }
    if !matches!(found(world, id)?.status, Status::Active | Status::Trialing) {
        let message = "This subscription cannot be paused because it is not active.";
        return Err(Refusal::invalid(message));
    }
    world.pause(id, PauseReason::Requested)?;
    get(world, id, &Params::default())
}

fn resume(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    let names = &["billing_cycle_anchor", "proration_behavior", "payment_behavior"];
    params.allow(&[COMMON, names])?;
    if params.choice("billing_cycle_anchor", &[("now", true), ("unchanged", false)])? == Some(false) {
        let message = "This sandbox resumes with a new billing period only.";
        return Err(Refusal::invalid(message).param("billing_cycle_anchor"));
    }
    let behaviors = [
        ("resume_on_payment_attempt", false),
        ("resume_on_payment_success", true),
    ];
    found(world, id)?;
    match params.choice("payment_behavior", &behaviors)? {
        Some(true) => world.resume_when_paid(id)?,
        _ => world.resume(id)?,
    }
    get(world, id, &Params::default())
}
