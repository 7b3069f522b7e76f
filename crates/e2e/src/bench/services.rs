//! What each service is by itself: how soon it is ready, and the memory it takes.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::time::{sleep, timeout};

use crate::{
    bench::{
        crowd::{self, Place},
        ground::{Ground, stop},
        http::{Connection, blast},
        latency::in_step,
        report::{Row, Target},
        stats::millis,
        usage::{Memory, memory},
        webhooks,
    },
    process::Process,
};

const SERVICES: [&str; 3] = ["api", "worker", "bot"];

const READY_WITHIN: Duration = Duration::from_secs(20);

/// Between two looks: a share of what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a service has settled to after its start.
const IDLE_AFTER: Duration = Duration::from_secs(3);

/// From exec to the first `/ready` that says 200.
pub(crate) async fn measure_start(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for name in SERVICES {
        let mut took = Vec::new();
        for _ in 0..ground.options.runs {
            took.push(restart(ground, name).await?);
        }
        rows.push(
            Row::new(format!("exec to ready, {name}"), "ms", millis(&took)).aiming_at(Target::AtMost(150.0)),
        );
    }
    Ok(rows)
}

/// Resident memory: after a start, and the most of it during a burst of events that change roles.
pub(crate) async fn measure_memory(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let mut people = crowd::make(ground, "m", ground.options.size(200), Place::Server).await?;
    crowd::take_in(ground, "m", &people).await?;
    in_step(ground, &people).await?;
    let mut figures = [Figures::default(), Figures::default(), Figures::default()];
    for run in 0..ground.options.runs {
        for name in SERVICES {
            restart(ground, name).await?;
        }
        sleep(IDLE_AFTER).await;
        for (name, figures) in SERVICES.iter().zip(&mut figures) {
            figures.idle(memory(process(ground, name)?.id()?)?);
        }
        for person in &mut people {
            person.change_plan(ground)?;
        }
        let events = people
            .iter()
            .map(|person| person.event(ground))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let size = ground.options.size(10_000);
        let requests = webhooks::requests(&format!("M{run}"), events.iter().cycle().take(size));
        blast(ground.api()?, &requests, 64).await?;
        in_step(ground, &people).await?;
        for (name, figures) in SERVICES.iter().zip(&mut figures) {
            figures.loaded.push(memory(process(ground, name)?.id()?)?.peak);
        }
    }
    let rows = SERVICES.iter().zip(figures);
    Ok(rows.flat_map(|(name, figures)| figures.rows(name)).collect())
}

#[derive(Default)]
struct Figures {
    idle: Vec<f64>,
    shared_out: Vec<f64>,
    loaded: Vec<f64>,
}

impl Figures {
    fn idle(&mut self, memory: Memory) {
        self.idle.push(memory.rss);
        self.shared_out.extend(memory.pss);
    }

    fn rows(self, name: &str) -> [Row; 3] {
        [
            Row::new(format!("memory of the {name}, idle"), "MB RSS", self.idle)
                .aiming_at(Target::AtMost(25.0)),
            Row::new(format!("memory of the {name}, idle"), "MB PSS", self.shared_out),
            Row::new(
                format!("memory of the {name}, at most under load"),
                "MB RSS",
                self.loaded,
            )
            .aiming_at(Target::AtMost(60.0)),
        ]
    }
}

/// Stops a service and starts it again; returns the time from exec to ready.
async fn restart(ground: &mut Ground, name: &'static str) -> anyhow::Result<Duration> {
    stop(process_mut(ground, name)?, name).await?;
    let started = Instant::now();
    let mut process = ground.stack.start_another(name, name)?;
    let waited = timeout(READY_WITHIN, ready(&process)).await;
    waited.with_context(|| format!("wait for the {name}"))??;
    let took = started.elapsed();
    process.wait_ready(&ground.stack.client).await?;
    *process_mut(ground, name)? = process;
    Ok(took)
}

async fn ready(process: &Process) -> anyhow::Result<()> {
    let port = process.health().rsplit(':').next().context("no health port")?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.parse()?));
    let request = b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n";
    loop {
        if let Ok(mut connection) = Connection::open(address).await
            && connection.exchange(request).await.ok() == Some(200)
        {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

fn process<'a>(ground: &'a Ground, name: &str) -> anyhow::Result<&'a Process> {
    let stack = &ground.stack;
    Ok(match name {
        "api" => &stack.api,
        "worker" => &stack.worker,
        "bot" => &stack.bot,
        _ => bail!("there is no service {name}"),
    })
}

fn process_mut<'a>(ground: &'a mut Ground, name: &str) -> anyhow::Result<&'a mut Process> {
    let stack = &mut ground.stack;
    Ok(match name {
        "api" => &mut stack.api,
        "worker" => &mut stack.worker,
        "bot" => &mut stack.bot,
        _ => bail!("there is no service {name}"),
    })
}
