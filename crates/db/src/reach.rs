//! Whether Postgres was in reach lately: while it is not, people who wait are told so at once, and a pool whose
//! connections lead nowhere any more is replaced.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use crate::DbError;

/// While Postgres is away, one in so long may try whether it is back.
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Longer than any of our transactions holds its connection: Postgres ends what idles or works for too long. If
/// there was no connection for this long, those that are taken wait for an answer that will never come, such as
/// after a failover to another machine.
const HOPELESS_AFTER: Duration = Duration::from_mins(1);

/// What the attempts to open a transaction have shown.
#[derive(Debug)]
pub(crate) struct Reach(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    /// When the last attempt succeeded, or the pool was made.
    good_at: Instant,
    away: Option<Away>,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    next_try: Instant,
    /// Since when the same pool has been tried.
    pool_since: Instant,
}

impl Reach {
    /// Nothing has been tried so far.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen {
            good_at: Instant::now(),
            away: None,
        }))
    }

    /// Carries an attempt out, within `patience` if it has an end.
    pub(crate) async fn attempt<T>(
        &self,
        patience: Option<Duration>,
        attempt: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, DbError> {
        let begun = Instant::now();
        let outcome = match patience {
            None => attempt.await,
            Some(_) if !self.seen().may_try(begun) => Err(sqlx::Error::PoolTimedOut),
            Some(patience) => timeout(patience, attempt)
                .await
                .unwrap_or(Err(sqlx::Error::PoolTimedOut)),
        };
        match outcome {
            Ok(value) => {
                self.seen().succeeded();
                Ok(value)
            }
            Err(error) => {
                let error = DbError::from(error);
                if error.is_outage() {
                    self.seen().failed(begun);
                }
                Err(error)
            }
        }
    }

    /// Whether it is time for a new pool; true only once in a while.
    pub(crate) fn is_hopeless(&self) -> bool {
        let mut seen = self.seen();
        let Some(away) = &mut seen.away else {
            return false;
        };
        let is_hopeless = away.pool_since.elapsed() > HOPELESS_AFTER;
        if is_hopeless {
            away.pool_since = Instant::now();
        }
        is_hopeless
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn may_try(&mut self, now: Instant) -> bool {
        match &mut self.away {
            Some(away) if now < away.next_try => false,
            Some(away) => {
                away.next_try = now + TRY_EVERY;
                true
            }
            None => true,
        }
    }

    fn succeeded(&mut self) {
        self.good_at = Instant::now();
        if let Some(away) = self.away.take() {
            let outage_ms = u64::try_from(away.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(outage_ms, "Postgres is back");
        }
    }

    /// An attempt failed. If another one succeeded meanwhile, Postgres is not away but busy.
    fn failed(&mut self, begun: Instant) {
        if self.away.is_none() && self.good_at <= begun {
            tracing::warn!("Postgres is away: trying until it is back");
            let now = Instant::now();
            self.away = Some(Away {
                since: begun,
                next_try: now + TRY_EVERY,
                pool_since: begun,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, io};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1_500);

    async fn try_in_vain(reach: &Reach) -> Duration {
        let begun = Instant::now();
        let error = reach.attempt::<()>(Some(PATIENCE), pending()).await.unwrap_err();
        assert!(error.is_outage(), "{error:?}");
        begun.elapsed()
    }

    async fn try_well(reach: &Reach, patience: Option<Duration>) -> bool {
        reach.attempt(patience, async { Ok(()) }).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_waits_and_those_after_it_are_told_at_once_until_somebody_may_try_again() {
        let reach = Reach::new();
        assert_eq!(try_in_vain(&reach).await, PATIENCE);
        for _ in 0..3 {
            assert_eq!(try_in_vain(&reach).await, Duration::ZERO);
        }
        tokio::time::advance(TRY_EVERY).await;
        assert_eq!(try_in_vain(&reach).await, PATIENCE, "one tries");
        assert!(
            try_well(&reach, Some(PATIENCE)).await,
            "so long ago that the next one may"
        );
        assert_eq!(try_in_vain(&reach).await, PATIENCE, "it was back");
    }

    #[tokio::test(start_paused = true)]
    async fn while_one_tries_the_others_are_told_at_once() {
        let reach = Reach::new();
        try_in_vain(&reach).await;
        tokio::time::advance(TRY_EVERY).await;
        let (waited, told) = tokio::join!(try_in_vain(&reach), try_in_vain(&reach));
        assert_eq!((waited, told), (PATIENCE, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_the_wait_and_a_mistake_says_nothing_about_reach() {
        let reach = Reach::new();
        let mistake = async { Err::<(), _>(sqlx::Error::RowNotFound) };
        assert!(reach.attempt(Some(PATIENCE), mistake).await.is_err());
        let refused = async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionReset).into()) };
        assert!(reach.attempt(Some(PATIENCE), refused).await.is_err());
        assert!(!try_well(&reach, Some(PATIENCE)).await, "it was away just now");
        assert!(try_well(&reach, None).await, "who is patient asks all the same");
        assert!(try_well(&reach, Some(PATIENCE)).await, "and has found it");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waited_in_vain_while_others_were_served_met_a_busy_pool() {
        let reach = Reach::new();
        let others = async {
            tokio::time::sleep(PATIENCE / 2).await;
            try_well(&reach, Some(PATIENCE)).await
        };
        tokio::join!(try_in_vain(&reach), others);
        assert!(try_well(&reach, Some(PATIENCE)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_minute_of_failures_is_hopeless_and_so_is_the_next() {
        let reach = Reach::new();
        tokio::time::advance(HOPELESS_AFTER * 2).await;
        assert!(!reach.is_hopeless(), "nobody has asked");
        try_in_vain(&reach).await;
        for _ in 0..2 {
            assert!(!reach.is_hopeless());
            tokio::time::advance(HOPELESS_AFTER + TRY_EVERY).await;
            assert!(reach.is_hopeless());
        }
        tokio::time::advance(HOPELESS_AFTER + TRY_EVERY).await;
        assert!(try_well(&reach, None).await);
        assert!(!reach.is_hopeless());
    }
}
