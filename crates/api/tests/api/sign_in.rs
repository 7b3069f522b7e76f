//! A1, D11: sign-in with Discord, and every way in which it goes wrong.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::join_all;
use rolecall_db::{discord_accounts::find_tokens, members::lock_member};
use rolecall_domain::trigger::Trigger;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::{
    DiscordMood, TestApp,
    app::begin_sign_in,
    stubs::{ACCESS_TOKEN, REFRESH_TOKEN},
};

const CALLBACK: &str = "/auth/discord/callback";

#[tokio::test]
async fn signing_in_leads_to_discord_with_state_and_proof_and_back_to_where_one_wanted() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let answer = browser
        .page("/auth/discord/login?next=/plans?chosen=council")
        .await;
    let url: url::Url = answer.location().parse().unwrap();
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(url.path(), "/oauth2/authorize");
    assert_eq!(query["scope"], "identify email guilds.join");
    assert_eq!(query["redirect_uri"], format!("{}{CALLBACK}", app.origin()));
    assert_eq!(query["code_challenge_method"], "S256");

    let answer = browser
        .page(&format!("{CALLBACK}?code=c0de&state={}", query["state"]))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.location()),
        (303, "/plans?chosen=council")
    );
    let sent = app.world.lock().unwrap().token_requests[0].clone();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&sent["code_verifier"]));
    assert_eq!(
        (sent["code"].as_str(), challenge),
        ("c0de", query["code_challenge"].clone())
    );
}

#[tokio::test]
async fn a_new_person_is_kept_with_sealed_tokens_and_a_convergence_owed() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let me = app.me(&mut browser).await;
    assert_eq!(
        (&me["display_name"], &me["email"]),
        (&json!("Ada Archer"), &json!("ada@example.test"))
    );
    assert_eq!(me["discord"], json!({"user_id": "4001", "username": "ada"}));
    let member_id = app.member_id(&mut browser).await;

    let mut tx = app.database.begin().await.unwrap();
    let tokens = find_tokens(&mut tx, member_id).await.unwrap().unwrap();
    assert!(!tokens.access_sealed.contains(ACCESS_TOKEN) && !tokens.refresh_sealed.contains(REFRESH_TOKEN));
    assert_eq!(
        (tokens.scopes.as_str(), tokens.expires_at),
        (
            "identify email guilds.join",
            app.now() + chrono::TimeDelta::days(7)
        )
    );
    let owed = lock_member(&mut tx, member_id).await.unwrap().unwrap();
    assert_eq!((owed.trigger, owed.join), (Some(Trigger::Linked), true));

    let jobs = app.jobs("account-events").await;
    assert_eq!((jobs.len(), &jobs[0]["kind"]), (1, &json!("converge_member")));
    assert_eq!(
        jobs[0]["args"],
        json!({"member_id": member_id, "reason": "linked"})
    );
}

#[tokio::test]
async fn an_address_that_discord_has_not_verified_is_not_kept() {
    let app = TestApp::start().await;
    app.world.lock().unwrap().user["verified"] = json!(false);
    let mut browser = app.signed_in().await;
    assert_eq!(app.me(&mut browser).await["email"], json!(null));
}

#[tokio::test]
async fn who_comes_again_is_the_same_person_under_their_new_name() {
    let app = TestApp::start().await;
    let mut first = app.signed_in().await;
    app.world.lock().unwrap().user = json!({"id": "4001", "username": "ada2", "global_name": "Ada B.", "email": "x@example.test", "verified": false});
    let mut second = app.signed_in().await;
    let (before, after) = (app.me(&mut first).await, app.me(&mut second).await);
    assert_eq!(before["id"], after["id"]);
    assert_eq!(
        (&after["display_name"], &after["discord"]["username"]),
        (&json!("Ada B."), &json!("ada2"))
    );
    assert_eq!(
        after["email"],
        json!("ada@example.test"),
        "an unverified address replaces nothing"
    );
}

#[tokio::test]
async fn two_callbacks_at_once_make_one_person() {
    let app = TestApp::start().await;
    let mut browsers: Vec<_> = (0..6).map(|_| app.browser()).collect();
    let answers = join_all(browsers.iter_mut().map(|browser| app.sign_in(browser))).await;
    assert!(answers.iter().all(|answer| answer.status == 303), "{answers:?}");
    let mut ids = Vec::new();
    for browser in &mut browsers {
        ids.push(app.member_id(browser).await);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn every_fault_of_discord_has_a_page_and_a_code() {
    let app = TestApp::start().await;
    for (mood, status, code, title) in [
        (
            DiscordMood::CodeExpired,
            400,
            "sign_in_code_refused",
            "Discord’s code is not valid any more",
        ),
        (
            DiscordMood::ClientUnknown,
            502,
            "discord_misconfigured",
            "Sign-in is not set up correctly",
        ),
        (
            DiscordMood::RateLimited,
            503,
            "discord_rate_limited",
            "Discord asks us to slow down",
        ),
        (
            DiscordMood::Down,
            503,
            "discord_unavailable",
            "Discord does not answer",
        ),
    ] {
        app.world.lock().unwrap().mood = mood;
        let mut browser = app.browser();
        let answer = app.sign_in(&mut browser).await;
        assert_eq!(answer.status, status, "{mood:?}");
        let title = title.replace('’', "&#39;");
        assert!(
            answer.text.contains(&title) && answer.header("content-type").starts_with("text/html"),
            "{answer:?}"
        );
        let state = begin_sign_in(&mut browser, "/").await;
        let answer = browser.get(&format!("{CALLBACK}?code=c0de&state={state}")).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{mood:?}"
        );
        if status == 503 {
            assert!(
                answer.header("retry-after").parse::<u32>().unwrap() > 0,
                "{mood:?}"
            );
        }
        assert!(browser.get("/api/v1/me").await.status == 401, "{mood:?}");
    }
}

#[tokio::test]
async fn who_presses_cancel_is_told_that_nothing_happened() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let state = begin_sign_in(&mut browser, "/").await;
    let answer = browser
        .page(&format!(
            "{CALLBACK}?error=access_denied&error_description=x&state={state}"
        ))
        .await;
    assert_eq!(answer.status, 403);
    assert!(
        answer.text.contains("You did not agree at Discord") && answer.text.contains("Nothing was changed"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_state_is_good_once_for_ten_minutes_and_in_its_browser_only() {
    let app = TestApp::start().await;
    let expired = |answer: &crate::support::Answer| {
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (400, "sign_in_expired"),
            "{answer:?}"
        );
    };
    let mut browser = app.browser();
    expired(&browser.get(&format!("{CALLBACK}?code=c0de")).await);
    expired(&browser.get(&format!("{CALLBACK}?code=c0de&state=made-up")).await);

    let state = begin_sign_in(&mut browser, "/").await;
    let path = format!("{CALLBACK}?code=c0de&state={state}");
    expired(&app.browser().get(&path).await);
    let mut other = app.browser();
    begin_sign_in(&mut other, "/").await;
    expired(&other.get(&path).await);
    let altered = path.replace("state=a.", "state=a.A");
    expired(&browser.get(&altered).await);
    assert_eq!(
        browser.get(&path).await.status,
        303,
        "what others try with it spoils nothing"
    );
    expired(&browser.get(&path).await);

    let state = begin_sign_in(&mut browser, "/").await;
    let path = format!("{CALLBACK}?code=c0de&state={state}");
    app.advance(599);
    assert_eq!(browser.get(&path).await.status, 303);
    let state = begin_sign_in(&mut browser, "/").await;
    app.advance(600);
    expired(&browser.get(&format!("{CALLBACK}?code=c0de&state={state}")).await);
}

#[tokio::test]
async fn of_two_callbacks_with_one_state_one_signs_in() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let state = begin_sign_in(&mut browser, "/").await;
    let path = format!("{CALLBACK}?code=c0de&state={state}");
    let mut tabs: Vec<_> = (0..5).map(|_| browser.clone()).collect();
    let answers = join_all(tabs.iter_mut().map(|tab| tab.get(&path))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400, 400, 400, 400], "{answers:?}");
}

#[tokio::test]
async fn who_is_a_stranger_to_discord_leaves_nothing_in_redis() {
    let app = TestApp::start().await;
    let kept = async || {
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg(format!("*{}*sign-in*", app.namespace))
            .query_async(&mut app.redis.clone())
            .await
            .unwrap();
        keys
    };
    app.world.lock().unwrap().mood = DiscordMood::CodeExpired;
    let mut browser = app.browser();
    for _ in 0..5 {
        assert_eq!(app.sign_in(&mut browser).await.status, 400);
    }
    assert_eq!(kept().await, Vec::<String>::new());

    app.world.lock().unwrap().mood = DiscordMood::Good;
    assert_eq!(app.sign_in(&mut browser).await.status, 303);
    let [key] = kept().await.try_into().unwrap();
    let lifetime: i64 = redis::cmd("TTL")
        .arg(&key)
        .query_async(&mut app.redis.clone())
        .await
        .unwrap();
    assert!((590..=600).contains(&lifetime), "{lifetime}");
}

#[tokio::test]
async fn two_tabs_may_sign_in_at_the_same_time() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let first = begin_sign_in(&mut browser, "/plans").await;
    let second = begin_sign_in(&mut browser, "/").await;
    assert_eq!(
        browser
            .get(&format!("{CALLBACK}?code=c0de&state={first}"))
            .await
            .location(),
        "/plans"
    );
    assert_eq!(
        browser
            .get(&format!("{CALLBACK}?code=c0de&state={second}"))
            .await
            .location(),
        "/"
    );
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    for next in ["https://evil.example/", "//evil.example", "/%5Cevil.example"] {
        let state = begin_sign_in(&mut browser, next).await;
        let answer = browser.page(&format!("{CALLBACK}?code=c0de&state={state}")).await;
        assert_eq!(answer.location(), "/dashboard", "{next}");
    }
}

#[tokio::test]
async fn without_redis_nobody_is_sent_away() {
    let app = TestApp::builder()
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .start()
        .await;
    let answer = app.browser().page("/auth/discord/login").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("We are back in a moment"), "{answer:?}");
}
