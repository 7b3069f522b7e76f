//! The list of subscriptions.

use serde_json::Value;

use crate::stripe::api::list::{PAGING, Range, page};
use crate::stripe::api::params::Params;
use crate::stripe::error::Refusal;
use crate::stripe::shape;
use crate::stripe::world::World;
use crate::stripe::world::subscription::{Status, Subscription};

const FILTERS: &[&str] = &[
    "status",
    "customer",
    "price",
    "plan",
    "collection_method",
    "test_clock",
    "current_period_start",
    "current_period_start.gt",
    "current_period_start.gte",
    "current_period_start.lt",
    "current_period_start.lte",
    "current_period_end",
    "current_period_end.gt",
    "current_period_end.gte",
    "current_period_end.lt",
    "current_period_end.lte",
];

/// Which subscriptions a list shows; without a filter, all but the canceled ones.
enum StatusFilter {
    Living,
    All,
    Ended,
    Only(Status),
}

impl StatusFilter {
    fn read(params: &Params) -> Result<Self, Refusal> {
        match params.text("status") {
            None => Ok(Self::Living),
            Some("all") => Ok(Self::All),
            Some("ended") => Ok(Self::Ended),
            Some(_) => params
                .choice("status", &Status::NAMES)
                .map(|status| status.map_or(Self::Living, Self::Only)),
        }
    }

    fn has(&self, subscription: &Subscription) -> bool {
        match self {
            Self::Living => subscription.status != Status::Canceled,
            Self::All => true,
            Self::Ended => subscription.over(),
            Self::Only(status) => subscription.status == *status,
        }
    }
}

/// `GET /v1/subscriptions`
pub(super) fn subscriptions(world: &World, params: &Params) -> Result<Value, Refusal> {
    params.allow(&[PAGING, FILTERS])?;
    let status = StatusFilter::read(params)?;
    let starts = Range::read(params, "current_period_start")?;
    let ends = Range::read(params, "current_period_end")?;
    let methods = [("charge_automatically", true), ("send_invoice", false)];
    let charged = params.choice("collection_method", &methods)?.unwrap_or(true);
    let clock = params.text("test_clock");
    let keep = |row: &Subscription| {
        // Whoever lives by a test clock is listed only where the clock or the customer is named.
        let of_clock = match (clock, params.has("customer")) {
            (None, true) => true,
            (clock, _) => world.clock_behind(&row.customer) == clock,
        };
        of_clock
            && charged
            && status.has(row)
            && row
                .items
                .iter()
                .any(|item| starts.has(item.period_start) && ends.has(item.period_end))
            && params.text("customer").is_none_or(|id| row.customer == id)
            && ["price", "plan"].into_iter().all(|name| {
                params
                    .text(name)
                    .is_none_or(|id| row.items.iter().any(|item| item.price == id))
            })
    };
    page(&world.subscriptions, params, "/v1/subscriptions", keep, |row| {
        shape::subscription(world, row)
    })
}
