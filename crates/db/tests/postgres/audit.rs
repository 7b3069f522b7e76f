//! `audit`: what is written is what was done.

use chrono::{DateTime, Utc};
use rolecall_db::audit::{AuditLine, AuditSelection, insert_audit_line, list_audit_rows};
use rolecall_domain::ids::{AuditId, MemberId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{TestDb, at, uuid};

type Row = (DateTime<Utc>, String, String, Option<Uuid>, String, Value);

#[tokio::test]
async fn a_line_keeps_everything_that_it_says() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let line = AuditLine {
        id: AuditId::from_uuid(uuid(1)),
        at: at(5),
        actor: "staff:7",
        action: "grant.create",
        // Nobody of this id need be there: the log outlives people.
        member_id: Some(MemberId::from_uuid(uuid(7))),
        subject: "grant:9",
        detail: json!({"plan": "council"}),
    };
    insert_audit_line(&mut tx, &line).await.unwrap();
    let other = AuditLine {
        id: AuditId::from_uuid(uuid(2)),
        member_id: None,
        actor: "system",
        ..line.clone()
    };
    insert_audit_line(&mut tx, &other).await.unwrap();
    let sql = "SELECT at, actor, action, member_id, subject, detail FROM audit_log WHERE id = $1";
    let stored: Row = sqlx::query_as(sql)
        .bind(uuid(1))
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let detail = json!({"plan": "council"});
    assert_eq!(
        stored,
        (
            at(5),
            "staff:7".to_owned(),
            "grant.create".to_owned(),
            Some(uuid(7)),
            "grant:9".to_owned(),
            detail
        )
    );
    let stored: Row = sqlx::query_as(sql)
        .bind(uuid(2))
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!((stored.1.as_str(), stored.3), ("system", None));
}

#[tokio::test]
async fn a_line_is_written_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let line = AuditLine {
        id: AuditId::from_uuid(uuid(1)),
        at: at(0),
        actor: "system",
        action: "a.b",
        member_id: None,
        subject: "c",
        detail: Value::Null,
    };
    insert_audit_line(&mut tx, &line).await.unwrap();
    let error = insert_audit_line(&mut tx, &line).await.unwrap_err();
    assert_eq!(error.constraint(), Some("audit_log_pkey"));
}

#[tokio::test]
async fn lines_are_listed_by_who_what_and_whom_the_newest_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, actor, action, member) in [
        (1, "cli", "grant.give", 7),
        (2, "staff:1", "grant.revoke", 7),
        (3, "cli", "grants.other", 8),
        (4, "cli", "grant.give", 8),
    ] {
        let line = AuditLine {
            id: AuditId::from_uuid(uuid(n)),
            at: at(n.into()),
            actor,
            action,
            member_id: Some(MemberId::from_uuid(uuid(member))),
            subject: "x",
            detail: json!({"n": n}),
        };
        insert_audit_line(&mut tx, &line).await.unwrap();
    }
    let all = AuditSelection::default();
    let of = |member| Some(MemberId::from_uuid(uuid(member)));
    for (selection, before, expected) in [
        (all, None, [4, 3, 2, 1].as_slice()),
        (all, Some(3), &[2, 1]),
        (
            AuditSelection {
                actor: Some("cli"),
                ..all
            },
            None,
            &[4, 3, 1],
        ),
        (
            AuditSelection {
                action: Some("grant.give"),
                ..all
            },
            None,
            &[4, 1],
        ),
        (
            AuditSelection {
                action: Some("grant."),
                ..all
            },
            None,
            &[4, 2, 1],
        ),
        (
            AuditSelection {
                action: Some("grant"),
                ..all
            },
            None,
            &[],
        ),
        (
            AuditSelection {
                member_id: of(7),
                ..all
            },
            None,
            &[2, 1],
        ),
    ] {
        let before = before.map(|n| AuditId::from_uuid(uuid(n)));
        let rows = list_audit_rows(&mut tx, selection, before, 9).await.unwrap();
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id.as_uuid()).collect();
        let expected: Vec<Uuid> = expected.iter().map(|n| uuid(*n)).collect();
        assert_eq!(ids, expected, "{selection:?}");
    }
    let one = list_audit_rows(&mut tx, all, None, 1)
        .await
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        (one.at, one.member_id, one.detail),
        (at(4), of(8), json!({"n": 4}))
    );
}
