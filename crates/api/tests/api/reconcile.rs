//! Runs for staff: asked for, looked at, and said yes to; and who did it is kept.

use rolecall_db::{
    reconcile_findings::{FindingState, NewFinding, insert_finding},
    reconcile_runs::{Figures, NextState, RunState, claim_reconcile_run, set_reconcile_state},
};
use rolecall_domain::reconcile::difference::FindingKind;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Browser, TestApp};

const RUNS: &str = "/api/v1/admin/reconcile";

impl TestApp {
    /// A worker works on the run, finds `found` things, and comes to `state`.
    async fn work(&self, run_id: &str, found: usize, state: RunState) {
        let id: Uuid = run_id.parse().unwrap();
        let mut tx = self.database.begin().await.unwrap();
        let until = self.now() + chrono::TimeDelta::minutes(2);
        claim_reconcile_run(&mut tx, id, "worker-1", self.now(), until)
            .await
            .unwrap()
            .unwrap();
        for number in 0..found {
            let finding = NewFinding {
                object_id: format!("sub_{number}"),
                kind: FindingKind::StatusDiffers,
                reason: "status differs: active here, canceled at Stripe".to_owned(),
                member_id: None,
                other_member_id: None,
                ours: Some(json!({ "status": "active" })),
                theirs: Some(json!({ "status": "canceled" })),
                state: FindingState::Open,
            };
            insert_finding(&mut tx, id, &finding).await.unwrap();
        }
        let figures = Figures {
            findings: found.try_into().unwrap(),
            ..Figures::default()
        };
        let reasons = if state == RunState::Held {
            vec!["31 of 60 people would lose access".to_owned()]
        } else {
            Vec::new()
        };
        let next = NextState {
            state,
            figures: &figures,
            hold_reasons: &reasons,
            error: None,
        };
        assert!(
            set_reconcile_state(&mut tx, id, "worker-1", &next, self.now())
                .await
                .unwrap()
        );
        tx.commit().await.unwrap();
    }
}

async fn asked(staff: &mut Browser, body: &Value) -> String {
    let answer = staff.post(RUNS, body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn runs_are_for_staff_alone() {
    let app = TestApp::start().await;
    let run = format!("{RUNS}/{}", Uuid::from_u128(9));
    let mut member = app.signed_in().await;
    assert_eq!(app.browser().get(&run).await.code(), "not_signed_in");
    assert_eq!(member.get(&run).await.code(), "not_staff");
    for path in [RUNS.to_owned(), format!("{run}/apply")] {
        assert_eq!(member.post(&path, &json!({})).await.code(), "not_staff", "{path}");
    }
    assert!(app.jobs("jobs").await.is_empty());
    let mut staff = app.staff().await;
    assert_eq!(staff.get(&run).await.code(), "not_found");
    assert_eq!(
        staff.post(&format!("{run}/apply"), &json!({})).await.code(),
        "not_found"
    );
    assert_eq!(staff.get(&format!("{RUNS}/nonsense")).await.code(), "not_found");
}

#[tokio::test]
async fn a_run_is_taken_to_the_worker_and_shown_with_its_findings_page_by_page() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    let answer = staff
        .post(RUNS, &json!({ "scope": "stripe", "dry_run": true }))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let run = answer.json();
    assert_eq!(
        (
            &run["scope"],
            &run["dry_run"],
            &run["state"],
            &run["requested_by"]
        ),
        (
            &json!("stripe"),
            &json!(true),
            &json!("requested"),
            &json!(format!("staff:{me}"))
        )
    );
    let id = run["id"].as_str().unwrap();
    let jobs = app.jobs("jobs").await;
    assert_eq!(
        (&jobs[0]["kind"], &jobs[0]["args"]["run_id"]),
        (&json!("reconcile"), &json!(id))
    );
    app.work(id, 3, RunState::Done).await;
    let shown = staff.get(&format!("{RUNS}/{id}?limit=2")).await;
    assert_eq!(shown.header("cache-control"), "no-store");
    let shown = shown.json();
    assert_eq!(
        (&shown["state"], &shown["figures"]["findings"]),
        (&json!("done"), &json!(3))
    );
    let finding = &shown["findings"][0];
    assert_eq!(
        (&finding["object"], &finding["kind"], &finding["state"]),
        (&json!("sub_0"), &json!("status_differs"), &json!("open"))
    );
    assert_eq!(finding["theirs"]["status"], "canceled");
    assert_eq!(shown["next_cursor"], "sub_1");
    let rest = staff
        .get(&format!("{RUNS}/{id}?limit=2&cursor=sub_1"))
        .await
        .json();
    assert_eq!(
        (&rest["findings"][0]["object"], &rest["next_cursor"]),
        (&json!("sub_2"), &Value::Null)
    );
    let wrong = staff.get(&format!("{RUNS}/{id}?limit=0")).await;
    assert_eq!(wrong.code(), "bad_request");
}

#[tokio::test]
async fn a_held_run_goes_on_after_a_yes_and_only_once() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    let id = asked(&mut staff, &json!({ "scope": "stripe", "dry_run": false })).await;
    let apply = format!("{RUNS}/{id}/apply");
    assert_eq!(staff.post(&apply, &json!({})).await.code(), "nothing_to_apply");
    app.work(&id, 1, RunState::Held).await;
    let held = staff.get(&format!("{RUNS}/{id}")).await.json();
    assert_eq!(
        (&held["state"], &held["hold_reasons"][0]),
        (&json!("held"), &json!("31 of 60 people would lose access"))
    );
    // Lines of one moment stand in any order.
    app.advance(1);
    let answer = staff.post(&apply, &json!({})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(
        (&answer.json()["state"], &answer.json()["approved_by"]),
        (&json!("applying"), &json!(format!("staff:{me}")))
    );
    assert_eq!(app.jobs("jobs").await.len(), 2, "two hints");
    assert_eq!(staff.post(&apply, &json!({})).await.code(), "nothing_to_apply");
    let audit = app
        .rows("SELECT jsonb_build_array(action, subject) FROM audit_log WHERE action LIKE 'reconcile.%' ORDER BY id")
        .await;
    assert_eq!(
        audit,
        [json!(["reconcile.request", id]), json!(["reconcile.apply", id])]
    );
}

#[tokio::test]
async fn what_a_dry_run_found_is_applied_after_a_yes() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    let id = asked(&mut staff, &json!({ "scope": "stripe", "dry_run": true })).await;
    app.work(&id, 1, RunState::Done).await;
    let answer = staff.post(&format!("{RUNS}/{id}/apply"), &json!({})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["dry_run"], false);
}

#[tokio::test]
async fn a_scope_that_cannot_be_swept_is_refused_in_words() {
    let app = TestApp::start().await;
    let mut staff = app.staff().await;
    for (scope, code) in [
        ("discord", "scope_not_available"),
        ("all", "scope_not_available"),
        ("everything", "bad_request"),
    ] {
        let answer = staff
            .post(RUNS, &json!({ "scope": scope, "dry_run": true }))
            .await;
        assert_eq!(answer.code(), code, "{scope}");
    }
    assert!(app.jobs("jobs").await.is_empty());
}
