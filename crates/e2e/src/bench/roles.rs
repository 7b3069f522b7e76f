//! A thousand role changes under a limit of ten a window: as fast as the headers allow, and never refused.

use std::time::Duration;

use anyhow::{Context, ensure};
use rolecall_sandbox::discord::request_log::RequestEntry;

use crate::bench::{
    crowd::{self, Place},
    ground::Ground,
    latency::in_step,
    report::{Row, Target},
    stats::count,
};

const LIMIT: u32 = 10;

/// Forty a second stays below Discord's global fifty.
const WINDOW: Duration = Duration::from_millis(250);

/// Changes of the plans of a thousand people at once.
pub(crate) async fn measure(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let mut people = crowd::make(ground, "r", ground.options.size(1_000), Place::Server).await?;
    crowd::take_in(ground, "r", &people).await?;
    in_step(ground, &people).await?;
    ground.limit_roles(LIMIT, WINDOW)?;
    let (mut took, mut least, mut requests, mut refused) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for run in 0..ground.options.runs {
        for person in &mut people {
            person.change_plan(ground)?;
        }
        let before = ground
            .stack
            .discord
            .requests()
            .last()
            .map_or(0, |entry| entry.number);
        crowd::send(ground, &format!("R{run}"), &people).await?;
        in_step(ground, &people).await?;
        let mut made = ground.stack.discord.requests();
        made.retain(|entry| entry.number > before);
        let seen = Seen::of(&made)?;
        ensure!(seen.changes == people.len(), "{} changes", seen.changes);
        took.push(seen.took.as_secs_f64());
        least.push(least_time(seen.changes).as_secs_f64());
        requests.push(count(made.len()) / count(seen.changes));
        refused.push(count(seen.refused));
    }
    ground.limit_roles(1_000, Duration::from_secs(1))?;
    let name = format!(
        "{} role changes under {LIMIT} per {} ms",
        people.len(),
        WINDOW.as_millis()
    );
    Ok(vec![
        Row::new(&name, "s", took)
            .beside(least)
            .aiming_at(Target::TimesLimit(1.025)),
        Row::new(format!("{name}: answers 429"), "answers", refused).aiming_at(Target::AtMost(0.0)),
        Row::new("requests to Discord per role change", "requests", requests).aiming_at(Target::AtMost(2.0)),
    ])
}

/// What the simulated Discord saw.
struct Seen {
    changes: usize,
    refused: usize,
    took: Duration,
}

impl Seen {
    fn of(requests: &[RequestEntry]) -> anyhow::Result<Self> {
        let changes: Vec<&RequestEntry> = requests
            .iter()
            .filter(|entry| entry.path.contains("/roles/") && entry.status == Some(204))
            .collect();
        let (first, last) = changes
            .first()
            .zip(changes.last())
            .context("no role was changed")?;
        Ok(Self {
            changes: changes.len(),
            refused: requests.iter().filter(|entry| entry.status == Some(429)).count(),
            took: Duration::from_millis(last.elapsed_ms.saturating_sub(first.elapsed_ms)),
        })
    }
}

/// From the first change to the last: a whole window passes between one ten and the next.
fn least_time(changes: usize) -> Duration {
    let windows = u32::try_from(changes).unwrap_or(u32::MAX).div_ceil(LIMIT);
    WINDOW * windows.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ten_need_no_window_after_them() {
        assert_eq!(least_time(10), Duration::ZERO);
        assert_eq!(least_time(11), WINDOW);
        assert_eq!(least_time(1_000), WINDOW * 99);
    }
}
