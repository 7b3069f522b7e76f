//! A Redis server for one run, without persistence.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::infra::account::Account;
use crate::infra::ports;
use crate::infra::tools::Tool;

/// A running server; stopped on drop.
#[derive(Debug)]
pub(crate) struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    /// Starts a server that keeps its log in `folder`.
    pub(crate) fn start(folder: &Path, account: Account) -> Result<Self> {
        let port = ports::free()?;
        let log = folder.join("redis.log");
        let output = File::create(&log)?;
        let program = Tool::Redis
            .find()
            .unwrap_or_else(|| PathBuf::from("redis-server"));
        let child = account
            .command(program, folder)
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("start redis-server")?;
        let mut server = Self { child, port };
        ports::wait_for(&mut server.child, "Redis", &log, || {
            answers(port).unwrap_or(false)
        })?;
        Ok(server)
    }

    /// Where services find it.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // Nothing is kept, so there is nothing to say goodbye to.
        if let Err(error) = self.child.kill().and_then(|()| self.child.wait()) {
            eprintln!("xtask: stop redis-server: {error}");
        }
    }
}

fn answers(port: u16) -> Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer)?;
    Ok(&answer == b"+PONG\r\n")
}
