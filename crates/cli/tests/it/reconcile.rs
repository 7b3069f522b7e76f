//! `rolecall reconcile`: waits for a worker, prints what it found, and says by its exit code whether all is well.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Ended, Installation};

/// A worker takes the run up, and has it come to `$1` with one finding.
const FOUND: &str = "INSERT INTO reconcile_findings (run_id, object_id, kind, reason, state, losses)
    SELECT id, 'sub_1', 'status_differs', 'status differs: active here, canceled at Stripe', 'open',
           '[{\"guild\":\"111\",\"role\":\"222\"}]' FROM reconcile_runs;
  UPDATE reconcile_runs SET figures = '{\"listed\": 4, \"known\": 5, \"findings\": 1, \"removals\": 1}'";

impl Installation {
    /// Runs the command while a worker does this to the run.
    async fn while_a_worker(&self, arguments: &[&str], does: &[&'static str]) -> Ended {
        let worker = async {
            let asked = "SELECT to_jsonb(id) FROM reconcile_runs WHERE finished_at IS NULL";
            let mut looks = tokio::time::interval(Duration::from_millis(20));
            while self.rows(asked).await.is_empty() {
                looks.tick().await;
            }
            for step in does {
                self.tamper(step).await;
            }
        };
        let (ended, ()) = tokio::join!(self.run(arguments), worker);
        ended
    }

    async fn requested(&self) -> Vec<Value> {
        self.rows("SELECT jsonb_build_array(scope, dry_run, requested_by, approved_by) FROM reconcile_runs")
            .await
    }
}

const DONE: &str =
    "UPDATE reconcile_runs SET state = 'done', started_at = requested_at, finished_at = requested_at";

#[tokio::test]
async fn a_dry_run_with_findings_prints_them_and_exits_with_one() {
    let mut installation = Installation::new().await;
    let ended = installation
        .while_a_worker(&["reconcile", "--dry-run"], &[FOUND, DONE])
        .await;
    assert_eq!(ended.code, 1, "{ended:?}");
    for words in [
        "sub_1",
        "status differs: active here, canceled at Stripe",
        "- role 222 in server 111",
        "1 people would lose access",
        "Nothing was changed",
    ] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
    assert_eq!(
        installation.requested().await,
        [json!(["stripe", true, "cli", null])]
    );
    let jobs = installation.jobs(rolecall_queue::Queue::Jobs).await;
    assert_eq!(jobs[0]["kind"], "reconcile");
    let audit = installation.rows("SELECT to_jsonb(action) FROM audit_log").await;
    assert_eq!(audit, [json!("reconcile.request")]);
}

#[tokio::test]
async fn a_dry_run_that_finds_nothing_is_good() {
    let installation = Installation::new().await;
    let ended = installation
        .while_a_worker(
            &["reconcile", "--dry-run", "--scope", "stripe", "--json"],
            &[DONE],
        )
        .await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let answer = ended.json();
    assert_eq!(
        (&answer["state"], &answer["dry_run"], &answer["findings"]),
        (&json!("done"), &json!(true), &json!([]))
    );
}

#[tokio::test]
async fn a_held_run_says_why_and_how_to_say_yes() {
    let installation = Installation::new().await;
    let held =
        "UPDATE reconcile_runs SET state = 'held', started_at = requested_at, finished_at = requested_at,
                hold_reasons = '{31 of 60 people would lose access}'";
    let ended = installation.while_a_worker(&["reconcile"], &[FOUND, held]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    for words in [
        "held",
        "- 31 of 60 people would lose access",
        "rolecall reconcile --yes",
    ] {
        assert!(ended.out.contains(words), "{words}: {}", ended.out);
    }
}

#[tokio::test]
async fn a_run_that_mended_everything_is_good_and_one_that_did_not_is_not() {
    for (state, code, words) in [
        ("applied", 0, "1 mended, 0 for the owner, 0 failed"),
        ("failed", 1, "0 mended, 0 for the owner, 1 failed"),
    ] {
        let installation = Installation::new().await;
        let counted = if state == "applied" {
            "UPDATE reconcile_runs SET figures = figures || '{\"applied\": 1}'"
        } else {
            "UPDATE reconcile_runs SET figures = figures || '{\"failed\": 1}'"
        };
        let ended = installation
            .while_a_worker(&["reconcile", "--yes"], &[FOUND, counted, DONE])
            .await;
        assert_eq!(ended.code, code, "{state}: {ended:?}");
        assert!(ended.out.contains(words), "{}", ended.out);
        assert_eq!(
            installation.requested().await,
            [json!(["stripe", false, "cli", "cli"])]
        );
    }
}

#[tokio::test]
async fn a_run_that_failed_says_why() {
    let installation = Installation::new().await;
    let failed =
        "UPDATE reconcile_runs SET state = 'failed', started_at = requested_at, finished_at = requested_at,
                  error = 'Stripe could not answer GET /v1/subscriptions (HTTP 503)'";
    let ended = installation.while_a_worker(&["reconcile"], &[failed]).await;
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("HTTP 503"), "{}", ended.out);
}

#[tokio::test]
async fn what_cannot_be_reconciled_is_wrong_use() {
    let installation = Installation::new().await;
    for (arguments, words) in [
        (vec!["reconcile", "--scope", "discord"], "only the scope `stripe`"),
        (vec!["reconcile", "--scope", "all"], "only the scope `stripe`"),
        (
            vec!["reconcile", "--scope", "coffee"],
            "possible values: stripe, discord, all",
        ),
        (vec!["reconcile", "--dry-run", "--yes"], "cannot be used with"),
    ] {
        let ended = installation.run(&arguments).await;
        assert_eq!(ended.code, 2, "{arguments:?}: {ended:?}");
        assert!(ended.err.contains(words), "{arguments:?}: {}", ended.err);
    }
    assert!(installation.requested().await.is_empty());
}
