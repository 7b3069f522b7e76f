//! What may be bought: a plan and one of its prices.

use rolecall_db::{
    Connection, DbError,
    catalog::list_plans,
    prices::{Price, list_prices_on_sale},
};
use rolecall_domain::catalog::{Plan, PlanKind};
use rolecall_stripe::client::preview::Proration;

use crate::{checkout::held::Held, error::ApiError};

/// A plan on sale with its prices.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) plan: Plan,
    /// In their order, recurring ones first.
    pub(crate) prices: Vec<Price>,
    pub(crate) promotion_codes: bool,
    pub(crate) tax: bool,
    /// How a change to this plan is settled.
    pub(crate) proration: Proration,
}

impl Offer {
    /// The free days that come with a price for somebody who has bought `held`.
    pub(crate) fn trial_days(&self, price: &Price, held: &Held) -> u32 {
        if price.is_one_time() || !held.may_try(&self.plan.slug) {
            0
        } else {
            self.plan.trial_days
        }
    }

    /// The prices that are paid again and again.
    pub(crate) fn recurring(&self) -> impl Iterator<Item = &Price> {
        self.prices.iter().filter(|price| !price.is_one_time())
    }
}

/// Everything on sale, in order.
pub(crate) async fn list_offers(conn: &mut Connection) -> Result<Vec<Offer>, DbError> {
    let plans = list_plans(conn).await?;
    let prices = list_prices_on_sale(conn).await?;
    let on_sale = plans.into_iter().filter(|row| !row.plan.archived);
    let with_prices = on_sale.map(|row| Offer {
        prices: prices
            .iter()
            .filter(|price| price.plan == row.plan.slug && !price.is_misnamed())
            .cloned()
            .collect(),
        promotion_codes: row.promotion_codes,
        tax: row.tax,
        proration: if row.proration == "none" {
            Proration::None
        } else {
            Proration::AlwaysInvoice
        },
        plan: row.plan,
    });
    Ok(with_prices.collect())
}

/// The offer of a plan.
pub(crate) fn offer_of<'a>(offers: &'a [Offer], plan: &str) -> Result<&'a Offer, ApiError> {
    offers
        .iter()
        .find(|offer| offer.plan.slug.as_str() == plan)
        .ok_or_else(|| ApiError::PlanNotOnSale {
            plan: plan.chars().take(64).collect(),
        })
}

/// The plan and price that somebody chose, if it may be bought here. Without a price, the first.
pub(crate) fn choose<'a>(
    offers: &'a [Offer],
    plan: &str,
    price: Option<&str>,
    quantity: i64,
) -> Result<(&'a Offer, &'a Price), ApiError> {
    let offer = offer_of(offers, plan)?;
    if offer.plan.kind == PlanKind::Company {
        return Err(ApiError::CompanyPlanUnavailable);
    }
    let chosen = match price {
        Some(price) => offer
            .prices
            .iter()
            .find(|known| known.id.as_str() == price)
            .ok_or(ApiError::PriceNotOfPlan)?,
        None => offer.prices.first().ok_or_else(|| ApiError::PlanNotOnSale {
            plan: plan.to_owned(),
        })?,
    };
    if quantity != 1 {
        return Err(ApiError::QuantityNotOne);
    }
    Ok((offer, chosen))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rolecall_domain::{catalog::EndPolicy, ids::StripePriceId};

    use super::*;
    use crate::error::Code;

    fn price(plan: &str, id: &str, lifetime: bool) -> Price {
        Price {
            id: StripePriceId::new(id),
            plan: plan.parse().unwrap(),
            lifetime,
            unit_amount: Some(4900),
            currency: Some("usd".to_owned()),
            interval: (!lifetime).then(|| "month".to_owned()),
            interval_count: (!lifetime).then_some(1),
        }
    }

    fn offer(slug: &str, kind: PlanKind, prices: Vec<Price>) -> Offer {
        let plan = Plan {
            slug: slug.parse().unwrap(),
            name: slug.to_owned(),
            kind,
            prices: BTreeSet::new(),
            grace: None,
            paused_keeps_access: false,
            trial_days: 0,
            end: EndPolicy::Remove,
            roles: BTreeSet::new(),
            archived: false,
        };
        Offer {
            plan,
            prices,
            promotion_codes: true,
            tax: false,
            proration: Proration::AlwaysInvoice,
        }
    }

    #[track_caller]
    fn check(plan: &str, price_id: Option<&str>, quantity: i64, expected: Result<&str, Code>) {
        let offers = [
            offer(
                "council",
                PlanKind::Individual,
                vec![
                    price("council", "price_month", false),
                    price("council", "price_year", false),
                    price("council", "price_ever", true),
                ],
            ),
            offer(
                "team",
                PlanKind::Company,
                vec![price("team", "price_seat", false)],
            ),
            offer("unpriced", PlanKind::Individual, vec![]),
        ];
        let chosen = choose(&offers, plan, price_id, quantity);
        let chosen = chosen
            .as_ref()
            .map(|(_, price)| price.id.as_str())
            .map_err(ApiError::code);
        assert_eq!(chosen, expected, "{plan} {price_id:?} {quantity}");
    }

    #[test]
    fn a_plan_is_sold_at_one_of_its_own_prices() {
        check("council", None, 1, Ok("price_month"));
        check("council", Some("price_year"), 1, Ok("price_year"));
        check("council", Some("price_ever"), 1, Ok("price_ever"));
        check("council", Some("price_seat"), 1, Err(Code::PriceNotOfPlan));
    }

    #[test]
    fn what_cannot_be_bought_is_told_apart() {
        check("team", None, 5, Err(Code::CompanyPlanUnavailable));
        for quantity in [2, 0, -1, i64::MAX] {
            check("council", None, quantity, Err(Code::QuantityNotOne));
        }
        check("nonsense", None, 1, Err(Code::PlanNotOnSale));
        check("unpriced", None, 1, Err(Code::PlanNotOnSale));
    }

    #[test]
    fn free_days_come_with_what_is_paid_again_and_again() {
        let mut offer = offer("council", PlanKind::Individual, vec![]);
        offer.plan.trial_days = 7;
        let held = Held::default();
        assert_eq!(
            offer.trial_days(&price("council", "price_month", false), &held),
            7
        );
        assert_eq!(offer.trial_days(&price("council", "price_ever", true), &held), 0);
    }
}
