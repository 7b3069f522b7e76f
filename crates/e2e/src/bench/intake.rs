//! Taking webhooks in: how many a second, at what cost, and how fast each is acknowledged.

use std::net::{Ipv4Addr, SocketAddr};

use crate::{
    bench::{
        crowd::{self, Place},
        ground::{Ground, stop},
        http::{self, Requests, blast},
        limit::LimitServer,
        report::{Row, Target},
        stats::{count, millis, percentile, rate},
        webhooks::{self, Event},
    },
    ports::free_port,
    process::Process,
};

/// Requests a second in the measure of the acknowledgement.
const PACE: u32 = 200;

/// Connections that Stripe might have open at that pace.
const PACED_CONNECTIONS: usize = 8;

/// An api over a Redis database that no worker reads, so that taking in is all that happens.
struct Api {
    process: Process,
    address: SocketAddr,
}

impl Api {
    async fn start(ground: &Ground) -> anyhow::Result<Self> {
        let (port, redis) = (free_port(None)?, ground.spare_redis());
        let variables = [("PORT", &*port.to_string()), ("REDIS_URL", redis.as_str())];
        let mut process = ground.stack.start_with("api", "api-alone", &variables)?;
        process.wait_ready(&ground.stack.client).await?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Self { process, address })
    }
}

/// Figures of one side, one a run.
#[derive(Default)]
struct Side {
    rates: Vec<f64>,
    cpu: Vec<f64>,
}

impl Side {
    async fn run(
        &mut self,
        ground: &Ground,
        address: SocketAddr,
        pid: u32,
        requests: &Requests,
        connections: usize,
    ) -> anyhow::Result<()> {
        ground.empty_spare_redis().await?;
        let before = ground.usage.cpu_seconds(pid)?;
        let took = blast(address, requests, connections).await?;
        let used = ground.usage.cpu_seconds(pid)? - before;
        self.rates.push(rate(requests.len(), took));
        self.cpu.push(used / count(requests.len()) * 1e6);
        Ok(())
    }
}

/// Webhooks a second at 1, 32 and 64 connections, and the processor time of each.
pub(crate) async fn measure(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let event = some_event(ground).await?;
    let mut api = Api::start(ground).await?;
    let limit = ground.limit_server().await?;
    let mut rows = Vec::new();
    for connections in [1, 32, 64] {
        let size = ground.options.size(if connections == 1 { 6_000 } else { 20_000 });
        let (mut ours, mut theirs) = (Side::default(), Side::default());
        // The first run of each only warms up.
        for run in 0..=ground.options.runs {
            let requests = webhooks::requests(&format!("I{connections}r{run}"), vec![&event; size]);
            ours.run(ground, api.address, api.process.id()?, &requests, connections)
                .await?;
            theirs
                .run(ground, limit.address(), limit.id()?, &requests, connections)
                .await?;
            if run == 0 {
                (ours, theirs) = (Side::default(), Side::default());
            }
        }
        rows.extend(intake_rows(connections, ours, theirs));
    }
    stop(&mut api.process, "api").await?;
    Ok(rows)
}

fn intake_rows(connections: usize, ours: Side, theirs: Side) -> [Row; 2] {
    let many = connections > 1;
    let plural = if many { "connections" } else { "connection" };
    let (rate_target, cpu_target) = if many {
        (Target::ShareOfLimit(0.75), Target::AtMost(50.0))
    } else {
        (Target::None, Target::None)
    };
    [
        Row::new(
            format!("intake, {connections} {plural}"),
            "webhooks/s",
            ours.rates,
        )
        .beside(theirs.rates)
        .aiming_at(rate_target),
        Row::new(
            format!("api processor time a webhook, {connections} {plural}"),
            "µs",
            ours.cpu,
        )
        .beside(theirs.cpu)
        .aiming_at(cpu_target),
    ]
}

/// How long Stripe waits for the 200 at 200 webhooks a second, while worker and bot work on them.
pub(crate) async fn measure_ack(ground: &mut Ground) -> anyhow::Result<Vec<Row>> {
    let size = ground.options.size(1_200);
    let people = crowd::make(ground, "k", size.min(200), Place::Record).await?;
    crowd::take_in(ground, "k", &people).await?;
    let events = people
        .iter()
        .map(|person| person.event(ground))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let limit = ground.limit_server().await?;
    let (mut ours, mut theirs) = (Waits::default(), Waits::default());
    for run in 0..=ground.options.runs {
        let requests = webhooks::requests(&format!("K{run}r"), events.iter().cycle().take(size));
        ours.run(ground.api()?, &requests).await?;
        crowd::settle(ground).await?;
        ground.empty_spare_redis().await?;
        theirs.run(LimitServer::address(&limit), &requests).await?;
        if run == 0 {
            (ours, theirs) = (Waits::default(), Waits::default());
        }
    }
    let name = |what| format!("acknowledgement at {PACE}/s with everything running, {what}");
    Ok(vec![
        Row::new(name("p50"), "ms", ours.p50)
            .beside(theirs.p50)
            .aiming_at(Target::TimesLimit(2.0)),
        Row::new(name("p99"), "ms", ours.p99)
            .beside(theirs.p99)
            .aiming_at(Target::TimesLimit(2.0)),
    ])
}

#[derive(Default)]
struct Waits {
    p50: Vec<f64>,
    p99: Vec<f64>,
}

impl Waits {
    async fn run(&mut self, address: SocketAddr, requests: &Requests) -> anyhow::Result<()> {
        let waited = millis(&http::pace(address, requests, PACE, PACED_CONNECTIONS).await?);
        self.p50.extend(percentile(&waited, 50));
        self.p99.extend(percentile(&waited, 99));
        Ok(())
    }
}

async fn some_event(ground: &Ground) -> anyhow::Result<Event> {
    let people = crowd::make(ground, "i", 1, Place::Record).await?;
    let person = people.first().ok_or_else(|| anyhow::anyhow!("nobody was made"))?;
    person.event(ground)
}
