//! The pool and the one way to open a transaction, right for a direct connection and behind poolers.

use std::{
    io,
    ops::{Deref, DerefMut},
    pin::pin,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    PgConnection, PgPool, Postgres, Row as _,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::{runtime::Handle, time::timeout};

use crate::{DbError, begin, reach::Reach};

/// The readiness probe gives the pool so long before it looks for the reason itself.
const POOL_PATIENCE: Duration = Duration::from_millis(300);

/// The migrations in `migrations/`, built in.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// How long Postgres may take to let us in.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

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
    pool: Arc<RwLock<PgPool>>,
    pooler: PoolerMode,
    patience: Option<Duration>,
    reach: Arc<Reach>,
    /// The runtime that the connections belong to: the one in which the pool was made.
    home: Option<Handle>,
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
        let pool = pool_options(options.max_connections).connect_lazy_with(connect);
        Ok(Self {
            pool: Arc::new(RwLock::new(pool)),
            pooler: options.pooler,
            patience: None,
            reach: Arc::default(),
            home: Handle::try_current().ok(),
        })
    }

    /// The same pool for people who wait: that Postgres is away they are told within this time, and
    /// at once while it is known.
    #[must_use]
    pub fn impatient(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
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
        self.begin_within(self.patience).await
    }

    async fn begin_within(&self, patience: Option<Duration>) -> Result<Transaction, DbError> {
        use sqlx::{ConnectOptions as _, Connection as _};
        let statement = match self.pooler {
            PoolerMode::None | PoolerMode::Session => begin_sql!(""),
            PoolerMode::Transaction => begin_sql!("; DEALLOCATE ALL"),
        };
        let pool = self.pool();
        let attempt = begin::begin(&pool, self.home.as_ref(), statement);
        let begun = match patience {
            None => attempt.await,
            Some(patience) => {
                let server = pool.connect_options();
                let ask = || async { server.connect().await?.close().await };
                Box::pin(self.reach.impatiently(patience, attempt, ask)).await
            }
        };
        self.reach.note(begun.is_ok());
        if begun.is_err() && self.reach.is_hopeless() {
            self.renew(&pool);
        }
        Ok(Transaction(begun?))
    }

    /// Asks Postgres for an answer, and whether it takes writes: the readiness probe.
    ///
    /// A pool that has no connection to give tries for long and does not say why. So when it takes its
    /// time, a connection of our own is tried. If all of the pool's are merely in use, all is well:
    /// taking a busy service out of the line would only make the next one busier.
    pub async fn ping(&self) -> Result<(), DbError> {
        let mut pooled = pin!(async {
            let mut tx = self.begin_within(None).await?;
            takes_writes(&mut tx).await?;
            tx.commit().await
        });
        match tokio::time::timeout(POOL_PATIENCE, &mut pooled).await {
            Ok(Err(DbError::Sql(sqlx::Error::PoolTimedOut))) => self.ask_directly().await,
            Ok(answer) => answer,
            Err(_) => tokio::select! {
                answer = &mut pooled => answer,
                answer = self.ask_directly() => answer,
            },
        }
    }

    async fn ask_directly(&self) -> Result<(), DbError> {
        use sqlx::{ConnectOptions as _, Connection as _};
        let mut connection = self.pool().connect_options().connect().await?;
        takes_writes(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Closes the pool's connections.
    pub async fn close(&self) {
        self.pool().close().await;
    }

    fn pool(&self) -> PgPool {
        self.pool.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts an empty pool in the place of one whose connections hang. These end with their sockets.
    fn renew(&self, old: &PgPool) {
        if old.is_closed() {
            return;
        }
        let connect = PgConnectOptions::clone(&old.connect_options());
        let fresh = pool_options(old.options().get_max_connections()).connect_lazy_with(connect);
        *self.pool.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

fn pool_options(max_connections: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max_connections)
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
}

/// Applies the migrations that are missing, through a direct or session connection, under the
/// migrator's lock. Returns how many were missing. Migrations of a newer version that has been here
/// are left alone: two versions of a service overlap while one replaces the other.
pub async fn migrate(direct_url: &SecretString) -> Result<usize, DbError> {
    use sqlx::Connection as _;
    let options = connect_options(direct_url)?;
    let mut connection = connect(&options).await?;
    refuse_transaction_pooler(&mut connection, &options).await?;
    let missing = count_missing(&mut connection).await?;
    let mut migrator = Migrator::with_migrations(MIGRATOR.iter().cloned().collect());
    migrator.set_ignore_missing(true);
    migrator.run_direct(None, &mut connection, false).await?;
    connection.close().await?;
    Ok(missing)
}

/// A server that takes the connection and then says nothing would hang us for ever.
async fn connect(options: &PgConnectOptions) -> Result<PgConnection, DbError> {
    use sqlx::ConnectOptions as _;
    let connecting = timeout(CONNECT_WITHIN, options.connect()).await;
    let in_time = connecting.map_err(|_| sqlx::Error::Io(io::ErrorKind::TimedOut.into()))?;
    Ok(in_time?)
}

/// How many migrations of this build the database lacks.
pub async fn missing_migrations(database: &Database) -> Result<usize, DbError> {
    let mut tx = database.begin().await?;
    let missing = count_missing(&mut tx).await?;
    tx.commit().await?;
    Ok(missing)
}

/// The migrator's own table is not one of ours, so its queries are not checked when we compile.
async fn count_missing(connection: &mut PgConnection) -> Result<usize, DbError> {
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    let applied: Vec<i64> = if exists {
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
            .fetch_all(connection)
            .await?
    } else {
        Vec::new()
    };
    Ok(MIGRATOR
        .iter()
        .filter(|migration| !applied.contains(&migration.version))
        .count())
}

/// The migrator's lock belongs to a session. Behind a pooler in transaction mode it would be taken on
/// one server connection and released on another, and so held for ever.
///
/// Two sessions that are open at once have a server process each; only such a pooler lends both the
/// same one. On a busy pooler they may be lent different ones: then the migrator fails by itself.
async fn refuse_transaction_pooler(
    connection: &mut PgConnection,
    options: &PgConnectOptions,
) -> Result<(), DbError> {
    use sqlx::Connection as _;
    let mut other = connect(options).await?;
    let shared = server_process(connection).await? == server_process(&mut other).await?;
    other.close().await?;
    if shared {
        Err(DbError::TransactionPooler)
    } else {
        Ok(())
    }
}

/// Errs if Postgres is read-only. Without a prepared statement, as below.
async fn takes_writes(connection: &mut PgConnection) -> Result<(), DbError> {
    let row = sqlx::raw_sql("SELECT current_setting('transaction_read_only')")
        .fetch_one(connection)
        .await?;
    match row.try_get(0)? {
        "on" => Err(DbError::ReadOnly),
        _ => Ok(()),
    }
}

/// Asked without a prepared statement, so that the answer also comes through a pooler.
async fn server_process(connection: &mut PgConnection) -> Result<i32, DbError> {
    let row = sqlx::raw_sql("SELECT pg_backend_pid()")
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

pub(crate) fn connect_options(url: &SecretString) -> Result<PgConnectOptions, DbError> {
    let text = url.expose_secret();
    // The driver takes any scheme for its own.
    if !["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| text.starts_with(scheme))
    {
        return Err(DbError::Url);
    }
    let options = PgConnectOptions::from_str(text).map_err(|_| DbError::Url)?;
    // PgBouncer refuses clients that set a parameter which it does not track, unless its owner told
    // it to look away; and we store no floats.
    Ok(options.application_name("rolecall").extra_float_digits(None))
}
