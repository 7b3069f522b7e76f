//! The limit of the machine for taking webhooks in: a bare HTTP server that reads the body, runs the same
//! Redis script, and answers. No signature, no JSON, no metrics.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use redis::{Script, aio::MultiplexedConnection};
use tokio::{process::Child, sync::mpsc, task::LocalSet};

use crate::{ports::free_port, until::until};

/// Word for word what the api runs.
const PUSH: &str = include_str!("../../../queue/src/scripts/push.lua");
const STREAM: &str = "{limit:stripe-events}:stream";
const DELAYED: &str = "{limit:stripe-events}:delayed";
const DEDUP: &str = "{limit:stripe-events}:dedup";
const DEDUP_FOR_MS: u64 = 4 * 24 * 3_600 * 1_000;

/// The bare server, as a process of its own.
#[derive(Debug)]
pub(crate) struct LimitServer {
    child: Child,
    address: SocketAddr,
}

impl LimitServer {
    /// Starts this program once more, as the bare server.
    pub(crate) async fn start(redis: &str) -> anyhow::Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port(None)?));
        let child = tokio::process::Command::new(std::env::current_exe()?)
            .args(["limit-server", "--redis", redis, "--listen"])
            .arg(address.to_string())
            .kill_on_drop(true)
            .spawn()
            .context("start the bare server")?;
        let limit = Duration::from_secs(10);
        until("the bare server listening", limit, async || {
            Ok(TcpStream::connect(address).is_ok().then_some(()))
        })
        .await?;
        Ok(Self { child, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> anyhow::Result<u32> {
        self.child.id().context("the bare server has ended")
    }
}

/// Serves until the process is ended. One thread for each processor, each with a connection to Redis of its
/// own, and connections dealt out in turn: as the api does it.
pub fn serve(listen: SocketAddr, redis: &str) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).with_context(|| format!("listen on {listen}"))?;
    let count = Arc::new(AtomicU64::new(0));
    let threads = thread::available_parallelism().map_or(2, usize::from);
    let mut takers = Vec::new();
    for _ in 0..threads {
        let (give, take) = mpsc::unbounded_channel();
        let (redis, count) = (redis.to_owned(), Arc::clone(&count));
        thread::spawn(move || worker(&redis, &count, take));
        takers.push(give);
    }
    let mut turns = takers.iter().cycle();
    loop {
        let (stream, _) = listener.accept()?;
        let taker = turns.next().context("there is no thread")?;
        taker
            .send(stream)
            .context("a thread of the bare server has ended")?;
    }
}

fn worker(
    redis: &str,
    count: &Arc<AtomicU64>,
    mut streams: mpsc::UnboundedReceiver<TcpStream>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, async move {
        let mut redis = redis::Client::open(redis)?
            .get_multiplexed_async_connection()
            .await?;
        let script: Arc<Script> = Arc::new(Script::new(PUSH));
        script.load_async(&mut redis).await?;
        while let Some(stream) = streams.recv().await {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let io = TokioIo::new(tokio::net::TcpStream::from_std(stream)?);
            let (redis, script, count) = (redis.clone(), Arc::clone(&script), Arc::clone(count));
            tokio::task::spawn_local(async move {
                let answer = service_fn(|request| push(request, redis.clone(), &script, &count));
                // Ends when the load generator closes the connection.
                http1::Builder::new().serve_connection(io, answer).await.ok();
            });
        }
        Ok(())
    })
}

async fn push(
    request: Request<Incoming>,
    mut redis: MultiplexedConnection,
    script: &Script,
    count: &AtomicU64,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    let pushed = async {
        let body = request.into_body().collect().await?.to_bytes();
        let number = count.fetch_add(1, Ordering::Relaxed);
        let taken: bool = redis::cmd("EVALSHA")
            .arg(script.get_hash())
            .arg(3)
            .arg(&[STREAM, DELAYED])
            .arg(format!("{DEDUP}:{number}"))
            .arg(&*body)
            .arg("")
            .arg(DEDUP_FOR_MS)
            .query_async(&mut redis)
            .await?;
        anyhow::Ok(taken)
    };
    if !matches!(pushed.await, Ok(true)) {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}
