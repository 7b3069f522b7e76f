//! O14: what must never be logged.

use rolecall_stripe::signature::sign;
use secrecy::SecretString;
use serde_json::json;

use crate::support::{
    DiscordMood, TestApp,
    app::{CLIENT_SECRET, JWT_SECRET, STRIPE_KEY, WEBHOOK_SECRET, begin_sign_in, logs},
    stubs::{ACCESS_TOKEN, REFRESH_TOKEN},
};

#[tokio::test]
async fn no_secret_and_nothing_personal_is_logged() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.browser();
    let state = begin_sign_in(&mut browser, "/dashboard").await;
    browser
        .page(&format!("/auth/discord/callback?code=the-c0de&state={state}"))
        .await;
    let (access, refresh) = (
        browser.cookie("rolecall_access"),
        browser.cookie("rolecall_refresh"),
    );
    browser.page("/dashboard").await;
    browser.submit("/checkout", &[("plan", "council")]).await;
    app.world.lock().unwrap().stripe_is_down = true;
    browser.post("/api/v1/checkout", &json!({"plan": "inner"})).await;
    app.world.lock().unwrap().mood = DiscordMood::ClientUnknown;
    app.sign_in(&mut app.browser()).await;
    let body = r#"{"id":"evt_1","type":"x","created":1,"livemode":false,"email":"body@example.test"}"#;
    let header = sign(
        &SecretString::from(WEBHOOK_SECRET),
        app.now().timestamp(),
        body.as_bytes(),
    );
    let request = browser
        .request(reqwest::Method::POST, "/webhooks/stripe")
        .header("stripe-signature", header.clone());
    browser.send(request.body(body)).await;

    let text = logs().text();
    assert!(
        text.contains("request served") && text.contains("request failed"),
        "the log is read: {text}"
    );
    let signature = header.rsplit('=').next().unwrap();
    for secret in [
        ACCESS_TOKEN,
        REFRESH_TOKEN,
        CLIENT_SECRET,
        STRIPE_KEY,
        JWT_SECRET,
        WEBHOOK_SECRET,
        signature,
        &access,
        &refresh,
        &state,
        "the-c0de",
        "ada@example.test",
        "Ada Archer",
        "body@example.test",
    ] {
        assert!(
            !text.to_lowercase().contains(&secret.to_lowercase()),
            "{secret} was logged"
        );
    }
}
