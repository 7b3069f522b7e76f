//! A process of its own that holds the servers. It stops them when it is told to and also when its parent is
//! gone, so neither Ctrl-C nor `kill -9` leaves a server behind, and `demo` may replace itself by the program
//! it runs. Being in another process group, it does not see the terminal's Ctrl-C.

use std::io::{BufRead as _, BufReader, Write as _, stdin};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Value, json};

use crate::infra::account::Account;
use crate::infra::postgres::Postgres;
use crate::infra::redis::Redis;
use crate::infra::scratch::Scratch;

/// What the parent writes to have the servers stopped. The end of the stream does not count: it also comes
/// when `demo` replaces itself.
const STOP: &str = "stop";

const BETWEEN_LOOKS_AT_PARENT: Duration = Duration::from_millis(200);

/// What the guard is told at its start.
#[derive(Debug, Args)]
pub(crate) struct GuardArgs {
    /// The process whose end is also ours
    #[arg(long)]
    parent: u32,
    /// Cargo's target folder
    #[arg(long)]
    target: PathBuf,
}

/// Where the servers are.
#[derive(Debug)]
pub(crate) struct Urls {
    /// Postgres.
    pub(crate) database: String,
    /// Redis.
    pub(crate) redis: String,
}

/// The parent's side: a guard at work, stopped on drop.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    line: ChildStdin,
}

impl Guard {
    /// Starts a guard and waits until its servers are ready.
    pub(crate) fn start(target: &Path) -> Result<(Self, Urls)> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["guard", "--parent", &std::process::id().to_string(), "--target"])
            .arg(target)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the guard of Postgres and Redis")?;
        let line = child.stdin.take().context("the guard has no standard input")?;
        let answer = child.stdout.take().context("the guard has no standard output")?;
        let guard = Self { child, line };
        let mut text = String::new();
        BufReader::new(answer).read_line(&mut text)?;
        if text.is_empty() {
            bail!("Postgres and Redis did not start");
        }
        Ok((guard, parse_urls(&text)?))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // A guard that could not start its servers has ended already: then writing fails, and waiting works.
        let told = writeln!(self.line, "{STOP}");
        match self.child.wait() {
            Ok(status) if told.is_ok() && !status.success() => {
                eprintln!("xtask: the guard ended with {status}");
            }
            Ok(_) => {}
            Err(error) => eprintln!("xtask: wait for the guard: {error}"),
        }
    }
}

/// The guard's side: starts the servers, says where they are, and holds them.
pub(crate) fn run(args: &GuardArgs) -> Result<()> {
    let account = Account::choose()?;
    // Dropped in reverse order: the servers stop before their folder goes.
    let scratch = Scratch::create(&args.target, account)?;
    let postgres = Postgres::start(scratch.path(), account)?;
    let redis = Redis::start(scratch.path(), account)?;
    println!("{}", json!({ "database": postgres.url(), "redis": redis.url() }));
    hold(args.parent);
    Ok(())
}

fn hold(parent: u32) {
    let (told, orders) = channel();
    let ear = told.clone();
    thread::spawn(move || listen(&ear));
    while parent_id() == parent {
        if orders.recv_timeout(BETWEEN_LOOKS_AT_PARENT).is_ok() {
            break;
        }
    }
    drop(told); // Held until here: the listener's end alone must not look like an order.
}

fn listen(told: &Sender<()>) {
    let stopped = stdin()
        .lock()
        .lines()
        .map_while(Result::ok)
        .any(|line| line == STOP);
    if stopped && told.send(()).is_err() {
        // The other side has already seen that the parent is gone.
    }
}

fn parse_urls(text: &str) -> Result<Urls> {
    let value: Value = serde_json::from_str(text).context("read what the guard says")?;
    let url = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .map(str::to_owned)
            .context("no URL")
    };
    Ok(Urls {
        database: url("database")?,
        redis: url("redis")?,
    })
}
