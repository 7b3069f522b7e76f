//! How often one client address may sign in and buy. Counted in this process: a limit that needs
//! Redis would either fail open or take sign-in down with it, and replicas multiply it by no more
//! than their number.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};
use chrono::{DateTime, TimeDelta, Utc};

use crate::{config::Limits, error::ApiError, http::accept::routed_path, state::State};

/// More addresses than this are not remembered one by one: those that are free again go first.
const MOST_ADDRESSES: usize = 100_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Signing in and renewing sessions.
    SignIn,
    /// What reaches Stripe, or makes the worker ask Discord.
    Purchase,
}

impl Class {
    /// The limit that a request falls under.
    fn of(method: &Method, path: &str) -> Option<Self> {
        match path {
            "/auth/discord/login" | "/auth/discord/callback" | "/auth/refresh" => Some(Self::SignIn),
            "/checkout"
            | "/billing/portal"
            | "/billing/change"
            | "/billing/change/preview"
            | "/dashboard/fix-roles"
            | "/api/v1/checkout"
            | "/api/v1/billing/portal"
            | "/api/v1/billing/change"
            | "/api/v1/billing/change/preview"
            | "/api/v1/me/fix-roles"
                if *method == Method::POST =>
            {
                Some(Self::Purchase)
            }
            // Each of them asks the worker to read the session from Stripe.
            "/checkout/success" => Some(Self::Purchase),
            _ => None,
        }
    }
}

/// Refuses what comes too often.
pub(crate) async fn limit<B: MessageBody + 'static>(
    state: web::Data<State>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if let Some(class) = Class::of(request.method(), routed_path(request.request()))
        && let Some(peer) = request.peer_addr()
    {
        let client = state.trusted_proxies.client(peer.ip(), request.headers());
        if let Err(retry_after) = state.rate_limits.take(class, client, state.now()) {
            return Ok(request.error_response(ApiError::RateLimited { retry_after }));
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Who came how often: for each address the time at which all it took is made good again (GCRA).
#[derive(Debug)]
pub(crate) struct RateLimits {
    sign_ins: u32,
    purchases: u32,
    free_at: Mutex<HashMap<(Class, IpAddr), DateTime<Utc>>>,
}

impl RateLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            sign_ins: limits.sign_ins_per_minute,
            purchases: limits.purchases_per_minute,
            free_at: Mutex::default(),
        }
    }

    /// Takes one, or says how long to wait.
    pub(crate) fn take(&self, class: Class, client: IpAddr, now: DateTime<Utc>) -> Result<(), Duration> {
        let per_minute = match class {
            Class::SignIn => self.sign_ins,
            Class::Purchase => self.purchases,
        };
        let minute = TimeDelta::minutes(1);
        let each = minute / i32::try_from(per_minute.max(1)).unwrap_or(i32::MAX);
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        if free_at.len() >= MOST_ADDRESSES {
            free_at.retain(|_, free| *free > now);
        }
        let free = free_at.entry((class, network(client))).or_insert(now);
        let next = (*free).max(now) + each;
        // A whole minute's worth may come at once.
        let over = next - now - minute;
        if over > TimeDelta::zero() {
            return Err(over.to_std().unwrap_or_default());
        }
        *free = next;
        Ok(())
    }
}

/// One IPv6 customer has a /64 at the least.
fn network(client: IpAddr) -> IpAddr {
    match client {
        IpAddr::V4(_) => client,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> RateLimits {
        RateLimits::new(&Limits {
            sign_ins_per_minute: 3,
            purchases_per_minute: 1,
            ..Limits::default()
        })
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn what_reaches_stripe_is_limited_and_looking_is_not() {
        for path in [
            "/checkout",
            "/billing/change",
            "/billing/change/preview",
            "/api/v1/billing/change",
            "/api/v1/billing/change/preview",
        ] {
            assert_eq!(Class::of(&Method::POST, path), Some(Class::Purchase), "{path}");
            assert_eq!(Class::of(&Method::GET, path), None, "{path}");
        }
    }

    #[test]
    fn a_minutes_worth_may_come_at_once_and_then_one_by_one() {
        let (limits, client) = (limits(), "203.0.113.9".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(limits.take(Class::SignIn, client, at(0)), Ok(()));
        }
        assert_eq!(
            limits.take(Class::SignIn, client, at(0)),
            Err(Duration::from_secs(20))
        );
        assert_eq!(
            limits.take(Class::SignIn, client, at(19)),
            Err(Duration::from_secs(1))
        );
        assert_eq!(limits.take(Class::SignIn, client, at(20)), Ok(()));
        assert_eq!(limits.take(Class::SignIn, client, at(3600)), Ok(()));
    }

    #[test]
    fn addresses_and_classes_are_counted_apart() {
        let limits = limits();
        assert!(
            limits
                .take(Class::Purchase, "203.0.113.9".parse().unwrap(), at(0))
                .is_ok()
        );
        assert!(
            limits
                .take(Class::Purchase, "203.0.113.9".parse().unwrap(), at(0))
                .is_err()
        );
        assert!(
            limits
                .take(Class::Purchase, "203.0.113.10".parse().unwrap(), at(0))
                .is_ok()
        );
        assert!(
            limits
                .take(Class::SignIn, "203.0.113.9".parse().unwrap(), at(0))
                .is_ok()
        );
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let limits = limits();
        assert!(
            limits
                .take(Class::Purchase, "2001:db8::1".parse().unwrap(), at(0))
                .is_ok()
        );
        assert!(
            limits
                .take(Class::Purchase, "2001:db8::2".parse().unwrap(), at(0))
                .is_err()
        );
        assert!(
            limits
                .take(Class::Purchase, "2001:db8:0:1::1".parse().unwrap(), at(0))
                .is_ok()
        );
    }
}
