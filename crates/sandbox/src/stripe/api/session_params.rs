//! The parameters of a new checkout session that stand for themselves.

use crate::stripe::api::money::KINDS;
use crate::stripe::api::params::Params;
use crate::stripe::error::Refusal;
use crate::stripe::world::session::{Mode, SessionLine, SubscriptionData};
use crate::stripe::world::subscription::MissingPaymentMethod;
use crate::stripe::world::{Metadata, World};

/// The tax of a known customer depends on an address, which checkout must be allowed to keep.
pub(super) fn check_tax(params: &Params) -> Result<(), Refusal> {
    let keep = [("auto", true), ("never", false)];
    let mut kept = false;
    for name in ["customer_update.address", "customer_update.shipping"] {
        kept |= params.choice(name, &keep)? == Some(true);
    }
    params.choice("customer_update.name", &keep)?;
    if params.has("customer_update") && !params.has("customer") {
        let message = "`customer_update` can only be used with `customer`.";
        return Err(Refusal::invalid(message).param("customer_update"));
    }
    if params.boolean("automatic_tax.enabled")? == Some(true) && params.has("customer") && !kept {
        let message = "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a \
                       valid address to the Customer or set either `customer_update[address]` to 'auto' or \
                       `customer_update[shipping]` to 'auto' to save the address entered in Checkout to the \
                       Customer.";
        return Err(Refusal::invalid(message).code("customer_tax_location_invalid"));
    }
    Ok(())
}

pub(super) fn card_if_required(params: &Params, mode: Mode) -> Result<bool, Refusal> {
    let name = "payment_method_collection";
    let if_required = params.choice(name, &[("always", false), ("if_required", true)])?;
    if if_required.is_some() && mode != Mode::Subscription {
        let message = "You can only set `payment_method_collection` if there are recurring prices.";
        return Err(Refusal::invalid(message).param(name));
    }
    Ok(if_required.unwrap_or(false))
}

pub(super) fn payment_method_types(params: &Params) -> Result<Vec<String>, Refusal> {
    let types = params.texts("payment_method_types");
    let known = |kind: &String| KINDS.iter().any(|(name, _)| name == kind);
    if let Some(place) = types.iter().position(|kind| !known(kind)) {
        let message = "This sandbox simulates the payment methods card and us_bank_account only.";
        return Err(Refusal::invalid(message).param(format!("payment_method_types[{place}]")));
    }
    Ok(types)
}

pub(super) fn subscription_data(params: &Params, mode: Mode, now: i64) -> Result<SubscriptionData, Refusal> {
    if params.has("subscription_data") && mode != Mode::Subscription {
        let message = format!("You can not pass `subscription_data` in `{}` mode.", mode.name());
        return Err(Refusal::invalid(message).param("subscription_data"));
    }
    let missing = "subscription_data.trial_settings.end_behavior.missing_payment_method";
    let trial_end = params.integer("subscription_data.trial_end")?;
    if trial_end.is_some_and(|end| end < now + 48 * 3_600) {
        let message = "The `trial_end` date has to be at least 2 days in the future.";
        return Err(Refusal::invalid(message).param("subscription_data[trial_end]"));
    }
    Ok(SubscriptionData {
        metadata: params.metadata("subscription_data.metadata")?,
        description: params.owned("subscription_data.description"),
        trial_days: params.integer_within("subscription_data.trial_period_days", 1, 730)?,
        trial_end,
        missing_payment_method: params.choice(missing, &MissingPaymentMethod::NAMES)?,
    })
}

pub(super) fn intent_metadata(params: &Params, mode: Mode) -> Result<Metadata, Refusal> {
    for (name, fits) in [
        ("payment_intent_data", mode == Mode::Payment),
        ("setup_intent_data", mode == Mode::Setup),
    ] {
        if params.has(name) && !fits {
            let message = format!("You can not pass `{name}` in `{}` mode.", mode.name());
            return Err(Refusal::invalid(message).param(name));
        }
    }
    let mut metadata = params.metadata("payment_intent_data.metadata")?;
    params.merge_metadata("setup_intent_data.metadata", &mut metadata)?;
    Ok(metadata)
}

/// Between half an hour and a day ahead; a day by default.
pub(super) fn expires_at(params: &Params, now: i64) -> Result<i64, Refusal> {
    let Some(at) = params.integer("expires_at")? else {
        return Ok(now + 86_400);
    };
    if (now + 1_800..=now + 86_400).contains(&at) {
        return Ok(at);
    }
    let message =
        "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation.";
    Err(Refusal::invalid(message).param("expires_at"))
}

pub(super) fn check_buyer(world: &World, params: &Params, mode: Mode) -> Result<(), Refusal> {
    if params.has("customer") && params.has("customer_email") {
        let message = "You may only specify one of these parameters: customer, customer_email.";
        return Err(Refusal::invalid(message).param("customer_email"));
    }
    if let Some(id) = params.text("customer") {
        world.customer(id).map_err(|refusal| refusal.param("customer"))?;
    }
    if let Some(email) = params.text("customer_email").filter(|email| !email.contains('@')) {
        let message = format!("Invalid email address: {email}");
        return Err(Refusal::invalid(message)
            .code("email_invalid")
            .param("customer_email"));
    }
    if params
        .choice("customer_creation", &[("always", ()), ("if_required", ())])?
        .is_some()
        && (mode == Mode::Subscription || params.has("customer"))
    {
        let message =
            "`customer_creation` can only be used in `payment` and `setup` mode without `customer`.";
        return Err(Refusal::invalid(message).param("customer_creation"));
    }
    match params.text("client_reference_id") {
        Some(reference) if reference.chars().count() > 200 => {
            let message = "Invalid string: must be at most 200 characters";
            Err(Refusal::invalid(message).param("client_reference_id"))
        }
        _ => Ok(()),
    }
}

/// All prices of a session are in one currency, and it is the one asked for.
pub(super) fn currency(
    world: &World,
    params: &Params,
    mode: Mode,
    lines: &[SessionLine],
) -> Result<Option<String>, Refusal> {
    let mut found = params.text("currency").map(str::to_ascii_lowercase);
    for line in lines {
        let price = world.price(&line.price)?;
        let currency = found.get_or_insert_with(|| price.currency.clone());
        if *currency != price.currency {
            let message = format!(
                "The price `{}` is not available in `{currency}`, because it does not have a currency \
                 option for `{currency}`.",
                price.id
            );
            return Err(Refusal::invalid(message).param("line_items"));
        }
    }
    if mode == Mode::Setup && found.is_none() && !params.has("payment_method_types") {
        return Err(Refusal::required("currency"));
    }
    Ok(found)
}
