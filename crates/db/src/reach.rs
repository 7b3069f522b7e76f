//! Whether Postgres is in reach: while it is not, people who wait are told so at once, and a pool whose connections
//! lead nowhere any more is replaced.

use std::{
    io,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

/// How long a judgement is good. While Postgres is away, it is asked so often whether it is back.
const FRESH: Duration = Duration::from_millis(250);

/// Longer than any of our transactions holds its connection: Postgres ends what idles or works for too long. If
/// there was no connection for this long, those that are taken wait for an answer that will never come, such as
/// after a failover to another machine.
const HOPELESS_AFTER: Duration = Duration::from_mins(1);

/// What the attempts to open a transaction have shown.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    seen: Mutex<Seen>,
    /// Held while Postgres is asked, so that those who wonder meanwhile share the answer.
    judged: tokio::sync::Mutex<Option<(Instant, Verdict)>>,
}

#[derive(Debug, Default)]
struct Seen {
    away_since: Option<Instant>,
    /// Since when no attempt has succeeded with the same pool.
    failing_since: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// It answers new connections; a pool that has none to give is busy.
    Lives,
    Away(io::ErrorKind),
}

impl Reach {
    /// Waits for an attempt on behalf of somebody who waits. If it takes long, Postgres is asked by `ask`, past the
    /// pool: the attempt goes on as long as it may if Postgres lives, else it ends within `patience`.
    pub(crate) async fn impatiently<T, F>(
        &self,
        patience: Duration,
        attempt: impl Future<Output = Result<T, sqlx::Error>>,
        ask: impl Fn() -> F,
    ) -> Result<T, sqlx::Error>
    where
        F: Future<Output = Result<(), sqlx::Error>>,
    {
        let usual = patience / 3;
        let judge = async |last: &mut Option<_>| self.judge(last, patience.saturating_sub(usual), &ask).await;
        if self.seen().away_since.is_some() {
            // One asks whether it is back. The others know enough.
            let verdict = match self.judged.try_lock() {
                Ok(mut last) => judge(&mut last).await,
                Err(_) => Verdict::Away(io::ErrorKind::TimedOut),
            };
            verdict.check()?;
        }
        let mut attempt = pin!(attempt);
        if let Ok(outcome) = timeout(usual, &mut attempt).await {
            return outcome;
        }
        tokio::select! {
            outcome = &mut attempt => return outcome,
            verdict = async { judge(&mut *self.judged.lock().await).await } => verdict.check()?,
        }
        attempt.await
    }

    /// Notes how an attempt ended.
    pub(crate) fn note(&self, succeeded: bool) {
        let mut seen = self.seen();
        if succeeded {
            seen.failing_since = None;
            seen.back();
        } else {
            seen.failing_since.get_or_insert_with(Instant::now);
        }
    }

    /// Whether it is time for a new pool; true only once in a while.
    pub(crate) fn is_hopeless(&self) -> bool {
        let failing_since = &mut self.seen().failing_since;
        let is_hopeless = failing_since.is_some_and(|since| since.elapsed() > HOPELESS_AFTER);
        if is_hopeless {
            *failing_since = None;
        }
        is_hopeless
    }

    async fn judge<F>(
        &self,
        last: &mut Option<(Instant, Verdict)>,
        limit: Duration,
        ask: impl Fn() -> F,
    ) -> Verdict
    where
        F: Future<Output = Result<(), sqlx::Error>>,
    {
        if let Some((at, verdict)) = last
            && at.elapsed() < FRESH
        {
            return *verdict;
        }
        let answer = timeout(limit, ask()).await;
        let verdict = answer.map_or(Verdict::Away(io::ErrorKind::TimedOut), Verdict::of);
        *last = Some((Instant::now(), verdict));
        match verdict {
            Verdict::Lives => self.seen().back(),
            Verdict::Away(kind) => self.seen().away(kind),
        }
        verdict
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn away(&mut self, kind: io::ErrorKind) {
        if self.away_since.is_none() {
            tracing::warn!(error = %kind, "Postgres is away: asking until it is back");
            self.away_since = Some(Instant::now());
        }
    }

    fn back(&mut self) {
        if let Some(since) = self.away_since.take() {
            let outage_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(outage_ms, "Postgres is back");
        }
    }
}

impl Verdict {
    fn of(answer: Result<(), sqlx::Error>) -> Self {
        match answer {
            Err(sqlx::Error::Io(error)) => Self::Away(error.kind()),
            // It is starting up or shutting down.
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("57")) => {
                Self::Away(io::ErrorKind::ConnectionRefused)
            }
            // Whatever else it says, it says something.
            Ok(()) | Err(_) => Self::Lives,
        }
    }

    fn check(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Lives => Ok(()),
            Self::Away(kind) => Err(sqlx::Error::Io(kind.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1_500);
    const USUAL: Duration = Duration::from_millis(500);
    const LONG: Duration = Duration::from_secs(4);

    async fn refuses() -> Result<(), sqlx::Error> {
        Err(sqlx::Error::Io(io::ErrorKind::ConnectionRefused.into()))
    }

    async fn lives() -> Result<(), sqlx::Error> {
        Ok(())
    }

    async fn after(wait: Duration) -> Result<(), sqlx::Error> {
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Whether an attempt succeeded, and how long it took.
    async fn attempt<F>(
        reach: &Reach,
        attempt: impl Future<Output = Result<(), sqlx::Error>>,
        ask: impl Fn() -> F,
    ) -> (bool, Duration)
    where
        F: Future<Output = Result<(), sqlx::Error>>,
    {
        let begun = Instant::now();
        let outcome = reach.impatiently(PATIENCE, attempt, ask).await;
        reach.note(outcome.is_ok());
        (outcome.is_ok(), begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_waited_for_once_and_a_refusing_one_not_even_that_long() {
        let reach = Reach::default();
        let (ok, took) = attempt(&reach, pending(), pending).await;
        assert_eq!((ok, took), (false, PATIENCE));
        for _ in 0..3 {
            let (ok, took) = attempt(&reach, pending(), pending).await;
            assert_eq!((ok, took), (false, Duration::ZERO), "it is known to be away");
        }
        let reach = Reach::default();
        for expected in [USUAL, Duration::ZERO] {
            let (ok, took) = attempt(&reach, pending(), refuses).await;
            assert_eq!((ok, took), (false, expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_asks_whether_it_is_back_and_the_others_know_enough() {
        let reach = Reach::default();
        attempt(&reach, pending(), refuses).await;
        tokio::time::advance(FRESH).await;
        let ((first, waited), (second, told)) = tokio::join!(
            attempt(&reach, lives(), || after(USUAL)),
            attempt(&reach, pending(), pending)
        );
        assert_eq!((first, waited), (true, USUAL), "it is back");
        assert_eq!((second, told), (false, Duration::ZERO));
        assert_eq!(
            attempt(&reach, after(LONG), lives).await,
            (true, LONG),
            "all wait again"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_pool_of_a_living_server_is_waited_for() {
        let reach = Reach::default();
        assert_eq!(attempt(&reach, after(LONG), lives).await, (true, LONG));
        let full = || async { Err(sqlx::Error::Protocol("too many clients".to_owned())) };
        assert_eq!(attempt(&reach, after(LONG), full).await, (true, LONG));
    }

    #[tokio::test(start_paused = true)]
    async fn many_who_wait_ask_once() {
        let reach = Reach::default();
        let asked = std::sync::atomic::AtomicU32::new(0);
        let ask = || {
            asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            after(USUAL / 2)
        };
        tokio::join!(
            attempt(&reach, after(LONG), ask),
            attempt(&reach, after(LONG), ask),
            attempt(&reach, after(LONG), ask)
        );
        assert_eq!(asked.into_inner(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_of_failures_is_hopeless_and_so_is_the_next() {
        let reach = Reach::default();
        tokio::time::advance(HOPELESS_AFTER * 2).await;
        assert!(!reach.is_hopeless(), "nobody has asked");
        for _ in 0..2 {
            reach.note(false);
            assert!(!reach.is_hopeless());
            tokio::time::advance(HOPELESS_AFTER + FRESH).await;
            reach.note(false);
            assert!(reach.is_hopeless());
        }
        reach.note(false);
        tokio::time::advance(HOPELESS_AFTER + FRESH).await;
        reach.note(true);
        assert!(!reach.is_hopeless());
    }
}
