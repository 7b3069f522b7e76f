//! The worker's end of the queues: it pushes commands and hears what the bot reports.

use std::sync::Arc;

use rolecall_domain::{clock::Clock, ids::uuid_v7};
use rolecall_queue::{
    Attempt, Host, Job, JobError, Metrics, Options, Producer, Push, Queue, Registry,
    jobs::{
        GuildObserved, MemberJoined, MemberLeft, MemberRolesChanged, MessageOutcome, RoleOutcome, RoleResult,
    },
};
use rolecall_runtime::clock::{SystemClock, SystemRng};
use tokio::sync::{Mutex, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::support::{RedisServer, soon};

/// Something that the bot saw.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Joined(MemberJoined),
    Left(MemberLeft),
    Changed(MemberRolesChanged),
    Guild(GuildObserved),
    Message(MessageOutcome),
}

pub(crate) struct Worker {
    producer: Producer,
    outcomes: Mutex<mpsc::UnboundedReceiver<RoleOutcome>>,
    sightings: Mutex<mpsc::UnboundedReceiver<Seen>>,
    _stop: tokio_util::sync::DropGuard,
}

struct Reports {
    outcomes: mpsc::UnboundedSender<RoleOutcome>,
    sightings: mpsc::UnboundedSender<Seen>,
}

impl Worker {
    pub(crate) fn start(redis: &RedisServer) -> Self {
        let ((outcomes, heard_outcomes), (sightings, heard_sightings)) =
            (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let reports = Arc::new(Reports { outcomes, sightings });
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        for queue in [Queue::RoleOutcomes, Queue::DiscordEvents] {
            let host = Host {
                link: redis.link(),
                clock: Arc::new(SystemClock),
                rng: Arc::new(SystemRng),
                tasks: tasks.clone(),
                metrics: Metrics::register(&prometheus::Registry::new()).unwrap(),
                consumer: "test-worker".to_owned(),
            };
            let options = Options {
                concurrency: 1,
                ..Options::default()
            };
            tasks.spawn(rolecall_queue::run(
                &host,
                queue,
                Arc::new(registry()),
                Arc::clone(&reports),
                options,
                &stop,
            ));
        }
        Self {
            producer: Producer::new(&redis.link()),
            outcomes: Mutex::new(heard_outcomes),
            sightings: Mutex::new(heard_sightings),
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) async fn push<J: Job>(&self, job: &J) {
        let now = SystemClock.now();
        self.producer
            .push(job, Push::new(now, uuid_v7(now, &SystemRng)))
            .await
            .unwrap();
    }

    /// Pushes many at once.
    pub(crate) async fn push_all<J: Job + Clone>(&self, jobs: &[J]) {
        let now = SystemClock.now();
        let pushes = jobs
            .iter()
            .map(|job| (job.clone(), Push::new(now, uuid_v7(now, &SystemRng))));
        self.producer.push_all(pushes).await.unwrap();
    }

    /// The next outcome.
    pub(crate) async fn outcome(&self) -> RoleOutcome {
        soon(async { self.outcomes.lock().await.recv().await.unwrap() }).await
    }

    /// What came of the next command.
    pub(crate) async fn result(&self) -> RoleResult {
        self.outcome().await.result
    }

    /// The next sighting that is one of the wanted.
    pub(crate) async fn sighting<T>(&self, wanted: impl Fn(&Seen) -> Option<T>) -> T {
        soon(async {
            let mut sightings = self.sightings.lock().await;
            loop {
                if let Some(found) = wanted(&sightings.recv().await.unwrap()) {
                    return found;
                }
            }
        })
        .await
    }

    /// The next server that was observed.
    pub(crate) async fn guild(&self) -> GuildObserved {
        self.sighting(|seen| {
            if let Seen::Guild(guild) = seen {
                Some(guild.clone())
            } else {
                None
            }
        })
        .await
    }

    /// What came of the next direct message.
    pub(crate) async fn message(&self) -> MessageOutcome {
        self.sighting(|seen| {
            if let Seen::Message(outcome) = seen {
                Some(outcome.clone())
            } else {
                None
            }
        })
        .await
    }

    /// The next thing that was seen of people.
    pub(crate) async fn person(&self) -> Seen {
        self.sighting(|seen| (!matches!(seen, Seen::Guild(_) | Seen::Message(_))).then(|| seen.clone()))
            .await
    }
}

type Done = std::future::Ready<Result<(), JobError>>;

fn done() -> Done {
    std::future::ready(Ok(()))
}

fn registry() -> Registry<Reports> {
    fn report<J: Job>(
        seen: fn(J) -> Seen,
    ) -> impl Fn(Arc<Reports>, J, Attempt) -> Done + Send + Sync + 'static {
        move |reports, job, _| {
            reports.sightings.send(seen(job)).ok();
            done()
        }
    }
    Registry::new()
        .handle(|reports: Arc<Reports>, outcome: RoleOutcome, _| {
            reports.outcomes.send(outcome).ok();
            done()
        })
        .handle(report(Seen::Joined))
        .handle(report(Seen::Left))
        .handle(report(Seen::Changed))
        .handle(report(Seen::Guild))
        .handle(report(Seen::Message))
}
