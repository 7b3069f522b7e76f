//! A Redis of one's own.

use std::process::Stdio;

use rolecall_queue::{Link, LinkOptions};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::support::soon;

pub(crate) const NAMESPACE: &str = "test";

pub(crate) struct RedisServer {
    dir: TempDir,
    _child: Child,
}

impl RedisServer {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let mut child = Command::new("redis-server")
            .current_dir(&dir)
            .args([
                "--port",
                "0",
                "--unixsocket",
                "redis.sock",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed");
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        soon(async { while !log.next_line().await.unwrap().unwrap().contains("eady to accept") {} }).await;
        Self { dir, _child: child }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("redis.sock").display())
    }

    pub(crate) fn link(&self) -> Link {
        Link::new(&self.url(), NAMESPACE, LinkOptions::default()).unwrap()
    }

    /// Sends Redis a command.
    pub(crate) async fn run<T: redis::FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.link()).await.unwrap()
    }
}
