//! The health listener over a real socket, from the first answer to the end of the drain.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail like tests")]

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use rolecall_runtime::{
    clock::SystemClock,
    config::DrainConfig,
    env::Service,
    health::{self, Health, PartHandle},
    metrics::{self, Exporter},
    shutdown::{Shutdown, Tasks},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    time::timeout,
};

const PATIENCE: Duration = Duration::from_secs(10);
const DRAIN: DrainConfig = DrainConfig {
    delay: Duration::ZERO,
    timeout: PATIENCE,
};

struct Served {
    address: SocketAddr,
    shutdown: Shutdown,
    tasks: Tasks,
    lease: PartHandle,
    gateway: PartHandle,
}

/// A health listener in a plain tokio runtime, spawned as the services spawn it.
fn serve() -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = Shutdown::new();
    let tasks = Tasks::new(shutdown.clone());
    let (lease, gateway) = (
        PartHandle::new(true, "held"),
        PartHandle::new(true, "heartbeat 3 s ago"),
    );
    let health = Health::builder(Arc::new(SystemClock), &shutdown)
        .required_state("lease", &lease)
        .degrading_state("discord", &gateway)
        .build();
    let exporter = Exporter::new(metrics::registry(Service::Bot).unwrap());
    tasks.spawn_support(
        "health",
        health::serve(listener, health, exporter, shutdown.finished()),
    );
    Served {
        address,
        shutdown,
        tasks,
        lease,
        gateway,
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

async fn request(address: SocketAddr, method: &str, path: &str) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    };
    let answer = timeout(PATIENCE, exchange).await??;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head[9..12].parse().unwrap();
    Ok(Answer {
        status,
        head: head.to_ascii_lowercase(),
        body: body.to_owned(),
    })
}

async fn get(served: &Served, path: &str) -> Answer {
    request(served.address, "GET", path).await.unwrap()
}

#[tokio::test]
async fn health_is_ok_with_the_time_of_the_question() {
    let served = serve();
    let answer = get(&served, "/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["status"], "ok");
    let timestamp = answer.json()["timestamp"].as_str().unwrap().to_owned();
    assert!(
        chrono::DateTime::parse_from_rfc3339(&timestamp).is_ok(),
        "{timestamp}"
    );
    assert!(
        answer.head.contains("content-type: application/json"),
        "{}",
        answer.head
    );
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
}

#[tokio::test]
async fn only_a_required_part_turns_ready_to_503() {
    let served = serve();
    let answer = get(&served, "/ready").await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (200, Some("ready"))
    );
    served.gateway.set(false, "no heartbeat for 90 s");
    let answer = get(&served, "/ready").await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (200, Some("degraded"))
    );
    served.lease.set(false, "lost");
    let answer = get(&served, "/ready").await;
    assert_eq!(
        (answer.status, answer.json()["status"].as_str()),
        (503, Some("unready"))
    );
    let detail = answer.json()["parts"]["lease"]["detail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(detail.starts_with("lost; since 20"), "{detail}");
    assert_eq!(get(&served, "/health").await.status, 200, "unready is not dead");
}

#[tokio::test]
async fn whoever_keeps_a_connection_is_told_before_it_is_closed() {
    let served = serve();
    let mut kept = TcpStream::connect(served.address).await.unwrap();
    let mut ask = async |path: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        kept.write_all(text.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let read = timeout(PATIENCE, kept.read(&mut answer)).await.unwrap().unwrap();
        String::from_utf8_lossy(&answer[..read]).to_ascii_lowercase()
    };
    for path in ["/health", "/ready"] {
        let answer = ask(path).await;
        assert!(
            answer.contains("200 ok") && !answer.contains("connection: close"),
            "{answer}"
        );
    }
    served.shutdown.drain();
    let answer = ask("/ready").await;
    assert!(
        answer.contains("503 ") && answer.contains("connection: close"),
        "{answer}"
    );
    assert_eq!(timeout(PATIENCE, kept.read(&mut [0])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn metrics_are_prometheus_text() {
    let served = serve();
    let answer = get(&served, "/metrics").await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("content-type: text/plain; version=0.0.4"),
        "{}",
        answer.head
    );
    assert!(answer.body.contains("rolecall_build_info{"), "{}", answer.body);
}

#[tokio::test]
async fn monitors_may_ask_by_head_and_nobody_may_post() {
    let served = serve();
    for path in ["/health", "/ready"] {
        let answer = request(served.address, "HEAD", path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{path}");
        assert_eq!(
            request(served.address, "POST", path).await.unwrap().status,
            405,
            "{path}"
        );
    }
    assert_eq!(get(&served, "/").await.status, 404);
}

#[tokio::test]
async fn a_draining_process_says_so_until_its_work_is_done_and_then_closes() {
    let served = serve();
    let (release, released) = oneshot::channel::<()>();
    served.tasks.spawn("job", async { released.await.unwrap() });
    assert_eq!(get(&served, "/ready").await.status, 200);

    served.shutdown.drain();
    let answer = get(&served, "/ready").await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["parts"]["draining"]["ok"], false);

    let during = async {
        assert_eq!(
            get(&served, "/health").await.status,
            200,
            "it lives while it drains"
        );
        release.send(()).unwrap();
    };
    let (result, ()) = tokio::join!(timeout(PATIENCE, served.tasks.run_until_done(DRAIN)), during);
    result.unwrap().unwrap();
    assert!(
        request(served.address, "GET", "/health").await.is_err(),
        "the listener is closed"
    );
}
