//! `cargo xtask demo`: builds everything and becomes the demo program, on servers of its own.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::infra::Infra;
use crate::process;
use crate::workspace::Workspace;

/// The demo's database on a server that is not ours; made anew each time.
const DATABASE: &str = "rolecall_demo";

/// Runs `rolecall-demo` with `args` in this process's place, so that Ctrl-C and the exit code are its own.
pub(crate) fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let infra = Infra::start(workspace)?;
    process::run(&mut workspace.build_programs())?;
    let mut demo = Command::new(workspace.binary("rolecall-demo"));
    infra.pass_to(&mut demo).args(args).current_dir(&workspace.root);
    if !infra.is_own() {
        let url = with_database(infra.database_url(), DATABASE);
        make_anew(infra.database_url())?;
        demo.env("DATABASE_URL", &url).env("DIRECT_URL", &url);
        demo.env("REDIS_NAMESPACE", format!("{DATABASE}_{}", std::process::id()));
    }
    // Returns only if it failed; the guard sees this process end, whatever it has become.
    Err(demo.exec()).context("start rolecall-demo")
}

fn make_anew(server: &str) -> Result<()> {
    let drop = format!("DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)");
    let create = format!("CREATE DATABASE {DATABASE}");
    process::output(Infra::psql(server).args(["--command", &drop, "--command", &create]))?;
    Ok(())
}

/// The same server, another database.
fn with_database(url: &str, database: &str) -> String {
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
        let check = |url: &str, expect: &str| assert_eq!(with_database(url, "d"), expect);
        check("postgres://u:p@host:5432/old", "postgres://u:p@host:5432/d");
        check("postgres://u@host", "postgres://u@host/d");
        check(
            "postgresql://host/old?sslmode=require",
            "postgresql://host/d?sslmode=require",
        );
    }
}
