//! Is the process alive, and can it do its work? Each part of the answer has a name.
//!
//! A degrading part that is away leaves the service ready: an outage at Discord must not make an
//! orchestrator restart the bot, since every restart costs one of a thousand sign-ins a day.

mod http;
mod part;
mod report;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::SecondsFormat;
use futures::future::join_all;
use rolecall_domain::clock::Clock;
use tokio_util::sync::CancellationToken;

use crate::shutdown::Shutdown;

pub use http::{configure, serve};
pub use part::{Detail, PartHandle};
pub use report::{Alive, PartReport, Report, Status};

use part::{Importance, Part, Source};

/// The health of a process; clones share it.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    draining: CancellationToken,
    parts: Vec<Part>,
    role: Mutex<Option<Cow<'static, str>>>,
}

impl Health {
    /// A process that needs nothing so far.
    pub fn builder(clock: Arc<dyn Clock>, shutdown: &Shutdown) -> HealthBuilder {
        HealthBuilder {
            clock,
            draining: shutdown.draining(),
            parts: Vec::new(),
        }
    }

    /// What `/health` says: the process lives.
    pub fn alive(&self) -> Alive {
        let timestamp = self
            .inner
            .clock
            .now()
            .to_rfc3339_opts(SecondsFormat::Millis, true);
        Alive {
            status: "ok",
            timestamp,
        }
    }

    /// What `/ready` says.
    pub async fn report(&self) -> Report {
        let now = self.inner.clock.now();
        let reports = self
            .inner
            .parts
            .iter()
            .map(async |part| (part.name, part.importance, part.report(now).await));
        let reports = join_all(reports).await;
        let role = self
            .inner
            .role
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        Report::new(role, reports, self.inner.draining.is_cancelled())
    }

    /// Whether the process is about to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.inner.draining.is_cancelled()
    }

    /// What this process is among its like, such as `leader` or `standby`.
    pub fn set_role(&self, role: impl Into<Cow<'static, str>>) {
        *self.inner.role.lock().unwrap_or_else(PoisonError::into_inner) = Some(role.into());
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.inner.parts.iter().map(|part| part.name).collect();
        f.debug_struct("Health")
            .field("parts", &parts)
            .finish_non_exhaustive()
    }
}

/// Collects the parts of a [`Health`].
///
/// A probe answers `Ok(detail)` or `Err(detail)`, within a second; its answer is kept for a
/// second, so that a flood of requests does not reach what it asks. Details are shown to
/// whoever may ask: no secrets in them.
pub struct HealthBuilder {
    clock: Arc<dyn Clock>,
    draining: CancellationToken,
    parts: Vec<Part>,
}

impl HealthBuilder {
    /// A part without which the service cannot work: while its probe fails, it is not ready.
    #[must_use]
    pub fn required<F, Fut>(self, name: &'static str, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Detail, Detail>> + Send + 'static,
    {
        self.part(name, Importance::Required, Source::probe(probe))
    }

    /// A part without which the service works less well: while its probe fails, it is degraded.
    #[must_use]
    pub fn degrading<F, Fut>(self, name: &'static str, probe: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Detail, Detail>> + Send + 'static,
    {
        self.part(name, Importance::Degrading, Source::probe(probe))
    }

    /// A required part that is told its state instead of being asked for it.
    #[must_use]
    pub fn required_state(self, name: &'static str, handle: &PartHandle) -> Self {
        self.part(name, Importance::Required, Source::State(handle.clone()))
    }

    /// A degrading part that is told its state instead of being asked for it.
    #[must_use]
    pub fn degrading_state(self, name: &'static str, handle: &PartHandle) -> Self {
        self.part(name, Importance::Degrading, Source::State(handle.clone()))
    }

    /// What happens, and what is kept, while the part added last is ill: for whoever is woken by it.
    #[must_use]
    pub fn meanwhile(mut self, text: &'static str) -> Self {
        if let Some(part) = self.parts.last_mut() {
            part.meanwhile = Some(text);
        }
        self
    }

    /// The health with these parts.
    pub fn build(self) -> Health {
        let Self {
            clock,
            draining,
            parts,
        } = self;
        Health {
            inner: Arc::new(Inner {
                clock,
                draining,
                parts,
                role: Mutex::default(),
            }),
        }
    }

    fn part(mut self, name: &'static str, importance: Importance, source: Source) -> Self {
        self.parts.push(Part {
            name,
            importance,
            source,
            meanwhile: None,
            ill_since: Mutex::default(),
        });
        self
    }
}

impl fmt::Debug for HealthBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<&str> = self.parts.iter().map(|part| part.name).collect();
        f.debug_struct("HealthBuilder")
            .field("parts", &parts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::pending,
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use serde_json::json;
    use tokio::time::advance;

    use chrono::{DateTime, TimeDelta, Utc};

    use super::*;
    use crate::clock::SystemClock;

    fn builder() -> HealthBuilder {
        Health::builder(Arc::new(SystemClock), &Shutdown::new())
    }

    #[derive(Debug)]
    struct ManualClock(Mutex<DateTime<Utc>>);

    impl ManualClock {
        fn advance(&self, by: TimeDelta) {
            *self.0.lock().unwrap() += by;
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> DateTime<Utc> {
            *self.0.lock().unwrap()
        }
    }

    async fn ready_json(health: &Health) -> serde_json::Value {
        serde_json::to_value(health.report().await).unwrap()
    }

    #[tokio::test]
    async fn every_part_is_named_with_its_detail() {
        let health = builder()
            .required("postgres", async || Ok("answers".into()))
            .degrading("discord", async || Ok("heartbeat 3 s ago".into()))
            .build();
        let wanted = json!({"status": "ready", "parts": {
            "postgres": {"ok": true, "detail": "answers"},
            "discord": {"ok": true, "detail": "heartbeat 3 s ago"},
        }});
        assert_eq!(ready_json(&health).await, wanted);
    }

    #[tokio::test]
    async fn an_ill_part_tells_since_when_and_what_is_done_meanwhile_until_it_is_well() {
        let start = "2026-11-21T03:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock(Mutex::new(start)));
        let lease = PartHandle::new(true, "held");
        let health = Health::builder(clock.clone(), &Shutdown::new())
            .required_state("lease", &lease)
            .meanwhile("another one leads")
            .build();
        let detail = async || ready_json(&health).await["parts"]["lease"]["detail"].clone();
        assert_eq!(detail().await, "held");
        for _ in 0..3 {
            lease.set(false, "lost");
            clock.advance(TimeDelta::hours(1));
            let since = clock.now().to_rfc3339_opts(SecondsFormat::Secs, true);
            let told = format!("lost; since {since}; meanwhile another one leads");
            assert_eq!(detail().await, told);
            clock.advance(TimeDelta::minutes(1));
            assert_eq!(detail().await, told, "it is the same illness");
            lease.set(true, "held");
            assert_eq!(detail().await, "held");
        }
    }

    #[tokio::test]
    async fn a_degrading_part_that_is_away_leaves_the_service_ready_enough() {
        let health = builder()
            .required("redis", async || Ok("answers".into()))
            .degrading("discord", async || Err("no heartbeat for 90 s".into()))
            .build();
        let report = health.report().await;
        assert_eq!(report.status(), Status::Degraded);
    }

    #[tokio::test]
    async fn a_required_part_that_is_away_outweighs_a_degrading_one() {
        let health = builder()
            .degrading("discord", async || Err("away".into()))
            .required("redis", async || Err("refused".into()))
            .build();
        assert_eq!(health.report().await.status(), Status::Unready);
    }

    #[tokio::test]
    async fn draining_is_told_at_once_and_by_name() {
        let shutdown = Shutdown::new();
        let health = Health::builder(Arc::new(SystemClock), &shutdown).build();
        assert_eq!(health.report().await.status(), Status::Ready);
        shutdown.drain();
        let wanted =
            json!({"status": "unready", "parts": {"draining": {"ok": false, "detail": "shutting down"}}});
        assert_eq!(ready_json(&health).await, wanted);
    }

    #[tokio::test]
    async fn a_standby_is_ready_and_says_what_it_is() {
        let health = builder().build();
        health.set_role("standby");
        assert_eq!(
            ready_json(&health).await,
            json!({"status": "ready", "role": "standby", "parts": {}})
        );
    }

    #[tokio::test]
    async fn a_part_can_be_told_its_state() {
        let lease = PartHandle::new(false, "not asked for yet");
        let health = builder().required_state("lease", &lease).build();
        assert_eq!(health.report().await.status(), Status::Unready);
        lease.set(true, "held");
        assert_eq!(
            ready_json(&health).await["parts"]["lease"],
            json!({"ok": true, "detail": "held"})
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_hangs_is_given_up_after_a_second() {
        let health = builder()
            .required("postgres", pending)
            .required("redis", pending)
            .build();
        let begun = tokio::time::Instant::now();
        let report = ready_json(&health).await;
        assert_eq!(
            begun.elapsed(),
            Duration::from_secs(1),
            "the parts are asked side by side"
        );
        let detail = report["parts"]["redis"]["detail"].as_str().unwrap();
        assert!(detail.starts_with("no answer within 1 s; since "), "{detail}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_questions_asks_the_database_once_a_second() {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let probe = move || {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                tokio::task::yield_now().await;
                Ok(format!("answer {number}").into())
            }
        };
        let health = builder().required("postgres", probe).build();
        join_all((0..1_000).map(|_| health.report())).await;
        assert_eq!(asked.load(Ordering::SeqCst), 1);
        advance(Duration::from_secs(1)).await;
        assert_eq!(
            ready_json(&health).await["parts"]["postgres"]["detail"],
            "answer 2"
        );
    }
}
