//! The service from start to drain, on listeners that the caller has bound.

use std::{
    net::TcpListener,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    thread::available_parallelism,
    time::Duration,
};

use actix_web::{App, HttpServer, web};
use anyhow::Context;
use chrono::TimeDelta;
use prometheus::Registry;
use rolecall_db::{Database, DatabaseOptions, PoolerMode};
use rolecall_discord::oauth::{OauthClient, OauthConfig};
use rolecall_domain::clock::{Clock, Rng};
use rolecall_queue::{Link, LinkOptions, Producer};
use rolecall_runtime::{
    clock::{SystemClock, SystemRng},
    config::{HttpConfig, Pooler},
    env::Service,
    health::{self, Health, PartHandle},
    metrics::{Exporter, registry},
    net::{ListenError, listen},
    seal::Sealer,
    shutdown::{Shutdown, Tasks},
    telemetry,
};
use rolecall_stripe::client::{Client as StripeClient, config::StripeClientConfig, retry::RetryPolicy};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::{
    app,
    assets::Assets,
    config::ApiConfig,
    http::{client_address::TrustedProxies, rate_limit::RateLimits},
    live::{self, Hub},
    metrics::Metrics,
    migrations,
    session::keys::SessionKeys,
    shop::ShopWindow,
    site::Site,
    state::{Community, State},
    webhook::{Intake, Room, Secrets},
};

/// Longer than the idle connections of any proxy in front, so that the proxy closes first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
/// Somebody waits for the answer: one try may take this long, and no other begins later.
const STRIPE_PATIENCE: Duration = Duration::from_secs(6);
/// How long a worker may take to finish its requests; the drain's own deadline is what counts.
const WORKER_STOP: u64 = 600;

/// How long somebody may look at an empty page before they are told that Postgres is away.
const PATIENCE: Duration = Duration::from_secs(2);

/// Time and randomness.
#[derive(Debug, Clone)]
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub rng: Arc<dyn Rng>,
}

impl World {
    /// Those of this machine.
    pub fn real() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            rng: Arc::new(SystemRng),
        }
    }
}

/// The bound listeners.
#[derive(Debug)]
pub struct Listeners {
    /// For the public.
    pub public: TcpListener,
    /// For `/health`, `/ready` and `/metrics`.
    pub health: TcpListener,
}

impl Listeners {
    /// Binds what is configured.
    pub fn bind(config: &HttpConfig) -> Result<Self, ListenError> {
        Ok(Self {
            public: listen(config.address())?,
            health: listen(config.health.address())?,
        })
    }
}

/// Runs the service as a process: its own logging, signals and listeners, and this machine's time.
pub async fn run_process(config: ApiConfig) -> anyhow::Result<()> {
    telemetry::init(&config.telemetry)?;
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    let listeners = Listeners::bind(&config.http)?;
    run(config, listeners, shutdown, World::real()).await
}

/// Runs the service until `shutdown` has drained it.
pub async fn run(
    config: ApiConfig,
    listeners: Listeners,
    shutdown: Shutdown,
    world: World,
) -> anyhow::Result<()> {
    let registry = registry(Service::Api)?;
    let state = web::Data::new(build_state(&config, &world, &shutdown, &registry)?);
    let migrations = PartHandle::new(false, "not applied yet");
    let parts = crate::health::parts(&state, &migrations, &shutdown);
    tracing::info!(
        version = rolecall_runtime::version::version(),
        address = %listeners.public.local_addr()?,
        stripe_mode = config.stripe.mode.name(),
        "rolecall-api starts with database_pooler={}",
        config.database.pooler
    );
    if let Some(advice) = &config.database.advice {
        tracing::warn!("{advice}");
    }

    let tasks = Tasks::new(shutdown.clone());
    let exporter = Exporter::new(registry);
    tasks.spawn_support(
        "health",
        health::serve(listeners.health, parts.clone(), exporter, shutdown.finished()),
    );
    let direct_url = config.database.direct_url.clone();
    tasks.spawn_critical(
        "migrations",
        migrations::keep(direct_url, migrations, shutdown.draining()),
    );
    tasks.spawn_critical("live", live::follow(state.clone(), shutdown.closing()));
    let server = serve(
        &config,
        &world,
        state.clone(),
        parts,
        listeners.public,
        shutdown.closing(),
    )?;
    tasks.spawn_critical("http", server);

    let outcome = tasks.run_until_done(config.drain).await;
    state.database.close().await;
    Ok(outcome?)
}

fn build_state(
    config: &ApiConfig,
    world: &World,
    shutdown: &Shutdown,
    registry: &Registry,
) -> anyhow::Result<State> {
    let redis = Link::new(
        config.redis.url.expose_secret(),
        &config.redis.namespace,
        LinkOptions::default(),
    )
    .context("read REDIS_URL")?;
    let stripe = StripeClientConfig {
        request_timeout: STRIPE_PATIENCE,
        retry: RetryPolicy {
            budget: STRIPE_PATIENCE,
            ..RetryPolicy::default()
        },
        ..StripeClientConfig::new(
            config.stripe.api_base.join("/"),
            config.stripe.secret_key.clone(),
            Arc::clone(&world.rng),
        )
    };
    let discord = OauthConfig {
        origin: config.discord.api_base.join("/"),
        client_id: config.discord.client_id.to_string(),
        client_secret: config.discord.client_secret.clone(),
    };
    Ok(State {
        clock: Arc::clone(&world.clock),
        rng: Arc::clone(&world.rng),
        database: Database::new(&database_options(config))
            .context("read DATABASE_URL")?
            .impatient(PATIENCE),
        producer: Producer::new(&redis),
        redis,
        stripe: StripeClient::new(stripe).context("build the Stripe client")?,
        discord: OauthClient::new(discord).context("build the Discord client")?,
        default_grace: TimeDelta::from_std(config.grace_period).context("read GRACE_PERIOD")?,
        redirect_uri: config.discord.redirect_uri.clone(),
        sealer: Sealer::new(&config.encryption),
        keys: SessionKeys::new(&config.session),
        site: Site::new(
            config.http.public_url.clone(),
            config.http.cors_allowed_origins.clone(),
            &config.stripe.api_base,
            &config.discord.api_base,
        ),
        assets: Assets::new(),
        trusted_proxies: TrustedProxies::new(config.http.trusted_proxies.clone()),
        rate_limits: RateLimits::new(&config.limits),
        body_timeout: config.limits.body_timeout,
        metrics: Metrics::new(registry).context("register metrics")?,
        live: Hub::new(&config.limits),
        shop: ShopWindow::default(),
        community: Community::default(),
        draining: shutdown.draining(),
    })
}

fn database_options(config: &ApiConfig) -> DatabaseOptions {
    DatabaseOptions {
        url: config.database.url.clone(),
        pooler: match config.database.pooler {
            Pooler::None => PoolerMode::None,
            Pooler::Session => PoolerMode::Session,
            Pooler::Transaction => PoolerMode::Transaction,
        },
        max_connections: config.database.max_connections,
    }
}

/// The public server, as a future that ends when `closing` is set and its requests are answered.
fn serve(
    config: &ApiConfig,
    world: &World,
    state: web::Data<State>,
    health: Health,
    listener: TcpListener,
    closing: CancellationToken,
) -> anyhow::Result<impl Future<Output = std::io::Result<()>> + Send + use<>> {
    let workers = available_parallelism().map_or(2, usize::from);
    let intakes = Arc::new(Intakes::new(config, world, &state, workers)?);
    let closes = web::Data::new(closing.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .app_data(closes.clone())
            .app_data(web::Data::new(intakes.next()))
            .configure(|routes| app::configure(routes, health.clone()))
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEADERS_TIMEOUT)
    .shutdown_timeout(WORKER_STOP)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(async move {
        let handle = server.handle();
        let mut server = pin!(server);
        tokio::select! {
            result = &mut server => return result,
            () = closing.cancelled() => {}
        }
        // The server only works on its stop while it is polled.
        let ((), result) = tokio::join!(handle.stop(true), server);
        result
    })
}

/// One intake for each worker thread, each with its own connection to Redis: a shared one would wake
/// another thread up twice for every webhook.
struct Intakes {
    links: Mutex<Vec<Link>>,
    secrets: Arc<Secrets>,
    world: World,
    state: web::Data<State>,
    limits: crate::config::Limits,
    room: Room,
}

impl Intakes {
    fn new(
        config: &ApiConfig,
        world: &World,
        state: &web::Data<State>,
        workers: usize,
    ) -> anyhow::Result<Self> {
        let url = config.redis.url.expose_secret();
        let link = |_| Link::new(url, &config.redis.namespace, LinkOptions::default());
        Ok(Self {
            links: Mutex::new((0..workers).map(link).collect::<Result<_, _>>()?),
            secrets: Arc::new(Secrets::new(&config.webhooks)),
            world: world.clone(),
            state: state.clone(),
            limits: config.limits,
            room: Room::new(config.limits.webhook_body_room, state.metrics.arriving.clone()),
        })
    }

    fn next(&self) -> Intake {
        let link = self.links.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Intake {
            secrets: Arc::clone(&self.secrets),
            // A worker that actix starts again shares the common one.
            producer: link.map_or_else(|| self.state.producer.clone(), |link| Producer::new(&link)),
            clock: Arc::clone(&self.world.clock),
            rng: Arc::clone(&self.world.rng),
            metrics: self.state.metrics.clone(),
            limits: self.limits,
            room: self.room.clone(),
            draining: self.state.draining.clone(),
        }
    }
}
