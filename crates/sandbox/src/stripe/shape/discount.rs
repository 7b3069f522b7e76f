//! Coupons, promotion codes and discounts.

use serde_json::{Value, json};

use crate::stripe::shape::legacy;
use crate::stripe::world::World;
use crate::stripe::world::discount::{Coupon, CouponDuration, Discount, DiscountWish, Off, PromotionCode};
use crate::stripe::world::session::CheckoutSession;

/// A coupon.
pub(crate) fn coupon(world: &World, coupon: &Coupon) -> Value {
    let (percent_off, amount_off) = match coupon.off {
        Off::Percent(hundredths) => (Some(f64::from(hundredths) / 100.0), None),
        Off::Amount(amount) => (None, Some(amount)),
    };
    let months = match coupon.duration {
        CouponDuration::Repeating(months) => Some(months),
        CouponDuration::Once | CouponDuration::Forever => None,
    };
    let mut object = json!({
        "id": coupon.id,
        "object": "coupon",
        "amount_off": amount_off,
        "created": coupon.created,
        "currency": coupon.currency,
        "duration": coupon.duration.name(),
        "duration_in_months": months,
        "livemode": world.livemode,
        "max_redemptions": coupon.max_redemptions,
        "metadata": coupon.metadata,
        "name": coupon.name,
        "percent_off": percent_off,
        "redeem_by": coupon.redeem_by,
        "times_redeemed": coupon.times_redeemed,
        "valid": coupon.valid(world.now()),
    });
    if let (false, Some(map)) = (coupon.products.is_empty(), object.as_object_mut()) {
        map.insert("applies_to".to_owned(), json!({ "products": coupon.products }));
    }
    object
}

/// A promotion code.
pub(crate) fn promotion_code(world: &World, code: &PromotionCode) -> Value {
    let found = world.coupons.get(&code.coupon);
    json!({
        "id": code.id,
        "object": "promotion_code",
        "active": world.code_is_active(code, world.now()),
        "code": code.code,
        "created": code.created,
        "customer": code.customer,
        "customer_account": null,
        "expires_at": code.expires_at,
        "livemode": world.livemode,
        "max_redemptions": code.max_redemptions,
        "metadata": code.metadata,
        "promotion": { "coupon": code.coupon, "type": "coupon" },
        "restrictions": {
            "first_time_transaction": code.first_time_transaction,
            "minimum_amount": code.minimum.as_ref().map(|(amount, _)| amount),
            "minimum_amount_currency": code.minimum.as_ref().map(|(_, currency)| currency),
        },
        "times_redeemed": code.times_redeemed,
        legacy::ONLY: { "coupon": found.map(|found| coupon(world, found)) },
    })
}

/// A coupon in use.
pub(crate) fn discount(world: &World, discount: &Discount) -> Value {
    let found = world.coupons.get(&discount.coupon);
    json!({
        "id": discount.id,
        "object": "discount",
        "checkout_session": discount.checkout_session,
        "customer": discount.customer,
        "customer_account": null,
        "end": discount.end,
        "invoice": null,
        "invoice_item": null,
        "promotion_code": discount.promotion_code,
        "source": { "coupon": discount.coupon, "type": "coupon" },
        "start": discount.start,
        "subscription": discount.subscription,
        "subscription_item": null,
        legacy::ONLY: { "coupon": found.map(|found| coupon(world, found)) },
    })
}

/// The discounts of a checkout session.
pub(crate) fn checkout_discounts(session: &CheckoutSession) -> Vec<Value> {
    let discounts = session.discounts.iter().map(|wish| match wish {
        DiscountWish::Coupon(id) => json!({ "coupon": id, "promotion_code": null }),
        DiscountWish::PromotionCode(id) => json!({ "coupon": null, "promotion_code": id }),
    });
    discounts.collect()
}
