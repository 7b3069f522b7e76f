//! What happened to a person, as one list.

use rolecall_db::{
    Transaction,
    audit::{AuditLine, insert_audit_line},
    inbox::{NewInboxEvent, insert_event},
    notifications::{Channel, NewNotification, insert_notification},
    purchases::write_purchase,
    subscriptions::SubscriptionRead,
    timeline::list_happenings,
};
use rolecall_domain::{
    ids::{AuditId, MemberId, NotificationId},
    message::MessageKind,
};
use serde_json::{json, value::RawValue};

use crate::{
    purchases::purchase,
    support::{TestDb, at, parse, person, read, subscribe, uuid},
};

async fn audit(tx: &mut Transaction, n: u32, member_id: MemberId) {
    let line = AuditLine {
        id: AuditId::from_uuid(uuid(n)),
        at: at(n.into()),
        actor: "system",
        action: "roles.change",
        member_id: Some(member_id),
        subject: "guild 1",
        detail: json!({"lost": []}),
    };
    insert_audit_line(tx, &line).await.unwrap();
}

async fn message(tx: &mut Transaction, n: u32, member_id: MemberId) {
    let new = NewNotification {
        id: NotificationId::from_uuid(uuid(n)),
        member_id,
        kind: MessageKind::PaymentFailed,
        channel: Channel::Mail,
        dedup_key: &n.to_string(),
        args: json!({}),
        send_at: at(0),
    };
    assert!(insert_notification(tx, &new, at(n.into())).await.unwrap());
}

/// An event that came in at second `n`, about this.
async fn event(tx: &mut Transaction, n: u32, subject: serde_json::Value) {
    let payload = RawValue::from_string("{}".to_owned()).unwrap();
    let id = parse(&format!("evt_{n}"));
    let new = NewInboxEvent {
        id: &id,
        kind: "invoice.paid",
        livemode: false,
        occurred_at: at(0),
        payload: &payload,
        next_attempt_at: at(0),
    };
    insert_event(tx, &new).await.unwrap();
    sqlx::query("UPDATE inbox SET seen_at = $2, subject = $3 WHERE event_id = $1")
        .bind(id.as_str())
        .bind(at(n.into()))
        .bind(subject)
        .execute(&mut **tx)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_timeline_tells_all_of_one_person_page_by_page_and_nothing_of_another() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (id, member_id) in [("sub_1", one), ("sub_2", other)] {
        let subscription = SubscriptionRead {
            member_id: Some(member_id),
            ..read(id)
        };
        subscribe(&mut tx, &subscription).await;
    }
    let bought = purchase("cs_1", Some(one), None);
    assert!(write_purchase(&mut tx, &bought, None, at(0)).await.unwrap());
    audit(&mut tx, 1, one).await;
    audit(&mut tx, 2, other).await;
    message(&mut tx, 3, one).await;
    message(&mut tx, 4, other).await;
    event(&mut tx, 5, json!({"subscriptions": ["sub_9", "sub_1"]})).await;
    event(&mut tx, 6, json!({"subscriptions": ["sub_2"]})).await;
    event(&mut tx, 7, json!({"checkout_session": "cs_1"})).await;
    event(&mut tx, 8, json!(null)).await;
    // At the same moment as a message.
    audit(&mut tx, 3, one).await;

    let (mut seen, mut last) = (Vec::new(), None);
    loop {
        let page = list_happenings(&mut tx, one, last.as_ref(), 2).await.unwrap();
        let Some(end) = page.last() else { break };
        last = Some(end.place());
        seen.extend(page.into_iter().map(|line| (line.kind, line.what, line.state)));
    }
    let line = |kind: &str, what: &str, state: Option<&str>| {
        (kind.to_owned(), what.to_owned(), state.map(str::to_owned))
    };
    assert_eq!(
        seen,
        [
            line("event", "invoice.paid", Some("pending")),
            line("event", "invoice.paid", Some("pending")),
            line("message", "payment_failed", Some("due")),
            line("audit", "roles.change", None),
            line("audit", "roles.change", None),
        ]
    );
}
