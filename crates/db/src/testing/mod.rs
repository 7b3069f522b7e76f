//! Databases for tests: each test its own, copied from one that was migrated once. For tests only:
//! no service makes or drops databases.

pub mod pgbouncer;
mod template;

use std::thread;

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use url::Url;

use crate::{Database, DatabaseOptions, DbError, PoolerMode, database::connect_options};

/// A migrated database that nobody else uses. It is dropped with this value, whoever is connected.
#[derive(Debug)]
pub struct TestDatabase {
    admin_url: SecretString,
    name: String,
    url: SecretString,
    is_dropped: bool,
}

impl TestDatabase {
    /// Makes a database on the server of `admin_url`: a direct connection to any database there, as
    /// somebody who may make databases.
    pub async fn create(admin_url: &SecretString) -> Result<Self, DbError> {
        let mut admin = connect_options(admin_url)?.connect().await?;
        let template = template::ensure(&mut admin, admin_url).await?;
        let name: String =
            sqlx::query_scalar("SELECT 'rolecall_test_' || replace(gen_random_uuid()::text, '-', '')")
                .fetch_one(&mut admin)
                .await?;
        let url = sibling(admin_url, &name)?;
        execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
        let database = Self {
            admin_url: admin_url.clone(),
            name,
            url,
            is_dropped: false,
        };
        admin.close().await?;
        Ok(database)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, past every pooler.
    pub const fn url(&self) -> &SecretString {
        &self.url
    }

    /// A pool of direct connections to it.
    pub fn open(&self, max_connections: u32) -> Result<Database, DbError> {
        Database::new(&DatabaseOptions {
            url: self.url.clone(),
            pooler: PoolerMode::None,
            max_connections,
        })
    }

    /// What is stored, as a test looks at it: the first column of each row, which must be JSON.
    pub async fn rows(&self, sql: &'static str) -> Result<Vec<serde_json::Value>, DbError> {
        let mut connection = connect_options(&self.url)?.connect().await?;
        let rows = sqlx::query_scalar(sql).fetch_all(&mut connection).await?;
        connection.close().await?;
        Ok(rows)
    }

    /// Changes what is stored, as only a test or an accident would.
    pub async fn tamper(&self, sql: &'static str) -> Result<(), DbError> {
        let mut connection = connect_options(&self.url)?.connect().await?;
        sqlx::raw_sql(sql).execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// Runs `sql` in a transaction and leaves it open, with its locks, until what is returned is dropped.
    pub async fn hold(&self, sql: &'static str) -> Result<Held, DbError> {
        let mut connection = connect_options(&self.url)?.connect().await?;
        sqlx::raw_sql("BEGIN").execute(&mut connection).await?;
        sqlx::raw_sql(sql).execute(&mut connection).await?;
        Ok(Held {
            _connection: connection,
        })
    }

    /// Drops it, and says if that went wrong.
    pub async fn cleanup(mut self) -> Result<(), DbError> {
        self.is_dropped = true;
        drop_database(&self.admin_url, &self.name).await
    }
}

/// A transaction that is never committed. Postgres ends it when the connection is closed.
#[derive(Debug)]
pub struct Held {
    _connection: PgConnection,
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if self.is_dropped {
            return;
        }
        // A destructor cannot wait on the test's runtime, which may also be gone, so it brings its own.
        let dropped = thread::scope(|scope| {
            let dropping = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.map(|runtime| runtime.block_on(drop_database(&self.admin_url, &self.name)))
            });
            dropping.join()
        });
        if !matches!(dropped, Ok(Ok(Ok(())))) {
            tracing::warn!(database = self.name, outcome = ?dropped, "a test database was left behind");
        }
    }
}

async fn drop_database(admin_url: &SecretString, name: &str) -> Result<(), DbError> {
    let mut admin = connect_options(admin_url)?.connect().await?;
    execute(&mut admin, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    Ok(admin.close().await?)
}

/// Runs a statement that takes no parameters. Its names are made in this module, of letters that need
/// no quotes.
async fn execute(connection: &mut PgConnection, sql: String) -> Result<(), DbError> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Another database on the same server.
fn sibling(url: &SecretString, database: &str) -> Result<SecretString, DbError> {
    let mut url = Url::parse(url.expose_secret()).map_err(|_| DbError::Url)?;
    url.set_path(database);
    Ok(SecretString::from(String::from(url)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        for (url, expected) in [
            ("postgres://u:p%40@h:5432/old", "postgres://u:p%40@h:5432/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            (
                "postgresql://h/old?sslmode=require",
                "postgresql://h/new?sslmode=require",
            ),
        ] {
            assert_eq!(sibling(&url.into(), "new").unwrap().expose_secret(), expected);
        }
    }
}
