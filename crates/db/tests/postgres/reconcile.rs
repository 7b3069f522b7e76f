//! Runs of a sweep and what they found: taken up by one, gone on with by the next, and settled once.

use chrono::TimeDelta;
use rolecall_db::{
    Transaction,
    reconcile_findings::{
        FindingState, NewFinding, add_effect, count_findings, delete_findings, insert_finding,
        list_due_findings, list_findings, list_findings_of, list_people_concerned, settle_finding,
    },
    reconcile_runs::{
        Figures, NewRun, NextState, RunState, Scope, approve_reconcile_run, claim_reconcile_run,
        delete_reconcile_runs_before, find_reconcile_run, insert_reconcile_run,
        list_abandoned_reconcile_runs, renew_reconcile_claim, set_reconcile_state,
    },
};
use rolecall_domain::{
    catalog::GuildRole,
    ids::MemberId,
    reconcile::{difference::FindingKind, effect::Effect},
};
use uuid::Uuid;

use crate::support::{TestDb, at, guild, person, role, uuid};

async fn ask(tx: &mut Transaction, number: u32, dry_run: bool) -> Uuid {
    let run = NewRun {
        id: uuid(number),
        scope: Scope::Stripe,
        dry_run,
        requested_by: "cli",
        approved: false,
    };
    insert_reconcile_run(tx, &run, at(0)).await.unwrap();
    run.id
}

async fn come_to(tx: &mut Transaction, id: Uuid, worker: &str, state: RunState) -> bool {
    let figures = Figures {
        listed: 7,
        ..Figures::default()
    };
    let next = NextState {
        state,
        figures: &figures,
        hold_reasons: &["too many".to_owned()],
        error: None,
    };
    set_reconcile_state(tx, id, worker, &next, at(50)).await.unwrap()
}

fn finding(object: &str, member_id: Option<MemberId>, other: Option<MemberId>) -> NewFinding {
    NewFinding {
        object_id: object.to_owned(),
        kind: FindingKind::QuantityDiffers,
        reason: "quantity differs: 1 here, 3 at Stripe".to_owned(),
        member_id,
        other_member_id: other,
        ours: None,
        theirs: Some(serde_json::json!({ "quantity": 3 })),
        state: FindingState::Open,
    }
}

#[tokio::test]
async fn a_run_is_taken_up_by_one_worker_and_by_the_next_after_its_claim() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (id, other) = (ask(&mut tx, 1, false).await, ask(&mut tx, 2, false).await);
    let taken = claim_reconcile_run(&mut tx, id, "w1", at(10), at(130))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((taken.state, taken.started_at), (RunState::Reading, Some(at(10))));
    assert_eq!(
        claim_reconcile_run(&mut tx, id, "w2", at(129), at(300))
            .await
            .unwrap(),
        None
    );
    assert!(renew_reconcile_claim(&mut tx, id, "w1", at(200)).await.unwrap());
    assert!(!renew_reconcile_claim(&mut tx, id, "w2", at(200)).await.unwrap());
    assert_eq!(
        claim_reconcile_run(&mut tx, id, "w2", at(130), at(300))
            .await
            .unwrap(),
        None
    );
    let next = claim_reconcile_run(&mut tx, id, "w2", at(200), at(300))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(next.started_at, Some(at(10)), "it has begun before");
    assert!(
        !come_to(&mut tx, id, "w1", RunState::Done).await,
        "it is not theirs any more"
    );
    assert!(!renew_reconcile_claim(&mut tx, id, "w1", at(999)).await.unwrap());
    let untouched = find_reconcile_run(&mut tx, other).await.unwrap().unwrap();
    assert_eq!(untouched.state, RunState::Requested);
}

#[tokio::test]
async fn a_held_run_waits_for_a_yes_and_goes_on_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (held, dry, open) = (
        ask(&mut tx, 1, false).await,
        ask(&mut tx, 2, true).await,
        ask(&mut tx, 3, false).await,
    );
    for (id, state) in [(held, RunState::Held), (dry, RunState::Done)] {
        claim_reconcile_run(&mut tx, id, "w1", at(10), at(130))
            .await
            .unwrap()
            .unwrap();
        assert!(come_to(&mut tx, id, "w1", state).await);
        assert_eq!(
            claim_reconcile_run(&mut tx, id, "w1", at(999), at(1999))
                .await
                .unwrap(),
            None
        );
    }
    let run = find_reconcile_run(&mut tx, held).await.unwrap().unwrap();
    assert_eq!(
        (run.figures.listed, run.hold_reasons.as_slice()),
        (7, ["too many".to_owned()].as_slice())
    );
    assert_eq!(run.finished_at, Some(at(50)));
    assert!(
        !approve_reconcile_run(&mut tx, open, "staff:1", at(60))
            .await
            .unwrap()
    );
    for id in [held, dry] {
        assert!(
            approve_reconcile_run(&mut tx, id, "staff:1", at(60))
                .await
                .unwrap()
        );
        assert!(
            !approve_reconcile_run(&mut tx, id, "staff:2", at(61))
                .await
                .unwrap()
        );
        let run = claim_reconcile_run(&mut tx, id, "w2", at(70), at(130))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (
                run.state,
                run.dry_run,
                run.approved_by.as_deref(),
                run.finished_at
            ),
            (RunState::Applying, false, Some("staff:1"), None)
        );
    }
}

#[tokio::test]
async fn runs_that_nobody_works_on_are_found_and_old_ones_forgotten() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (asked, working, ended) = (
        ask(&mut tx, 1, false).await,
        ask(&mut tx, 2, false).await,
        ask(&mut tx, 3, false).await,
    );
    for id in [working, ended] {
        claim_reconcile_run(&mut tx, id, "w1", at(10), at(130))
            .await
            .unwrap()
            .unwrap();
    }
    come_to(&mut tx, ended, "w1", RunState::Failed).await;
    let abandoned = async |tx: &mut Transaction, before, now| {
        list_abandoned_reconcile_runs(tx, at(before), at(now), 9)
            .await
            .unwrap()
    };
    let none = abandoned(&mut tx, -1, 20).await;
    assert!(none.is_empty(), "its hint is still on its way");
    assert_eq!(abandoned(&mut tx, 5, 20).await, [asked]);
    assert_eq!(abandoned(&mut tx, 5, 130).await, [asked, working]);
    let finding = finding("sub_1", None, None);
    insert_finding(&mut tx, ended, &finding).await.unwrap();
    assert_eq!(delete_reconcile_runs_before(&mut tx, at(50)).await.unwrap(), 0);
    assert_eq!(delete_reconcile_runs_before(&mut tx, at(51)).await.unwrap(), 1);
    assert_eq!(find_reconcile_run(&mut tx, ended).await.unwrap(), None);
    assert_eq!(
        list_findings(&mut tx, ended, None, 9).await.unwrap(),
        [],
        "they go with it"
    );
}

#[tokio::test]
async fn a_finding_stands_once_in_its_run_and_is_settled_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (run, other) = (ask(&mut tx, 1, false).await, ask(&mut tx, 2, false).await);
    for object in ["sub_1", "sub_2", "sub_3", "sub_3"] {
        insert_finding(&mut tx, run, &finding(object, None, None))
            .await
            .unwrap();
    }
    insert_finding(&mut tx, other, &finding("sub_1", None, None))
        .await
        .unwrap();
    let ids = |findings: Vec<rolecall_db::reconcile_findings::Finding>| -> Vec<String> {
        findings.into_iter().map(|finding| finding.object_id).collect()
    };
    let page = list_findings(&mut tx, run, Some("sub_1"), 1).await.unwrap();
    assert_eq!(ids(page), ["sub_2"]);
    let failed = Some("Stripe is away");
    settle_finding(&mut tx, run, "sub_1", FindingState::Open, failed, at(1))
        .await
        .unwrap();
    settle_finding(&mut tx, run, "sub_2", FindingState::Applied, None, at(1))
        .await
        .unwrap();
    let twice = settle_finding(&mut tx, run, "sub_2", FindingState::Failed, failed, at(2))
        .await
        .unwrap();
    assert!(!twice, "it is settled");
    let due = list_due_findings(&mut tx, run, 9).await.unwrap();
    assert_eq!((due[1].attempts, due[1].error.as_deref()), (1, failed));
    assert_eq!(ids(due), ["sub_3", "sub_1"], "what failed comes last");
    let counts = count_findings(&mut tx, run).await.unwrap();
    assert_eq!(
        (counts.all, counts.open, counts.applied, counts.failed),
        (3, 2, 1, 0)
    );
    delete_findings(&mut tx, run).await.unwrap();
    assert_eq!(count_findings(&mut tx, run).await.unwrap().all, 0);
    assert_eq!(count_findings(&mut tx, other).await.unwrap().all, 1);
}

#[tokio::test]
async fn everybody_whom_a_finding_concerns_is_listed_with_what_would_change() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let run = ask(&mut tx, 1, true).await;
    let (ada, grace, carol) = (
        person(&mut tx, 1).await,
        person(&mut tx, 2).await,
        person(&mut tx, 3).await,
    );
    for (object, here, there) in [
        ("sub_1", Some(ada), Some(grace)),
        ("sub_2", Some(grace), None),
        ("sub_3", None, None),
    ] {
        insert_finding(&mut tx, run, &finding(object, here, there))
            .await
            .unwrap();
    }
    let noted = NewFinding {
        state: FindingState::Noted,
        ..finding("sub_4", Some(carol), None)
    };
    insert_finding(&mut tx, run, &noted).await.unwrap();
    assert_eq!(
        list_people_concerned(&mut tx, run, None, 9).await.unwrap(),
        [ada, grace]
    );
    assert_eq!(
        list_people_concerned(&mut tx, run, Some(ada), 9).await.unwrap(),
        [grace]
    );
    assert_eq!(list_findings_of(&mut tx, run, grace).await.unwrap().len(), 2);
    let lost = GuildRole {
        guild: guild(1),
        role: role(10),
    };
    let effect = Effect {
        losses: [lost].into(),
        removes_access: true,
        ..Effect::default()
    };
    add_effect(&mut tx, run, ada, &effect).await.unwrap();
    let findings = list_findings(&mut tx, run, None, 9).await.unwrap();
    assert_eq!(
        (findings[0].losses.as_slice(), findings[0].removes_access),
        ([lost].as_slice(), true)
    );
    assert!(
        findings[1..]
            .iter()
            .all(|finding| finding.losses.is_empty() && !finding.removes_access)
    );
    assert!(
        findings[0].seen_at > at(0) + TimeDelta::days(1),
        "by the database's clock"
    );
}
