//! B13: the policy is data; what a change does is counted before it is made.

use reqwest::Method;
use rolecall_domain::standing::Standing;
use serde_json::{Value, json};

use crate::support::{Answer, Browser, ROLE, TestApp};

const POLICY: &str = "/api/v1/admin/policy";

/// Nobody keeps access while they owe.
fn strict() -> Value {
    json!({ "standings": { "grace": { "access": false } } })
}

impl Browser {
    async fn put(&mut self, body: &Value) -> Answer {
        let request = self.request(Method::PUT, POLICY).json(body);
        self.send(request).await
    }
}

/// Staff, who pay for "council" themselves, standing so.
async fn staff_with(app: &TestApp, standing: Standing) -> Browser {
    app.seed_plans().await;
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    app.seed_membership(me, 4001, standing, true).await;
    app.tamper("UPDATE members SET converge_due_at = NULL, converge_trigger = NULL")
        .await;
    staff
}

#[tokio::test]
async fn a_policy_is_weighed_then_saved_as_a_version_and_everybody_is_looked_at_again() {
    let app = TestApp::start().await;
    let mut staff = staff_with(&app, Standing::Active).await;
    let builtin = staff.get(POLICY).await.json();
    assert_eq!(
        (&builtin["version"], &builtin["saved_at"]),
        (&json!(0), &Value::Null)
    );

    let dry = staff.put(&json!({ "policy": strict(), "dry_run": true })).await;
    assert_eq!(dry.status, 200, "{dry:?}");
    let dry = dry.json();
    assert_eq!((&dry["saved"], &dry["version"]), (&json!(false), &json!(0)));
    assert_eq!(dry["summary"], json!("nobody's roles change (1 looked at)"));
    assert_eq!(dry["impact"]["members"], json!(1));
    assert!(app.jobs("jobs").await.is_empty());

    let body = json!({ "policy": strict(), "reason": "stricter", "if_version": 0 });
    let saved = staff.put(&body).await.json();
    assert_eq!(
        (&saved["saved"], &saved["version"]),
        (&json!(true), &json!(1)),
        "{saved}"
    );
    let kinds: Vec<Value> = app
        .jobs("jobs")
        .await
        .iter()
        .map(|job| job["kind"].clone())
        .collect();
    assert_eq!(kinds, [json!("sync_plans")]);
    let owed = app
        .rows("SELECT to_jsonb(converge_trigger) FROM members WHERE converge_due_at IS NOT NULL")
        .await;
    assert_eq!(owed, [json!("catalog")]);
    let current = staff.get(POLICY).await.json();
    assert_eq!(
        (&current["policy"]["standings"], &current["reason"]),
        (&strict()["standings"], &json!("stricter"))
    );

    let overtaken = staff.put(&body).await;
    assert_eq!(
        (overtaken.status.as_u16(), overtaken.code().as_str()),
        (409, "policy_overtaken")
    );
    let same = staff
        .put(&json!({ "policy": strict(), "reason": "again" }))
        .await
        .json();
    assert_eq!((&same["saved"], &same["version"]), (&json!(false), &json!(1)));
    let history = staff.get(&format!("{POLICY}/history")).await.json();
    assert_eq!(history["data"], json!([current]));
}

#[tokio::test]
async fn a_policy_that_locks_everybody_out_is_refused_with_the_numbers_and_names() {
    let app = TestApp::start().await;
    let until = app.now() + chrono::TimeDelta::days(7);
    let mut staff = staff_with(&app, Standing::Grace { until }).await;
    let answer = staff
        .put(&json!({ "policy": strict(), "reason": "stricter" }))
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (422, "policy_locks_out")
    );
    let detail = answer.json()["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("of 1 with access now 0 would keep it"),
        "{detail}"
    );
    assert!(
        detail.contains("1 loses Council & Co") && !detail.contains(&ROLE.to_string()),
        "{detail}"
    );
    assert_eq!(staff.get(POLICY).await.json()["version"], json!(0));
}

#[tokio::test]
async fn a_policy_with_faults_or_without_a_reason_is_refused_and_only_staff_may() {
    let app = TestApp::start().await;
    let mut member = app.signed_in().await;
    let good = json!({ "policy": strict(), "reason": "stricter" });
    assert_eq!(app.browser().put(&good).await.code(), "not_signed_in");
    assert_eq!(member.put(&good).await.code(), "not_staff");
    assert_eq!(member.get(POLICY).await.code(), "not_staff");
    assert_eq!(member.get(&format!("{POLICY}/history")).await.code(), "not_staff");
    let mut staff = staff_with(&app, Standing::Active).await;
    let faulty = json!({ "standings": { "active": { "access": false } }, "plans": { "counsel": {} } });
    for (body, status, code, words) in [
        (json!({ "policy": strict() }), 422, "reason_missing", "say why"),
        (
            json!({ "policy": faulty, "reason": "x" }),
            422,
            "policy_invalid",
            "plan counsel: there is no such plan",
        ),
        (
            json!({ "policy": { "standing": {} }, "reason": "x" }),
            400,
            "bad_request",
            "standing",
        ),
        (
            json!({ "policy": strict(), "reason": "x", "if_verson": 0 }),
            400,
            "bad_request",
            "if_verson",
        ),
    ] {
        let answer = staff.put(&body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{body}"
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let foreign = staff
        .request(Method::PUT, POLICY)
        .header("origin", "https://evil.example")
        .json(&good);
    assert_eq!(staff.send(foreign).await.code(), "foreign_origin");
    assert_eq!(staff.get(POLICY).await.json()["version"], json!(0));
}
