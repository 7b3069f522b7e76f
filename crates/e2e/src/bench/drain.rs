//! Working a backlog off: events a second, beside a client that does nothing but say what the worker says to Postgres
//! for as many events, each in transactions of its own.

use std::time::Duration;

use anyhow::{Context, ensure};
use url::Url;

use crate::bench::{
    capture::Capture,
    crowd::{self, Person, Place},
    ground::{Ground, NAME, stop},
    pooler::{POOL_SIZE, Pooler},
    progress,
    report::{Row, Target},
    sql,
    stats::{count, rate},
};

/// The state before a backlog was worked off, to do it again.
const BEFORE: &str = "rolecall_bench_before";
/// Where it is done again.
const AGAIN: &str = "rolecall_bench_again";

/// So many a second come alone, each of them.
const ALONE: u32 = 100;

/// Whether the events of a backlog change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Load {
    Nothing,
    Roles,
}

impl Load {
    const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "events that change nothing",
            Self::Roles => "events that change a role",
        }
    }

    const fn letter(self) -> char {
        match self {
            Self::Nothing => 'n',
            Self::Roles => 'r',
        }
    }
}

/// Figures of one kind of load, one a run.
#[derive(Default)]
struct Figures {
    ours: Vec<f64>,
    limit: Vec<f64>,
    cpu: Vec<f64>,
}

/// Over connections of the worker's own.
pub(crate) async fn measure(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    Drain::prepare(ground, None).await?.measure("pool of 3").await
}

/// Through PgBouncer in transaction mode.
pub(crate) async fn measure_pooled(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let pooler = Pooler::start(ground).await?;
    Drain::prepare(ground, Some(pooler))
        .await?
        .measure("PgBouncer")
        .await
}

struct Drain<'a> {
    ground: &'a mut Ground,
    pooler: Option<Pooler>,
    people: Vec<Person>,
    runs_made: usize,
}

impl<'a> Drain<'a> {
    async fn prepare(ground: &'a mut Ground, pooler: Option<Pooler>) -> anyhow::Result<Self> {
        let name = if pooler.is_some() { "p" } else { "d" };
        let size = ground.options.size(2_000);
        // The worker alone: the bot would otherwise work on what comes of it.
        stop(&mut ground.stack.bot, "bot").await?;
        let people = crowd::make(ground, name, size, Place::Record).await?;
        crowd::take_in(ground, name, &people).await?;
        crowd::pretend_in_step(ground).await?;
        Ok(Self {
            ground,
            pooler,
            people,
            runs_made: 0,
        })
    }

    async fn measure(mut self, over: &str) -> anyhow::Result<Vec<Row>> {
        let mut rows = Vec::new();
        for load in [Load::Nothing, Load::Roles] {
            let capture = self.capture(load).await?;
            let mut figures = Figures::default();
            for _ in 0..self.ground.options.runs {
                let (took, cpu) = self.drain(load).await?;
                figures.ours.push(rate(self.people.len(), took));
                figures.cpu.push(cpu / count(self.people.len()) * 1e3);
                figures
                    .limit
                    .push(rate(self.people.len(), self.again(&capture).await?));
            }
            rows.push(
                Row::new(
                    format!("drain, {over}, {}", load.name()),
                    "events/s",
                    figures.ours,
                )
                .beside(figures.limit)
                .aiming_at(Target::ShareOfLimit(0.75)),
            );
            rows.push(
                Row::new(
                    format!("worker processor time, {over}, {}", load.name()),
                    "ms/event",
                    figures.cpu,
                )
                .aiming_at(Target::AtMost(0.4)),
            );
        }
        self.ground.start_worker(&[])?;
        self.ground.worker_ready().await?;
        self.ground.stack.bot = self.ground.stack.start_another("bot", "bot")?;
        self.ground
            .stack
            .bot
            .wait_ready(&self.ground.stack.client)
            .await?;
        Ok(rows)
    }

    /// Fills the queue while no worker runs, works it off, and returns the time from the first event done to the
    /// last, and the worker's processor time in seconds.
    async fn drain(&mut self, load: Load) -> anyhow::Result<(Duration, f64)> {
        let prefix = self.fill(load).await?;
        self.work_off(&prefix).await
    }

    async fn fill(&mut self, load: Load) -> anyhow::Result<String> {
        let prefix = self.prepare_load(load).await?;
        crowd::send(self.ground, &prefix, &self.people).await?;
        Ok(prefix)
    }

    /// Ends the worker, and lets happen what the events will be about. Returns how their ids begin.
    async fn prepare_load(&mut self, load: Load) -> anyhow::Result<String> {
        self.ground.stop_worker().await.or_else(|error| {
            // Ended after the run before.
            if self.ground.stack.worker.id().is_ok() {
                Err(error)
            } else {
                Ok(())
            }
        })?;
        if load == Load::Roles {
            for person in &mut self.people {
                person.change_plan(self.ground)?;
            }
        }
        self.runs_made += 1;
        let pooled = if self.pooler.is_some() { "P" } else { "D" };
        Ok(format!("{pooled}{}{}x", load.letter(), self.runs_made))
    }

    async fn work_off(&mut self, prefix: &str) -> anyhow::Result<(Duration, f64)> {
        self.start_worker()?;
        self.end(prefix).await
    }

    fn start_worker(&mut self) -> anyhow::Result<()> {
        let database = self.database(NAME)?;
        let mode = if self.pooler.is_some() {
            "transaction"
        } else {
            "none"
        };
        let pool = POOL_SIZE.to_string();
        self.ground.start_worker(&[
            ("DATABASE_URL", database.as_str()),
            ("DATABASE_POOLER", mode),
            ("DATABASE_MAX_CONNECTIONS", &pool),
            // What a backlog costs, not what happens to fall due meanwhile.
            ("ENABLE_CRON_JOBS", "false"),
        ])
    }

    /// Waits until all is done, and ends the worker.
    async fn end(&mut self, prefix: &str) -> anyhow::Result<(Duration, f64)> {
        self.ground.drained(&["stripe-events"]).await?;
        let cpu = self.ground.usage.cpu_seconds(self.ground.stack.worker.id()?)?;
        self.ground.stop_worker().await?;
        let took = self.took(&self.ground.database(), prefix).await?;
        crowd::pretend_in_step(self.ground).await?;
        Ok((took, cpu))
    }

    /// From the first event done to the last; errs unless all of them are.
    async fn took(&self, database: &Url, prefix: &str) -> anyhow::Result<Duration> {
        let answer = sql::ask(
            database,
            &format!(
                "SELECT count(*), extract(epoch FROM max(done_at) - min(done_at)) FROM inbox \
                 WHERE state = 'done' AND event_id LIKE 'evt\\_1{prefix}%'"
            ),
        )
        .await?;
        let (done, seconds) = answer.trim().split_once('|').context("two columns")?;
        let done: usize = done.parse()?;
        ensure!(
            done == self.people.len(),
            "{done} of {} events are done",
            self.people.len()
        );
        Ok(Duration::from_secs_f64(seconds.parse()?))
    }

    fn database(&self, name: &str) -> anyhow::Result<Url> {
        match &self.pooler {
            Some(pooler) => pooler.url(self.ground, name),
            None => Ok(self.ground.machine.database(name)),
        }
    }

    /// Has as many events done one after the other while Postgres notes every statement: what an event costs that
    /// comes alone. The state of before is kept, so that the same work can be done again.
    async fn capture(&mut self, load: Load) -> anyhow::Result<Capture> {
        let prefix = self.prepare_load(load).await?;
        let server = self.ground.machine.postgres.clone();
        // A database is copied only while nobody is connected to it.
        stop(&mut self.ground.stack.api, "api").await?;
        sql::copy_database(&server, NAME, BEFORE).await?;
        self.ground.stack.api = self.ground.stack.start_another("api", "api")?;
        self.ground
            .stack
            .api
            .wait_ready(&self.ground.stack.client)
            .await?;
        // A pooler keeps its sessions, and a setting of the database counts for new ones only.
        sql::end_sessions(&server, NAME).await?;
        let begin = log_size(&server).await?;
        sql::ask(
            &server,
            &format!("ALTER DATABASE {NAME} SET log_statement = 'all'"),
        )
        .await?;
        self.start_worker()?;
        self.ground.worker_ready().await?;
        crowd::send_slowly(self.ground, &prefix, &self.people, ALONE).await?;
        self.end(&prefix).await?;
        sql::ask(&server, &format!("ALTER DATABASE {NAME} RESET log_statement")).await?;
        sql::end_sessions(&server, NAME).await?;

        let end = log_size(&server).await?;
        let read = format!(
            "SELECT pg_read_file(pg_current_logfile('jsonlog'), {begin}, {})",
            end - begin
        );
        let log = sql::ask(&server, &read).await?;
        let capture = Capture::read(&log, NAME)?;
        progress(&format!(
            "{}: {} statements for {} events",
            load.name(),
            capture.len(),
            self.people.len()
        ));
        Ok(capture)
    }

    /// Does the captured work again, on a copy of the database as it was before.
    async fn again(&self, capture: &Capture) -> anyhow::Result<Duration> {
        sql::copy_database(&self.ground.machine.postgres, BEFORE, AGAIN).await?;
        // Through a transaction pooler nothing can be prepared.
        let prepares = self.pooler.is_none();
        let took = capture
            .repeat(&self.database(AGAIN)?, POOL_SIZE, prepares)
            .await?;
        // An event whose transactions name no id in common may be finished before it has begun. Seldom, or it was
        // not the same work.
        let sql = "SELECT count(*) FROM inbox WHERE state = 'pending'";
        let open = sql::ask(&self.ground.machine.database(AGAIN), sql).await?;
        let open: usize = open.trim().parse()?;
        ensure!(
            open * 20 <= self.people.len(),
            "{open} events are open after the same work"
        );
        Ok(took)
    }
}

async fn log_size(server: &Url) -> anyhow::Result<u64> {
    let size = sql::ask(
        server,
        "SELECT size FROM pg_stat_file(pg_current_logfile('jsonlog'))",
    )
    .await?;
    size.trim()
        .parse()
        .context("read the size of the log of Postgres")
}
