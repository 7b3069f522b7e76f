//! Checkout sessions.

use serde_json::Value;
use url::Url;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::session_params::{
    card_if_required, check_buyer, check_tax, currency, expires_at, intent_metadata, payment_method_types,
    subscription_data,
};
use crate::stripe::api::{COMMON, Served, discounts};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::story::discount::Redemption;
use crate::stripe::world::World;
use crate::stripe::world::discount::DiscountWish;
use crate::stripe::world::session::{CheckoutSession, Mode, SessionLine, SessionStatus};

const NEW_SESSION: &[&str] = &[
    "mode",
    "success_url",
    "cancel_url",
    "line_items.#.price",
    "line_items.#.quantity",
    "customer",
    "customer_email",
    "customer_creation",
    "client_reference_id",
    "metadata.*",
    "subscription_data.metadata.*",
    "subscription_data.description",
    "subscription_data.trial_period_days",
    "subscription_data.trial_end",
    "subscription_data.trial_settings.end_behavior.missing_payment_method",
    "payment_intent_data.metadata.*",
    "setup_intent_data.metadata.*",
    "allow_promotion_codes",
    "currency",
    "expires_at",
    "locale",
    "payment_method_types.#",
    "payment_method_collection",
    "automatic_tax.enabled",
    "customer_update.address",
    "customer_update.name",
    "customer_update.shipping",
    "billing_address_collection",
    "tax_id_collection.enabled",
    "phone_number_collection.enabled",
    "submit_type",
    "ui_mode",
];

/// `/v1/checkout/sessions...`
pub(crate) fn sessions(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    let ["sessions", path @ ..] = path else {
        return None;
    };
    Some(match (method, path) {
        ("POST", []) => create(world, params),
        ("GET", []) => list(world, params),
        ("GET", [id]) => get(world, id, params),
        ("POST", [id]) => update(world, id, params),
        ("POST", [id, "expire"]) => expire(world, id, params),
        ("GET", [id, "line_items"]) => line_items(world, id, params),
        _ => return None,
    })
}

fn create(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, NEW_SESSION, discounts::WISHES])?;
    let mode = params
        .choice("mode", &Mode::NAMES)?
        .ok_or_else(|| Refusal::required("mode"))?;
    params.choice("ui_mode", &[("hosted", ()), ("hosted_page", ())])?;
    let success_url = url(params, "success_url")?.ok_or_else(|| Refusal::required("success_url"))?;
    let cancel_url = url(params, "cancel_url")?;
    let lines = lines(world, params, mode)?;
    let currency = currency(world, params, mode, &lines)?;
    check_buyer(world, params, mode)?;
    if let (Mode::Subscription, Some(customer), Some(currency)) = (mode, params.text("customer"), &currency) {
        world.check_currency(customer, currency)?;
    }
    check_tax(params)?;
    let subscription_data = subscription_data(params, mode, world.now())?;
    let now = world.now();
    let session = CheckoutSession {
        id: world.ids.checkout(),
        mode,
        status: SessionStatus::Open,
        lines,
        currency,
        customer: params.owned("customer"),
        customer_email: params.owned("customer_email"),
        entered_email: None,
        customer_creation: params.owned("customer_creation"),
        client_reference_id: params.owned("client_reference_id"),
        metadata: params.metadata("metadata")?,
        success_url,
        cancel_url,
        subscription_data,
        intent_metadata: intent_metadata(params, mode)?,
        allow_promotion_codes: params.boolean("allow_promotion_codes")?,
        discounts: discounts(world, params)?,
        automatic_tax: params.boolean("automatic_tax.enabled")?.unwrap_or(false),
        card_if_required: card_if_required(params, mode)?,
        payment_method_types: payment_method_types(params)?,
        awaits_payment: false,
        locale: params.owned("locale"),
        created: now,
        expires_at: expires_at(params, now)?,
        subscription: None,
        invoice: None,
        payment_intent: None,
        setup_intent: None,
    };
    check_redeemable(world, &session)?;
    let shown = shape::checkout(world, &session);
    world.checkouts.insert(session);
    Ok(shown)
}

/// One discount, and no codes besides.
fn discounts(world: &World, params: &Params) -> Result<Vec<DiscountWish>, Refusal> {
    let wishes = discounts::wishes(world, params)?;
    if wishes.len() > 1 {
        let message = "Array discounts exceeded maximum 1 allowed elements.";
        return Err(Refusal::invalid(message).param("discounts"));
    }
    if !wishes.is_empty() && params.has("allow_promotion_codes") {
        let message = "You may only specify one of these parameters: allow_promotion_codes, discounts.";
        return Err(Refusal::invalid(message));
    }
    Ok(wishes)
}

fn check_redeemable(world: &World, session: &CheckoutSession) -> Result<(), Refusal> {
    let lines = world.checkout_lines(session);
    let purchase = Redemption {
        customer: session.customer.as_deref(),
        amount: lines.iter().map(|line| line.amount).sum(),
        currency: session.currency.as_deref().unwrap_or_default(),
    };
    let mut checks = session
        .discounts
        .iter()
        .map(|wish| world.check_wish(wish, &purchase));
    checks.try_for_each(|check| check.map(drop))
}

/// A web address.
pub(super) fn url(params: &Params, name: &str) -> Result<Option<String>, Refusal> {
    let Some(text) = params.text(name) else {
        return Ok(None);
    };
    let web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if web {
        return Ok(Some(text.to_owned()));
    }
    Err(Refusal::invalid("Not a valid URL")
        .code("url_invalid")
        .param(name))
}

fn lines(world: &mut World, params: &Params, mode: Mode) -> Result<Vec<SessionLine>, Refusal> {
    let given = params.branches("line_items");
    if mode == Mode::Setup {
        let message = "You can not pass `line_items` in `setup` mode.";
        return if given.is_empty() {
            Ok(Vec::new())
        } else {
            Err(Refusal::invalid(message).param("line_items"))
        };
    }
    if given.is_empty() {
        return Err(Refusal::required("line_items"));
    }
    if given.len() > 100 {
        return Err(
            Refusal::invalid("Array line_items exceeded maximum 100 allowed elements.").param("line_items"),
        );
    }
    let mut lines = Vec::new();
    for (place, line) in given.iter().enumerate() {
        let id = line
            .text("price")
            .ok_or_else(|| Refusal::required(&format!("line_items[{place}][price]")))?;
        let price = world
            .price(id)
            .map_err(|refusal| refusal.param(format!("line_items[{place}][price]")))?;
        if !price.active {
            let message = "The price specified is inactive. This field only accepts active prices.";
            return Err(Refusal::invalid(message).param(format!("line_items[{place}][price]")));
        }
        let quantity = line.integer_within("quantity", 1, 999_999)?;
        let quantity = quantity.ok_or_else(|| {
            let message = format!("Quantity is required. Add `quantity` to `line_items[{place}]`");
            Refusal::invalid(message)
                .code("parameter_missing")
                .param(format!("line_items[{place}][quantity]"))
        })?;
        lines.push(SessionLine {
            id: world.ids.checkout_line(),
            price: id.to_owned(),
            quantity,
        });
    }
    check_kinds(world, &lines, mode)?;
    Ok(lines)
}

fn check_kinds(world: &World, lines: &[SessionLine], mode: Mode) -> Result<(), Refusal> {
    let recurring = |line: &SessionLine| {
        world
            .prices
            .get(&line.price)
            .is_some_and(|price| price.recurring.is_some())
    };
    let refusal = match mode {
        Mode::Subscription if !lines.iter().any(recurring) => {
            "You must provide at least one recurring price in `subscription` mode when using prices."
        }
        Mode::Subscription if !lines.iter().all(recurring) => {
            "This sandbox does not simulate one-time prices on the first invoice of a subscription."
        }
        Mode::Payment if lines.iter().any(recurring) => {
            "You specified `payment` mode but passed a recurring price. Either switch \
             to `subscription` mode or use only one-time prices."
        }
        _ => return Ok(()),
    };
    Err(Refusal::invalid(refusal).param("line_items"))
}

fn found<'a>(world: &'a World, id: &str) -> Result<&'a CheckoutSession, Refusal> {
    world
        .checkouts
        .get(id)
        .ok_or_else(|| Refusal::not_found("checkout.session", id))
}

fn get(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::checkout(world, found(world, id)?))
}

fn update(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["metadata.*"]])?;
    found(world, id)?;
    if let Some(session) = world.checkouts.get_mut(id) {
        params.merge_metadata("metadata", &mut session.metadata)?;
    }
    get(world, id, &Params::default())
}

fn expire(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    found(world, id)?;
    world.expire_checkout(id)?;
    get(world, id, &Params::default())
}

fn line_items(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["limit"]])?;
    params.integer_within("limit", 1, 100)?;
    Ok(shape::checkout_lines(world, found(world, id)?))
}

fn list(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["customer", "subscription", "payment_intent", "status"]])?;
    let status = params.choice("status", &SessionStatus::NAMES)?;
    let is =
        |field: &Option<String>, name: &str| params.text(name).is_none_or(|id| field.as_deref() == Some(id));
    let keep = |row: &CheckoutSession| {
        is(&row.customer, "customer")
            && is(&row.subscription, "subscription")
            && is(&row.payment_intent, "payment_intent")
            && status.is_none_or(|status| row.status == status)
    };
    page(&world.checkouts, params, "/v1/checkout/sessions", keep, |row| {
        shape::checkout(world, row)
    })
}
