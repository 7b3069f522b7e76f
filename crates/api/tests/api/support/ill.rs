//! Servers that fall ill: a network that misbehaves, a Redis of one's own, a Postgres that turns
//! everybody away.

use std::{
    net::SocketAddr,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use rolecall_sandbox::network::Proxy;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::JoinSet,
    time::timeout,
};
use url::Url;

use crate::support::app::PATIENCE;

/// Where the server of a URL listens.
pub(crate) async fn address(url: &str) -> SocketAddr {
    let url = Url::parse(url).unwrap();
    let default = if url.scheme().starts_with("redis") {
        6379
    } else {
        5432
    };
    let host = (url.host_str().unwrap(), url.port().unwrap_or(default));
    tokio::net::lookup_host(host).await.unwrap().next().unwrap()
}

/// A proxy before the server of a URL.
pub(crate) async fn proxy_before(url: &str) -> Proxy {
    Proxy::start(address(url).await).await.unwrap()
}

/// The same URL with another host and port.
pub(crate) fn through(url: &str, address: SocketAddr) -> String {
    let mut url = Url::parse(url).unwrap();
    url.set_host(Some(&address.ip().to_string())).unwrap();
    url.set_port(Some(address.port())).unwrap();
    url.into()
}

/// Asks again and again until the answer is yes.
#[track_caller]
pub(crate) fn until(condition: impl AsyncFn() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let asking = async {
            let mut every = tokio::time::interval(Duration::from_millis(20));
            while !condition().await {
                every.tick().await;
            }
        };
        let done = timeout(PATIENCE, asking).await;
        done.unwrap_or_else(|_| panic!("waited in vain at {caller}"));
    }
}

/// A Redis of one's own.
pub(crate) struct PrivateRedis {
    dir: TempDir,
    child: Child,
}

impl PrivateRedis {
    pub(crate) async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let child = Self::spawn(&dir, &[]);
        let server = Self { dir, child };
        until(async || server.try_run(&["PING"]).await.is_ok()).await;
        server
    }

    fn spawn(dir: &TempDir, more: &[&str]) -> Child {
        Command::new("redis-server")
            .current_dir(dir)
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
            .args(more)
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed")
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.dir.path().join("redis.sock").display())
    }

    async fn try_run(&self, words: &[&str]) -> redis::RedisResult<redis::Value> {
        let mut connection = redis::Client::open(self.url())?
            .get_multiplexed_async_connection()
            .await?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut connection).await
    }

    pub(crate) async fn run(&self, words: &[&str]) -> redis::Value {
        self.try_run(words).await.unwrap()
    }

    /// Starts it again with its data, which takes it seconds to read.
    pub(crate) async fn restart_slowly(&mut self) {
        self.run(&["CONFIG", "SET", "rdbcompression", "no"]).await;
        for filler in 0..150 {
            self.run(&["SET", &format!("filler-{filler}"), &"x".repeat(2_000)])
                .await;
        }
        self.run(&["SAVE"]).await;
        self.child.kill().await.unwrap();
        let slow = [
            "--key-load-delay",
            "10000",
            "--loading-process-events-interval-bytes",
            "1024",
        ];
        self.child = Self::spawn(&self.dir, &slow);
    }
}

/// Stands before Postgres, and turns everybody who comes away with an SQLSTATE, while there is one.
pub(crate) struct Gate {
    pub(crate) address: SocketAddr,
    verdict: Arc<Mutex<Option<&'static str>>>,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

impl Gate {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let verdict = Arc::new(Mutex::new(None));
        let mut serving = JoinSet::new();
        let current = Arc::clone(&verdict);
        serving.spawn(async move {
            let mut visitors = JoinSet::new();
            while let Ok((visitor, _)) = listener.accept().await {
                let verdict = *current.lock().unwrap();
                visitors.spawn(async move {
                    // Whoever hangs up early is gone.
                    let _: std::io::Result<()> = match verdict {
                        Some(code) => turn_away(visitor, code).await,
                        None => pass_on(visitor, server).await,
                    };
                });
            }
        });
        Self {
            address,
            verdict,
            _serving: serving,
        }
    }

    /// From now on every new connection is turned away with this, or let through.
    pub(crate) fn set(&self, verdict: Option<&'static str>) {
        *self.verdict.lock().unwrap() = verdict;
    }
}

async fn pass_on(mut visitor: TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    copy_bidirectional(&mut visitor, &mut server).await.map(drop)
}

async fn turn_away(mut visitor: TcpStream, code: &str) -> std::io::Result<()> {
    const SSL_REQUEST: u32 = 80_877_103;
    loop {
        let length = visitor.read_u32().await?;
        let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
        visitor.read_exact(&mut rest).await?;
        if rest == SSL_REQUEST.to_be_bytes() {
            visitor.write_all(b"N").await?;
            continue;
        }
        let fields = format!("SFATAL\0VFATAL\0C{code}\0Mturned away\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap();
        visitor.write_all(b"E").await?;
        visitor.write_all(&length.to_be_bytes()).await?;
        visitor.write_all(fields.as_bytes()).await?;
        return visitor.shutdown().await;
    }
}
