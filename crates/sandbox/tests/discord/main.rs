//! The simulated Discord, over real HTTP and over a real WebSocket.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod control;
mod faults;
mod gateway;
mod interactions;
mod limits;
mod members;
mod oauth;
mod pages;
mod refusals;
mod shapes;
mod support;
