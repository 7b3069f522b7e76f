//! The service in a thread of its own, on free ports, with a database and a Redis namespace of its own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, OnceLock},
    thread::{self, JoinHandle},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_api::{
    config::{ApiConfig, Limits},
    run::{Listeners, World, run},
};
use rolecall_db::{Database, testing::TestDatabase};
use rolecall_domain::{
    clock::{Clock, random_bytes},
    ids::MemberId,
};
use rolecall_runtime::{
    clock::SystemRng,
    config::{LogFormat, TelemetryConfig},
    env::{Env, Service},
    shutdown::Shutdown,
    telemetry::{self, CapturedLogs},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{
    browser::{Answer, Browser},
    clock::ManualClock,
    ill::through,
    stubs::{self, Shared},
};

pub(crate) const WEBHOOK_SECRET: &str = "whsec_test_3c9a";
pub(crate) const LIVE_WEBHOOK_SECRET: &str = "whsec_live_77d0";
pub(crate) const CLIENT_SECRET: &str = "discord-client-secret-9a1b";
pub(crate) const STRIPE_KEY: &str = "sk_test_key_55ee";
pub(crate) const JWT_SECRET: &str = "access-secret-of-more-than-32-bytes-00";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a test wants otherwise than most do.
#[derive(Debug, Default)]
pub(crate) struct TestAppBuilder {
    pub(crate) env: Vec<(&'static str, String)>,
    pub(crate) limits: Option<Limits>,
    pub(crate) postgres_at: Option<SocketAddr>,
}

/// A running service.
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    pub(crate) health: SocketAddr,
    pub(crate) namespace: String,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) world: Shared,
    pub(crate) database: Database,
    pub(crate) redis: redis::aio::MultiplexedConnection,
    pub(crate) shutdown: Shutdown,
    thread: Option<JoinHandle<()>>,
    pub(crate) test_database: TestDatabase,
}

impl TestAppBuilder {
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    pub(crate) fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// The service reaches its database there.
    pub(crate) fn postgres_at(mut self, address: SocketAddr) -> Self {
        self.postgres_at = Some(address);
        self
    }

    /// Starts the service and waits until its database is migrated, or until it lives at least.
    pub(crate) async fn start(self) -> TestApp {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        logs();
        let test_database = TestDatabase::create(&SecretString::from(required("DATABASE_URL")))
            .await
            .unwrap();
        let direct = test_database.url().expose_secret();
        let database_url = self
            .postgres_at
            .map_or_else(|| direct.to_owned(), |at| through(direct, at));
        let redis_url = required("REDIS_URL");
        let namespace = format!("test-{}", hex::encode(random_bytes::<8>(&SystemRng)));
        let stub = TcpListener::bind("127.0.0.1:0").unwrap();
        let public = TcpListener::bind("127.0.0.1:0").unwrap();
        let health = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, health_address) = (public.local_addr().unwrap(), health.local_addr().unwrap());
        let stub_origin = format!("http://{}", stub.local_addr().unwrap());

        let mut env = Env::from_pairs([
            ("DATABASE_URL", database_url),
            ("REDIS_URL", redis_url.clone()),
            ("REDIS_NAMESPACE", namespace.clone()),
            ("PUBLIC_URL", format!("http://{address}")),
            ("STRIPE_SECRET_KEY", STRIPE_KEY.to_owned()),
            (
                "STRIPE_WEBHOOK_SECRET_TEST",
                format!("whsec_older,{WEBHOOK_SECRET}"),
            ),
            ("STRIPE_WEBHOOK_SECRET_LIVE", LIVE_WEBHOOK_SECRET.to_owned()),
            ("STRIPE_API_BASE", stub_origin.clone()),
            ("DISCORD_CLIENT_ID", "42".to_owned()),
            ("DISCORD_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            (
                "DISCORD_REDIRECT_URI",
                format!("http://{address}/auth/discord/callback"),
            ),
            ("DISCORD_API_BASE", stub_origin),
            ("JWT_SECRET", JWT_SECRET.to_owned()),
            (
                "JWT_REFRESH_SECRET",
                "refresh-secret-of-more-than-32-bytes-0".to_owned(),
            ),
            (
                "ENCRYPTION_KEYS",
                "a:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=".to_owned(),
            ),
            ("CORS_ALLOWED_ORIGINS", "https://www.example.test".to_owned()),
            ("DRAIN_DELAY", "0s".to_owned()),
        ]);
        for (name, value) in self.env {
            env = env.with(name, value);
        }
        let mut config = env.read(Service::Api, ApiConfig::from_env).unwrap();
        if let Some(limits) = self.limits {
            config.limits = limits;
        }
        let (clock, world, shutdown) = (Arc::new(ManualClock::new()), stubs::world(), Shutdown::new());
        let thread = {
            let (clock, world, shutdown) = (Arc::clone(&clock), Arc::clone(&world), shutdown.clone());
            thread::spawn(move || {
                serve(
                    config,
                    Listeners { public, health },
                    &shutdown,
                    clock,
                    stub,
                    world,
                );
            })
        };
        let redis = redis::Client::open(redis_url)
            .unwrap()
            .get_multiplexed_async_connection()
            .await
            .unwrap();
        let database = test_database.open(2).unwrap();
        let app = TestApp {
            address,
            health: health_address,
            namespace,
            clock,
            world,
            database,
            redis,
            shutdown,
            thread: Some(thread),
            test_database,
        };
        app.wait_until_alive().await;
        app
    }
}

fn serve(
    config: ApiConfig,
    listeners: Listeners,
    shutdown: &Shutdown,
    clock: Arc<ManualClock>,
    stub: TcpListener,
    world: Shared,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stub = stubs::serve(stub, world);
        let stop = stub.handle();
        let world = World {
            clock,
            rng: Arc::new(SystemRng),
        };
        let service = async {
            run(config, listeners, shutdown.clone(), world).await.unwrap();
            stop.stop(false).await;
        };
        let ((), result) = tokio::join!(service, stub);
        result.unwrap();
    });
}

impl TestApp {
    /// A service as most tests want it.
    pub(crate) async fn start() -> Self {
        TestAppBuilder::default().start().await
    }

    pub(crate) fn builder() -> TestAppBuilder {
        TestAppBuilder::default()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance(TimeDelta::seconds(seconds));
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(&self.origin())
    }

    /// A browser in which the stub's Discord user is signed in.
    pub(crate) async fn signed_in(&self) -> Browser {
        let mut browser = self.browser();
        let answer = self.sign_in(&mut browser).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        browser
    }

    /// Goes to Discord and comes back with a code.
    pub(crate) async fn sign_in(&self, browser: &mut Browser) -> Answer {
        let state = begin_sign_in(browser, "/dashboard").await;
        browser
            .page(&format!("/auth/discord/callback?code=c0de&state={state}"))
            .await
    }

    /// Who the browser is.
    pub(crate) async fn me(&self, browser: &mut Browser) -> Value {
        let answer = browser.get("/api/v1/me").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub(crate) async fn member_id(&self, browser: &mut Browser) -> MemberId {
        self.me(browser).await["id"].as_str().unwrap().parse().unwrap()
    }

    /// Rows as JSON, one value each.
    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<Value> {
        self.test_database.rows(sql).await.unwrap()
    }

    /// The jobs that were pushed to a queue.
    pub(crate) async fn jobs(&self, queue: &str) -> Vec<Value> {
        let key = format!("{{{}:{queue}}}:stream", self.namespace);
        let mut redis = self.redis.clone();
        let entries: redis::streams::StreamRangeReply = redis::cmd("XRANGE")
            .arg(key)
            .arg("-")
            .arg("+")
            .query_async(&mut redis)
            .await
            .unwrap();
        let job = |entry: &redis::streams::StreamId| entry.get::<String>("job").unwrap();
        entries
            .ids
            .iter()
            .map(|entry| serde_json::from_str(&job(entry)).unwrap())
            .collect()
    }

    /// One value of the metrics.
    pub(crate) async fn metric(&self, line: &str) -> Option<u64> {
        let text = Browser::new(&format!("http://{}", self.health))
            .get("/metrics")
            .await
            .text;
        text.lines()
            .find_map(|known| known.strip_prefix(line)?.trim().parse().ok())
    }

    pub(crate) async fn webhooks(&self, outcome: &str) -> u64 {
        let line = format!("rolecall_api_stripe_webhooks_total{{outcome=\"{outcome}\"}} ");
        self.metric(&line)
            .await
            .unwrap_or_else(|| panic!("{line} is missing"))
    }

    /// Changes what is stored, as only an accident would.
    pub(crate) async fn tamper(&self, sql: &'static str) {
        self.test_database.tamper(sql).await.unwrap();
    }

    async fn wait_until_alive(&self) {
        // The listener is bound, so the first request waits until somebody serves it.
        let mut browser = Browser::new(&format!("http://{}", self.health));
        let alive = timeout(PATIENCE, browser.get("/health")).await.unwrap();
        assert_eq!(alive.status, 200, "{alive:?}");
    }

    /// Ends the service and waits for it.
    pub(crate) fn stop(&mut self) {
        self.shutdown.drain();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !thread::panicking() {
                ended.expect("the service ends well");
            }
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Begins a sign-in; returns the state that Discord would send back.
pub(crate) async fn begin_sign_in(browser: &mut Browser, next: &str) -> String {
    let answer = browser.page(&format!("/auth/discord/login?next={next}")).await;
    assert_eq!(answer.status, 303, "{answer:?}");
    let url: url::Url = answer.location().parse().unwrap();
    url.query_pairs()
        .find(|(name, _)| name == "state")
        .unwrap()
        .1
        .into_owned()
}

/// The logs of this process, from the first service on.
pub(crate) fn logs() -> &'static CapturedLogs {
    static LOGS: OnceLock<CapturedLogs> = OnceLock::new();
    LOGS.get_or_init(|| {
        let logs = CapturedLogs::default();
        let config = TelemetryConfig {
            format: LogFormat::Json,
            filter: "debug".to_owned(),
            otlp_endpoint: None,
        };
        let dispatch = telemetry::subscriber(&config, logs.clone()).unwrap();
        tracing::dispatcher::set_global_default(dispatch).unwrap();
        logs
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where their servers are"
)]
pub(crate) fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests through `cargo xtask test`"))
}
