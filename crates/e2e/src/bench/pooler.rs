//! A PgBouncer in transaction mode before the Postgres of the measures.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream},
    process::Stdio,
    time::Duration,
};

use anyhow::Context;
use tokio::process::Child;
use url::Url;

use crate::{bench::ground::Ground, machine::program, ports::free_port, until::until};

/// As many server connections as the worker's pool has clients.
pub(crate) const POOL_SIZE: usize = 3;

/// A running pooler, ended on drop.
#[derive(Debug)]
pub(crate) struct Pooler {
    _child: Child,
    port: u16,
}

impl Pooler {
    pub(crate) async fn start(ground: &Ground) -> anyhow::Result<Self> {
        let folder = &ground.folder;
        let port = free_port(None)?;
        let path = folder.path().join("pgbouncer.ini");
        std::fs::write(&path, settings(&ground.machine.postgres, port)?)?;
        folder.account.own(&path)?;
        let program = program("pgbouncer")
            .context("pgbouncer is not installed: Debian has it in the package pgbouncer")?;
        let mut command = folder.account.command(&program, folder.path());
        let (output, errors) = folder.log("pgbouncer.log")?;
        let child = command
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .context("start pgbouncer")?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        until("pgbouncer listening", Duration::from_secs(10), async || {
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        })
        .await?;
        Ok(Self { _child: child, port })
    }

    /// The URL of a database behind it.
    pub(crate) fn url(&self, ground: &Ground, database: &str) -> anyhow::Result<Url> {
        let mut url = ground.machine.database(database);
        url.set_port(Some(self.port))
            .map_err(|()| anyhow::anyhow!("the URL of Postgres takes no port"))?;
        Ok(url)
    }
}

fn settings(postgres: &Url, port: u16) -> anyhow::Result<String> {
    let server_port = postgres.port().context("Postgres has no port")?;
    let user = postgres.username();
    Ok(format!(
        "[databases]\n* = host=127.0.0.1 port={server_port} user={user}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
         default_pool_size = {POOL_SIZE}\nmax_client_conn = 100\nlog_connections = 0\nlog_disconnections = 0\n"
    ))
}
