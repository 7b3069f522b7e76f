//! `notifications`: each message once.

use rolecall_db::{
    Transaction,
    members::set_profile,
    notifications::{
        NewNotification, claim_notification, insert_notification, list_overdue_notifications,
        set_notification_failed, set_notification_sent,
    },
};
use rolecall_domain::ids::{MemberId, NotificationId};
use serde_json::json;

use crate::support::{TestDb, at, at_once, person, uuid};

fn id(n: u32) -> NotificationId {
    NotificationId::from_uuid(uuid(n))
}

async fn owe(tx: &mut Transaction, n: u32, member_id: MemberId, dedup_key: &str, seconds: i64) -> bool {
    let new = NewNotification {
        id: id(n),
        member_id,
        kind: rolecall_domain::message::MessageKind::PaymentFailed,
        channel: rolecall_db::notifications::Channel::Mail,
        dedup_key,
        args: json!({"n": n}),
        send_at: at(seconds),
    };
    insert_notification(tx, &new, at(0)).await.unwrap()
}

#[tokio::test]
async fn a_message_is_owed_once_however_often_its_cause_is_seen() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    assert!(owe(&mut tx, 1, one, "invoice:in_1", 0).await);
    assert!(!owe(&mut tx, 2, one, "invoice:in_1", 0).await);
    assert!(owe(&mut tx, 3, one, "invoice:in_2", 0).await);
    set_notification_sent(&mut tx, id(1), at(1)).await.unwrap();
    assert!(!owe(&mut tx, 4, one, "invoice:in_1", 0).await, "it was sent");
}

#[tokio::test]
async fn a_claim_brings_the_message_with_the_address_of_its_person() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    set_profile(&mut tx, one, "One", Some("one@example.org"))
        .await
        .unwrap();
    owe(&mut tx, 1, one, "a", 0).await;
    owe(&mut tx, 2, other, "b", 0).await;
    let claimed = claim_notification(&mut tx, id(1), at(1), at(60))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (claimed.id, claimed.member_id, claimed.kind.as_str()),
        (id(1), one, "payment_failed")
    );
    assert_eq!((claimed.args, claimed.attempts), (json!({"n": 1}), 1));
    assert_eq!(
        (claimed.display_name.as_str(), claimed.email.as_deref()),
        ("One", Some("one@example.org"))
    );
    let claimed = claim_notification(&mut tx, id(2), at(1), at(60))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((claimed.member_id, claimed.email), (other, None));
    assert_eq!(
        claim_notification(&mut tx, id(3), at(1), at(60)).await.unwrap(),
        None
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_parallel_senders_one_gets_the_message() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    owe(&mut tx, 1, one, "a", 0).await;
    owe(&mut tx, 2, one, "b", 0).await;
    tx.commit().await.unwrap();
    let claims = at_once(10, |_| {
        let database = db.database();
        async move {
            let mut tx = database.begin().await.unwrap();
            let claimed = claim_notification(&mut tx, id(1), at(1), at(60)).await.unwrap();
            tx.commit().await.unwrap();
            claimed
        }
    });
    assert_eq!(claims.await.into_iter().flatten().count(), 1);
    let mut tx = db.begin().await;
    assert!(
        claim_notification(&mut tx, id(2), at(1), at(60))
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn a_claim_ends_when_its_time_is_over() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    owe(&mut tx, 1, one, "a", 0).await;
    claim_notification(&mut tx, id(1), at(1), at(60))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        claim_notification(&mut tx, id(1), at(59), at(99)).await.unwrap(),
        None
    );
    let again = claim_notification(&mut tx, id(1), at(60), at(99))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(again.attempts, 2);
}

#[tokio::test]
async fn what_was_sent_or_cannot_be_delivered_is_never_claimed_again() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for (n, key) in [(1, "a"), (2, "b"), (3, "c")] {
        owe(&mut tx, n, one, key, 0).await;
        claim_notification(&mut tx, id(n), at(1), at(2))
            .await
            .unwrap()
            .unwrap();
    }
    set_notification_sent(&mut tx, id(1), at(1)).await.unwrap();
    set_notification_failed(&mut tx, id(2), "no such mailbox", None)
        .await
        .unwrap();
    set_notification_failed(&mut tx, id(3), "try later", Some(at(50)))
        .await
        .unwrap();
    for n in [1, 2] {
        assert_eq!(
            claim_notification(&mut tx, id(n), at(100), at(200))
                .await
                .unwrap(),
            None
        );
    }
    assert_eq!(list_overdue_notifications(&mut tx, at(49), 9).await.unwrap(), []);
    assert_eq!(
        list_overdue_notifications(&mut tx, at(50), 9).await.unwrap(),
        [id(3)]
    );
    assert_eq!(
        claim_notification(&mut tx, id(3), at(50), at(60))
            .await
            .unwrap()
            .unwrap()
            .attempts,
        2
    );
    assert!(set_notification_sent(&mut tx, id(9), at(1)).await.is_err());
    assert!(set_notification_failed(&mut tx, id(9), "", None).await.is_err());
}

#[tokio::test]
async fn messages_past_their_time_are_listed_the_oldest_first_also_those_of_a_dead_sender() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for (n, seconds) in [(1, 30), (2, 10), (3, 20), (4, 99)] {
        owe(&mut tx, n, one, &n.to_string(), seconds).await;
    }
    claim_notification(&mut tx, id(2), at(0), at(25))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        list_overdue_notifications(&mut tx, at(24), 9).await.unwrap(),
        [id(3)]
    );
    assert_eq!(
        list_overdue_notifications(&mut tx, at(30), 9).await.unwrap(),
        [id(3), id(2), id(1)]
    );
    assert_eq!(
        list_overdue_notifications(&mut tx, at(30), 2).await.unwrap(),
        [id(3), id(2)]
    );
}
