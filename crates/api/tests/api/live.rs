//! Live pages: a stream that says when to look again.

use std::time::Duration;

use reqwest::{Method, Response};
use rolecall_api::config::Limits;
use tokio::time::timeout;

use crate::support::{Browser, TestApp, app::PATIENCE};

async fn open(browser: &Browser) -> Response {
    browser.request(Method::GET, "/events").send().await.unwrap()
}

/// Reads until `wanted` was said, or the stream ends.
async fn hears(stream: &mut Response, wanted: &str) -> bool {
    let mut heard = String::new();
    let listening = async {
        while let Some(chunk) = stream.chunk().await.ok().flatten() {
            heard.push_str(&String::from_utf8_lossy(&chunk));
            if heard.contains(wanted) {
                return true;
            }
        }
        false
    };
    timeout(PATIENCE, listening).await.unwrap()
}

#[tokio::test]
async fn a_page_hears_of_changes_of_its_own_person() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await;
    let mut stream = open(&browser).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    assert!(hears(&mut stream, "retry:").await);
    let mut redis = app.redis.clone();
    let channel = format!("{}:member-changed", app.namespace);
    let heard = async {
        // Published again and again, since nobody says when the subscription stands.
        let mut every = tokio::time::interval(Duration::from_millis(50));
        loop {
            every.tick().await;
            let () = redis::cmd("PUBLISH")
                .arg(&channel)
                .arg(member_id.to_string())
                .query_async(&mut redis)
                .await
                .unwrap();
        }
    };
    tokio::select! {
        heard = hears(&mut stream, "event: changed") => assert!(heard),
        () = heard => {}
    }
}

#[tokio::test]
async fn nobody_listens_without_being_signed_in() {
    let app = TestApp::start().await;
    assert_eq!(open(&app.browser()).await.status(), 401);
}

#[tokio::test]
async fn a_person_has_only_so_many_streams() {
    let limits = Limits {
        streams_per_member: 2,
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    let browser = app.signed_in().await;
    let (_first, _second) = (open(&browser).await, open(&browser).await);
    assert_eq!(open(&browser).await.status(), 429);
    assert_eq!(app.metric("rolecall_api_live_streams ").await, Some(2));
}

#[tokio::test]
async fn streams_end_when_the_service_stops() {
    let mut app = TestApp::start().await;
    let mut stream = open(&app.signed_in().await).await;
    assert!(hears(&mut stream, "retry:").await);
    app.shutdown.drain();
    assert!(!hears(&mut stream, "never").await, "the stream ends");
    app.stop();
}
