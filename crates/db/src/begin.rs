//! Opening a transaction such that whoever waits for it may go away at any moment.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use sqlx::{PgPool, Postgres, SqlSafeStr as _};

type Begun = Result<sqlx::Transaction<'static, Postgres>, sqlx::Error>;

/// Opens a transaction on a connection of `pool`. Once `BEGIN` is on its way it is seen through: a connection whose
/// `BEGIN` was given up would return to the pool inside of a transaction that nobody ends.
pub(crate) async fn begin(pool: &PgPool, statement: &'static str) -> Begun {
    let connection = pool.acquire().await?;
    let begin = sqlx::Transaction::begin(connection, Some(statement.into_sql_str()));
    SeenThrough(Some(Box::pin(begin))).await
}

/// Goes on without whoever waited for it. The transaction is rolled back then.
struct SeenThrough(Option<Pin<Box<dyn Future<Output = Begun> + Send>>>);

impl Future for SeenThrough {
    type Output = Begun;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Begun> {
        let Some(begin) = &mut self.0 else {
            return Poll::Pending;
        };
        let outcome = begin.as_mut().poll(context);
        if outcome.is_ready() {
            self.0 = None;
        }
        outcome
    }
}

impl Drop for SeenThrough {
    fn drop(&mut self) {
        if let (Some(begin), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) {
            // Short, and bounded by the connection: nobody has to wait for it.
            runtime.spawn(async move { drop(begin.await) });
        }
    }
}
