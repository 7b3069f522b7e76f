//! Postgres and Redis for `demo`, `test` and `prepare`: private servers on free ports, thrown away at the
//! end however it comes, or the ones that `DATABASE_URL` and `REDIS_URL` name.

mod account;
mod apt;
mod database;
pub(crate) mod guard;
mod ports;
mod postgres;
mod redis;
mod scratch;
mod tools;

use std::process::Command;

use anyhow::{Result, bail};

use crate::infra::guard::Guard;
use crate::process::variable;
use crate::workspace::Workspace;

pub(crate) use crate::infra::tools::Tool;

/// A Postgres and a Redis to work with.
#[derive(Debug)]
pub(crate) struct Infra {
    database_url: String,
    direct_url: String,
    redis_url: String,
    /// Holds our own servers; none where the developer's are used.
    guard: Option<Guard>,
}

impl Infra {
    /// Takes the servers that the environment names, or else starts private ones.
    pub(crate) fn start(workspace: &Workspace) -> Result<Self> {
        match (variable("DATABASE_URL"), variable("REDIS_URL")) {
            (Some(database_url), Some(redis_url)) => {
                println!("Using the Postgres and the Redis of DATABASE_URL and REDIS_URL.");
                let direct_url = variable("DIRECT_URL").unwrap_or_else(|| database_url.clone());
                Ok(Self {
                    database_url,
                    direct_url,
                    redis_url,
                    guard: None,
                })
            }
            (None, None) => Self::start_own(workspace),
            _ => bail!("set both DATABASE_URL and REDIS_URL to use your own servers, or neither"),
        }
    }

    fn start_own(workspace: &Workspace) -> Result<Self> {
        apt::ensure(&[Tool::Postgres, Tool::Redis])?;
        let (guard, urls) = Guard::start(&workspace.target)?;
        Ok(Self {
            direct_url: urls.database.clone(),
            database_url: urls.database,
            redis_url: urls.redis,
            guard: Some(guard),
        })
    }

    /// Sees to it that the database is empty: on our own server it is; on another one `name` is made anew.
    pub(crate) fn with_fresh_database(mut self, name: &str) -> Result<Self> {
        if self.guard.is_none() {
            database::make_anew(&self.direct_url, name)?;
            self.direct_url = database::sibling(&self.direct_url, name);
            self.database_url = database::sibling(&self.database_url, name);
        }
        Ok(self)
    }

    /// `psql` in the database, past any pooler, stopping at the first error.
    pub(crate) fn psql(&self) -> Command {
        database::psql(&self.direct_url)
    }

    /// Tells a command where the servers are.
    pub(crate) fn pass_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("DATABASE_URL", &self.database_url)
            .env("DIRECT_URL", &self.direct_url)
            .env("REDIS_URL", &self.redis_url);
        with_tools(command)
    }
}

/// Installs what the whole suite needs and does not find, or says what to do. Servers that the environment names
/// need no programs here.
pub(crate) fn ensure_all_tools() -> Result<()> {
    let servers = [Tool::Postgres, Tool::Redis];
    let are_elsewhere = variable("DATABASE_URL").is_some() && variable("REDIS_URL").is_some();
    let needed = Tool::ALL
        .into_iter()
        .filter(|tool| !(are_elsewhere && servers.contains(tool)));
    apt::ensure(&needed.collect::<Vec<_>>())
}

/// Installs `needed` where something of it is missing, or says what to do.
pub(crate) fn ensure_tools(needed: &[Tool]) -> Result<()> {
    apt::ensure(needed)
}

/// Has a command find the servers' programs, wherever the system hides them.
pub(crate) fn with_tools(command: &mut Command) -> &mut Command {
    command.env("PATH", tools::search_path())
}
