//! What is given back and charged when something changes within a period.

use crate::stripe::error::Refusal;
use crate::stripe::world::World;
use crate::stripe::world::catalog::Recurring;
use crate::stripe::world::discount::Off;
use crate::stripe::world::subscription::{Item, PendingLine};

impl World {
    /// The length of the period.
    pub(super) fn cycle(&self, items: &[Item]) -> Option<Recurring> {
        items
            .first()
            .and_then(|item| self.prices.get(&item.price)?.recurring)
    }

    /// Gives back the unused rest of what changes and charges the rest of what replaces it.
    pub(super) fn prorations(
        &self,
        before: &[Item],
        after: &[Item],
        new_cycle: bool,
        at: i64,
    ) -> Result<Vec<PendingLine>, Refusal> {
        let same = |a: &Item, b: &Item| a.id == b.id && a.price == b.price && a.quantity == b.quantity;
        let mut lines = Vec::new();
        for old in before
            .iter()
            .filter(|old| new_cycle || !after.iter().any(|new| same(old, new)))
        {
            lines.push(self.rest(old, at, "Unused time on", -1)?);
        }
        for new in after
            .iter()
            .filter(|new| !new_cycle && !before.iter().any(|old| same(old, new)))
        {
            lines.push(self.rest(new, at, "Remaining time on", 1)?);
        }
        lines.retain(|line| line.amount != 0);
        Ok(lines)
    }

    fn rest(&self, item: &Item, at: i64, words: &str, sign: i64) -> Result<PendingLine, Refusal> {
        let price = self.price_bought(&item.price)?;
        let name = self
            .products
            .get(&price.product)
            .map_or("", |product| product.name.as_str());
        let whole = (item.period_end - item.period_start).max(1);
        let left = (item.period_end - at).clamp(0, whole);
        let full = i128::from(price.unit_amount) * i128::from(item.quantity);
        // Rounded half up, as Stripe does; the sign comes last so that both directions round alike.
        let amount = (full * i128::from(left) * 2 + i128::from(whole)) / (i128::from(whole) * 2);
        Ok(PendingLine {
            item: item.id.clone(),
            price: item.price.clone(),
            quantity: item.quantity,
            amount: sign * i64::try_from(amount).unwrap_or(i64::MAX),
            description: format!("{words} {} × {name}", item.quantity),
            period: (at, item.period_end),
        })
    }

    /// Takes off prorations what a discount in percent takes off the whole; sums are not prorated.
    pub(super) fn net_of_discounts(&self, lines: &mut [PendingLine], discounts: &[String]) {
        let rows = discounts.iter().filter_map(|id| self.discounts.get(id));
        for coupon in rows.filter_map(|row| self.coupons.get(&row.coupon)) {
            let Off::Percent(hundredths) = coupon.off else {
                continue;
            };
            let left = i64::from(10_000_u16.saturating_sub(hundredths));
            for line in lines.iter_mut() {
                let product = self.prices.get(&line.price).map(|price| &price.product);
                let fits = product.is_some_and(|product| coupon.products.contains(product));
                if coupon.products.is_empty() || fits {
                    line.amount = line.amount.signum() * ((line.amount.abs() * left * 2 + 10_000) / 20_000);
                }
            }
        }
    }
}
