//! Making a database anew on a server that is not ours, through `psql`.

use std::process::Command;

use anyhow::Result;

use crate::infra::tools::Tool;
use crate::process;

/// `psql` on a database, stopping at the first error.
pub(crate) fn psql(url: &str) -> Command {
    let mut command = Command::new(Tool::Postgres.folder().join("psql"));
    command.args([
        "--no-psqlrc",
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        "--dbname",
        url,
    ]);
    command
}

/// Drops the database `name` on the server of `url`, whoever uses it, and makes it again.
pub(crate) fn make_anew(url: &str, name: &str) -> Result<()> {
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    let create = format!("CREATE DATABASE {name}");
    process::output(psql(url).args(["--command", &drop, "--command", &create]))?;
    Ok(())
}

/// The same server, another database.
pub(crate) fn sibling(url: &str, database: &str) -> String {
    let (address, query) = url
        .split_once('?')
        .map_or((url, None), |(address, query)| (address, Some(query)));
    let authority_at = address.find("://").map_or(0, |at| at + "://".len());
    let (scheme, rest) = address.split_at(authority_at);
    let authority = rest.split('/').next().unwrap_or(rest);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}{authority}/{database}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_is_replaced() {
        let check = |url: &str, expect: &str| assert_eq!(sibling(url, "d"), expect);
        check("postgres://u:p@host:5432/old", "postgres://u:p@host:5432/d");
        check("postgres://u@host", "postgres://u@host/d");
        check(
            "postgresql://host/old?sslmode=require",
            "postgresql://host/d?sslmode=require",
        );
    }
}
