//! Where everything is measured: servers set up as in production, one installation, and the tools to look at both.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use redis::aio::MultiplexedConnection;
use rolecall_sandbox::{
    discord::control::platform::PlatformAction,
    stripe::{PriceSeed, world::catalog::Interval},
};
use url::Url;

use crate::{
    bench::{Options, limit::LimitServer, progress, sql, usage::Usage},
    machine::Machine,
    process::Process,
    servers::{Folder, Postgres, Redis},
    stack::{Stack, StackOptions},
    until::until,
};

/// Commits reach the disk: that is what a commit costs. And the log can be read back statement by statement.
const POSTGRES: [&str; 9] = [
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "max_connections=100",
    "shared_buffers=128MB",
    "unix_socket_directories=",
    "logging_collector=on",
    "log_destination=jsonlog",
    "log_rotation_size=0",
];

/// What the small plan costs, and the one with a role more.
pub(crate) const PRICES: [&str; 2] = ["price_council_monthly", "price_patron_monthly"];

/// Of the database, the namespace, and the folder with the logs.
pub(crate) const NAME: &str = "rolecall_bench";

/// How long a backlog may take.
const DRAINED_WITHIN: Duration = Duration::from_mins(2);

/// Everything that measures share.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) options: Options,
    pub(crate) machine: Machine,
    pub(crate) stack: Stack,
    pub(crate) usage: Usage,
    redis: MultiplexedConnection,
    // Dropped in this order: the servers end before their folder goes.
    _servers: (Postgres, Redis),
    pub(crate) folder: Arc<Folder>,
}

impl Ground {
    /// Starts servers and an installation of its own.
    pub(crate) async fn prepare(options: Options) -> anyhow::Result<Self> {
        progress("starting servers and services");
        let folder = Arc::new(Folder::create("bench")?);
        let postgres = Postgres::start_with(&folder, &POSTGRES).await?;
        let redis = Redis::start(&folder).await?;
        let machine = Machine::with_servers(postgres.url()?, redis.url()?)?;
        let stack = Stack::start(&machine, StackOptions::named(NAME)).await?;
        let client = redis::Client::open(machine.redis.as_str())?;
        let ground = Self {
            options,
            stack,
            usage: Usage::new().await?,
            redis: client.get_multiplexed_async_connection().await?,
            machine,
            _servers: (postgres, redis),
            folder,
        };
        ground.sell_two_plans().await?;
        Ok(ground)
    }

    /// A second plan that gives one role more, so that a change of price is a change of one role. And limits that
    /// are nobody's bottleneck but where they are what is measured.
    async fn sell_two_plans(&self) -> anyhow::Result<()> {
        let stack = &self.stack;
        let patron = PriceSeed::usd(PRICES[1], "Patron", 4_900, Some(Interval::Month));
        stack.stripe.seed_price(&patron);
        // Stripe's own deliveries are not what is measured: each measure sends what it needs.
        stack.stripe.hold();
        self.limit_roles(1_000, Duration::from_secs(1))?;
        stack
            .discord
            .act(PlatformAction::SetGlobalLimit { per_second: 10_000 })
            .context("lift the global limit")?;
        let path = stack.folder().join("bench-plans.toml");
        std::fs::write(&path, plans())?;
        stack
            .rolecall(&["plans", "apply", &path.to_string_lossy()])
            .await?;
        Ok(())
    }

    /// Sets how many role changes fit into a window.
    pub(crate) fn limit_roles(&self, limit: u32, window: Duration) -> anyhow::Result<()> {
        let window_ms = u64::try_from(window.as_millis())?;
        self.stack.discord.set_limit("member-roles", limit, window_ms)?;
        Ok(())
    }

    /// A bare server over a database of this Redis that nobody else uses.
    pub(crate) async fn limit_server(&self) -> anyhow::Result<LimitServer> {
        LimitServer::start(self.spare_redis().as_str()).await
    }

    /// A database of this Redis that the installation does not use.
    pub(crate) fn spare_redis(&self) -> Url {
        let mut url = self.machine.redis.clone();
        url.set_path("/1");
        url
    }

    /// Empties the spare database, and has Redis begin its log of commands anew: each run finds it the same.
    pub(crate) async fn empty_spare_redis(&self) -> anyhow::Result<()> {
        let client = redis::Client::open(self.spare_redis().as_str())?;
        let mut spare = client.get_multiplexed_async_connection().await?;
        let _: () = redis::cmd("FLUSHDB").query_async(&mut spare).await?;
        // Refused while it is doing so by itself, which is as good.
        let _: redis::RedisResult<()> = redis::cmd("BGREWRITEAOF").query_async(&mut spare).await;
        until("a new log of Redis", Duration::from_secs(30), async || {
            let info: String = redis::cmd("INFO")
                .arg("persistence")
                .query_async(&mut spare.clone())
                .await?;
            let busy = ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"];
            Ok((!busy.iter().any(|line| info.contains(line))).then_some(()))
        })
        .await
    }

    /// The key of a queue's stream.
    fn stream(&self, queue: &str) -> anyhow::Result<String> {
        let namespace = self.stack.environment().get("REDIS_NAMESPACE");
        let namespace = namespace.context("the stack has no namespace")?;
        Ok(format!("{{{namespace}:{queue}}}:stream"))
    }

    /// How many jobs a queue holds.
    pub(crate) async fn waiting(&self, queue: &str) -> anyhow::Result<usize> {
        let stream = self.stream(queue)?;
        Ok(redis::cmd("XLEN")
            .arg(stream)
            .query_async(&mut self.redis.clone())
            .await?)
    }

    /// Forgets the jobs of a queue that nobody works on.
    pub(crate) async fn forget(&self, queue: &str) -> anyhow::Result<()> {
        let stream = self.stream(queue)?;
        let _: usize = redis::cmd("XTRIM")
            .arg(stream)
            .arg(&["MAXLEN", "0"])
            .query_async(&mut self.redis.clone())
            .await?;
        Ok(())
    }

    /// Waits until these queues are empty, and every event that was kept has had its effect.
    pub(crate) async fn drained(&self, queues: &[&str]) -> anyhow::Result<()> {
        until("empty queues", DRAINED_WITHIN, async || {
            for queue in queues {
                if self.waiting(queue).await? > 0 {
                    return Ok(None);
                }
            }
            Ok((self.kept().await? == 0).then_some(()))
        })
        .await
    }

    /// How many events are kept and have had no effect yet.
    pub(crate) async fn kept(&self) -> anyhow::Result<usize> {
        let waiting = "SELECT count(*) FROM inbox WHERE state = 'pending'";
        let kept = sql::ask(&self.database(), waiting).await?;
        Ok(kept.trim().parse()?)
    }

    /// The installation's database, past any pooler.
    pub(crate) fn database(&self) -> Url {
        self.machine.database(NAME)
    }

    /// The address of the api.
    pub(crate) fn api(&self) -> anyhow::Result<std::net::SocketAddr> {
        let port = self.stack.environment().get("PORT").context("no PORT")?;
        Ok(format!("127.0.0.1:{port}").parse()?)
    }

    /// Stops the worker in good order.
    pub(crate) async fn stop_worker(&mut self) -> anyhow::Result<()> {
        stop(&mut self.stack.worker, "worker").await
    }

    /// Starts a worker in place of the one that was stopped, without waiting for it.
    pub(crate) fn start_worker(&mut self, variables: &[(&str, &str)]) -> anyhow::Result<()> {
        self.stack.worker = self.stack.start_with("worker", "worker", variables)?;
        Ok(())
    }

    /// Stops the bot.
    pub(crate) async fn stop_bot(&mut self) -> anyhow::Result<()> {
        stop(&mut self.stack.bot, "bot").await
    }

    /// Starts a bot in place of the one that was stopped, and waits until it is ready.
    pub(crate) async fn start_bot(&mut self) -> anyhow::Result<()> {
        self.stack.bot = self.stack.start_another("bot", "bot")?;
        self.stack.bot.wait_ready(&self.stack.client).await
    }

    /// Waits until the worker is ready.
    pub(crate) async fn worker_ready(&mut self) -> anyhow::Result<()> {
        self.stack.worker.wait_ready(&self.stack.client).await
    }
}

/// Stops a service in good order.
pub(crate) async fn stop(process: &mut Process, name: &str) -> anyhow::Result<()> {
    let status = process.stop().await?;
    if !status.success() {
        bail!("the {name} ended with {status}");
    }
    Ok(())
}

fn plans() -> String {
    use rolecall_sandbox::discord::demo::{COUNCIL_ROLE, GUILD, INTRODUCED_ROLE};
    let plan = |slug: &str, price: &str, roles: &[u64]| {
        let role = |role: &u64| format!("[[plan.role]]\nguild = \"{GUILD}\"\nrole = \"{role}\"\n");
        let roles = roles.iter().map(role).collect::<Vec<_>>().concat();
        format!(
            "[[plan]]\nslug = \"{slug}\"\nname = \"{slug}\"\nkind = \"individual\"\nprices = [\"{price}\"]\n{roles}\n"
        )
    };
    [
        plan("council", PRICES[0], &[COUNCIL_ROLE]),
        plan("patron", PRICES[1], &[COUNCIL_ROLE, INTRODUCED_ROLE]),
        format!("[[guild]]\nid = \"{GUILD}\"\n"),
    ]
    .concat()
}
