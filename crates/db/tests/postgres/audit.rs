//! `audit`: what is written is what was done.

use chrono::{DateTime, Utc};
use rolecall_db::audit::{AuditLine, insert_audit_line};
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
