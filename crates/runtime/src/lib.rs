//! What every service stands on: environment, telemetry, shutdown, health, metrics, clock.
//!
//! Everything that touches the process itself (variables, signals, clocks, randomness, spawned
//! tasks) does so here and nowhere else; the services get it passed in.

pub mod clock;
pub mod config;
pub mod env;
pub mod health;
pub mod metrics;
pub mod net;
pub mod process;
pub mod seal;
pub mod shutdown;
pub mod telemetry;
pub mod trace;
pub mod version;
