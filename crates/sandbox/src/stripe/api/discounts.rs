//! Coupons and promotion codes, and the wishes for them in other calls.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, page};
use crate::stripe::api::params::Params;
use crate::stripe::api::{COMMON, Served};
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::discount::{Coupon, CouponDuration, DiscountWish, Off, PromotionCode};

const NEW_COUPON: &[&str] = &[
    "id",
    "name",
    "percent_off",
    "amount_off",
    "currency",
    "duration",
    "duration_in_months",
    "max_redemptions",
    "redeem_by",
    "applies_to.products.#",
    "metadata.*",
];
const NEW_CODE: &[&str] = &[
    "promotion.type",
    "promotion.coupon",
    "code",
    "customer",
    "active",
    "expires_at",
    "max_redemptions",
    "restrictions.first_time_transaction",
    "restrictions.minimum_amount",
    "restrictions.minimum_amount_currency",
    "metadata.*",
];
const DURATIONS: [(&str, CouponDuration); 3] = [
    ("forever", CouponDuration::Forever),
    ("once", CouponDuration::Once),
    ("repeating", CouponDuration::Repeating(0)),
];

/// `/v1/coupons...`
pub(crate) fn coupons(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create_coupon(world, params),
        ("GET", []) => list_coupons(world, params),
        ("GET", [id]) => get_coupon(world, id, params),
        ("POST", [id]) => update_coupon(world, id, params),
        ("DELETE", [id]) => delete_coupon(world, id, params),
        _ => return None,
    })
}

fn create_coupon(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, NEW_COUPON])?;
    let off = off(params)?;
    let currency = params.owned("currency").map(|text| text.to_ascii_lowercase());
    let coupon = Coupon {
        id: params.owned("id").unwrap_or_else(|| world.ids.coupon()),
        name: params.owned("name"),
        off,
        currency: currency.filter(|_| matches!(off, Off::Amount(_))),
        duration: duration(params)?,
        products: params.texts("applies_to.products"),
        max_redemptions: params.integer_within("max_redemptions", 1, i64::MAX)?,
        redeem_by: params.integer("redeem_by")?,
        times_redeemed: 0,
        metadata: params.metadata("metadata")?,
        deleted: false,
        created: world.now(),
    };
    let id = coupon.id.clone();
    world.create_coupon(coupon)?;
    get_coupon(world, &id, &Params::default())
}

fn off(params: &Params) -> Result<Off, Refusal> {
    match (params.text("percent_off"), params.integer("amount_off")?) {
        (Some(_), Some(_)) => Err(Refusal::invalid(
            "You may only specify one of these parameters: amount_off, percent_off.",
        )),
        (None, None) => Err(Refusal::invalid(
            "Must provide one of `percent_off` or `amount_off`.",
        )),
        (Some(percent), None) => percent_off(percent)
            .map(Off::Percent)
            .ok_or_else(|| Refusal::invalid(format!("Invalid decimal: {percent}")).param("percent_off")),
        (None, Some(amount)) if amount < 1 => {
            Err(Refusal::invalid("This value must be greater than or equal to 1.").param("amount_off"))
        }
        (None, Some(_)) if !params.has("currency") => Err(Refusal::required("currency")),
        (None, Some(amount)) => Ok(Off::Amount(amount)),
    }
}

/// `25`, `25.5` and `25.50` in hundredths of a percent, above 0 and up to 100.
fn percent_off(text: &str) -> Option<u16> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if part.len() > 2 {
        return None;
    }
    let hundredths: u16 = format!("{part:0<2}").parse().ok()?;
    let percent = whole
        .parse::<u16>()
        .ok()?
        .checked_mul(100)?
        .checked_add(hundredths)?;
    (1..=10_000).contains(&percent).then_some(percent)
}

fn duration(params: &Params) -> Result<CouponDuration, Refusal> {
    let duration = params
        .choice("duration", &DURATIONS)?
        .unwrap_or(CouponDuration::Once);
    let months = params.integer_within("duration_in_months", 1, 1_200)?;
    match (duration, months) {
        (CouponDuration::Repeating(_), Some(months)) => {
            Ok(CouponDuration::Repeating(u32::try_from(months).unwrap_or(1)))
        }
        (CouponDuration::Repeating(_), None) => Err(Refusal::required("duration_in_months")),
        (other, None) => Ok(other),
        (_, Some(_)) => {
            let message = "You can only pass `duration_in_months` if `duration` is `repeating`.";
            Err(Refusal::invalid(message).param("duration_in_months"))
        }
    }
}

fn found_coupon<'a>(world: &'a World, id: &str) -> Result<&'a Coupon, Refusal> {
    world.coupon(id).map_err(|_| Refusal::not_found("coupon", id))
}

fn get_coupon(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    Ok(shape::coupon(world, found_coupon(world, id)?))
}

fn update_coupon(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["name", "metadata.*"]])?;
    found_coupon(world, id)?;
    if let Some(coupon) = world.coupons.get_mut(id) {
        if params.has("name") {
            coupon.name = params.owned("name");
        }
        params.merge_metadata("metadata", &mut coupon.metadata)?;
    }
    let shown = get_coupon(world, id, &Params::default())?;
    world.emit("coupon.updated", shown.clone(), None);
    Ok(shown)
}

/// What it gave already lasts; it cannot be used again.
fn delete_coupon(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[])?;
    let object = get_coupon(world, id, &Params::default())?;
    let shown = shape::deleted("coupon", found_coupon(world, id)?);
    if let Some(coupon) = world.coupons.get_mut(id) {
        coupon.deleted = true;
    }
    world.emit("coupon.deleted", object, None);
    Ok(shown)
}

fn list_coupons(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING])?;
    page(
        &world.coupons,
        params,
        "/v1/coupons",
        |row| !row.deleted,
        |row| shape::coupon(world, row),
    )
}

/// `/v1/promotion_codes...`
pub(crate) fn promotion_codes(world: &mut World, method: &str, path: &[&str], params: &Params) -> Served {
    Some(match (method, path) {
        ("POST", []) => create_code(world, params),
        ("GET", []) => list_codes(world, params),
        ("GET", [id]) => get_code(world, id, params),
        ("POST", [id]) => update_code(world, id, params),
        _ => return None,
    })
}

fn create_code(world: &mut World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, NEW_CODE])?;
    if params.choice("promotion.type", &[("coupon", ())])?.is_none() {
        return Err(Refusal::required("promotion[type]"));
    }
    let coupon = params.required("promotion.coupon")?;
    let refusal = |refusal: Refusal| refusal.param("promotion[coupon]");
    let coupon = world.coupon(coupon).map_err(refusal)?.id.clone();
    if let Some(customer) = params.text("customer") {
        world
            .customer(customer)
            .map_err(|refusal| refusal.param("customer"))?;
    }
    let least = params.integer_within("restrictions.minimum_amount", 1, i64::MAX)?;
    let minimum = match (least, params.text("restrictions.minimum_amount_currency")) {
        (None, _) => None,
        (Some(least), Some(currency)) => Some((least, currency.to_ascii_lowercase())),
        (Some(_), None) => return Err(Refusal::required("restrictions[minimum_amount_currency]")),
    };
    let first_time = params.boolean("restrictions.first_time_transaction")?;
    let code = PromotionCode {
        id: world.ids.promotion_code(),
        code: params.owned("code").unwrap_or_else(|| world.ids.code()),
        coupon,
        customer: params.owned("customer"),
        active: params.boolean("active")?.unwrap_or(true),
        expires_at: params.integer("expires_at")?,
        max_redemptions: params.integer_within("max_redemptions", 1, i64::MAX)?,
        times_redeemed: 0,
        first_time_transaction: first_time.unwrap_or(false),
        minimum,
        metadata: params.metadata("metadata")?,
        created: world.now(),
    };
    let id = code.id.clone();
    world.create_promotion_code(code)?;
    get_code(world, &id, &Params::default())
}

fn get_code(world: &World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON])?;
    let code = world.promotion_codes.get(id);
    let code = code.ok_or_else(|| Refusal::not_found("promotion code", id))?;
    Ok(shape::promotion_code(world, code))
}

fn update_code(world: &mut World, id: &str, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[COMMON, &["active", "metadata.*"]])?;
    get_code(world, id, &Params::default())?;
    let active = params.boolean("active")?;
    if let Some(code) = world.promotion_codes.get_mut(id) {
        code.active = active.unwrap_or(code.active);
        params.merge_metadata("metadata", &mut code.metadata)?;
    }
    let shown = get_code(world, id, &Params::default())?;
    world.emit("promotion_code.updated", shown.clone(), None);
    Ok(shown)
}

fn list_codes(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, &["active", "code", "coupon", "customer"]])?;
    let (active, now) = (params.boolean("active")?, world.now());
    let keep = |row: &PromotionCode| {
        active.is_none_or(|active| world.code_is_active(row, now) == active)
            && params
                .text("code")
                .is_none_or(|code| row.code.eq_ignore_ascii_case(code))
            && params.text("coupon").is_none_or(|id| row.coupon == id)
            && params
                .text("customer")
                .is_none_or(|id| row.customer.as_deref() == Some(id))
    };
    page(
        &world.promotion_codes,
        params,
        "/v1/promotion_codes",
        keep,
        |row| shape::promotion_code(world, row),
    )
}

/// Parameters by which other calls wish for discounts.
pub(super) const WISHES: &[&str] = &["discounts.#.coupon", "discounts.#.promotion_code"];

/// The discounts that a call wishes for.
pub(super) fn wishes(world: &World, params: &Params) -> Result<Vec<DiscountWish>, Refusal> {
    let mut wishes = Vec::new();
    for (place, wish) in params.branches("discounts").iter().enumerate() {
        let at = |name: &str| format!("discounts[{place}][{name}]");
        wishes.push(match (wish.text("coupon"), wish.text("promotion_code")) {
            (Some(_), Some(_)) => {
                let message = "You may only specify one of these parameters: coupon, promotion_code.";
                return Err(Refusal::invalid(message).param(format!("discounts[{place}]")));
            }
            (Some(id), None) => {
                world.coupon(id).map_err(|refusal| refusal.param(at("coupon")))?;
                DiscountWish::Coupon(id.to_owned())
            }
            (None, Some(id)) => {
                let found = world.promotion_codes.get(id);
                let refusal = || Refusal::missing("promotion code", id).param(at("promotion_code"));
                DiscountWish::PromotionCode(found.ok_or_else(refusal)?.id.clone())
            }
            (None, None) => return Err(Refusal::required(&format!("discounts[{place}][coupon]"))),
        });
    }
    Ok(wishes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percents_are_read_to_the_hundredth() {
        for (text, hundredths) in [("25", 2_500), ("25.5", 2_550), ("0.05", 5), ("100", 10_000)] {
            assert_eq!(percent_off(text), Some(hundredths), "{text}");
        }
        for text in ["0", "100.01", "-5", "1.234", "x", ""] {
            assert_eq!(percent_off(text), None, "{text}");
        }
    }
}
