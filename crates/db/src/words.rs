//! What is wrong with Postgres, in words for whoever has to mend it.

use std::io;

use sqlx::migrate::MigrateError;

use crate::DbError;

const READ_ONLY: &str =
    "takes no writes because it is read-only: a failover is going on, or DATABASE_URL names a replica";

/// What is wrong with Postgres and what to do about it: the rest of a sentence that begins with its
/// name. What nobody foresaw is quoted.
pub(crate) fn in_plain_words(error: &DbError) -> String {
    let sql = match error {
        DbError::Sql(error)
        | DbError::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => error,
        DbError::ReadOnly => return READ_ONLY.to_owned(),
        other => return other.to_string(),
    };
    match sql {
        sqlx::Error::Database(answer) => {
            let code = answer.code();
            let known = code.as_deref().and_then(refusal);
            known.map_or_else(
                || format!("answers {} ({})", code.unwrap_or_default(), answer.message()),
                str::to_owned,
            )
        }
        sqlx::Error::Io(error) => loss(error.kind()).to_owned(),
        sqlx::Error::Tls(_) => "cannot be reached by TLS: check sslmode in DATABASE_URL".to_owned(),
        sqlx::Error::PoolTimedOut => {
            "gave us no connection in time: it does not answer, or all of ours are busy".to_owned()
        }
        sqlx::Error::PoolClosed => "is not asked any more: this process is stopping".to_owned(),
        other => other.to_string(),
    }
}

/// By SQLSTATE.
fn refusal(code: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" | "28000" => "refuses the user or password in DATABASE_URL",
        "3D000" => "has no database of the name in DATABASE_URL",
        "25006" => READ_ONLY,
        "53300" => "has no connection left for us: raise its limit, or lower DATABASE_MAX_CONNECTIONS",
        "53100" => "has a full disk: give it more room",
        "53200" => "is out of memory",
        "57P01" => "was stopped by its administrator",
        "57P02" => "has crashed and is restarting",
        "57P03" => "is starting up or shutting down",
        "57014" | "55P03" => "is too slow: a statement was given up",
        "42P01" | "42703" => "lacks tables of this version: run `rolecall migrate`",
        _ => return None,
    })
}

fn loss(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => {
            "refuses the connection: it is not running, or DATABASE_URL names another place"
        }
        io::ErrorKind::TimedOut => "does not answer in time",
        _ => "cannot be reached: the connection was lost",
    }
}
