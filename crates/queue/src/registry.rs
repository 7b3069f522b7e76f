//! Which handler runs which kind of job.

use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use serde_json::value::RawValue;

use crate::{
    attempt::{Attempt, JobError},
    job::Job,
    jobs::Policy,
};

/// A handler whose arguments have been decoded, or why they could not be. It resolves to an
/// `Err(panic)` if it panics.
pub(crate) type Run = BoxFuture<'static, std::thread::Result<Result<(), JobError>>>;

type Start<C> = Arc<dyn Fn(Arc<C>, &RawValue, Attempt) -> serde_json::Result<Run> + Send + Sync>;

/// The handlers of a service. `C` is what they all share.
pub struct Registry<C> {
    handlers: HashMap<&'static str, Handler<C>>,
    policies: Vec<Policy>,
    conflicts: Vec<&'static str>,
}

pub(crate) struct Handler<C> {
    pub(crate) policy: Policy,
    pub(crate) start: Start<C>,
}

impl<C: Send + Sync + 'static> Registry<C> {
    /// No handlers yet.
    pub fn new() -> Self {
        Self {
            handlers: HashMap::new(),
            policies: Vec::new(),
            conflicts: Vec::new(),
        }
    }

    /// Has jobs of kind `J`, under its name and its former names, run by `handler`.
    #[must_use]
    pub fn handle<J, F, Fut>(mut self, handler: F) -> Self
    where
        J: Job,
        F: Fn(Arc<C>, J, Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let handler = Arc::new(handler);
        let start: Start<C> = Arc::new(move |context, args, attempt| {
            let args = serde_json::from_str::<J>(args.get())?;
            let handler = Arc::clone(&handler);
            // The call is inside, because it may panic as well as what it returns.
            let run = async move { handler(context, args, attempt).await };
            Ok(AssertUnwindSafe(run).catch_unwind().boxed())
        });
        let policy = Policy::of::<J>();
        self.policies.push(policy);
        for name in std::iter::once(&J::KIND).chain(J::ALIASES) {
            let handler = Handler {
                policy,
                start: Arc::clone(&start),
            };
            if self.handlers.insert(name, handler).is_some() {
                self.conflicts.push(name);
            }
        }
        self
    }

    /// The kinds that have a handler.
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Names that were given to two handlers.
    pub(crate) fn conflicts(&self) -> &[&'static str] {
        &self.conflicts
    }

    pub(crate) fn find(&self, kind: &str) -> Option<&Handler<C>> {
        self.handlers.get(kind)
    }
}

impl<C: Send + Sync + 'static> Default for Registry<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> std::fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.policies.iter().map(|policy| policy.kind))
            .finish()
    }
}
