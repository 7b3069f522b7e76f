//! A3: access tokens, refresh tokens, signing out.

use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Browser, TestApp};

async fn refresh(browser: &mut Browser) -> Answer {
    let request = browser.request(Method::POST, "/auth/refresh");
    browser.send(request).await
}

#[tokio::test]
async fn nobody_gets_in_without_a_good_token() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    assert_eq!(browser.get("/api/v1/me").await.code(), "not_signed_in");
    let request = browser.request(Method::GET, "/api/v1/me").bearer_auth("nonsense");
    assert_eq!(browser.send(request).await.status, 401);
    browser
        .cookies
        .insert("rolecall_access".to_owned(), "nonsense".to_owned());
    browser
        .cookies
        .insert("rolecall_refresh".to_owned(), "nonsense".to_owned());
    assert_eq!(browser.get("/api/v1/me").await.status, 401);
    let page = browser.page("/dashboard").await;
    assert_eq!(page.status, 401);
    assert!(
        page.text.contains("/auth/discord/login?next=%2Fdashboard"),
        "{page:?}"
    );
}

#[tokio::test]
async fn cookies_over_tls_are_bound_to_the_host() {
    let app = TestApp::builder()
        .env("PUBLIC_URL", "https://members.example.test")
        .env(
            "DISCORD_REDIRECT_URI",
            "https://members.example.test/auth/discord/callback",
        )
        .start()
        .await;
    let mut browser = app.browser();
    let answer = app.sign_in(&mut browser).await;
    let cookies = answer.cookies();
    for name in ["__Host-rolecall_access=", "__Host-rolecall_refresh="] {
        let cookie = cookies.iter().find(|cookie| cookie.starts_with(name)).unwrap();
        for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }
    assert_eq!(browser.get("/api/v1/me").await.status, 200);
    assert!(
        answer.header("strict-transport-security").starts_with("max-age="),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_program_uses_the_access_token_as_a_bearer() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let renewed = refresh(&mut browser).await.json();
    assert_eq!(renewed["expires_in"], json!(900));
    let token = renewed["access_token"].as_str().unwrap();
    let mut program = app.browser();
    let request = program.request(Method::GET, "/api/v1/me").bearer_auth(token);
    assert_eq!(program.send(request).await.status, 200);
    app.advance(901);
    let request = program.request(Method::GET, "/api/v1/me").bearer_auth(token);
    assert_eq!(
        program.send(request).await.status,
        401,
        "after a quarter of an hour"
    );
}

#[tokio::test]
async fn a_page_renews_the_session_in_passing() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let (access, refresh) = (
        browser.cookie("rolecall_access"),
        browser.cookie("rolecall_refresh"),
    );
    app.advance(901);
    assert_eq!(browser.page("/dashboard").await.status, 200);
    assert_ne!(browser.cookie("rolecall_access"), access);
    assert_ne!(browser.cookie("rolecall_refresh"), refresh);
    let renewed = browser.cookie("rolecall_access");
    browser.page("/dashboard").await;
    assert_eq!(
        browser.cookie("rolecall_access"),
        renewed,
        "renewed once, not at every look"
    );
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_ends_the_session() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let mut thief = browser.clone();
    assert_eq!(refresh(&mut browser).await.status, 200);
    app.advance(11);
    let answer = refresh(&mut thief).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (401, "session_ended")
    );
    assert_eq!(
        answer
            .cookies()
            .iter()
            .filter(|cookie| cookie.contains("Max-Age=0"))
            .count(),
        2,
        "{answer:?}"
    );
    assert_eq!(refresh(&mut browser).await.status, 401, "the family ends");
    assert_eq!(browser.get("/api/v1/me").await.status, 401);
}

#[tokio::test]
async fn two_tabs_may_renew_at_the_same_moment() {
    let app = TestApp::start().await;
    let mut first = app.signed_in().await;
    let mut second = first.clone();
    assert_eq!(refresh(&mut first).await.status, 200);
    app.advance(9);
    assert_eq!(refresh(&mut second).await.status, 200);
    app.advance(60);
    assert_eq!(refresh(&mut first).await.status, 200);
    assert_eq!(refresh(&mut second).await.status, 200);
}

#[tokio::test]
async fn a_program_may_hand_its_refresh_token_over_in_the_body() {
    let app = TestApp::start().await;
    let browser = app.signed_in().await;
    let mut program = app.browser();
    let token = browser.cookie("rolecall_refresh");
    let answer = program
        .post("/auth/refresh", &json!({"refresh_token": token}))
        .await;
    assert_eq!(answer.status, 200);
    assert!(answer.cookies().is_empty(), "{answer:?}");
    assert!(answer.json()["refresh_token"].as_str().unwrap() != token);
    assert_eq!(
        program
            .post("/auth/refresh", &json!({"nonsense": 1}))
            .await
            .code(),
        "bad_request"
    );
}

#[tokio::test]
async fn a_session_ends_after_thirty_days() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    app.advance(30 * 86_400);
    assert_eq!(refresh(&mut browser).await.code(), "session_ended");
}

#[tokio::test]
async fn signing_out_ends_this_session_and_no_other() {
    let app = TestApp::start().await;
    let (mut here, mut there) = (app.signed_in().await, app.signed_in().await);
    let stolen = here.clone();
    let answer = here.submit("/auth/logout", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (303, "/"));
    assert!(
        !here.cookies.contains_key("rolecall_access"),
        "{:?}",
        here.cookies
    );
    assert_eq!(
        stolen.clone().get("/api/v1/me").await.status,
        401,
        "its token still runs"
    );
    assert_eq!(
        stolen
            .clone()
            .post("/api/v1/me/fix-roles", &json!({}))
            .await
            .code(),
        "session_ended"
    );
    assert_eq!(there.get("/api/v1/me").await.status, 200);
    assert_eq!(
        here.submit("/auth/logout", &[]).await.status,
        303,
        "a second time is fine"
    );
}

#[tokio::test]
async fn sessions_are_listed_and_ended_everywhere() {
    let app = TestApp::start().await;
    let (mut here, mut there) = (app.signed_in().await, app.signed_in().await);
    let listed = here.get("/api/v1/me/sessions").await.json();
    let sessions = listed["data"].as_array().unwrap();
    assert_eq!((sessions.len(), &listed["next_cursor"]), (2, &json!(null)));
    assert_eq!(
        sessions
            .iter()
            .filter(|session| session["current"] == json!(true))
            .count(),
        1
    );

    let request = here.request(Method::DELETE, "/api/v1/me/sessions");
    assert_eq!(here.send(request).await.status, 204);
    assert_eq!(there.get("/api/v1/me").await.code(), "session_ended");

    let (mut here, mut there) = (app.signed_in().await, app.signed_in().await);
    here.submit("/auth/logout", &[("everywhere", "yes")]).await;
    assert_eq!(there.page("/dashboard").await.status, 401);
}
