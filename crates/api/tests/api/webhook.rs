//! S1, S2, S3: the table of the webhook route.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use rolecall_api::config::Limits;
use rolecall_stripe::signature::sign;
use secrecy::SecretString;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::{
    Answer, Browser, TestApp,
    app::{LIVE_WEBHOOK_SECRET, PATIENCE, WEBHOOK_SECRET},
    ill::until,
};

const PATH: &str = "/webhooks/stripe";
const EVENT: &str =
    r#"{"id": "evt_1",  "type":"invoice.paid","created":1790000000,"livemode":false,"data":{"n":1.50}}"#;

fn signature(app: &TestApp, secret: &str, age: i64, body: impl AsRef<[u8]>) -> String {
    sign(
        &SecretString::from(secret),
        app.now().timestamp() - age,
        body.as_ref(),
    )
}

fn signed(app: &TestApp, browser: &Browser, body: impl AsRef<[u8]>) -> RequestBuilder {
    let body = body.as_ref().to_vec();
    let header = signature(app, WEBHOOK_SECRET, 0, &body);
    browser
        .request(Method::POST, PATH)
        .header("stripe-signature", header)
        .body(body)
}

async fn send(app: &TestApp, request: RequestBuilder) -> Answer {
    app.browser().send(request).await
}

#[tokio::test]
async fn a_rightly_signed_event_is_in_the_queue_to_the_letter() {
    let app = TestApp::start().await;
    let request = signed(&app, &app.browser(), EVENT).header("content-type", "text/nonsense");
    assert_eq!(send(&app, request).await.status, 200);
    let jobs = app.jobs("stripe-events").await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(
        (&jobs[0]["kind"], &jobs[0]["args"]["event_id"]),
        (&json!("stripe_event"), &json!("evt_1"))
    );
    assert!(jobs[0]["traceparent"].is_string(), "{jobs:?}");
    let key = format!("{{{}:stripe-events}}:stream", app.namespace);
    let raw: redis::streams::StreamRangeReply = redis::cmd("XRANGE")
        .arg(key)
        .arg("-")
        .arg("+")
        .query_async(&mut app.redis.clone())
        .await
        .unwrap();
    assert!(
        raw.ids[0].get::<String>("job").unwrap().contains(EVENT),
        "the payload was rewritten"
    );
    assert_eq!(app.webhooks("accepted").await, 1);
}

#[tokio::test]
async fn a_second_delivery_is_a_duplicate() {
    let app = TestApp::start().await;
    for _ in 0..3 {
        assert_eq!(send(&app, signed(&app, &app.browser(), EVENT)).await.status, 200);
    }
    assert_eq!(app.jobs("stripe-events").await.len(), 1);
    assert_eq!(
        (app.webhooks("accepted").await, app.webhooks("duplicate").await),
        (1, 2)
    );
}

#[tokio::test]
async fn what_is_not_rightly_signed_is_refused_and_counted_by_its_reason() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let rewritten =
        serde_json::to_string(&serde_json::from_str::<serde_json::Value>(EVENT).unwrap()).unwrap();
    let good = signature(&app, WEBHOOK_SECRET, 0, EVENT);
    let table = [
        ("missing_signature", None, EVENT),
        ("missing_signature", Some(String::new()), EVENT),
        ("malformed_signature", Some("nonsense".to_owned()), EVENT),
        (
            "malformed_signature",
            Some(format!("t=1,v1={}", "a".repeat(9000))),
            EVENT,
        ),
        ("wrong_signature", Some(good.clone()), rewritten.as_str()),
        (
            "wrong_signature",
            Some(signature(&app, "whsec_other", 0, EVENT)),
            EVENT,
        ),
        (
            "too_old",
            Some(signature(&app, WEBHOOK_SECRET, 301, EVENT)),
            EVENT,
        ),
    ];
    for (outcome, header, body) in table {
        let before = app.webhooks(outcome).await;
        let request = browser.request(Method::POST, PATH).body(body.to_owned());
        let request = match &header {
            Some(header) => request.header("stripe-signature", header),
            None => request,
        };
        let answer = send(&app, request).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, outcome),
            "{header:?}"
        );
        assert_eq!(app.webhooks(outcome).await, before + 1, "{outcome}");
    }
    assert!(app.jobs("stripe-events").await.is_empty());
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes_and_with_every_secret() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for (secret, age) in [(WEBHOOK_SECRET, 300), ("whsec_older", 0)] {
        let header = signature(&app, secret, age, EVENT);
        let request = browser
            .request(Method::POST, PATH)
            .header("stripe-signature", header)
            .body(EVENT);
        assert_eq!(send(&app, request).await.status, 200, "{secret} {age}");
    }
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_is_refused() {
    let app = TestApp::start().await;
    let browser = app.browser();
    for body in [
        "",
        "[]",
        "7",
        "\"evt_1\"",
        "{",
        "{}",
        "null",
        r#"["evt_1","invoice.paid",1790000000,false]"#,
        r#"{"id":"evt_1","type":"invoice.paid","created":1790000000}"#,
        r#"{"id":"in_1","type":"invoice.paid","created":1790000000,"livemode":false}"#,
        r#"{"id":"evt_1","type":"invoice.paid","created":"soon","livemode":false}"#,
    ] {
        let answer = send(&app, signed(&app, &browser, body)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "malformed_body"),
            "{body}"
        );
    }
    let not_text = b"{\"id\":\"evt_1\",\"type\":\"a.b\",\"created\":1,\"livemode\":false,\"x\":\"\xff\"}";
    let answer = send(&app, signed(&app, &browser, not_text)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (400, "wrong_signature"),
        "Stripe's libraries sign text"
    );
    assert!(app.jobs("stripe-events").await.is_empty());
}

#[tokio::test]
async fn a_thin_event_is_taken() {
    let app = TestApp::start().await;
    let event = r#"{"id":"evt_2","object":"v2.core.event","type":"v1.customer.updated","created":"2026-11-21T11:59:00Z",
        "livemode":false,"related_object":{"id":"cus_1","type":"customer"}}"#;
    assert_eq!(send(&app, signed(&app, &app.browser(), event)).await.status, 200);
    assert_eq!(app.jobs("stripe-events").await.len(), 1);
}

#[tokio::test]
async fn the_two_modes_do_not_mix() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let live = EVENT.replace("\"livemode\":false", "\"livemode\":true");
    // secret, event, status, outcome
    let table = [
        (LIVE_WEBHOOK_SECRET, live.as_str(), 200, "other_mode"),
        (LIVE_WEBHOOK_SECRET, EVENT, 400, "wrong_signature"),
        (WEBHOOK_SECRET, live.as_str(), 400, "wrong_signature"),
    ];
    for (secret, event, status, outcome) in table {
        let before = app.webhooks(outcome).await;
        let header = signature(&app, secret, 0, event);
        let request = browser
            .request(Method::POST, PATH)
            .header("stripe-signature", header)
            .body(event.to_owned());
        assert_eq!(send(&app, request).await.status, status, "{secret} {event}");
        assert_eq!(app.webhooks(outcome).await, before + 1, "{secret} {event}");
    }
    assert!(app.jobs("stripe-events").await.is_empty());
}

#[tokio::test]
async fn only_post_is_taken() {
    let app = TestApp::start().await;
    for method in [
        Method::GET,
        Method::HEAD,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
    ] {
        let answer = send(&app, app.browser().request(method.clone(), PATH)).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("allow")),
            (405, "POST"),
            "{method}"
        );
    }
}

#[tokio::test]
async fn two_mebibytes_are_read_and_one_byte_more_is_refused() {
    let app = TestApp::start().await;
    let browser = app.browser();
    let filler = |length: usize| {
        let (start, end) = (&EVENT[..EVENT.len() - 1], ",\"x\":\"\"}");
        let rest = length - start.len() - end.len();
        format!("{start},\"x\":\"{}\"}}", "x".repeat(rest))
    };
    let most = 2 * 1024 * 1024;
    assert_eq!(send(&app, signed(&app, &browser, filler(most))).await.status, 200);
    let answer = send(&app, signed(&app, &browser, filler(most + 1))).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (413, "body_too_large")
    );
    assert_eq!(app.webhooks("too_large").await, 1);
}

#[tokio::test]
async fn a_long_body_of_no_announced_length_is_refused_too() {
    let app = TestApp::start().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, "x".repeat(64 * 1024));
    for _ in 0..40 {
        stream.write_all(chunk.as_bytes()).await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert!(first_line(&mut stream).await.contains("413"));
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let limits = Limits {
        webhook_body_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(first_line(&mut stream).await.contains("408"));
}

/// A webhook without an announced length, so that it does not come in one piece.
async fn begin_in_pieces(app: &TestApp, signature: &str) -> TcpStream {
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = format!(
        "POST /webhooks/stripe HTTP/1.1\r\nhost: x\r\nstripe-signature: {signature}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn send_piece(stream: &mut TcpStream, piece: &str) {
    let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
    stream.write_all(chunk.as_bytes()).await.unwrap();
}

#[tokio::test]
async fn what_strangers_send_at_once_fills_so_much_memory_and_no_more() {
    let limits = Limits {
        webhook_body_room: 64 * 1024,
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    let well_formed = format!("t=1,v1={}", "a".repeat(64));
    let mut stranger = begin_in_pieces(&app, &well_formed).await;
    send_piece(&mut stranger, &"x".repeat(60 * 1024)).await;
    until(async || app.metric("rolecall_api_arriving_bytes").await == Some(60 * 1024)).await;

    let long = format!("{EVENT}{}", " ".repeat(8 * 1024));
    let header = signature(&app, WEBHOOK_SECRET, 0, &long);
    let in_pieces = async || {
        let mut stream = begin_in_pieces(&app, &header).await;
        send_piece(&mut stream, &long).await;
        send_piece(&mut stream, "").await;
        first_answer(&mut stream).await
    };
    let refused = in_pieces().await.to_ascii_lowercase();
    assert!(
        refused.contains(" 503 ") && refused.contains("retry-after: "),
        "{refused}"
    );
    assert!(app.webhooks("unavailable").await > 0);
    assert_eq!(
        send(&app, signed(&app, &app.browser(), EVENT)).await.status,
        200,
        "what comes in one piece needs no room"
    );

    send_piece(&mut stranger, "").await;
    assert!(first_line(&mut stranger).await.contains("400"));
    assert_eq!(app.metric("rolecall_api_arriving_bytes").await, Some(0));
    assert!(in_pieces().await.contains(" 200 "), "the room is given back");
}

#[tokio::test]
async fn nothing_is_kept_of_what_bears_no_signature() {
    let limits = Limits {
        webhook_body_room: 0,
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    for (header, outcome) in [("", "missing_signature"), ("nonsense", "malformed_signature")] {
        let mut stream = begin_in_pieces(&app, header).await;
        for _ in 0..20 {
            send_piece(&mut stream, &"x".repeat(64 * 1024)).await;
        }
        send_piece(&mut stream, "").await;
        assert!(first_line(&mut stream).await.contains("400"), "{outcome}");
        assert_eq!(app.webhooks(outcome).await, 1);
    }
}

async fn first_answer(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 2048];
    let read = timeout(PATIENCE, stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

pub(crate) async fn first_line(stream: &mut TcpStream) -> String {
    let mut buffer = vec![0; 64];
    let read = timeout(PATIENCE, stream.read(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

#[tokio::test]
async fn without_redis_stripe_is_asked_to_send_again() {
    let app = TestApp::builder()
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .start()
        .await;
    let answer = send(&app, signed(&app, &app.browser(), EVENT)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "queue_unavailable")
    );
    assert!(
        answer.header("retry-after").parse::<u32>().unwrap() > 0,
        "{answer:?}"
    );
    assert_eq!(app.webhooks("unavailable").await, 1);
}

#[tokio::test]
async fn no_database_is_needed_to_take_an_event() {
    let app = TestApp::builder()
        .env("DATABASE_URL", "postgres://u:p@127.0.0.1:1/x")
        .start()
        .await;
    assert_eq!(send(&app, signed(&app, &app.browser(), EVENT)).await.status, 200);
    assert_eq!(app.jobs("stripe-events").await.len(), 1);
}
