//! The handle of a running simulator.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::stripe::config::{Config, EndpointConfig, StartError};
use crate::stripe::error::Refusal;
use crate::stripe::faults::{DeliveryFaults, RequestFault};
use crate::stripe::http::{self, State};
use crate::stripe::log::LoggedRequest;
use crate::stripe::shape;
use crate::stripe::shared::Shared;
use crate::stripe::webhook::sender::Sender;
use crate::stripe::world::event::{Delivery, DeliveryState, Endpoint};
use crate::stripe::world::{Metadata, World};
use crate::{tasks, web};

/// How long an endpoint may take to answer a webhook.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(10);
/// How often what has fallen due is looked for, where time passes by itself.
const TICK: Duration = Duration::from_secs(1);

/// A running simulator. Dropping it leaves it running until the process ends; `shutdown` ends it.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    server: web::Served,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    clock: Clock,
}

/// A condition did not come true in time.
#[derive(Debug, thiserror::Error)]
#[error("{waiting_for} did not happen within {limit:?}")]
pub struct TimedOut {
    waiting_for: &'static str,
    limit: Duration,
}

impl Simulator {
    /// Starts a simulator; must be called within a tokio runtime.
    #[expect(
        clippy::unused_async,
        reason = "tells the caller that a runtime is needed; may await later"
    )]
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let livemode = mode_of(&config.secret_keys)?;
        let client = tasks::http_client(DELIVERY_TIMEOUT)?;
        let listen = |source| StartError::Listen {
            address: config.listen,
            source,
        };
        let listener = std::net::TcpListener::bind(config.listen).map_err(listen)?;
        let origin = format!("http://{}", listener.local_addr().map_err(listen)?);
        let mut world = World::new(&config, livemode, origin);
        for endpoint in &config.endpoints {
            add_endpoint(&mut world, endpoint);
        }
        let shared = Arc::new(Shared::new(world, config.secret_keys.clone()));
        let stop = CancellationToken::new();
        let state = State {
            shared: Arc::clone(&shared),
            stop: stop.clone(),
        };
        let server = web::serve_on("stripe.http", listener, move |services| {
            http::configure(&state, services);
        });
        let server = server.map_err(listen)?;
        let retry_schedule = config.retry_schedule.clone().into();
        let sender = Sender {
            client,
            retry_schedule,
            concurrency: config.delivery_concurrency,
        };
        let mut running = vec![tasks::spawn(
            "stripe.sender",
            sender.run(Arc::clone(&shared), stop.child_token()),
        )];
        if config.clock.runs() {
            running.push(tasks::spawn(
                "stripe.time",
                pass_time(Arc::clone(&shared), stop.child_token()),
            ));
        }
        Ok(Self {
            shared,
            server,
            stop,
            tasks: running,
            clock: config.clock,
        })
    }

    /// `http://host:port` of the API and the pages.
    pub fn origin(&self) -> String {
        self.server.origin()
    }

    /// Stops answering and sending, and waits until both have ended.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.server.stop().await;
        for task in self.tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the Stripe simulator failed");
            }
        }
    }

    /// The account's time, to read and to move.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Looks at everything the account knows.
    pub fn read<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.shared.read(look)
    }

    /// Changes the account in any way; `World` has what a story needs.
    pub fn with<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        self.shared.with(act)
    }

    /// Waits until the account is as wanted; every change is looked at.
    pub async fn wait_for(
        &self,
        waiting_for: &'static str,
        limit: Duration,
        mut condition: impl FnMut(&World) -> bool,
    ) -> Result<(), TimedOut> {
        let mut changes = self.shared.changes();
        let came = async {
            while !self.shared.read(&mut condition) {
                // The sender lives as long as `self`, so this cannot fail while we wait.
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::time::timeout(limit, came)
            .await
            .map_err(|_| TimedOut { waiting_for, limit })
    }

    /// Waits until no delivery is pending.
    pub async fn deliveries_settled(&self, limit: Duration) -> Result<(), TimedOut> {
        let settled = |world: &World| {
            world
                .deliveries
                .iter()
                .all(|row| row.state != DeliveryState::Pending)
        };
        self.wait_for("the end of all deliveries", limit, settled).await
    }

    /// An object as the API shows it.
    pub fn object(&self, id: &str) -> Option<Value> {
        self.read(|world| shape::by_id(world, id).map(shape::shown))
    }

    /// All events, oldest first, as the API shows them.
    pub fn events(&self) -> Vec<Value> {
        self.read(|world| {
            world
                .events
                .rows()
                .iter()
                .map(|event| shape::event(world, event))
                .collect()
        })
    }

    /// All deliveries, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.read(|world| world.deliveries.clone())
    }

    /// All requests to the API, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.read(|world| world.requests.clone())
    }

    /// Adds a webhook endpoint and answers its id.
    pub fn add_endpoint(&self, endpoint: &EndpointConfig) -> String {
        self.with(|world| add_endpoint(world, endpoint))
    }

    /// Gives an endpoint a new secret; with `keep_old` both sign for now.
    pub fn roll_secret(&self, endpoint: &str, secret: &str, keep_old: bool) {
        self.with(|world| {
            if let Some(row) = world.endpoints.get_mut(endpoint) {
                if !keep_old {
                    row.secrets.clear();
                }
                row.secrets.insert(0, secret.to_owned());
            }
        });
    }

    /// Sends an event again.
    pub fn resend(&self, event: &str) -> Result<(), Refusal> {
        self.with(|world| world.resend(event))
    }

    /// Replaces the faults of webhooks; `seed` starts their chances anew.
    pub fn set_delivery_faults(&self, faults: DeliveryFaults, seed: Option<u64>) {
        self.with(|world| world.set_delivery_faults(faults, seed));
    }

    /// Keeps all deliveries back until `release`.
    pub fn hold(&self) {
        self.with(|world| world.queue.hold(true));
    }

    /// Lets the deliveries go that `hold` kept back.
    pub fn release(&self) {
        self.with(|world| world.queue.hold(false));
    }

    /// Adds a fault of the API.
    pub fn add_request_fault(&self, fault: RequestFault) {
        self.with(|world| world.faults.add_request(fault));
    }

    /// Ends all faults of the API, and lets go what they held.
    pub fn clear_request_faults(&self) {
        self.with(|world| world.faults.clear_requests());
    }

    /// Lets the answer go that was held first.
    pub fn answer_held(&self) {
        self.with(|world| world.faults.let_one_go());
    }
}

impl World {
    /// Replaces the faults of webhooks.
    pub fn set_delivery_faults(&mut self, faults: DeliveryFaults, seed: Option<u64>) {
        self.queue.set_shuffle_window(faults.shuffle_window);
        self.faults.set_deliveries(faults, seed);
    }
}

fn mode_of(keys: &[String]) -> Result<bool, StartError> {
    let starts = |key: &String, mode: &str| {
        ["sk", "rk"]
            .iter()
            .any(|kind| key.starts_with(&format!("{kind}_{mode}_")))
    };
    let all = |mode: &str| !keys.is_empty() && keys.iter().all(|key| starts(key, mode));
    match (all("test"), all("live")) {
        (true, _) => Ok(false),
        (_, true) => Ok(true),
        _ => Err(StartError::Keys),
    }
}

fn add_endpoint(world: &mut World, endpoint: &EndpointConfig) -> String {
    let id = world.ids.endpoint();
    let created = world.now();
    world.endpoints.insert(Endpoint {
        id: id.clone(),
        url: endpoint.url.clone(),
        secrets: vec![endpoint.secret.clone()],
        enabled_events: endpoint.enabled_events.clone(),
        api_version: endpoint.api_version.clone(),
        description: None,
        metadata: Metadata::new(),
        disabled: false,
        deleted: false,
        created,
    });
    id
}

async fn pass_time(shared: Arc<Shared>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let due = shared.read(|world| world.anything_due(world.clock.now()));
        if !due {
            continue;
        }
        if let Err(refusal) = shared.with(|world| world.advance_to(world.clock.now())) {
            tracing::error!(%refusal, "something that fell due could not happen");
        }
    }
}
