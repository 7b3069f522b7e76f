//! O4, O5: health, metrics, and stopping without losing a request.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{Browser, TestApp, app::PATIENCE};

fn health(app: &TestApp) -> Browser {
    Browser::new(&format!("http://{}", app.health))
}

async fn wait_until_ready(app: &TestApp, expected: u16) -> serde_json::Value {
    let asking = async {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        loop {
            every.tick().await;
            let answer = health(app).get("/ready").await;
            if answer.status == expected {
                return answer.json();
            }
        }
    };
    timeout(PATIENCE, asking).await.unwrap()
}

#[tokio::test]
async fn a_service_is_ready_when_its_parts_are() {
    let app = TestApp::start().await;
    let report = wait_until_ready(&app, 200).await;
    assert_eq!(report["status"], "ready", "{report}");
    for part in ["postgres", "redis", "migrations"] {
        assert_eq!(report["parts"][part]["ok"], true, "{report}");
    }
    let mut public = app.browser();
    assert_eq!(public.get("/ready").await.status, 200);
    assert_eq!(public.get("/health").await.json()["status"], "ok");
    assert_eq!(
        public.get("/metrics").await.status,
        404,
        "metrics are not for the public"
    );
}

#[tokio::test]
async fn without_postgres_it_lives_and_says_what_is_missing() {
    let app = TestApp::builder()
        .env("DATABASE_URL", "postgres://u:p@127.0.0.1:1/x")
        .start()
        .await;
    let report = wait_until_ready(&app, 503).await;
    assert_eq!(report["parts"]["postgres"]["ok"], false, "{report}");
    assert_eq!(report["parts"]["redis"]["ok"], true, "{report}");
    assert_eq!(health(&app).get("/health").await.status, 200);
    // Nobody is kept for as long as the pool would wait.
    let mut browser = app.browser();
    let page = timeout(Duration::from_secs(4), browser.page("/plans"))
        .await
        .unwrap();
    assert!(
        page.status == 503 && page.text.contains("We are back in a moment"),
        "{page:?}"
    );
    assert!(page.header("retry-after").parse::<u32>().unwrap() > 0, "{page:?}");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_not_by_address() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    browser.page("/claim?session_id=cs_test_1").await;
    browser.page("/somewhere/else").await;
    for line in [
        r#"rolecall_api_http_requests_total{method="GET",route="/claim",status="2xx"} "#,
        r#"rolecall_api_http_requests_total{method="GET",route="unmatched",status="4xx"} "#,
        r#"rolecall_api_http_request_duration_seconds_count{route="/claim"} "#,
    ] {
        assert_eq!(app.metric(line).await, Some(1), "{line}");
    }
}

#[tokio::test]
async fn a_draining_service_is_unready_and_still_answers() {
    let mut app = TestApp::builder().env("DRAIN_DELAY", "2s").start().await;
    wait_until_ready(&app, 200).await;
    let mut browser = app.signed_in().await;
    app.shutdown.drain();
    let report = wait_until_ready(&app, 503).await;
    assert_eq!(report["status"], "unready", "{report}");
    for (path, status) in [("/plans", 200), ("/health", 200), ("/webhooks/stripe", 405)] {
        let answer = app.browser().page(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("connection")),
            (status, "close"),
            "{path}"
        );
    }
    let page = browser.get("/events").await;
    assert_eq!((page.status.as_u16(), page.header("connection")), (200, "close"));
    assert_eq!(page.text, "retry: 1000\n\n", "the stream ends with the delay");
    app.stop();
}

#[tokio::test]
async fn a_request_that_is_under_way_is_finished() {
    let mut app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head =
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 256];
    // The service asks for the body: the request is in its hands.
    let read = timeout(PATIENCE, stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&buffer[..read]).contains("100"),
        "{:?}",
        &buffer[..read]
    );
    app.shutdown.drain();
    timeout(PATIENCE, app.shutdown.closing().cancelled())
        .await
        .unwrap();
    stream.write_all(b"{}").await.unwrap();
    let read = timeout(PATIENCE, stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&buffer[..read]).contains("400"),
        "{:?}",
        &buffer[..read]
    );
    app.stop();
}
