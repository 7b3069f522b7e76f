//! A Postgres server for one run: made for speed, not for keeping.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::infra::account::Account;
use crate::infra::ports;
use crate::infra::tools::Tool;
use crate::process;

/// Nothing here survives the run, so nothing has to reach the disk. Tests open a pool each: many connections.
const SETTINGS: [&str; 6] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=300",
    "shared_buffers=128MB",
    "unix_socket_directories=",
];

/// A running server; stopped on drop.
#[derive(Debug)]
pub(crate) struct Postgres {
    child: Child,
    account: Account,
    folder: PathBuf,
    data: PathBuf,
    port: u16,
}

impl Postgres {
    /// Makes a cluster in `folder`, starts it, and makes a database `rolecall` in it.
    pub(crate) fn start(folder: &Path, account: Account) -> Result<Self> {
        let data = folder.join("postgres");
        // Loopback only, and gone with the run: `trust` spares every connection a slow key derivation.
        process::output(
            account
                .command(program("initdb"), folder)
                .args([
                    "--username=rolecall",
                    "--auth=trust",
                    "--encoding=UTF8",
                    "--no-locale",
                    "--no-sync",
                ])
                .arg("--pgdata")
                .arg(&data),
        )?;
        let port = ports::free()?;
        let log = folder.join("postgres.log");
        let mut command = account.command(program("postgres"), folder);
        command
            .arg("-D")
            .arg(&data)
            .args(["-h", "127.0.0.1", "-p", &port.to_string()]);
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        let output = File::create(&log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("start postgres")?;
        let mut server = Self {
            child,
            account,
            folder: folder.to_path_buf(),
            data,
            port,
        };
        ports::wait_for(&mut server.child, "Postgres", &log, || is_ready(port))?;
        process::output(client("createdb", port).arg("rolecall"))?;
        Ok(server)
    }

    /// Where services find it. The password is never asked for, but some clients insist on having one.
    pub(crate) fn url(&self) -> String {
        format!("postgres://rolecall:rolecall@127.0.0.1:{}/rolecall", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut command = self.account.command(program("pg_ctl"), &self.folder);
        command
            .args(["stop", "--silent", "--mode=immediate", "--pgdata"])
            .arg(&self.data);
        if let Err(error) = process::output(&mut command) {
            eprintln!("xtask: {error:#}");
        }
        // `pg_ctl` has waited for the server; this takes its exit status so that no zombie remains.
        if let Err(error) = self.child.wait() {
            eprintln!("xtask: wait for postgres: {error}");
        }
    }
}

fn is_ready(port: u16) -> bool {
    process::output(client("pg_isready", port).arg("--quiet")).is_ok()
}

fn client(name: &str, port: u16) -> Command {
    let mut command = Command::new(program(name));
    command
        .args(["--host=127.0.0.1", "--username=rolecall", "--port"])
        .arg(port.to_string());
    command
}

fn program(name: &str) -> PathBuf {
    Tool::Postgres.folder().join(name)
}
