//! `notifications`: each message once.

use rolecall_db::{
    Transaction,
    discord_accounts::{DiscordAccount, insert_account},
    members::set_profile,
    notifications::{
        Channel, NewNotification, cancel_direct_messages, cancel_notifications, claim_notification,
        find_attempts, find_newest_notification, insert_notification, list_notifications_of,
        list_overdue_notifications, set_claimed_until, set_notification_failed, set_notification_sent,
        set_notification_unclaimed, wants_direct_messages,
    },
};
use rolecall_domain::{
    ids::{MemberId, NotificationId},
    message::MessageKind,
};
use serde_json::json;

use crate::support::{TestDb, at, at_once, person, user, uuid};

fn id(n: u32) -> NotificationId {
    NotificationId::from_uuid(uuid(n))
}

async fn owe(tx: &mut Transaction, n: u32, member_id: MemberId, dedup_key: &str, seconds: i64) -> bool {
    let new = NewNotification {
        id: id(n),
        member_id,
        kind: MessageKind::PaymentFailed,
        channel: Channel::Mail,
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

#[tokio::test]
async fn who_declines_discord_is_not_written_to_there_by_what_has_not_left() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let failed = MessageKind::PaymentFailed;
    owe_about(&mut tx, 1, one, failed, "sub_1").await;
    owe_about(&mut tx, 2, one, failed, "sub_1").await;
    set_notification_sent(&mut tx, id(2), at(9)).await.unwrap();
    assert!(owe(&mut tx, 3, one, "by mail", 0).await);
    owe_about(&mut tx, 4, other, failed, "sub_1").await;
    assert_eq!(cancel_direct_messages(&mut tx, one).await.unwrap(), 1);
    let mut states = Vec::new();
    for member_id in [one, other] {
        let listed = list_notifications_of(&mut tx, member_id, None, 10).await.unwrap();
        states.extend(listed.into_iter().map(|line| line.state));
    }
    assert_eq!(states, ["due", "sent", "cancelled", "due"]);
    assert_eq!(
        list_overdue_notifications(&mut tx, at(99), 9)
            .await
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn what_is_called_off_while_it_is_being_sent_is_not_tried_again() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    let failed = MessageKind::PaymentFailed;
    for n in 1..=4 {
        owe_about(&mut tx, n, one, failed, "sub_1").await;
        claim_notification(&mut tx, id(n), at(1), at(60)).await.unwrap();
    }
    let off = cancel_notifications(&mut tx, one, "sub_1", &[failed]).await;
    assert_eq!(off.unwrap(), 4);
    // A sender may hear any of these.
    set_notification_failed(&mut tx, id(1), "away", Some(at(70)))
        .await
        .unwrap();
    set_notification_unclaimed(&mut tx, id(2), at(70)).await.unwrap();
    set_claimed_until(&mut tx, id(3), at(70)).await.unwrap();
    set_notification_sent(&mut tx, id(4), at(9)).await.unwrap();
    let listed = list_notifications_of(&mut tx, one, None, 10).await.unwrap();
    let states: Vec<String> = listed.into_iter().map(|line| line.state).collect();
    assert_eq!(states, ["sent", "cancelled", "cancelled", "cancelled"]);
    let overdue = list_overdue_notifications(&mut tx, at(99), 9).await.unwrap();
    assert!(overdue.is_empty());
}

/// Owes a message of a kind about a subscription.
async fn owe_about(tx: &mut Transaction, n: u32, member_id: MemberId, kind: MessageKind, subject: &str) {
    let new = NewNotification {
        id: id(n),
        member_id,
        kind,
        channel: Channel::Discord,
        dedup_key: &format!("key {n}"),
        args: json!({"subscription": subject, "n": n}),
        send_at: at(0),
    };
    assert!(insert_notification(tx, &new, at(i64::from(n))).await.unwrap());
}

#[tokio::test]
async fn only_messages_of_that_kind_about_that_which_have_not_left_are_called_off() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let (failed, midway) = (MessageKind::PaymentFailed, MessageKind::GraceMidway);
    owe_about(&mut tx, 1, one, failed, "sub_1").await;
    owe_about(&mut tx, 2, one, midway, "sub_1").await;
    owe_about(&mut tx, 3, one, failed, "sub_2").await;
    owe_about(&mut tx, 4, other, failed, "sub_1").await;
    owe_about(&mut tx, 5, one, failed, "sub_1").await;
    set_notification_sent(&mut tx, id(5), at(9)).await.unwrap();
    let newest = find_newest_notification(&mut tx, one, "sub_1", &[failed, midway])
        .await
        .unwrap();
    assert_eq!(newest, Some((failed, json!({"subscription": "sub_1", "n": 5}))));
    let newest = find_newest_notification(&mut tx, one, "sub_1", &[midway])
        .await
        .unwrap();
    assert_eq!(newest.map(|(kind, _)| kind), Some(midway));
    assert_eq!(
        cancel_notifications(&mut tx, one, "sub_1", &[failed])
            .await
            .unwrap(),
        1
    );
    let states = async |tx: &mut Transaction, member| {
        let listed = list_notifications_of(tx, member, None, 10).await.unwrap();
        listed
            .into_iter()
            .map(|line| (line.id, line.state))
            .collect::<Vec<_>>()
    };
    let state = |n, state: &str| (id(n), state.to_owned());
    assert_eq!(
        states(&mut tx, one).await,
        [
            state(5, "sent"),
            state(3, "due"),
            state(2, "due"),
            state(1, "cancelled")
        ]
    );
    assert_eq!(states(&mut tx, other).await, [state(4, "due")]);
    assert_eq!(
        claim_notification(&mut tx, id(1), at(1), at(60)).await.unwrap(),
        None,
        "it never leaves"
    );
}

#[tokio::test]
async fn a_person_s_messages_are_listed_page_by_page() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for n in 1..=3 {
        owe_about(&mut tx, n, one, MessageKind::Welcome, "sub_1").await;
    }
    set_notification_failed(&mut tx, id(2), "no", None).await.unwrap();
    let first = list_notifications_of(&mut tx, one, None, 2).await.unwrap();
    assert_eq!([first[0].id, first[1].id], [id(3), id(2)]);
    assert_eq!(
        (
            first[1].kind.as_str(),
            first[1].channel,
            first[1].last_error.as_deref()
        ),
        ("welcome", Channel::Discord, Some("no"))
    );
    assert_eq!((first[1].created_at, first[1].sent_at), (at(2), None));
    let rest = list_notifications_of(&mut tx, one, Some(first[1].id), 2)
        .await
        .unwrap();
    assert_eq!(rest.iter().map(|line| line.id).collect::<Vec<_>>(), [id(1)]);
}

#[tokio::test]
async fn only_a_message_that_is_being_sent_has_attempts_to_note() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    owe(&mut tx, 1, one, "a", 0).await;
    owe(&mut tx, 2, one, "b", 0).await;
    assert_eq!(
        find_attempts(&mut tx, id(1)).await.unwrap(),
        None,
        "nobody sends it"
    );
    claim_notification(&mut tx, id(1), at(1), at(60)).await.unwrap();
    assert_eq!(find_attempts(&mut tx, id(1)).await.unwrap(), Some(1));
    set_notification_failed(&mut tx, id(1), "try later", Some(at(50)))
        .await
        .unwrap();
    assert_eq!(
        find_attempts(&mut tx, id(1)).await.unwrap(),
        Some(1),
        "a copy of it may have left"
    );
    assert_eq!(find_attempts(&mut tx, id(2)).await.unwrap(), None);
    set_notification_sent(&mut tx, id(1), at(2)).await.unwrap();
    assert_eq!(find_attempts(&mut tx, id(1)).await.unwrap(), None, "it has left");
    set_notification_failed(&mut tx, id(1), "a copy failed", Some(at(90)))
        .await
        .unwrap();
    assert_eq!(
        claim_notification(&mut tx, id(1), at(99), at(199)).await.unwrap(),
        None,
        "and does not come back"
    );
}

#[tokio::test]
async fn a_message_that_is_given_back_untried_counts_no_try() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for (n, key) in [(1, "a"), (2, "b"), (3, "c")] {
        owe(&mut tx, n, one, key, 0).await;
        claim_notification(&mut tx, id(n), at(1), at(2)).await.unwrap();
    }
    set_notification_sent(&mut tx, id(3), at(2)).await.unwrap();
    for n in [1, 3] {
        set_notification_unclaimed(&mut tx, id(n), at(50)).await.unwrap();
    }
    assert_eq!(
        list_overdue_notifications(&mut tx, at(49), 9).await.unwrap(),
        [id(2)]
    );
    let again = claim_notification(&mut tx, id(1), at(50), at(60)).await.unwrap();
    assert_eq!(again.map(|claimed| claimed.attempts), Some(1));
    let again = claim_notification(&mut tx, id(2), at(50), at(60)).await.unwrap();
    assert_eq!(again.map(|claimed| claimed.attempts), Some(2));
    assert_eq!(
        claim_notification(&mut tx, id(3), at(99), at(199)).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn only_who_linked_discord_and_did_not_decline_is_written_to_there() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let members = [
        person(&mut tx, 1).await,
        person(&mut tx, 2).await,
        person(&mut tx, 3).await,
    ];
    for (n, member_id) in [(1, members[0]), (2, members[1])] {
        let account = DiscordAccount {
            user_id: user(n),
            member_id,
            username: "somebody".to_owned(),
        };
        insert_account(&mut tx, &account, at(0)).await.unwrap();
    }
    sqlx::query("UPDATE members SET direct_messages = false WHERE id = $1")
        .bind(members[1].as_uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    let mut wants = Vec::new();
    for member_id in members.into_iter().chain([MemberId::from_uuid(uuid(9))]) {
        wants.push(wants_direct_messages(&mut tx, member_id).await.unwrap());
    }
    assert_eq!(wants, [true, false, false, false]);
    owe_about(&mut tx, 1, members[0], MessageKind::Welcome, "sub_1").await;
    let claimed = claim_notification(&mut tx, id(1), at(1), at(60))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (claimed.channel, claimed.discord_user_id),
        (Channel::Discord, Some(user(1)))
    );
}
