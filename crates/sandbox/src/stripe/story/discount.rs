//! Coupons and codes: made, checked, put to use, taken off invoices, ended.

use chrono::{DateTime, Months, Utc};

use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::discount::{Coupon, CouponDuration, Discount, DiscountWish, Off, PromotionCode};
use crate::stripe::world::invoice::Line;

/// For what a discount is wished.
#[derive(Clone, Debug)]
pub struct Redemption<'a> {
    /// Who buys; nobody is known before the first purchase.
    pub customer: Option<&'a str>,
    /// The sum before discounts.
    pub amount: i64,
    /// Its currency.
    pub currency: &'a str,
}

impl World {
    /// Adds a coupon.
    pub fn create_coupon(&mut self, coupon: Coupon) -> Result<(), Refusal> {
        if self.coupons.get(&coupon.id).is_some_and(|old| !old.deleted) {
            let refusal = Refusal::invalid("Coupon already exists.");
            return Err(refusal.code("resource_already_exists").param("id"));
        }
        let object = shape::coupon(self, &coupon);
        self.coupons.insert(coupon);
        self.emit("coupon.created", object, None);
        Ok(())
    }

    /// Adds a code for a coupon. Of two equal codes only one can be active.
    pub fn create_promotion_code(&mut self, code: PromotionCode) -> Result<(), Refusal> {
        self.coupon(&code.coupon)?;
        if code.active && self.active_code(&code.code).is_some() {
            let message = "An active promotion code with this code already exists.";
            return Err(Refusal::invalid(message).param("code"));
        }
        let object = shape::promotion_code(self, &code);
        self.promotion_codes.insert(code);
        self.emit("promotion_code.created", object, None);
        Ok(())
    }

    /// The code as somebody types it in.
    pub fn active_code(&self, typed: &str) -> Option<&PromotionCode> {
        let now = self.now();
        let codes = self.promotion_codes.newest();
        let mut found = codes.filter(|row| row.code.eq_ignore_ascii_case(typed.trim()));
        found.find(|row| self.code_is_active(row, now))
    }

    /// Whether a code can be used at all at this moment.
    pub fn code_is_active(&self, code: &PromotionCode, now: i64) -> bool {
        let coupon = self.coupons.get(&code.coupon);
        code.active
            && code.expires_at.is_none_or(|at| now < at)
            && code.max_redemptions.is_none_or(|most| code.times_redeemed < most)
            && coupon.is_some_and(|coupon| coupon.valid(now))
    }

    /// A coupon that was not deleted, or Stripe's refusal.
    pub fn coupon(&self, id: &str) -> Result<&Coupon, Refusal> {
        let found = self.coupons.get(id).filter(|coupon| !coupon.deleted);
        found.ok_or_else(|| Refusal::missing("coupon", id).param("coupon"))
    }

    /// The coupon behind a wish, if the wish can be granted.
    pub fn check_wish(&self, wish: &DiscountWish, purchase: &Redemption<'_>) -> Result<&Coupon, Refusal> {
        let now = self.now();
        let coupon = match wish {
            DiscountWish::Coupon(id) => self.coupon(id)?,
            DiscountWish::PromotionCode(id) => {
                let code = self.promotion_codes.get(id);
                let refusal = || Refusal::missing("promotion code", id).param("promotion_code");
                let code = code.ok_or_else(refusal)?;
                self.check_code(code, purchase, now)?;
                self.coupon(&code.coupon)?
            }
        };
        if !coupon.valid(now) {
            let message = format!("Coupon expired: {}", coupon.id);
            return Err(Refusal::invalid(message).code("coupon_expired").param("coupon"));
        }
        if coupon
            .currency
            .as_deref()
            .is_some_and(|own| own != purchase.currency)
        {
            let message = format!(
                "The coupon `{}` cannot be used, because it is not in the currency `{}`.",
                coupon.id, purchase.currency
            );
            return Err(Refusal::invalid(message).param("coupon"));
        }
        Ok(coupon)
    }

    fn check_code(&self, code: &PromotionCode, purchase: &Redemption<'_>, now: i64) -> Result<(), Refusal> {
        let refuse = |why: &str| {
            let message = format!("This promotion code cannot be redeemed because {why}.");
            Err(Refusal::invalid(message).param("promotion_code"))
        };
        if !self.code_is_active(code, now) {
            return refuse("it is expired, used up, or not active");
        }
        if code.customer.is_some() && code.customer.as_deref() != purchase.customer {
            return refuse("it belongs to another customer");
        }
        let paid_before = |customer: &str| self.charges.of(customer).any(|charge| charge.succeeded);
        if code.first_time_transaction && purchase.customer.is_some_and(paid_before) {
            return refuse("the associated customer has prior transactions");
        }
        match &code.minimum {
            Some((least, currency)) if purchase.currency != currency || purchase.amount < *least => {
                refuse("the order does not meet the minimum amount")
            }
            _ => Ok(()),
        }
    }

    /// Puts a coupon to use and counts it.
    pub fn redeem(
        &mut self,
        wish: &DiscountWish,
        purchase: &Redemption<'_>,
        subscription: Option<&str>,
        session: Option<&str>,
    ) -> Result<String, Refusal> {
        let coupon = self.check_wish(wish, purchase)?.clone();
        let promotion_code = match wish {
            DiscountWish::PromotionCode(id) => Some(id.clone()),
            DiscountWish::Coupon(_) => None,
        };
        let start = self.now();
        let discount = Discount {
            id: self.ids.discount(),
            coupon: coupon.id.clone(),
            promotion_code: promotion_code.clone(),
            customer: purchase.customer.map(str::to_owned),
            subscription: subscription.map(str::to_owned),
            checkout_session: session.map(str::to_owned),
            start,
            end: end_of(coupon.duration, start),
        };
        let id = discount.id.clone();
        self.count_redemption(&coupon.id, promotion_code.as_deref());
        let object = shape::discount(self, &discount);
        self.discounts.insert(discount);
        if subscription.is_some() {
            self.emit("customer.discount.created", object, None);
        }
        Ok(id)
    }

    fn count_redemption(&mut self, coupon: &str, code: Option<&str>) {
        if let Some(row) = self.coupons.get_mut(coupon) {
            row.times_redeemed += 1;
        }
        if let Some(row) = code.and_then(|id| self.promotion_codes.get_mut(id)) {
            row.times_redeemed += 1;
        }
        if let Some(row) = self.coupons.get(coupon) {
            let object = shape::coupon(self, row);
            self.emit("coupon.updated", object, None);
        }
        if let Some(row) = code.and_then(|id| self.promotion_codes.get(id)) {
            let object = shape::promotion_code(self, row);
            self.emit("promotion_code.updated", object, None);
        }
    }

    /// Takes discounts off the lines that they are for; prorations have theirs taken off already.
    pub fn take_off(&self, lines: &mut [Line], discounts: &[String]) {
        let rows = discounts.iter().filter_map(|id| self.discounts.get(id));
        for discount in rows {
            let Some(coupon) = self.coupons.get(&discount.coupon) else {
                continue;
            };
            self.take_coupon_off(lines, coupon, &discount.id);
        }
    }

    /// Takes one coupon off lines, told under this name.
    pub fn take_coupon_off(&self, lines: &mut [Line], coupon: &Coupon, name: &str) {
        let fits = |line: &Line| !line.proration && line.net() > 0 && self.is_for(coupon, &line.price);
        let whole: i64 = lines.iter().filter(|line| fits(line)).map(Line::net).sum();
        let mut left = match coupon.off {
            Off::Percent(_) => i64::MAX,
            Off::Amount(amount) => amount.min(whole),
        };
        let mut rest = whole;
        for line in lines.iter_mut().filter(|line| fits(line)) {
            let net = line.net();
            let off = match coupon.off {
                Off::Percent(hundredths) => share(net, i64::from(hundredths), 10_000),
                // The last line takes what rounding has left over.
                Off::Amount(_) => share(left, net, rest),
            };
            left -= off;
            rest -= net;
            line.discounts.push((name.to_owned(), off));
        }
    }

    fn is_for(&self, coupon: &Coupon, price: &str) -> bool {
        let product = self.prices.get(price).map(|price| &price.product);
        coupon.products.is_empty() || product.is_some_and(|product| coupon.products.contains(product))
    }

    /// Ends a subscription's discounts that have run out by `now`.
    pub fn end_discounts(&mut self, subscription: &str, now: i64) -> Result<(), Refusal> {
        let over = |world: &Self, id: &String| {
            let row = world.discounts.get(id);
            row.is_some_and(|row| row.end.is_some_and(|end| end <= now))
        };
        self.drop_discounts(subscription, over)
    }

    /// Ends a subscription's discounts that were for the invoice just made.
    pub fn use_up_discounts(&mut self, subscription: &str, lines: &[Line]) -> Result<(), Refusal> {
        let used = |world: &Self, id: &String| {
            let row = world.discounts.get(id);
            let coupon = row.and_then(|row| world.coupons.get(&row.coupon));
            coupon.is_some_and(|coupon| coupon.duration == CouponDuration::Once)
                && lines
                    .iter()
                    .flat_map(|line| &line.discounts)
                    .any(|(name, off)| name == id && *off > 0)
        };
        self.drop_discounts(subscription, used)
    }

    /// Takes all discounts from a subscription.
    pub fn clear_discounts(&mut self, subscription: &str) -> Result<(), Refusal> {
        self.drop_discounts(subscription, |_, _| true)
    }

    fn drop_discounts(
        &mut self,
        subscription: &str,
        over: impl Fn(&Self, &String) -> bool,
    ) -> Result<(), Refusal> {
        let all = self.subscription(subscription)?.discounts.clone();
        let (gone, kept): (Vec<String>, Vec<String>) = all.into_iter().partition(|id| over(self, id));
        if gone.is_empty() {
            return Ok(());
        }
        self.change_subscription(subscription, |subscription| subscription.discounts = kept)?;
        let now = self.now();
        for id in gone {
            if let Some(row) = self.discounts.get_mut(&id) {
                row.end = Some(row.end.map_or(now, |end| end.min(now)));
            }
            if let Some(row) = self.discounts.get(&id) {
                let object = shape::discount(self, row);
                self.emit("customer.discount.deleted", object, None);
            }
        }
        Ok(())
    }
}

fn end_of(duration: CouponDuration, start: i64) -> Option<i64> {
    let CouponDuration::Repeating(months) = duration else {
        return None;
    };
    let start: DateTime<Utc> = DateTime::from_timestamp(start, 0).unwrap_or_default();
    let end = start.checked_add_months(Months::new(months));
    end.map(|end| end.timestamp())
}

/// `part / whole` of an amount, rounded half up.
fn share(amount: i64, part: i64, whole: i64) -> i64 {
    let (amount, part, whole) = (i128::from(amount), i128::from(part), i128::from(whole).max(1));
    i64::try_from((amount * part * 2 + whole) / (whole * 2)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_half_up_and_the_whole_is_the_whole() {
        assert_eq!(share(2_900, 2_550, 10_000), 740);
        assert_eq!(share(1, 5_000, 10_000), 1);
        assert_eq!(share(700, 3, 3), 700);
    }

    #[test]
    fn a_repeating_discount_ends_after_its_months() {
        let day = |text: &str| text.parse::<DateTime<Utc>>().unwrap().timestamp();
        let start = day("2027-01-31T00:00:00Z");
        assert_eq!(
            end_of(CouponDuration::Repeating(1), start),
            Some(day("2027-02-28T00:00:00Z"))
        );
        assert_eq!(end_of(CouponDuration::Once, start), None);
    }
}
