//! What a subscription can be changed to.

use std::collections::BTreeSet;

use rolecall_db::{
    Connection,
    catalog::load_catalog,
    prices::{Price, list_prices_held_by},
    subscriptions::StoredSubscription,
};
use rolecall_domain::{
    catalog::PlanKind,
    ids::{MemberId, StripePriceId},
    standing::Standing,
};

use crate::{
    checkout::{
        change::Wish,
        offer::{Offer, offer_of},
    },
    error::ApiError,
};

/// More seats than this are agreed on with the owners, not by a click.
const MOST_SEATS: i64 = 10_000;

/// What a subscription is to become.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) offer: &'a Offer,
    pub(super) price: &'a Price,
    pub(super) quantity: i64,
    /// The prices of the plan that is held.
    pub(super) held_prices: BTreeSet<StripePriceId>,
}

impl<'a> Target<'a> {
    /// Chooses it, or says why it is not possible.
    pub(super) async fn choose(
        conn: &mut Connection,
        member_id: MemberId,
        stored: &StoredSubscription,
        offers: &'a [Offer],
        wish: Wish<'_>,
    ) -> Result<Self, ApiError> {
        check_standing(stored.standing)?;
        let offer = offer_of(offers, wish.plan)?;
        let catalog = load_catalog(conn).await?;
        let held = stored
            .facts
            .plan
            .as_ref()
            .and_then(|slug| catalog.plans.get(slug));
        if held.is_some_and(|held| held.kind != offer.plan.kind) {
            return Err(ApiError::PlanNotChangeable {
                reason: "a plan for one person and a plan for a company cannot be changed into each other",
            });
        }
        let quantity = quantity(offer.plan.kind, wish.quantity, stored.quantity)?;
        let now_paid = price_held(conn, member_id, stored).await?;
        let price = match wish.price {
            Some(id) => explicit(offer, id)?,
            None => like(offer, now_paid.as_ref())?,
        };
        if now_paid.as_ref().is_some_and(|held| !same_currency(held, price)) {
            return Err(ApiError::OtherCurrency);
        }
        if stored.prices.contains(&price.id) && quantity == stored.quantity {
            return Err(ApiError::NothingToChange);
        }
        Ok(Self {
            offer,
            price,
            quantity,
            held_prices: held.map(|plan| plan.prices.clone()).unwrap_or_default(),
        })
    }
}

/// The prices that a subscription can be changed to, each with its offer.
pub(crate) async fn targets<'a>(
    conn: &mut Connection,
    member_id: MemberId,
    stored: &StoredSubscription,
    offers: &'a [Offer],
) -> Result<Vec<(&'a Offer, &'a Price)>, ApiError> {
    check_standing(stored.standing)?;
    let catalog = load_catalog(conn).await?;
    let held = stored
        .facts
        .plan
        .as_ref()
        .and_then(|slug| catalog.plans.get(slug));
    let kind = held.map_or(PlanKind::Individual, |plan| plan.kind);
    let now_paid = price_held(conn, member_id, stored).await?;
    let of_kind = offers.iter().filter(|offer| offer.plan.kind == kind);
    let fitting = of_kind.flat_map(|offer| offer.recurring().map(move |price| (offer, price)));
    let other = fitting.filter(|(_, price)| {
        !stored.prices.contains(&price.id) && now_paid.as_ref().is_none_or(|held| same_currency(held, price))
    });
    Ok(other.collect())
}

/// The price that the plan of a subscription is paid by now, as far as the catalog knows it.
async fn price_held(
    conn: &mut Connection,
    member_id: MemberId,
    stored: &StoredSubscription,
) -> Result<Option<Price>, ApiError> {
    let held = list_prices_held_by(conn, member_id).await?;
    let of_it = held.into_iter().filter(|(id, _)| *id == stored.facts.id);
    let mut prices: Vec<Price> = of_it.map(|(_, price)| price).collect();
    let place = prices
        .iter()
        .position(|price| Some(&price.plan) == stored.facts.plan.as_ref());
    Ok(place.map(|place| prices.swap_remove(place)))
}

fn check_standing(standing: Standing) -> Result<(), ApiError> {
    match standing {
        Standing::Active | Standing::Trial => Ok(()),
        Standing::Grace { .. } | Standing::Debtor | Standing::Pending => Err(ApiError::PaymentOwed),
        Standing::Paused => Err(ApiError::PlanNotChangeable {
            reason: "the subscription is paused; let it go on first",
        }),
        Standing::Ended => Err(ApiError::SubscriptionEnded),
    }
}

fn quantity(kind: PlanKind, wished: Option<i64>, held: i64) -> Result<i64, ApiError> {
    match (kind, wished) {
        (_, None) => Ok(held.max(1)),
        (PlanKind::Individual, Some(1)) => Ok(1),
        (PlanKind::Individual, Some(_)) => Err(ApiError::QuantityNotOne),
        (PlanKind::Company, Some(wished)) if (1..=MOST_SEATS).contains(&wished) => Ok(wished),
        (PlanKind::Company, Some(_)) => Err(ApiError::QuantityOutOfRange { most: MOST_SEATS }),
    }
}

/// The price with this id.
fn explicit<'a>(offer: &'a Offer, id: &str) -> Result<&'a Price, ApiError> {
    let price = offer
        .prices
        .iter()
        .find(|price| price.id.as_str() == id)
        .ok_or(ApiError::PriceNotOfPlan)?;
    if price.is_one_time() {
        return Err(ONCE);
    }
    Ok(price)
}

/// The price that is paid as often as `held` and in its currency; else another one in its currency.
fn like<'a>(offer: &'a Offer, held: Option<&Price>) -> Result<&'a Price, ApiError> {
    let first = offer.recurring().next().ok_or(ONCE)?;
    let Some(held) = held else { return Ok(first) };
    let as_often =
        |price: &&Price| price.interval == held.interval && price.interval_count == held.interval_count;
    let fitting = || offer.recurring().filter(|price| same_currency(held, price));
    let some = fitting().next().ok_or(ApiError::OtherCurrency)?;
    Ok(fitting().find(as_often).unwrap_or(some))
}

/// What is not known yet is left to Stripe to refuse.
fn same_currency(held: &Price, price: &Price) -> bool {
    match (&held.currency, &price.currency) {
        (Some(held), Some(wanted)) => held == wanted,
        _ => true,
    }
}

const ONCE: ApiError = ApiError::PlanNotChangeable {
    reason: "what is paid once is bought, not changed to",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn code<T>(result: Result<T, ApiError>) -> Option<Code> {
        result.err().map(|error| error.code())
    }

    #[test]
    fn a_number_is_one_for_a_person_and_sensible_for_a_company() {
        use PlanKind::{Company, Individual};
        assert_eq!(quantity(Individual, None, 1).ok(), Some(1));
        assert_eq!(quantity(Company, None, 7).ok(), Some(7));
        assert_eq!(quantity(Company, Some(12), 7).ok(), Some(12));
        for wished in [0, -3, 2, i64::MAX] {
            let refused = code(quantity(Individual, Some(wished), 1));
            assert_eq!(refused, Some(Code::QuantityNotOne), "{wished}");
        }
        for wished in [0, -3, MOST_SEATS + 1, i64::MAX] {
            let refused = code(quantity(Company, Some(wished), 7));
            assert_eq!(refused, Some(Code::QuantityOutOfRange), "{wished}");
        }
    }

    #[test]
    fn only_what_runs_and_is_paid_is_changed() {
        let until = chrono::DateTime::UNIX_EPOCH;
        for (standing, expected) in [
            (Standing::Active, None),
            (Standing::Trial, None),
            (Standing::Grace { until }, Some(Code::PaymentOwed)),
            (Standing::Debtor, Some(Code::PaymentOwed)),
            (Standing::Pending, Some(Code::PaymentOwed)),
            (Standing::Paused, Some(Code::PlanNotChangeable)),
            (Standing::Ended, Some(Code::SubscriptionEnded)),
        ] {
            assert_eq!(code(check_standing(standing)), expected, "{standing:?}");
        }
    }
}
