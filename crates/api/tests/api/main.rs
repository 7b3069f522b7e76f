//! The service over real HTTP, on a real Postgres and a real Redis, between a stub of Discord and one
//! of Stripe. `DATABASE_URL` and `REDIS_URL` say where; without them every test fails.

#[cfg(test)]
mod admin;
#[cfg(test)]
mod bad_days;
#[cfg(test)]
mod buying;
#[cfg(test)]
mod changing;
#[cfg(test)]
mod checkout;
#[cfg(test)]
mod cross_origin;
#[cfg(test)]
mod live;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod people;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod process;
#[cfg(test)]
mod reconcile;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod sign_in;
#[cfg(test)]
mod staff;
#[cfg(test)]
mod support;
#[cfg(test)]
mod webhook;
