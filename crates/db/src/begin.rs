//! Opening a transaction such that whoever waits for it may go away at any moment, and the runtime in which they
//! waited, too.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use sqlx::{PgPool, Postgres, SqlSafeStr as _};
use tokio::runtime::Handle;

type Begun = Result<sqlx::Transaction<'static, Postgres>, sqlx::Error>;

/// Opens a transaction on a connection of `pool`, which belongs to the runtime `home`. Once `BEGIN` is on its way it is seen through: a connection whose
/// `BEGIN` was given up would return to the pool inside of a transaction that nobody ends.
pub(crate) async fn begin(pool: &PgPool, home: Option<&Handle>, statement: &'static str) -> Begun {
    let acquired = AtHome {
        home: home.cloned(),
        future: Box::pin(pool.acquire()),
    };
    let connection = acquired.await?;
    let begin = sqlx::Transaction::begin(connection, Some(statement.into_sql_str()));
    SeenThrough(Some(Box::pin(begin))).await
}

/// Makes what a future makes belong to another runtime than the one that polls it. A server's threads have a runtime
/// each; a connection of a thread that has ended would be of no use to the others, which still answer requests.
struct AtHome<F> {
    home: Option<Handle>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for AtHome<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let home = self.home.clone();
        let _entered = home.as_ref().map(Handle::enter);
        self.future.as_mut().poll(context)
    }
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
        if let (Some(begin), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            // Short, and bounded by the connection: nobody has to wait for it.
            runtime.spawn(async move { drop(begin.await) });
        }
    }
}
