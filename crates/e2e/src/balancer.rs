//! A balancer before several apis, as Traefik or Kubernetes puts one there: it asks each for `/ready`, sends
//! requests in turn to those that are ready, and keeps connections to them. It never sends a request twice: what
//! an api does not answer is a failed request.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::{CONNECTION, HOST, HeaderName, HeaderValue},
    http::uri::{Authority, Scheme},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::{interval, timeout},
};

/// How often an api is asked whether it is ready. Give the apis a `DRAIN_DELAY` of some times this.
pub const ASK_EVERY: Duration = Duration::from_millis(50);

/// How long an api may take to say so.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

type Body = BoxBody<Bytes, hyper::Error>;

/// A running balancer. It ends with this value.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
    asking: BTreeMap<SocketAddr, AbortHandle>,
}

#[derive(Debug)]
struct Shared {
    client: Client<HttpConnector, Body>,
    ready: watch::Sender<BTreeSet<SocketAddr>>,
    turn: AtomicUsize,
    failures: Mutex<Vec<String>>,
}

impl Balancer {
    /// A balancer with nothing behind it so far, on a free port of the loopback.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        // Sending again what met a closed connection would hide what this is here to show.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .build_http();
        let shared = Arc::new(Shared {
            client,
            ready: watch::Sender::default(),
            turn: AtomicUsize::default(),
            failures: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            address,
            shared,
            tasks,
            asking: BTreeMap::new(),
        })
    }

    /// Where it is, as a URL.
    pub fn origin(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// Takes in the api that listens on this port of the loopback. It gets requests while it is ready.
    pub fn add(&mut self, port: u16) {
        let api = loopback(port);
        let asking = self.tasks.spawn(keep_asking(api, Arc::clone(&self.shared)));
        if let Some(before) = self.asking.insert(api, asking) {
            before.abort();
        }
    }

    /// Forgets an api.
    pub fn remove(&mut self, port: u16) {
        let api = loopback(port);
        if let Some(asking) = self.asking.remove(&api) {
            asking.abort();
        }
        self.shared.ready.send_modify(|ready| {
            ready.remove(&api);
        });
    }

    /// Waits until an api gets requests.
    pub async fn until_serving(&self, port: u16, limit: Duration) -> anyhow::Result<()> {
        let mut ready = self.shared.ready.subscribe();
        let there = ready.wait_for(|ready| ready.contains(&loopback(port)));
        if timeout(limit, there).await.is_err() {
            bail!("the api on port {port} was not ready within {limit:?}");
        }
        Ok(())
    }

    /// The requests that no api answered, and why.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.shared.failures).clone()
    }
}

impl Shared {
    /// The api whose turn it is.
    fn next(&self) -> anyhow::Result<SocketAddr> {
        let ready = self.ready.borrow();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let chosen = turn
            .checked_rem(ready.len())
            .and_then(|turn| ready.iter().nth(turn));
        chosen.copied().context("no api is ready")
    }

    async fn pass_on(
        &self,
        mut request: Request<Incoming>,
        from: SocketAddr,
    ) -> anyhow::Result<Response<Body>> {
        let api = self.next()?;
        let path = request.uri().path_and_query().cloned();
        let uri = Uri::builder().scheme(Scheme::HTTP).authority(authority(api)?);
        *request.uri_mut() = uri
            .path_and_query(path.context("a request without a path")?)
            .build()?;
        let headers = request.headers_mut();
        headers.remove(CONNECTION);
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_str(&from.ip().to_string())?);
        let answer = self.client.request(request.map(BodyExt::boxed)).await;
        let mut answer = answer.with_context(|| format!("ask the api at {api}"))?;
        // It concerns the connection behind us only.
        answer.headers_mut().remove(CONNECTION);
        Ok(answer.map(BodyExt::boxed))
    }

    async fn is_ready(&self, api: SocketAddr) -> anyhow::Result<bool> {
        let request = Request::get(format!("http://{api}/ready")).header(HOST, api.to_string());
        let asking = self.client.request(request.body(empty())?);
        let answer = timeout(ANSWER_WITHIN, asking).await??;
        let is_ready = answer.status().is_success();
        // Read to its end, so that the connection can be used again.
        timeout(ANSWER_WITHIN, answer.collect()).await??;
        Ok(is_ready)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        connections.spawn(serve(stream, from, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, from: SocketAddr, shared: Arc<Shared>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let what = format!("{} {}", request.method(), request.uri().path());
            let answer = shared.pass_on(request, from).await.unwrap_or_else(|error| {
                lock(&shared.failures).push(format!("{what}: {error:#}"));
                let mut answer = Response::new(empty());
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            });
            Ok::<_, Infallible>(answer)
        }
    });
    // A client may go whenever it likes; what an api did wrong has been noted.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn keep_asking(api: SocketAddr, shared: Arc<Shared>) {
    let mut every = interval(ASK_EVERY);
    loop {
        every.tick().await;
        let is_ready = shared.is_ready(api).await.unwrap_or(false);
        shared.ready.send_if_modified(|ready| {
            if is_ready {
                ready.insert(api)
            } else {
                ready.remove(&api)
            }
        });
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn authority(address: SocketAddr) -> anyhow::Result<Authority> {
    Ok(address.to_string().parse()?)
}

fn empty() -> Body {
    Full::default().map_err(|never| match never {}).boxed()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
