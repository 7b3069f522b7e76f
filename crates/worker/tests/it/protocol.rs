//! The protocol by which subscriptions follow Stripe, as a model: any interleaving of changes, events,
//! reads and writes keeps what `docs/sync.md` claims, and without any one of its rules some does not.

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};

/// A rule that is left out, to see that it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    Nothing,
    /// A write replaces whatever is there.
    VersionCheck,
    /// What a write replaces is looked up when Stripe has made its answer.
    LookBeforeRead,
    /// A read is dated by its answer and not by its beginning.
    DateOfBeginning,
    /// What covers an event is a read that was written after it was seen, whenever it began.
    BeginningAfterSeen,
}

/// What is stored of the subscription. Its state is the number of changes that it shows.
#[derive(Debug, Clone, Copy)]
struct Row {
    version: u64,
    state: u64,
    read_started_at: u64,
    written_at: u64,
}

/// An event says that there were so many changes; it was seen at a time.
#[derive(Debug, Clone, Copy)]
struct Event {
    change: u64,
    seen_at: u64,
    done: bool,
}

/// How far a worker has come with an event.
#[derive(Debug, Clone, Copy)]
enum Step {
    Look,
    /// It knows what it would replace, and asks.
    Ask {
        mark: Option<u64>,
        started_at: u64,
    },
    /// Only where a rule is left out.
    LookLate {
        started_at: u64,
        state: u64,
    },
    /// Stripe has made its answer, which may take any time to come.
    Write {
        mark: Option<u64>,
        started_at: u64,
        state: u64,
    },
}

#[derive(Debug)]
struct Model {
    without: Without,
    clock: u64,
    /// Changes that have happened at Stripe.
    changes: u64,
    stored: Option<Row>,
    events: Vec<Event>,
    /// Which event, and how far.
    working: Vec<(usize, Step)>,
}

impl Model {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Something happens, as the choice says; then everything that is claimed is checked.
    fn act(&mut self, choice: u8, which: u8) -> Result<(), TestCaseError> {
        let before = self.stored;
        match choice % 8 {
            0 => self.changes += 1,
            1 => self.see(which),
            // The same event comes to another worker.
            2 if !self.events.is_empty() => {
                let again = usize::from(which) % self.events.len();
                self.working.push((again, Step::Look));
            }
            _ if !self.working.is_empty() => {
                let worker = usize::from(which) % self.working.len();
                self.work(worker);
            }
            _ => {}
        }
        self.check(before)
    }

    /// An event comes in, of any change so far. Its worker may use what it looked up with it.
    fn see(&mut self, which: u8) {
        let change = self.changes - u64::from(which >> 1).min(self.changes);
        let mark = self.stored.map(|row| row.version);
        let seen_at = self.tick();
        self.events.push(Event {
            change,
            seen_at,
            done: false,
        });
        let step = if which.is_multiple_of(2) {
            Step::Look
        } else {
            Step::Ask {
                mark,
                started_at: seen_at,
            }
        };
        self.working.push((self.events.len() - 1, step));
    }

    fn work(&mut self, worker: usize) {
        let (event, step) = self.working.swap_remove(worker);
        match step {
            Step::Look if self.covers(event) => self.events[event].done = true,
            Step::Look => {
                let (mark, started_at) = (self.stored.map(|row| row.version), self.tick());
                self.working.push((event, Step::Ask { mark, started_at }));
            }
            Step::Ask { mark, started_at } => {
                let state = self.changes;
                let next = if self.without == Without::LookBeforeRead {
                    Step::LookLate { started_at, state }
                } else {
                    Step::Write {
                        mark,
                        started_at,
                        state,
                    }
                };
                self.working.push((event, next));
            }
            Step::LookLate { started_at, state } => {
                let mark = self.stored.map(|row| row.version);
                self.working.push((
                    event,
                    Step::Write {
                        mark,
                        started_at,
                        state,
                    },
                ));
            }
            Step::Write {
                mark,
                started_at,
                state,
            } => {
                let version = self.stored.map(|row| row.version);
                if mark != version && self.without != Without::VersionCheck {
                    self.working.push((event, Step::Look));
                    return;
                }
                let written_at = self.tick();
                let late = self.without == Without::DateOfBeginning;
                self.stored = Some(Row {
                    version: version.unwrap_or_default() + 1,
                    state,
                    read_started_at: if late { written_at } else { started_at },
                    written_at,
                });
                self.events[event].done = true;
            }
        }
    }

    fn covers(&self, event: usize) -> bool {
        let late = self.without == Without::BeginningAfterSeen;
        self.stored.is_some_and(|row| {
            let read_at = if late { row.written_at } else { row.read_started_at };
            read_at > self.events[event].seen_at
        })
    }

    fn check(&self, before: Option<Row>) -> Result<(), TestCaseError> {
        let state = self.stored.map(|row| row.state);
        if state < before.map(|row| row.state) {
            return Err(TestCaseError::fail("an old state came back"));
        }
        let told = self.events.iter().filter(|event| event.done);
        if told.map(|event| event.change).max() > state.or(Some(0)) {
            return Err(TestCaseError::fail("an event is done whose change is not there"));
        }
        Ok(())
    }

    /// Everything that was begun comes to its end; one sweep tells what no event did.
    fn end(&mut self) -> Result<(), TestCaseError> {
        self.see(0);
        let mut rounds = 0;
        while !self.working.is_empty() {
            rounds += 1;
            // Each write makes the others look once more at most.
            if rounds > 10_000 {
                return Err(TestCaseError::fail("it does not come to an end"));
            }
            let before = self.stored;
            self.work(0);
            self.check(before)?;
        }
        let state = self.stored.map(|row| row.state);
        if state != Some(self.changes) || self.events.iter().any(|event| !event.done) {
            return Err(TestCaseError::fail("the end is not what Stripe knows"));
        }
        Ok(())
    }
}

fn any_interleaving(without: Without) -> Result<(), TestError<Vec<(u8, u8)>>> {
    let config = Config {
        cases: 3_000,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    TestRunner::new(config).run(&vec((any::<u8>(), any::<u8>()), 0..120), |choices| {
        let mut model = Model {
            without,
            clock: 0,
            changes: 0,
            stored: None,
            events: Vec::new(),
            working: Vec::new(),
        };
        for (choice, which) in choices {
            model.act(choice, which)?;
        }
        model.end()
    })
}

#[test]
fn no_interleaving_brings_an_old_state_back_or_loses_a_change() {
    any_interleaving(Without::Nothing).unwrap();
}

#[test]
fn no_rule_of_the_protocol_can_be_left_out() {
    for without in [
        Without::VersionCheck,
        Without::LookBeforeRead,
        Without::DateOfBeginning,
        Without::BeginningAfterSeen,
    ] {
        let found = any_interleaving(without);
        assert!(
            matches!(found, Err(TestError::Fail(..))),
            "nothing goes wrong without {without:?}"
        );
    }
}
