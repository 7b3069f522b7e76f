//! One installation: simulators, a database, a namespace, and the three services.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::Output,
    time::Duration,
};

use anyhow::{Context, bail};
use rolecall_sandbox::{
    clock::Clock,
    discord::{self, demo},
    mail, stripe,
};
use serde_json::Value;
use tokio::process::Command;

use crate::{
    machine::{self, Machine},
    ports::free_port,
    process::Process,
    until::until,
};

/// The Stripe key of the simulated account.
pub const STRIPE_KEY: &str = "sk_test_demo_key_of_the_simulated_account";

/// The secret that signs the simulated account's webhooks.
pub const WEBHOOK_SECRET: &str = "whsec_demo_secret_of_the_simulated_endpoint";

/// How a stack is made.
#[derive(Debug, Clone)]
pub struct StackOptions {
    /// Its name: of the database, of the namespace, of the folder with its logs.
    pub name: String,
    /// The port of the pages, if it is free.
    pub port: Option<u16>,
    /// The ports of the simulators, if they are free: Stripe, Discord, mailbox.
    pub simulator_ports: [Option<u16>; 3],
    /// More variables for the services, over those that the stack sets. With `PUBLIC_URL` it is for the caller to
    /// bring requests from there to the api.
    pub environment: BTreeMap<String, String>,
}

impl StackOptions {
    /// A stack on free ports.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            port: None,
            simulator_ports: [None; 3],
            environment: BTreeMap::new(),
        }
    }

    /// The stack with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// A running installation. Dropping it kills the services.
#[derive(Debug)]
pub struct Stack {
    /// Simulated Stripe.
    pub stripe: stripe::Simulator,
    /// Simulated Discord.
    pub discord: discord::Simulator,
    /// Simulated mail server.
    pub mail: mail::Simulator,
    /// The api.
    pub api: Process,
    /// The worker.
    pub worker: Process,
    /// The bot.
    pub bot: Process,
    /// For requests that no person makes.
    pub client: reqwest::Client,
    machine: Machine,
    environment: BTreeMap<String, String>,
    public_url: String,
    folder: PathBuf,
    name: String,
}

impl Stack {
    /// Starts everything, and sells one plan: `council`.
    pub async fn start(machine: &Machine, options: StackOptions) -> anyhow::Result<Self> {
        rustls::crypto::aws_lc_rs::default_provider()
            .install_default()
            .ok();
        let client = reqwest::Client::builder().no_proxy().build()?;
        let folder = machine.folder(&options.name)?;
        let port = free_port(options.port)?;
        let given = options.environment.get("PUBLIC_URL").cloned();
        let public_url = given.unwrap_or_else(|| format!("http://localhost:{port}"));
        let [stripe_port, discord_port, mail_port] = options.simulator_ports;
        let stripe = start_stripe(stripe_port, &public_url).await?;
        let discord = start_discord(discord_port, &public_url).await?;
        let mail = start_mail(mail_port).await?;

        make_database(machine, &options.name).await?;
        let mut environment = environment(
            machine,
            &options.name,
            &public_url,
            port,
            &stripe,
            &discord,
            &mail,
        );
        environment.extend(options.environment);
        let start = |name: &str| -> anyhow::Result<Process> {
            let binary = machine.binary(&format!("rolecall-{name}"));
            Process::start(&binary, name, &environment, free_port(None)?, &folder)
        };
        rolecall(machine, &environment, &["migrate"]).await?;
        let (api, worker, bot) = (start("api")?, start("worker")?, start("bot")?);
        let name = options.name;
        let mut stack = Self {
            stripe,
            discord,
            mail,
            api,
            worker,
            bot,
            client,
            machine: machine.clone(),
            environment,
            public_url,
            folder,
            name,
        };
        for process in [&mut stack.api, &mut stack.worker, &mut stack.bot] {
            process.wait_ready(&stack.client).await?;
        }
        stack.sell_council().await?;
        Ok(stack)
    }

    /// Where the pages are.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// The variables of the services.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Where this stack's logs and pictures are.
    pub fn folder(&self) -> &PathBuf {
        &self.folder
    }

    /// Starts one more process of a service, such as a second worker.
    pub fn start_another(&self, service: &str, name: &str) -> anyhow::Result<Process> {
        self.start_with(service, name, &[])
    }

    /// Starts one more process of a service with some variables set otherwise.
    pub fn start_with(
        &self,
        service: &str,
        name: &str,
        variables: &[(&str, &str)],
    ) -> anyhow::Result<Process> {
        let binary = self.machine.binary(&format!("rolecall-{service}"));
        let mut environment = self.environment.clone();
        environment.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        Process::start(&binary, name, &environment, free_port(None)?, &self.folder)
    }

    /// Runs the operator's command; its output, whatever its exit code.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        run(&self.machine, &self.environment, arguments).await
    }

    /// Runs the operator's command with `--json`; it must succeed.
    pub async fn rolecall(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        rolecall(&self.machine, &self.environment, arguments).await
    }

    /// What stands in the database, as only a test looks at it: the first column of each row, as text.
    pub async fn rows(&self, sql: &str) -> anyhow::Result<Vec<String>> {
        machine::sql(&self.machine.database(&self.name), sql).await
    }

    /// The roles of somebody in the simulated server, by name, in alphabetical order; `None` if they
    /// are not there.
    pub fn roles_of(&self, user: u64) -> Option<Vec<&'static str>> {
        let roles = self.discord.member_roles(demo::GUILD, user)?;
        let mut names: Vec<&str> = roles.into_iter().map(role_name).collect();
        names.sort_unstable();
        Some(names)
    }

    /// Waits until somebody has exactly these roles in the simulated server.
    pub async fn wait_for_roles(&self, user: u64, expected: &[&str], limit: Duration) -> anyhow::Result<()> {
        let there = self
            .discord
            .wait_until(|_| self.roles_of(user).as_deref() == Some(expected));
        if tokio::time::timeout(limit, there).await.is_err() {
            bail!(
                "expected the roles {expected:?} within {limit:?}, found {:?}",
                self.roles_of(user)
            );
        }
        Ok(())
    }

    /// Everything that the services have logged.
    pub fn logs(&self) -> anyhow::Result<String> {
        Ok([self.api.log()?, self.worker.log()?, self.bot.log()?].concat())
    }

    /// Tells the services to drain, and stops the simulators. Errs if a service did not end well; one that the
    /// caller has seen ending already is left alone.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        let services = [
            ("api", &mut self.api),
            ("worker", &mut self.worker),
            ("bot", &mut self.bot),
        ];
        let running: Vec<_> = services
            .into_iter()
            .filter(|(_, process)| process.id().is_ok())
            .collect();
        for (name, process) in &running {
            process
                .signal("TERM")
                .await
                .with_context(|| format!("stop the {name}"))?;
        }
        for (name, process) in running {
            let status = process.wait(Duration::from_secs(40)).await?;
            if !status.success() {
                bail!("the {name} ended with {status}; see {}", self.folder.display());
            }
        }
        self.stripe.shutdown().await;
        self.discord.shutdown().await;
        self.mail.shutdown().await;
        drop_database(&self.machine, &self.name).await
    }

    /// Applies the demo's plans file, once the bot has told what the server looks like.
    async fn sell_council(&self) -> anyhow::Result<()> {
        self.stripe.seed_demo();
        let path = self.folder.join("plans.toml");
        std::fs::write(&path, plans_file())?;
        let path = path.to_string_lossy().into_owned();
        until(
            "a plan whose roles the bot has seen",
            Duration::from_secs(20),
            async || {
                let answer = self.rolecall(&["plans", "apply", "--dry-run", &path]).await?;
                let warnings = answer.get("warnings").and_then(Value::as_array);
                Ok(warnings.is_some_and(Vec::is_empty).then_some(()))
            },
        )
        .await?;
        self.rolecall(&["plans", "apply", &path]).await?;
        until("the prices of the plan", Duration::from_secs(20), async || {
            let url = format!("{}/api/v1/plans", self.public_url);
            let plans: Value = self.client.get(url).send().await?.json().await?;
            let amount = plans.pointer("/data/0/prices/0/unit_amount");
            Ok(amount.is_some_and(Value::is_i64).then_some(()))
        })
        .await
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

async fn start_stripe(port: Option<u16>, public_url: &str) -> anyhow::Result<stripe::Simulator> {
    let endpoint = stripe::EndpointConfig::all(format!("{public_url}/webhooks/stripe"), WEBHOOK_SECRET);
    let config = stripe::Config {
        listen: loopback(free_port(port)?),
        endpoints: vec![endpoint],
        ..stripe::Config::new(STRIPE_KEY)
    };
    stripe::Simulator::start(config)
        .await
        .context("start the simulated Stripe")
}

async fn start_discord(port: Option<u16>, public_url: &str) -> anyhow::Result<discord::Simulator> {
    let redirect = format!("{public_url}/auth/discord/callback");
    let mut config = discord::Config::demo(loopback(free_port(port)?), Clock::system(), vec![redirect]);
    // A restart of the bot within five seconds is what many stories are about.
    config.gateway.identify_interval = Duration::ZERO;
    discord::Simulator::start(config)
        .await
        .context("start the simulated Discord")
}

async fn start_mail(port: Option<u16>) -> anyhow::Result<mail::Simulator> {
    let config = mail::Config {
        http_listen: loopback(free_port(port)?),
        ..mail::Config::default()
    };
    mail::Simulator::start(config)
        .await
        .context("start the simulated mail server")
}

/// The secrets are for everybody to read: they guard play money on the loopback.
fn environment(
    machine: &Machine,
    name: &str,
    public_url: &str,
    port: u16,
    stripe: &stripe::Simulator,
    discord: &discord::Simulator,
    mail: &mail::Simulator,
) -> BTreeMap<String, String> {
    let database = machine.database(name).to_string();
    [
        ("APP_ENV", "development".to_owned()),
        ("DATABASE_URL", database.clone()),
        ("DIRECT_URL", database),
        ("REDIS_URL", machine.redis.to_string()),
        ("REDIS_NAMESPACE", format!("{name}_{}", std::process::id())),
        ("HOST", "127.0.0.1".to_owned()),
        ("PORT", port.to_string()),
        ("PUBLIC_URL", public_url.to_owned()),
        ("STRIPE_MODE", "test".to_owned()),
        ("STRIPE_SECRET_KEY", STRIPE_KEY.to_owned()),
        ("STRIPE_WEBHOOK_SECRET_TEST", WEBHOOK_SECRET.to_owned()),
        ("STRIPE_API_BASE", stripe.origin()),
        ("DISCORD_API_BASE", discord.origin()),
        ("DISCORD_CLIENT_ID", demo::CLIENT_ID.to_string()),
        ("DISCORD_CLIENT_SECRET", demo::CLIENT_SECRET.to_owned()),
        (
            "DISCORD_REDIRECT_URI",
            format!("{public_url}/auth/discord/callback"),
        ),
        ("DISCORD_BOT_TOKEN", demo::BOT_TOKEN.to_owned()),
        ("DISCORD_GUILD_ID", demo::GUILD.to_string()),
        ("JWT_SECRET", "an access secret for play money only".to_owned()),
        (
            "JWT_REFRESH_SECRET",
            "a refresh secret for play money only".to_owned(),
        ),
        (
            "ENCRYPTION_KEYS",
            "demo:QnVpbHQgZm9yIHBsYXkgbW9uZXkgYW5kIHRlc3RzISE=".to_owned(),
        ),
        ("SMTP_URL", mail.smtp_url()),
        (
            "MAIL_FROM",
            "The Revenue Council <council@example.test>".to_owned(),
        ),
        ("DRAIN_DELAY", "100ms".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The plan of the demo.
fn plans_file() -> String {
    let (guild, council, debtor) = (demo::GUILD, demo::COUNCIL_ROLE, demo::DEBTOR_ROLE);
    let (introduced, channel) = (demo::INTRODUCED_ROLE, demo::INTRODUCTIONS_CHANNEL);
    format!(
        "[[plan]]\nslug = \"council\"\nname = \"Council member\"\nkind = \"individual\"\n\
         prices = [\"price_council_monthly\", \"price_council_yearly\"]\ngrace = \"7d\"\n\
         [[plan.role]]\nguild = \"{guild}\"\nrole = \"{council}\"\n\n\
         [[guild]]\nid = \"{guild}\"\ndebtor_role = \"{debtor}\"\nintroduced_role = \"{introduced}\"\n\
         introductions_channel = \"{channel}\"\n"
    )
}

fn role_name(role: u64) -> &'static str {
    match role {
        demo::COUNCIL_ROLE => "Council",
        demo::DEBTOR_ROLE => "Debtor",
        demo::INTRODUCED_ROLE => "Introduced",
        demo::STAFF_ROLE => "Staff",
        demo::BOT_ROLE => "Rolecall",
        _ => "another role",
    }
}

async fn run(
    machine: &Machine,
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
) -> anyhow::Result<Output> {
    let binary = machine.binary("rolecall");
    let output = Command::new(&binary)
        .args(arguments)
        .env_clear()
        .envs(environment)
        .output()
        .await;
    output.with_context(|| format!("run {}", binary.display()))
}

async fn rolecall(
    machine: &Machine,
    environment: &BTreeMap<String, String>,
    arguments: &[&str],
) -> anyhow::Result<Value> {
    let output = run(machine, environment, &[arguments, &["--json"]].concat()).await?;
    if !output.status.success() {
        bail!(
            "rolecall {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("read what rolecall {} printed", arguments.join(" ")))
}

async fn make_database(machine: &Machine, name: &str) -> anyhow::Result<()> {
    drop_database(machine, name).await?;
    let create = format!("CREATE DATABASE \"{name}\"");
    machine::sql(&machine.postgres, &create).await?;
    Ok(())
}

async fn drop_database(machine: &Machine, name: &str) -> anyhow::Result<()> {
    let drop = format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)");
    machine::sql(&machine.postgres, &drop).await?;
    Ok(())
}
