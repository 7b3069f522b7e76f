//! A6: the pages, without JavaScript.

use rolecall_db::checkout_sessions::{CheckoutState, set_checkout_state};
use rolecall_domain::standing::Standing;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Answer, TestApp, ill::until};

#[tokio::test]
async fn each_plan_has_a_form_that_needs_no_script() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let page = app.browser().page("/plans").await.text;
    assert_eq!(
        page.matches("<form method=\"post\" action=\"/checkout\">")
            .count(),
        2,
        "{page}"
    );
    assert!(
        page.contains("name=\"plan\" value=\"council\"") && page.contains("name=\"plan\" value=\"inner\""),
        "{page}"
    );
    assert!(
        page.contains("value=\"price_month\" checked") && page.contains("$490 a year"),
        "{page}"
    );
    assert!(
        page.contains("7 days free") && page.contains("Council &#38; Co"),
        "{page}"
    );
    assert!(
        page.contains("value=\"price_ever\"") && page.contains("$499 once, for good"),
        "{page}"
    );
    assert!(page.contains("not on sale here yet"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}

#[tokio::test]
async fn an_empty_shop_says_so() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    assert!(
        browser
            .page("/plans")
            .await
            .text
            .contains("Nothing is on sale yet")
    );
    assert_eq!(browser.page("/").await.status, 200);
    assert_eq!(
        browser.get("/api/v1/plans").await.json(),
        json!({"data": [], "next_cursor": null})
    );
}

#[tokio::test]
async fn a_crowd_before_the_shop_takes_one_connection_and_those_who_are_members_go_on() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut member = app.signed_in().await;
    let slow = app
        .test_database
        .hold("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let waiting = async || {
        let sql = "SELECT to_jsonb(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        app.rows(sql).await.len()
    };
    let mut crowd = JoinSet::new();
    for path in ["/plans", "/", "/api/v1/plans"].repeat(4) {
        let mut browser = app.browser();
        crowd.spawn(async move { browser.page(path).await.status });
    }
    until(async || waiting().await > 0).await;
    for _ in 0..5 {
        assert_eq!(member.get("/api/v1/me/sessions").await.status, 200);
    }
    assert_eq!(waiting().await, 1);
    drop(slow);
    assert_eq!(crowd.join_all().await, [200; 12]);
}

#[tokio::test]
async fn the_api_lists_what_is_on_sale() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let plans = app.browser().get("/api/v1/plans").await.json();
    let council = plans["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|plan| plan["slug"] == "council")
        .unwrap();
    assert_eq!(
        (&council["name"], &council["kind"]),
        (&json!("Council member"), &json!("individual"))
    );
    let first = &council["prices"][0];
    assert_eq!(
        first,
        &json!({"id": "price_month", "unit_amount": 4900, "currency": "usd", "interval": "month", "interval_count": 1,
            "lifetime": false})
    );
    assert_eq!(
        council["prices"][2],
        json!({"id": "price_ever", "unit_amount": 49_900, "currency": "usd", "interval": null, "interval_count": null,
            "lifetime": true})
    );
    assert_eq!(council["trial_days"], json!(7));
}

#[tokio::test]
async fn the_dashboard_says_what_one_has_and_why() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let page = browser.page("/dashboard").await.text;
    assert!(
        page.contains("You are not a member yet") && page.contains("Ada Archer"),
        "{page}"
    );
    let member_id = app.member_id(&mut browser).await;
    app.seed_membership(member_id, 4001, Standing::Active, true).await;
    let page = browser.page("/dashboard").await.text;
    for text in [
        "You are a member",
        "Council &#38; Co",
        "Because of your plan Council member.",
        "You have it",
        "The Revenue Council",
        "$49 a month",
        "Renews on 21 December 2026.",
        "action=\"/dashboard/fix-roles\"",
        "action=\"/billing/portal\"",
        "action=\"/auth/logout\"",
        "ada@example.test",
    ] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    let me = app.me(&mut browser).await;
    assert_eq!(me["standing"], json!("active"));
    assert_eq!(me["roles"][0]["state"], json!("in_sync"));
    assert_eq!(me["roles"][0]["reasons"][0]["plan"], json!("council"));
    assert_eq!(
        me["subscriptions"][0]["current_period_end"],
        json!("2026-12-21T12:00:00Z")
    );
    assert_eq!(me["companies"], json!([]));
}

#[tokio::test]
async fn a_failed_payment_comes_with_a_link_to_pay() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await;
    let until = app.now() + chrono::TimeDelta::days(5);
    app.seed_membership(member_id, 4001, Standing::Grace { until }, false)
        .await;
    let page = browser.page("/dashboard").await.text;
    for text in [
        "A payment failed",
        "You still have access until 26 November 2026",
        "href=\"https://invoice.example/pay/1\"",
        "Pay now",
        "You are not on this server",
    ] {
        assert!(page.contains(text), "{text:?} is not in {page}");
    }
    assert_eq!(
        app.me(&mut browser).await["subscriptions"][0]["grace_until"],
        json!("2026-11-26T12:00:00Z")
    );
}

#[tokio::test]
async fn fixing_roles_is_owed_hinted_at_and_said() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let answer = browser.submit("/dashboard/fix-roles", &[]).await;
    assert_eq!(answer.location(), "/dashboard?notice=checking");
    assert!(
        browser
            .page(answer.location())
            .await
            .text
            .contains("comparing your roles")
    );
    assert_eq!(browser.post("/api/v1/me/fix-roles", &json!({})).await.status, 202);
    let jobs = app.jobs("account-events").await;
    let reasons: Vec<_> = jobs
        .iter()
        .map(|job| job["args"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["linked", "fix_roles", "fix_roles"]);
}

#[tokio::test]
async fn coming_back_from_paying_is_hinted_at_and_shown_until_the_role_is_there() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    browser.submit("/checkout", &[("plan", "council")]).await;
    let path = "/checkout/success?session_id=cs_test_1";
    let page = browser.page(path).await.text;
    assert!(
        page.contains("Waiting for Stripe") && page.contains("<noscript><meta http-equiv=\"refresh\""),
        "{page}"
    );
    let jobs = app.jobs("account-events").await;
    assert_eq!(
        jobs.last().unwrap()["args"],
        json!({"session_id": "cs_test_1", "reason": "returned"})
    );
    assert_eq!(
        browser
            .page("/checkout/success?session_id=cs_test_1&load=9")
            .await
            .status,
        200
    );
    assert_eq!(
        app.jobs("account-events").await.len(),
        jobs.len(),
        "later loads do not hint again"
    );

    let member_id = app.member_id(&mut browser).await;
    app.seed_membership(member_id, 4001, Standing::Active, false)
        .await;
    let mut tx = app.database.begin().await.unwrap();
    let subscription = "sub_1".parse().unwrap();
    let id = "cs_test_1".parse().unwrap();
    set_checkout_state(
        &mut tx,
        &id,
        CheckoutState::Complete,
        Some(&subscription),
        app.now(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    assert!(
        browser
            .page(path)
            .await
            .text
            .contains("You are not on the server")
    );
}

#[tokio::test]
async fn when_the_role_is_there_the_purchase_turns_to_the_dashboard() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    browser.submit("/checkout", &[("plan", "council")]).await;
    let member_id = app.member_id(&mut browser).await;
    app.seed_membership(member_id, 4001, Standing::Active, true).await;
    let mut tx = app.database.begin().await.unwrap();
    let (id, subscription) = ("cs_test_1".parse().unwrap(), "sub_1".parse().unwrap());
    set_checkout_state(
        &mut tx,
        &id,
        CheckoutState::Complete,
        Some(&subscription),
        app.now(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    let answer = browser.page("/checkout/success?session_id=cs_test_1").await;
    assert_eq!(answer.location(), "/dashboard?notice=welcome");
    let part = browser.page("/checkout/progress?session_id=cs_test_1").await.text;
    assert!(part.contains("data-goto=\"/dashboard?notice=welcome\""), "{part}");
}

#[tokio::test]
async fn somebody_elses_purchase_shows_nothing_of_theirs() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut buyer = app.signed_in().await;
    buyer.submit("/checkout", &[("plan", "council")]).await;
    app.world.lock().unwrap().user = json!({"id": "4002", "username": "ben", "verified": false});
    let mut other = app.signed_in().await;
    for browser in [&mut other, &mut app.browser()] {
        let page = browser.page("/checkout/success?session_id=cs_test_1").await;
        assert!(
            page.status == 200 && page.text.contains("Sign in to see your membership"),
            "{page:?}"
        );
        assert!(!page.text.contains("Council member"), "{page:?}");
    }
    assert_eq!(
        other.page("/checkout/progress?session_id=cs_test_1").await.status,
        404
    );
    assert_eq!(
        other.page("/checkout/success?session_id=cs_test_9").await.status,
        404
    );
    assert_eq!(
        other
            .page("/checkout/success?session_id=%3Cscript%3E")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn a_claim_leads_through_sign_in_to_the_purchase() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let page = browser.page("/claim?session_id=cs_test_1").await.text;
    let next = "/auth/discord/login?next=%2Fcheckout%2Fsuccess%3Fsession_id%3Dcs_test_1";
    assert!(page.contains(next), "{page}");
    let mut browser = app.signed_in().await;
    assert_eq!(
        browser.page("/claim?session_id=cs_test_1").await.location(),
        "/checkout/success?session_id=cs_test_1"
    );
}

#[tokio::test]
async fn every_page_is_protected_and_nothing_is_inline() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await;
    app.seed_membership(member_id, 4001, Standing::Debtor, true).await;
    for path in ["/", "/plans", "/dashboard", "/nope", "/auth/discord/callback"] {
        protected(path, &browser.page(path).await);
    }
    for path in ["/claim?session_id=cs_test_1", "/dashboard"] {
        protected(path, &app.browser().page(path).await);
    }
    assert_eq!(app.browser().get("/api/v1/nope").await.code(), "not_found");
}

fn protected(path: &str, answer: &Answer) {
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("unsafe"),
        "{path}: {policy}"
    );
    assert!(
        policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"),
        "{path}: {policy}"
    );
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    assert_eq!(
        answer.header("cross-origin-opener-policy"),
        "same-origin",
        "{path}"
    );
    assert!(!answer.header("permissions-policy").is_empty(), "{path}");
    assert_eq!(answer.header("x-request-id").len(), 24, "{path}");
    assert_eq!(answer.header("cache-control"), "no-store", "{path}");
    assert!(
        answer.text.starts_with("<!doctype html>"),
        "{path}: {}",
        answer.text
    );
    for inline in [
        " style=",
        "<style",
        " onclick=",
        " onload=",
        "javascript:",
        "http-equiv=\"Content",
    ] {
        assert!(!answer.text.contains(inline), "{path} has {inline}");
    }
    for script in answer.text.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"/assets/"), "{path}: {script}");
    }
    for needed in [
        "<html lang=\"en\">",
        "name=\"viewport\"",
        "class=\"skip\"",
        "aria-live=\"polite\"",
        "<main id=\"content\"",
    ] {
        assert!(answer.text.contains(needed), "{path} lacks {needed}");
    }
}

#[tokio::test]
async fn files_are_kept_for_ever_under_the_hash_of_their_content() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let page = browser.page("/").await.text;
    let start = page.find("/assets/app.").unwrap();
    let path: String = page[start..]
        .chars()
        .take_while(|letter| *letter != '"')
        .collect();
    let answer = browser.get(&path).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "text/css; charset=utf-8")
    );
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=31536000, immutable"
    );
    assert!(
        !answer.text.contains("http://") && !answer.text.contains("https://"),
        "a third party in the style"
    );
    assert_eq!(browser.get("/assets/app.000000000000.css").await.status, 404);
    assert_eq!(browser.get("/assets/../Cargo.toml").await.status, 404);
}

#[tokio::test]
async fn a_wrong_method_names_the_right_one() {
    let app = TestApp::start().await;
    let mut browser = app.browser();
    let answer = browser.post("/plans", &json!({})).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("allow")),
        (405, "GET, HEAD")
    );
    let request = browser.request(reqwest::Method::HEAD, "/plans");
    assert_eq!(browser.send(request).await.status, 200);
}
