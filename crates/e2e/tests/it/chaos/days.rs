//! Days of a few seconds. `cargo xtask chaos` has longer ones.

use std::time::Duration;

use rolecall_e2e::{
    chaos::{self, plan::Size},
    machine,
};

const SIZE: Size = Size {
    lasts: Duration::from_secs(15),
    residents: 8,
    newcomers: 4,
};

async fn live_through(seed: u64) {
    let name = format!("rolecall_day_{seed}");
    let binaries = machine::binaries().unwrap();
    let day = chaos::run(&name, &binaries, seed, SIZE).await;
    let report = day.unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    let faults = &report.reckoning.faults;
    assert!(faults.is_empty(), "seed {seed}\n{}{faults:#?}", report.journal);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_doubled_on_a_bad_day() {
    live_through(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_doubled_on_another_bad_day() {
    live_through(2).await;
}
