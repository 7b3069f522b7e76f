//! Bad days: a whole installation under load while everything around it fails, by a seed that can be repeated, and
//! in the end a comparison with what the simulators alone know.

pub mod acts;
pub mod day;
pub mod fault;
pub mod installation;
pub mod journal;
pub mod ledger;
mod letters;
mod mischief;
pub mod money;
pub mod oracle;
pub mod people;
pub mod plan;

use std::path::Path;

use crate::chaos::{
    day::{Day, Report},
    plan::{Plan, Size},
};

/// Lives through the day of a seed. `name` is that of its database and of the folder with its logs.
pub async fn run(name: &str, binaries: &Path, seed: u64, size: Size) -> anyhow::Result<Report> {
    let plan = Plan::draw(seed, size);
    let mut day = Day::begin(name, binaries, size).await?;
    day.live(&plan).await?;
    day.end().await
}
