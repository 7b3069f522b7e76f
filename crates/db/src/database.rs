//! The pool and the one way to open a transaction, right for a direct connection and behind poolers.

use std::{
    ops::{Deref, DerefMut},
    str::FromStr,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgConnection, PgPool, Postgres,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::DbError;

/// The migrations in `migrations/`, built in.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// An open transaction; it is rolled back when it is dropped without [`Transaction::commit`].
///
/// Functions of this crate take it as `&mut tx`.
#[derive(Debug)]
pub struct Transaction(sqlx::Transaction<'static, Postgres>);

impl Transaction {
    /// Makes everything that was written in it last.
    pub async fn commit(self) -> Result<(), DbError> {
        Ok(self.0.commit().await?)
    }

    /// Undoes everything that was written in it.
    pub async fn rollback(self) -> Result<(), DbError> {
        Ok(self.0.rollback().await?)
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

/// Postgres itself must never hang a job: limits for everything inside a transaction. `SET LOCAL`
/// ends with the transaction, so a pooled connection carries nothing over.
macro_rules! begin_sql {
    ($more:literal) => {
        concat!(
            "BEGIN; SET LOCAL statement_timeout = '20s'; SET LOCAL lock_timeout = '10s'; ",
            "SET LOCAL idle_in_transaction_session_timeout = '30s'",
            $more
        )
    };
}

/// What stands between us and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolerMode {
    /// Nothing.
    None,
    /// A pooler that keeps a server connection for as long as we keep ours.
    Session,
    /// A pooler that may give every transaction another server connection.
    Transaction,
}

impl PoolerMode {
    /// The word for it in the environment and in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }
}

/// How to reach Postgres.
#[derive(Debug, Clone)]
pub struct DatabaseOptions {
    /// The connection string.
    pub url: SecretString,
    /// What stands in between.
    pub pooler: PoolerMode,
    /// The most connections that are opened.
    pub max_connections: u32,
}

/// The pool.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    pooler: PoolerMode,
}

impl Database {
    /// Makes the pool without connecting: a service starts, and says what is wrong, while Postgres
    /// is away.
    pub fn new(options: &DatabaseOptions) -> Result<Self, DbError> {
        let mut connect = connect_options(&options.url)?;
        if options.pooler == PoolerMode::Transaction {
            // Named statements would meet another client's server connection.
            connect = connect.statement_cache_capacity(0);
        }
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(Duration::from_secs(5))
            .idle_timeout(Duration::from_mins(5))
            .max_lifetime(Duration::from_mins(30))
            .test_before_acquire(false)
            .before_acquire(|connection, meta| {
                Box::pin(async move {
                    // A ping costs a round trip: only a connection that has been idle may have died.
                    if meta.idle_for > Duration::from_secs(1) {
                        sqlx::Connection::ping(connection).await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        Ok(Self {
            pool,
            pooler: options.pooler,
        })
    }

    /// What stands between us and Postgres.
    pub const fn pooler(&self) -> PoolerMode {
        self.pooler
    }

    /// Opens a transaction. Every statement of the project runs inside one.
    ///
    /// Behind a transaction pooler the server connection may hold statements that another client
    /// prepared under the same names, so they are dropped first, in the same round trip.
    pub async fn begin(&self) -> Result<Transaction, DbError> {
        let begin = match self.pooler {
            PoolerMode::None | PoolerMode::Session => begin_sql!(""),
            PoolerMode::Transaction => begin_sql!("; DEALLOCATE ALL"),
        };
        Ok(Transaction(self.pool.begin_with(begin).await?))
    }

    /// Asks Postgres for an answer: the readiness probe.
    pub async fn ping(&self) -> Result<(), DbError> {
        let mut tx = self.begin().await?;
        sqlx::query_scalar!("SELECT 1 AS one").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Closes the pool's connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Applies the migrations that are missing, through a direct or session connection, under the
/// migrator's lock. Returns how many were applied.
pub async fn migrate(direct_url: &SecretString) -> Result<usize, DbError> {
    use sqlx::{ConnectOptions as _, Connection as _};
    let mut connection = connect_options(direct_url)?.connect().await?;
    let before = applied(&mut connection).await?;
    MIGRATOR.run(&mut connection).await?;
    let after = applied(&mut connection).await?;
    connection.close().await?;
    Ok(after.saturating_sub(before))
}

/// How many migrations of this build the database lacks.
pub async fn missing_migrations(database: &Database) -> Result<usize, DbError> {
    let mut tx = database.begin().await?;
    let applied = applied(&mut tx).await?;
    tx.commit().await?;
    Ok(MIGRATOR.iter().count().saturating_sub(applied))
}

/// The migrator's own table is not one of ours, so its queries are not checked when we compile.
async fn applied(connection: &mut PgConnection) -> Result<usize, DbError> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !exists {
        return Ok(0);
    }
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(connection)
        .await?;
    Ok(usize::try_from(count).unwrap_or_default())
}

fn connect_options(url: &SecretString) -> Result<PgConnectOptions, DbError> {
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(|_| DbError::Url)?;
    Ok(options.application_name("rolecall"))
}
