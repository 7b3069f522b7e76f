//! The full sweep of a community in which nothing differs: how long it takes, and in how much memory.

use std::time::Instant;

use anyhow::ensure;
use serde_json::Value;

use crate::bench::{
    ground::{Ground, PRICES},
    report::{Row, Target},
    usage::memory,
};

/// Sweeps what is known already, from the command to its answer.
pub(crate) async fn measure(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let size = ground.options.size(10_000);
    ground.stack.stripe.seed_many(PRICES[0], u32::try_from(size)?)?;
    // The first sweep takes all of them in, each by a read of its own.
    let first = ground.stack.rolecall(&["reconcile"]).await?;
    ensure!(number(&first, "applied") >= size, "taken in: {first}");
    let (mut took, mut peak) = (Vec::new(), Vec::new());
    for _ in 0..ground.options.runs {
        // What it took to take them in is not what is measured.
        ground.stop_worker().await?;
        ground.start_worker(&[])?;
        ground.worker_ready().await?;
        let begin = Instant::now();
        let swept = ground.stack.rolecall(&["reconcile"]).await?;
        took.push(begin.elapsed().as_secs_f64());
        ensure!(
            number(&swept, "listed") >= size && number(&swept, "findings") == 0,
            "swept: {swept}"
        );
        peak.push(memory(ground.stack.worker.id()?)?.peak);
    }
    let what = format!("full sweep of {size} subscriptions without changes");
    Ok(vec![
        Row::new(what.clone(), "s", took).aiming_at(Target::AtMost(30.0)),
        Row::new(format!("{what}, the worker at most"), "MB RSS", peak).aiming_at(Target::AtMost(100.0)),
    ])
}

fn number(run: &Value, figure: &str) -> usize {
    let count = run.pointer(&format!("/figures/{figure}")).and_then(Value::as_u64);
    usize::try_from(count.unwrap_or_default()).unwrap_or(usize::MAX)
}
