//! A9, D10: other origins, and how often and how much anybody may send.

use std::time::Duration;

use reqwest::Method;
use rolecall_api::config::Limits;
use serde_json::json;

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    support::{Answer, TestApp},
    webhook::first_line,
};

const LISTED: &str = "https://www.example.test";

async fn write_from(app: &TestApp, headers: &[(&str, &str)]) -> Answer {
    let mut browser = app.signed_in().await;
    let mut request = browser.request(Method::POST, "/api/v1/me/fix-roles");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.send(request).await
}

#[tokio::test]
async fn a_strange_page_may_not_write() {
    let app = TestApp::start().await;
    for headers in [
        [("origin", "https://evil.example")].as_slice(),
        &[("origin", "null")],
        &[("origin", "http://127.0.0.1:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
    ] {
        let answer = write_from(&app, headers).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (403, "foreign_origin"),
            "{headers:?}"
        );
    }
    for headers in [
        [("origin", app.origin().as_str())].as_slice(),
        &[("origin", LISTED)],
        &[("sec-fetch-site", "same-origin")],
        &[],
    ] {
        assert_eq!(write_from(&app, headers).await.status, 202, "{headers:?}");
    }
}

#[tokio::test]
async fn a_strange_form_signs_nobody_out() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let request = browser
        .request(Method::POST, "/auth/logout")
        .header("origin", "https://evil.example")
        .form(&[("everywhere", "yes")]);
    assert_eq!(browser.send(request).await.status, 403);
    assert_eq!(browser.get("/api/v1/me").await.status, 200);
}

#[tokio::test]
async fn listed_origins_may_call_the_api_and_others_are_not_answered() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    for (origin, status, allowed) in [(LISTED, 204, LISTED), ("https://evil.example", 403, "")] {
        let preflight = browser
            .request(Method::OPTIONS, "/api/v1/checkout")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization, content-type");
        let answer = browser.send(preflight).await;
        assert_eq!(answer.status, status, "{origin}");
        assert_eq!(answer.header("access-control-allow-origin"), allowed, "{origin}");
        let request = browser
            .request(Method::GET, "/api/v1/plans")
            .header("origin", origin);
        let answer = browser.send(request).await;
        assert_eq!(
            (
                answer.status.as_u16(),
                answer.header("access-control-allow-origin")
            ),
            (200, allowed)
        );
    }
    let request = browser.request(Method::GET, "/plans").header("origin", LISTED);
    assert_eq!(
        browser.send(request).await.header("access-control-allow-origin"),
        "",
        "pages are for nobody else"
    );
}

#[tokio::test]
async fn who_comes_too_often_is_told_to_wait() {
    let limits = Limits {
        sign_ins_per_minute: 2,
        purchases_per_minute: 1,
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    let mut browser = app.browser();
    for _ in 0..2 {
        assert_eq!(browser.get("/auth/discord/login").await.status, 303);
    }
    let answer = browser.get("/auth/discord/login").await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.code().as_str(),
            answer.header("retry-after")
        ),
        (429, "rate_limited", "30")
    );
    assert!(
        browser
            .page("/auth/discord/login")
            .await
            .text
            .contains("Please wait a minute")
    );
    app.advance(30);
    assert_eq!(browser.get("/auth/discord/login").await.status, 303);

    browser.submit("/checkout", &[("plan", "council")]).await;
    assert_eq!(
        browser.submit("/checkout", &[("plan", "council")]).await.status,
        429
    );
}

#[tokio::test]
async fn a_letter_that_is_written_as_a_number_escapes_no_limit_and_no_rule() {
    let limits = Limits {
        sign_ins_per_minute: 1,
        purchases_per_minute: 1,
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    let mut browser = app.browser();
    assert_eq!(browser.get("/auth/discord/log%69n").await.status, 303);
    for path in ["/auth/discord/login", "/auth/d%69scord/login"] {
        assert_eq!(browser.get(path).await.status, 429, "{path}");
    }
    browser.post("/api/v1/check%6Fut", &json!({})).await;
    for path in ["/api/v1/checkout", "/%61pi/v1/billing/portal"] {
        assert_eq!(browser.post(path, &json!({})).await.status, 429, "{path}");
    }

    let request = browser
        .request(Method::GET, "/%61pi/v1/plans")
        .header("origin", LISTED);
    let answer = browser.send(request).await;
    assert_eq!(
        (
            answer.status.as_u16(),
            answer.header("access-control-allow-origin")
        ),
        (200, LISTED)
    );
    assert_eq!(browser.page("/%61pi/v1/me").await.code(), "not_signed_in");
}

#[tokio::test]
async fn only_a_trusted_proxy_names_the_client() {
    for (trusted, expected) in [("", 429), ("127.0.0.0/8", 303)] {
        let limits = Limits {
            sign_ins_per_minute: 1,
            ..Limits::default()
        };
        let app = TestApp::builder()
            .env("TRUSTED_PROXIES", trusted)
            .limits(limits)
            .start()
            .await;
        let mut browser = app.browser();
        let mut last = 0;
        for client in ["203.0.113.1", "203.0.113.2"] {
            let request = browser
                .request(Method::GET, "/auth/discord/login")
                .header("x-forwarded-for", client);
            last = browser.send(request).await.status.as_u16();
        }
        assert_eq!(last, expected, "{trusted:?}");
    }
}

#[tokio::test]
async fn bodies_are_limited_and_have_a_type() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let long = "x".repeat(20_000);
    assert_eq!(
        browser
            .post("/api/v1/checkout", &json!({"plan": long}))
            .await
            .code(),
        "body_too_large"
    );
    assert_eq!(
        browser.post("/api/v1/checkout", &json!({"plan": 7})).await.code(),
        "bad_request"
    );
    let request = browser
        .request(Method::POST, "/api/v1/checkout")
        .body("plan=council");
    assert_eq!(browser.send(request).await.code(), "unsupported_media_type");
    assert_eq!(browser.submit("/checkout", &[("plan", &long)]).await.status, 413);
    assert_eq!(
        browser.submit("/checkout", &[("nonsense", "x")]).await.status,
        400
    );
}

#[tokio::test]
async fn a_form_that_does_not_come_is_not_waited_for() {
    let limits = Limits {
        body_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let app = TestApp::builder().limits(limits).start().await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    let head = "POST /checkout HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                content-length: 100\r\n\r\np";
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(first_line(&mut stream).await.contains("408"));
}
