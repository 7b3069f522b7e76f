//! Sends deliveries until the simulator is shut down.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::stripe::shared::Shared;
use crate::stripe::webhook::queue::Next;
use crate::stripe::webhook::sign;
use crate::stripe::world::World;
use crate::stripe::world::event::{Attempt, DeliveryState};
use crate::stripe::{json, shape};
use crate::tasks;

/// How deliveries are made.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    /// The client they are made with.
    pub client: reqwest::Client,
    /// Waits between attempts.
    pub retry_schedule: Arc<[Duration]>,
    /// How many may be under way at once.
    pub concurrency: usize,
}

/// One attempt, ready to go.
struct Outgoing {
    url: String,
    signature: String,
    body: Vec<u8>,
}

impl Sender {
    /// Runs until `stop`.
    pub(crate) async fn run(self, shared: Arc<Shared>, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(self.concurrency.max(1)));
        let attempts = TaskTracker::new();
        while !stop.is_cancelled() {
            let next = shared.with_queue(|world| world.queue.next(Instant::now()));
            let woken = shared.deliveries_changed();
            match next {
                Next::Send(delivery) => {
                    let place = tokio::select! {
                        () = stop.cancelled() => break,
                        place = Arc::clone(&places).acquire_owned() => place,
                    };
                    let (sender, shared, stop) = (self.clone(), Arc::clone(&shared), stop.clone());
                    tasks::spawn(
                        "stripe.delivery",
                        attempts.track_future(async move {
                            tokio::select! {
                                () = stop.cancelled() => {}
                                () = sender.attempt(&shared, delivery) => {}
                            }
                            drop(place);
                        }),
                    );
                }
                Next::WaitUntil(moment) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = woken => {}
                    () = tokio::time::sleep_until(moment) => {}
                },
                Next::Idle => tokio::select! {
                    () = stop.cancelled() => {}
                    () = woken => {}
                },
            }
        }
        attempts.close();
        attempts.wait().await;
    }

    async fn attempt(&self, shared: &Shared, delivery: usize) {
        let Some(outgoing) = shared.read(|world| prepare(world, delivery)) else {
            return;
        };
        let answer = self
            .client
            .post(outgoing.url)
            .header("content-type", "application/json; charset=utf-8")
            .header("user-agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)")
            .header("stripe-signature", outgoing.signature)
            .body(outgoing.body)
            .send()
            .await;
        let (status, error) = match answer {
            Ok(answer) => (Some(answer.status().as_u16()), None),
            Err(error) => (None, Some(error.without_url().to_string())),
        };
        shared.with(|world| self.record(world, delivery, status, error));
    }

    fn record(&self, world: &mut World, delivery: usize, status: Option<u16>, error: Option<String>) {
        let at = world.clock.wall().timestamp();
        let Some(row) = world.deliveries.get_mut(delivery) else {
            return;
        };
        let made = row.attempts.len();
        row.attempts.push(Attempt { at, status, error });
        if status.is_some_and(|status| (200..300).contains(&status)) {
            row.state = DeliveryState::Delivered;
        } else if let Some(wait) = self.retry_schedule.get(made) {
            world.queue.retry(delivery, *wait, Instant::now());
        } else {
            row.state = DeliveryState::Failed;
        }
    }
}

/// The request as it is at this moment: each attempt is signed anew, with the secrets of now.
fn prepare(world: &World, delivery: usize) -> Option<Outgoing> {
    let row = world.deliveries.get(delivery)?;
    let endpoint = world.endpoints.get(&row.endpoint)?;
    let event: Value = shape::event_for(world.events.get(&row.event)?, endpoint);
    let body = json::pretty(&event);
    let signature = sign::header(world.clock.wall().timestamp(), &body, &endpoint.secrets);
    Some(Outgoing {
        url: endpoint.url.clone(),
        signature,
        body,
    })
}
