//! What can go wrong between us and Postgres.

use sqlx::migrate::MigrateError;

use crate::words::in_plain_words;

/// A failed statement, or a row that breaks its own rules.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// Postgres answered with an error, or did not answer.
    #[error("the database could not carry the statement out")]
    Sql(#[from] sqlx::Error),
    /// The migrations could not be applied.
    #[error("the migrations could not be applied")]
    Migrate(#[from] MigrateError),
    /// The connection string cannot be read. The string itself is a secret and is not shown.
    #[error("the database URL cannot be read (expected postgres://user:password@host:5432/name)")]
    Url,
    /// Postgres answers, but is a replica or was told to take no writes.
    #[error("the database takes no writes")]
    ReadOnly,
    /// Migrations were to go through a pooler in transaction mode, which has no sessions to lock.
    #[error(
        "migrations need a session of their own: let DIRECT_URL lead past the pooler in transaction mode"
    )]
    TransactionPooler,
    /// A stored value that the code cannot have written.
    #[error("{table}.{column} holds a value that cannot be read: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What is wrong with the value.
        detail: String,
    },
    /// A write that must hit a number of rows hit another.
    #[error("expected to write {expected} rows of {table}, wrote {rows}")]
    RowCount {
        /// The table.
        table: &'static str,
        /// The rows that were written.
        rows: usize,
        /// The rows that there should have been.
        expected: usize,
    },
}

impl DbError {
    /// The name of the constraint that a write broke, if it broke one.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }

    /// What is wrong with Postgres and what to do about it: the rest of a sentence that begins with
    /// its name.
    pub fn in_plain_words(&self) -> String {
        in_plain_words(self)
    }

    /// Whether the same call may succeed later without anybody changing anything but the server.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Sql(error)
            | Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                is_outage(error)
            }
            Self::ReadOnly => true,
            _ => false,
        }
    }

    /// Whether Postgres gave this transaction up because others stood in its way and it in theirs. Nothing is wrong
    /// with any of them: the same call may be made again at once.
    pub fn is_deadlock(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::Database(error)) => error.code().as_deref() == Some("40P01"),
            _ => false,
        }
    }
}

fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        // Class 53: out of resources; 57: shut down, starting up; 08: connection; 28: a password that is
        // being changed; 25006: read-only, during a failover.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["53", "57", "08", "28", "25006"]
                .iter()
                .any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => {
            true
        }
        _ => false,
    }
}

/// Errs unless exactly one row was written.
pub(crate) fn one_row(table: &'static str, done: &sqlx::postgres::PgQueryResult) -> Result<(), DbError> {
    rows_written(table, rows_affected(done), 1)
}

/// How many rows a statement wrote.
pub(crate) fn rows_affected(done: &sqlx::postgres::PgQueryResult) -> usize {
    usize::try_from(done.rows_affected()).unwrap_or(usize::MAX)
}

/// Errs unless exactly so many rows were written.
pub(crate) fn rows_written(table: &'static str, rows: usize, expected: usize) -> Result<(), DbError> {
    if rows == expected {
        Ok(())
    } else {
        Err(DbError::RowCount {
            table,
            rows,
            expected,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_in_the_middle_of_migrations_is_an_outage() {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into());
        for (error, outage) in [
            (MigrateError::Execute(lost()), true),
            (MigrateError::ExecuteMigration(lost(), 4), true),
            (MigrateError::ExecuteMigration(sqlx::Error::RowNotFound, 4), false),
            (MigrateError::VersionMismatch(4), false),
        ] {
            assert_eq!(DbError::Migrate(error).is_outage(), outage);
        }
    }
}
