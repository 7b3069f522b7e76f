//! A running service for a test, and what stands around it.

pub(crate) mod app;
mod browser;
mod clock;
pub(crate) mod ill;
mod seed;
pub(crate) mod shop;
pub(crate) mod stubs;

pub(crate) use app::TestApp;
pub(crate) use browser::{Answer, Browser};
pub(crate) use seed::{GUILD, ROLE};
pub(crate) use stubs::DiscordMood;
