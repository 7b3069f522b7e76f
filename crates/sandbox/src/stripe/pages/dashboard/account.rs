//! The parts of the dashboard that are about the account: settings, test clocks, coupons, endpoints.

use actix_web::HttpResponse;
use actix_web::web::{Data, Form, Path};
use serde::Deserialize;

use crate::stripe::config::AfterRetries;
use crate::stripe::error::Refusal;
use crate::stripe::http::State;
use crate::stripe::pages::dashboard::back;
use crate::stripe::pages::view::moment;
use crate::stripe::story::bill::money;
use crate::stripe::world::discount::{Coupon, CouponDuration, Off, PromotionCode};
use crate::stripe::world::test_clock::TestClock;
use crate::stripe::world::{Metadata, World};

/// What can become of a subscription after the retries.
pub(super) struct RetryChoice {
    pub(super) value: &'static str,
    pub(super) words: &'static str,
    pub(super) chosen: bool,
}

/// All choices for the end of the retries.
pub(super) fn retries(world: &World) -> Vec<RetryChoice> {
    let choices = AfterRetries::CHOICES.map(|(choice, value, words)| RetryChoice {
        value,
        words,
        chosen: choice == world.after_retries,
    });
    choices.into_iter().collect()
}

/// What the settings send.
#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    after_retries: AfterRetries,
}

/// `POST /dashboard/settings`
pub(crate) async fn set(state: Data<State>, settings: Form<Settings>) -> HttpResponse {
    state
        .shared
        .with(|world| world.after_retries = settings.after_retries);
    back(&state, Ok(()))
}

/// A test clock.
pub(super) struct ClockView {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) time: String,
    pub(super) customers: String,
}

/// The test clocks that were not deleted.
pub(super) fn clocks(world: &World) -> Vec<ClockView> {
    let living = world.test_clocks.newest().filter(|clock| !clock.deleted);
    living.map(|clock| clock_view(world, clock)).collect()
}

fn clock_view(world: &World, clock: &TestClock) -> ClockView {
    let on_it =
        world.customers.rows().iter().filter(|customer| {
            customer.test_clock.as_deref() == Some(clock.id.as_str()) && !customer.deleted
        });
    let names = on_it.map(|customer| customer.email.clone().unwrap_or_else(|| customer.id.clone()));
    ClockView {
        id: clock.id.clone(),
        name: clock.name.clone().unwrap_or_else(|| clock.id.clone()),
        time: moment(clock.frozen_time),
        customers: names.collect::<Vec<_>>().join(", "),
    }
}

/// How far a test clock goes.
#[derive(Debug, Deserialize)]
pub(crate) struct Days {
    days: i64,
}

/// `POST /dashboard/clocks/{id}`
pub(crate) async fn advance_clock(state: Data<State>, id: Path<String>, by: Form<Days>) -> HttpResponse {
    let done = state.shared.with(|world| {
        let now = world.test_clock(&id)?.frozen_time;
        let to = now.saturating_add(by.days.saturating_mul(86_400));
        world.advance_test_clock(&id, to)
    });
    back(&state, done.map(drop))
}

/// A coupon and its codes.
pub(super) struct CouponView {
    pub(super) id: String,
    pub(super) off: String,
    pub(super) lasts: String,
    pub(super) codes: String,
    pub(super) used: i64,
    pub(super) valid: bool,
}

/// The coupons that were not deleted.
pub(super) fn coupons(world: &World) -> Vec<CouponView> {
    let living = world.coupons.newest().filter(|coupon| !coupon.deleted);
    living.map(|coupon| coupon_view(world, coupon)).collect()
}

fn coupon_view(world: &World, coupon: &Coupon) -> CouponView {
    let codes = world
        .promotion_codes
        .newest()
        .filter(|row| row.coupon == coupon.id);
    let codes: Vec<String> = codes.map(|row| row.code.clone()).collect();
    CouponView {
        id: coupon.id.clone(),
        off: match coupon.off {
            Off::Percent(hundredths) => format!("{} %", f64::from(hundredths) / 100.0),
            Off::Amount(amount) => money(amount, coupon.currency.as_deref().unwrap_or_default()),
        },
        lasts: match coupon.duration {
            CouponDuration::Once => "once".to_owned(),
            CouponDuration::Forever => "forever".to_owned(),
            CouponDuration::Repeating(months) => format!("{months} months"),
        },
        codes: codes.join(", "),
        used: coupon.times_redeemed,
        valid: coupon.valid(world.now()),
    }
}

/// What makes a code with its coupon.
#[derive(Debug, Deserialize)]
pub(crate) struct NewCode {
    code: String,
    percent: u16,
    months: u32,
}

/// `POST /dashboard/codes`
pub(crate) async fn add_code(state: Data<State>, new: Form<NewCode>) -> HttpResponse {
    let done = state.shared.with(|world| new.add(world));
    back(&state, done)
}

impl NewCode {
    fn add(&self, world: &mut World) -> Result<(), Refusal> {
        let (code, now) = (self.code.trim().to_owned(), world.now());
        if code.is_empty() || !(1..=100).contains(&self.percent) {
            return Err(Refusal::invalid(
                "A code has letters, and takes 1 to 100 percent off.",
            ));
        }
        if world.active_code(&code).is_some() {
            return Err(Refusal::invalid(
                "An active promotion code with this code already exists.",
            ));
        }
        let coupon = world.ids.coupon();
        world.create_coupon(Coupon {
            id: coupon.clone(),
            name: None,
            off: Off::Percent(self.percent * 100),
            currency: None,
            duration: match self.months {
                0 => CouponDuration::Once,
                months => CouponDuration::Repeating(months),
            },
            products: Vec::new(),
            max_redemptions: None,
            redeem_by: None,
            times_redeemed: 0,
            metadata: Metadata::new(),
            deleted: false,
            created: now,
        })?;
        let id = world.ids.promotion_code();
        world.create_promotion_code(PromotionCode {
            id,
            code,
            coupon,
            customer: None,
            active: true,
            expires_at: None,
            max_redemptions: None,
            times_redeemed: 0,
            first_time_transaction: false,
            minimum: None,
            metadata: Metadata::new(),
            created: now,
        })
    }
}

/// A webhook endpoint.
pub(super) struct EndpointView {
    pub(super) id: String,
    pub(super) url: String,
    pub(super) version: String,
    pub(super) kinds: String,
    pub(super) disabled: bool,
}

/// The endpoints that were not deleted.
pub(super) fn endpoints(world: &World) -> Vec<EndpointView> {
    let living = world.endpoints.newest().filter(|endpoint| !endpoint.deleted);
    let view = living.map(|endpoint| EndpointView {
        id: endpoint.id.clone(),
        url: endpoint.url.clone(),
        version: endpoint
            .api_version
            .clone()
            .unwrap_or_else(|| "the account's".to_owned()),
        kinds: match endpoint.enabled_events.as_slice() {
            [all] if all == "*" => "all types".to_owned(),
            some => format!("{} types", some.len()),
        },
        disabled: endpoint.disabled,
    });
    view.collect()
}

/// Whether an endpoint gets anything.
#[derive(Debug, Deserialize)]
pub(crate) struct Disabled {
    disabled: bool,
}

/// `POST /dashboard/endpoints/{id}`
pub(crate) async fn set_endpoint(state: Data<State>, id: Path<String>, wish: Form<Disabled>) -> HttpResponse {
    let done = state.shared.with(|world| {
        let found = world.endpoints.get_mut(&id);
        found
            .ok_or_else(|| Refusal::not_found("webhook endpoint", &id))?
            .disabled = wish.disabled;
        Ok(())
    });
    back(&state, done)
}
