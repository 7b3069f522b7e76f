//! From a webhook to the role: the time from the first byte of the event to the role change at Discord.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use rolecall_sandbox::discord::demo::GUILD;
use tokio::time::{sleep, timeout};

use crate::bench::{
    crowd::{self, Person, Place},
    ground::Ground,
    http::Connection,
    report::{Row, Target},
    stats::{millis, percentile},
};

/// Longer is no latency any more.
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);

/// Between two people, so that each finds everything idle, and the global limit of 50 a second far away.
const PAUSE: Duration = Duration::from_millis(40);

/// How many events wait in front of the person who just paid.
const BACKLOG: usize = 5_000;

/// With idle queues: people change their plan one after the other.
pub(crate) async fn measure(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let mut people = crowd::make(ground, "l", ground.options.size(100), Place::Server).await?;
    crowd::take_in(ground, "l", &people).await?;
    in_step(ground, &people).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for run in 0..=ground.options.runs {
        let mut waited = Vec::new();
        for person in &mut people {
            person.change_plan(ground)?;
            waited.push(until_roles(ground, person, &format!("L{run}x{}", person.user)).await?);
            sleep(PAUSE).await;
        }
        let waited = millis(&waited);
        // The first run only warms up.
        if run > 0 {
            p50.extend(percentile(&waited, 50));
            p99.extend(percentile(&waited, 99));
        }
    }
    let name = |what| format!("event to role request, idle queues, {what}");
    Ok(vec![
        Row::new(name("p50"), "ms", p50).aiming_at(Target::AtMost(6.0)),
        Row::new(name("p99"), "ms", p99),
    ])
}

/// Behind a backlog: somebody pays while thousands of events of others wait.
pub(crate) async fn measure_behind(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let backlog = crowd::make(ground, "b", ground.options.size(BACKLOG), Place::Record).await?;
    // A bot would have taken a thousand commands in hand for people who are in the record only.
    ground.stop_bot().await?;
    crowd::take_in(ground, "b", &backlog).await?;
    crowd::pretend_in_step(ground).await?;
    ground.start_bot().await?;
    let each = 4;
    let mut payers = crowd::make(ground, "f", each * ground.options.runs, Place::Server).await?;
    let (mut p50, mut longest, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..ground.options.runs {
        ground.stop_worker().await?;
        crowd::send(ground, &format!("B{run}"), &backlog).await?;
        ground.start_worker(&[])?;
        ground.worker_ready().await?;
        let mut waited = Vec::new();
        for person in payers.drain(..each) {
            waited.push(until_roles(ground, &person, &format!("F{run}x{}", person.user)).await?);
        }
        let events = ground.waiting("stripe-events").await? + ground.kept().await?;
        left.push(crate::bench::stats::count(events));
        crowd::settle(ground).await?;
        let waited = millis(&waited);
        p50.extend(percentile(&waited, 50));
        longest.extend(percentile(&waited, 100));
    }
    let name = |what| format!("a person who just paid, behind {} events, {what}", backlog.len());
    Ok(vec![
        Row::new(name("p50"), "ms", p50),
        Row::new(name("longest"), "ms", longest).aiming_at(Target::AtMost(500.0)),
        Row::new(
            "events still waiting when the last of them had their role",
            "events",
            left,
        ),
    ])
}

/// Waits until everybody has the roles of their plan at Discord.
pub(crate) async fn in_step(ground: &Ground, people: &[Person]) -> anyhow::Result<()> {
    // Nobody twice, or looking would slow the simulator down that is measured with.
    let in_step = Cell::new(0);
    let all = ground.stack.discord.wait_until(|_| {
        let those_left = people.iter().skip(in_step.get());
        let arrived = those_left.take_while(|person| has_roles(ground, person)).count();
        in_step.set(in_step.get() + arrived);
        in_step.get() == people.len()
    });
    timeout(Duration::from_mins(3), all)
        .await
        .context("wait for everybody's roles")?;
    crowd::settle(ground).await
}

/// Sends the event of a person and waits for their role change to arrive at Discord.
async fn until_roles(ground: &Ground, person: &Person, id: &str) -> anyhow::Result<Duration> {
    let request = person.event(ground)?.request(&format!("evt_1{id}"));
    let mut connection = Connection::open(ground.api()?).await?;
    let mut changes = ground.stack.discord.changes();
    let sent = Instant::now();
    let arrives = async {
        let status = connection.exchange(&request).await?;
        ensure!(status == 200, "the api answered {status}");
        while !has_roles(ground, person) {
            changes.changed().await?;
        }
        Ok(sent.elapsed())
    };
    timeout(ARRIVES_WITHIN, arrives)
        .await
        .with_context(|| format!("wait for the role of {}", person.user))?
}

fn has_roles(ground: &Ground, person: &Person) -> bool {
    let roles = ground.stack.discord.member_roles(GUILD, person.user);
    roles.is_some_and(|roles| roles.len() == person.roles())
}
