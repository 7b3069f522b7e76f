//! Three apis behind a balancer, three workers, two bots, and servers of their own; a proxy on every way between.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use rolecall_sandbox::network::{Conduct, Proxy};
use url::Url;

use crate::{
    balancer::Balancer,
    chaos::fault::{Instance, Service, Upstream},
    machine::Machine,
    ports::free_port,
    process::Process,
    servers::{Folder, Postgres, Redis},
    stack::{Stack, StackOptions},
};

/// How long a bot that has gone silent keeps the lease: short, so that a short day sees many terms.
pub const LEASE: Duration = Duration::from_secs(3);

/// Waits between a job's attempts: long enough in all for every outage of a day, short enough to see the end.
const RETRIES: &str = "250ms,1s,2s,4s,8s,15s";

/// How long an api may take to be ready for the balancer.
const SERVING_WITHIN: Duration = Duration::from_secs(30);

/// The installation.
#[derive(Debug)]
pub struct Installation {
    /// The simulators, and what the operator does. Its own three processes have ended.
    pub stack: Stack,
    /// The queues.
    pub redis: Redis,
    /// The record.
    pub postgres: Postgres,
    balancer: Balancer,
    seats: BTreeMap<Instance, Seat>,
}

/// A place for a process: what it is started with, whoever sits there.
#[derive(Debug)]
struct Seat {
    variables: Vec<(&'static str, String)>,
    proxies: BTreeMap<Upstream, Proxy>,
    process: Option<Process>,
}

impl Installation {
    /// Starts everything, and sells one plan.
    pub async fn start(name: &str, binaries: &Path) -> anyhow::Result<Self> {
        let folder = Arc::new(Folder::create(name)?);
        let (postgres, redis) = tokio::try_join!(Postgres::start(&folder), Redis::start(&folder))?;
        let machine = Machine {
            postgres: postgres.url()?,
            redis: redis.url()?,
            binaries: binaries.to_path_buf(),
        };
        let mut balancer = Balancer::start().await?;
        let first = free_port(None)?;
        let options = StackOptions {
            port: Some(first),
            ..StackOptions::named(name)
                .with("PUBLIC_URL", &balancer.origin())
                .with("LEASE_TTL", &format!("{}s", LEASE.as_secs()))
                .with("JOB_RETRY_SCHEDULE", RETRIES)
        };
        balancer.add(first);
        let mut stack = Stack::start(&machine, options).await?;
        balancer.remove(first);
        for process in [&mut stack.api, &mut stack.worker, &mut stack.bot] {
            process.stop().await?;
        }
        let mut installation = Self {
            seats: BTreeMap::new(),
            stack,
            redis,
            postgres,
            balancer,
        };
        for instance in Instance::ALL {
            installation.make_seat(instance).await?;
            installation.occupy(instance)?;
        }
        installation.wait_ready().await?;
        Ok(installation)
    }

    async fn make_seat(&mut self, instance: Instance) -> anyhow::Result<()> {
        let mut seat = Seat {
            variables: Vec::new(),
            proxies: BTreeMap::new(),
            process: None,
        };
        for upstream in instance.service.upstreams() {
            let (variable, url) = self.way_to(*upstream)?;
            let proxy = Proxy::start(address_of(&url)?).await?;
            let url = through(&proxy, url)?;
            seat.variables.push((variable, url));
            seat.proxies.insert(*upstream, proxy);
        }
        if instance.service == Service::Api {
            let port = free_port(None)?;
            seat.variables.push(("PORT", port.to_string()));
            self.balancer.add(port);
        }
        self.seats.insert(instance, seat);
        Ok(())
    }

    /// The variable that names an upstream, and the direct way there.
    fn way_to(&self, upstream: Upstream) -> anyhow::Result<(&'static str, Url)> {
        let name = match upstream {
            Upstream::Postgres => "DATABASE_URL",
            Upstream::Redis => "REDIS_URL",
            Upstream::Stripe => "STRIPE_API_BASE",
            Upstream::Discord => "DISCORD_API_BASE",
        };
        let url = self.stack.environment().get(name).context(name)?;
        Ok((name, url.parse()?))
    }

    fn seat(&mut self, instance: Instance) -> anyhow::Result<&mut Seat> {
        self.seats
            .get_mut(&instance)
            .with_context(|| format!("no seat for {instance}"))
    }

    /// Starts a process, unless one runs there.
    pub fn occupy(&mut self, instance: Instance) -> anyhow::Result<()> {
        let seat = self.seats.get_mut(&instance).context("no such seat")?;
        if seat.process.is_some() {
            return Ok(());
        }
        let variables: Vec<(&str, &str)> = seat
            .variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let process = self
            .stack
            .start_with(instance.service.name(), &instance.to_string(), &variables)?;
        seat.process = Some(process);
        Ok(())
    }

    /// Kills a process, if one runs there.
    pub async fn kill(&mut self, instance: Instance) -> anyhow::Result<()> {
        if let Some(mut process) = self.seat(instance)?.process.take() {
            process.kill().await?;
        }
        Ok(())
    }

    /// Sends a signal, if a process runs there.
    pub async fn signal(&mut self, instance: Instance, signal: &str) -> anyhow::Result<()> {
        match &self.seat(instance)?.process {
            Some(process) => process.signal(signal).await,
            None => Ok(()),
        }
    }

    /// The processes that have ended by themselves, which none may.
    pub fn deserters(&mut self) -> Vec<Instance> {
        let gone = self.seats.iter_mut().filter_map(|(instance, seat)| {
            let process = seat.process.as_mut()?;
            process.has_ended().then_some(*instance)
        });
        gone.collect()
    }

    /// The proxy on the way from an instance to what it speaks to.
    pub fn proxy(&self, instance: Instance, upstream: Upstream) -> Option<&Proxy> {
        self.seats.get(&instance)?.proxies.get(&upstream)
    }

    /// Lets everything pass everywhere.
    pub fn clear_the_ways(&self) {
        for proxy in self.seats.values().flat_map(|seat| seat.proxies.values()) {
            proxy.set(Conduct::Pass);
        }
    }

    /// Waits until every process is ready, and every api gets requests.
    pub async fn wait_ready(&mut self) -> anyhow::Result<()> {
        let client = self.stack.client.clone();
        for seat in self.seats.values_mut() {
            if let Some(process) = &mut seat.process {
                process.wait_ready(&client).await?;
            }
            let port = seat.variables.iter().find(|(name, _)| *name == "PORT");
            if let Some((_, port)) = port {
                self.balancer.until_serving(port.parse()?, SERVING_WITHIN).await?;
            }
        }
        Ok(())
    }

    /// How the simulated Discord sees requests of a bot: the `Host` they ask for.
    pub fn bots(&self) -> BTreeMap<String, Instance> {
        let bots = self
            .seats
            .iter()
            .filter(|(instance, _)| instance.service == Service::Bot);
        bots.filter_map(|(instance, seat)| {
            let proxy = seat.proxies.get(&Upstream::Discord)?;
            Some((proxy.addr().to_string(), *instance))
        })
        .collect()
    }

    /// Tells everything to drain; every process must end well.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        for (instance, seat) in &self.seats {
            if let Some(process) = &seat.process {
                process
                    .signal("TERM")
                    .await
                    .with_context(|| format!("stop {instance}"))?;
            }
        }
        let mut badly = BTreeSet::new();
        for (instance, seat) in &mut self.seats {
            if let Some(process) = &mut seat.process {
                let status = process.wait(Duration::from_secs(40)).await?;
                if !status.success() {
                    badly.insert(format!("{instance} ended with {status}"));
                }
            }
        }
        anyhow::ensure!(badly.is_empty(), "{badly:?}");
        self.stack.stop().await
    }
}

fn address_of(url: &Url) -> anyhow::Result<SocketAddr> {
    let addresses = url.socket_addrs(|| None)?;
    addresses
        .first()
        .copied()
        .context("an upstream without an address")
}

/// The same URL, through the proxy.
fn through(proxy: &Proxy, mut url: Url) -> anyhow::Result<String> {
    let to = proxy.addr();
    url.set_port(Some(to.port()))
        .map_err(|()| anyhow::anyhow!("{url} takes no port"))?;
    url.set_host(Some(&to.ip().to_string()))?;
    // An origin has no path, and `Url` writes one.
    Ok(url.to_string().trim_end_matches('/').to_owned())
}
