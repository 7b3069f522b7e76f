//! The pump: lets kept events take effect, so many at a time, in the order of the line.
//!
//! It holds in memory what it is about to do. The inbox has it all: what is in nobody's memory is taken
//! up from there, and so is what a worker held that died.

use std::{
    any::Any,
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use rolecall_domain::ids::StripeEventId;
use tokio::{sync::Notify, time::Instant};
use tokio_util::task::TaskTracker;

use crate::{
    ctx::Ctx,
    error::WorkError,
    intake::{
        effect::take_effect,
        failure::{self, Cause},
        line::{Arrival, Line, Work},
        pause::Pause,
    },
    sync::Synced,
};

/// The events that a worker holds in memory: some megabytes.
const MOST_HELD: usize = 8_192;
/// What of that which runs may be nothing that somebody waits for. Where Stripe's limit makes those that run wait in
/// a line that nobody overtakes, just enough to use it up; else enough that several are written at a time.
const PACED: usize = 8;
const UNPACED: usize = 40;
/// What runs beside it because somebody waits for it.
const URGENT: usize = 8;
/// What runs while events come in faster than they are kept, and a moment longer: somebody who has just
/// paid may be among those that wait to be kept.
const CROWDED_SLOTS: usize = 8;
const CROWDED_FOR: Duration = Duration::from_millis(25);
/// The most that one piece of work may take.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Lets kept events take effect.
#[derive(Debug)]
pub struct Pump {
    state: Mutex<State>,
    /// There is something for the task beside the pump to do.
    pub(super) attention: Notify,
    tasks: TaskTracker,
}

#[derive(Debug)]
struct State {
    line: Line,
    /// Urgent and other work that runs.
    running: [usize; 2],
    /// The most that may run which is not urgent.
    others: usize,
    stage: Stage,
    crowded_until: Option<Instant>,
    pause: Pause,
    /// Ours no more, and still to be let go of in the inbox.
    let_go: BTreeSet<StripeEventId>,
    /// There is likely more in the inbox that nobody holds.
    more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Only what somebody asks for by hand is done.
    ByHand,
    Running,
    Closed,
}

/// What the task beside the pump has to do.
#[derive(Debug)]
pub(super) struct Chores {
    pub(super) let_go: Vec<StripeEventId>,
    /// There is room for so many events, and likely there are some.
    pub(super) room: Option<usize>,
    /// When work may begin again that is held up.
    pub(super) resume: Option<Instant>,
}

impl Pump {
    /// A pump that holds nothing; `is_paced` says whether Stripe's limit is kept.
    pub fn new(is_paced: bool) -> Self {
        Self {
            state: Mutex::new(State {
                line: Line::new(MOST_HELD),
                running: [0; 2],
                others: if is_paced { PACED } else { UNPACED },
                stage: Stage::ByHand,
                crowded_until: None,
                pause: Pause::default(),
                let_go: BTreeSet::new(),
                more: true,
            }),
            attention: Notify::new(),
            tasks: TaskTracker::new(),
        }
    }

    /// Takes events over that are kept and held.
    pub fn offer(&self, arrivals: impl IntoIterator<Item = Arrival>) {
        let mut state = self.state();
        for arrival in arrivals {
            let gone = state.line.add(arrival);
            state.let_go.extend(gone);
        }
        if !state.let_go.is_empty() {
            state.more = true;
            self.attention.notify_one();
        }
    }

    /// Whether what is kept now is also done here.
    pub fn is_open(&self) -> bool {
        self.state().stage != Stage::Closed
    }

    /// Begins as much work as may run now, each piece in a task.
    pub fn start(&self, ctx: &Arc<Ctx>) {
        loop {
            let mut state = self.state();
            if state.stage != Stage::Running {
                return;
            }
            let Some(work) = state.take(Instant::now()) else {
                return;
            };
            drop(state);
            let ctx = Arc::clone(ctx);
            self.tasks.spawn(async move {
                // How it ended stands with the events.
                run(&ctx, work).await.ok();
                ctx.pump.start(&ctx);
            });
        }
    }

    /// The next piece of work, for whoever does it by hand with [`run`].
    pub fn take(&self, now: Instant) -> Option<Work> {
        self.state().take(now)
    }

    /// Has the inbox looked at soon.
    pub fn look(&self) {
        self.state().more = true;
        self.attention.notify_one();
    }

    /// From here on work begins by itself.
    pub(super) fn open(&self) {
        self.state().stage = Stage::Running;
    }

    /// Begins nothing more, and waits for what runs.
    pub(super) async fn close(&self) {
        self.state().stage = Stage::Closed;
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Everything that is still held.
    pub(super) fn clear(&self) -> Vec<StripeEventId> {
        let mut state = self.state();
        let mut ids = state.line.clear();
        ids.extend(std::mem::take(&mut state.let_go));
        ids
    }

    /// Events come in faster than they are kept.
    pub(super) fn crowd(&self, now: Instant) {
        self.state().crowded_until = Some(now + CROWDED_FOR);
    }

    /// What there is to do beside the pump; `look` says that it is time to look into the inbox.
    pub(super) fn chores(&self, look: bool) -> Chores {
        let mut state = self.state();
        let few = state.line.len() <= MOST_HELD / 4;
        let room = (few && (state.more || look)).then_some(MOST_HELD / 2);
        if room.is_some() {
            state.more = false;
        }
        Chores {
            let_go: std::mem::take(&mut state.let_go).into_iter().collect(),
            room,
            resume: state.pause.until(),
        }
    }

    /// What has to be held longer, and counts as held until then from here on.
    pub(super) fn hold(
        &self,
        soon: chrono::DateTime<chrono::Utc>,
        until: chrono::DateTime<chrono::Utc>,
    ) -> Vec<StripeEventId> {
        self.state().line.hold(soon, until)
    }

    /// Counts a piece of work out that was tried.
    fn finish(&self, subject: &Arc<crate::intake::subject::Subject>, urgent: bool) {
        let mut state = self.state();
        state.line.done(subject);
        state.ended(urgent);
        if state.more && state.line.len() <= MOST_HELD / 4 {
            self.attention.notify_one();
        }
    }

    /// Counts a piece of work out that could not be tried, and lets it wait.
    fn put_back(&self, work: Work) {
        let mut state = self.state();
        let urgent = work.urgent;
        let gone = state.line.put_back(work);
        state.let_go.extend(gone);
        state.ended(urgent);
    }

    fn over(&self) {
        self.state().pause.over();
    }

    fn failed(&self, sure: bool, wait: Option<Duration>) {
        let begins = self.state().pause.failed(Instant::now(), sure, wait);
        if begins {
            tracing::warn!("events wait in the inbox until those they need answer again");
        }
        self.attention.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, now: Instant) -> Option<Work> {
        let [urgent, others] = self.running;
        let crowded = self.crowded_until.is_some_and(|until| now < until);
        let slots = if crowded {
            CROWDED_SLOTS
        } else {
            self.others + URGENT
        };
        if urgent + others >= slots || !self.pause.lets_through(now, urgent + others) {
            return None;
        }
        let work = self.line.next(others < self.others.min(slots))?;
        *self.counter(work.urgent) += 1;
        Some(work)
    }

    fn ended(&mut self, urgent: bool) {
        let counter = self.counter(urgent);
        *counter = counter.saturating_sub(1);
    }

    const fn counter(&mut self, urgent: bool) -> &mut usize {
        let [of_urgent, of_others] = &mut self.running;
        if urgent { of_urgent } else { of_others }
    }
}

/// Lets a piece of work take effect, and notes with its events how that went.
pub async fn run(ctx: &Arc<Ctx>, work: Work) -> Result<(), WorkError> {
    let traceparent = work.events.iter().find_map(|event| event.traceparent.clone());
    let effect = AssertUnwindSafe(take_effect(ctx, &work).boxed()).catch_unwind();
    let effect = rolecall_queue::within(traceparent, tokio::time::timeout(TIMEOUT, effect));
    let result = match effect.await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(WorkError::Fault(format!("panicked: {}", message(&*panic)))),
        Err(_) => Err(WorkError::Fault(format!("timed out after {TIMEOUT:?}"))),
    };
    match result {
        Ok(synced) => {
            ctx.metrics.count_events(synced, work.events.len());
            if synced == Synced::Read {
                ctx.pump.over();
            }
            ctx.pump.finish(&work.subject, work.urgent);
            Ok(())
        }
        Err(error) => {
            give_up(ctx, work, &error).await;
            Err(error)
        }
    }
}

async fn give_up(ctx: &Arc<Ctx>, work: Work, error: &WorkError) {
    let noted = match failure::cause(error) {
        Cause::Postgres => {
            ctx.pump.failed(true, None);
            false
        }
        Cause::Chance => false,
        Cause::Stripe { sure, wait } => {
            ctx.pump.failed(sure, wait);
            failure::note(ctx, &work, error).await
        }
        Cause::Event => {
            // Whoever refused this one has answered.
            ctx.pump.over();
            failure::note(ctx, &work, error).await
        }
    };
    if noted {
        ctx.pump.finish(&work.subject, work.urgent);
    } else {
        tracing::warn!(%error, events = work.events.len(), "events could not take effect yet; they wait");
        ctx.pump.put_back(work);
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message")
}
