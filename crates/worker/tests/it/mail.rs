//! Messages leave once, as far as a mail server lets anybody know.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::notifications::claim_notification;
use rolecall_domain::ids::NotificationId;
use rolecall_queue::{JobError, Queue, jobs::SendNotification};
use rolecall_sandbox::mail::message::Message;
use rolecall_worker::{ctx::Ctx, handlers::send_notification, mail::Mailer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Person, World, plans::COUNCIL, soon, until};

impl World {
    /// Somebody who is owed a welcome; its hint is not in Redis any more.
    async fn welcome_owed(&self) -> (Person, NotificationId) {
        let person = self.person().await;
        self.buy(&person, COUNCIL);
        self.deliver_new().await;
        let hints = self.redis.take(Queue::Jobs).await;
        assert_eq!(
            hints.iter().filter(|job| job.kind == "send_notification").count(),
            1
        );
        let row = self.message().await;
        (person, row["id"].as_str().unwrap().parse().unwrap())
    }

    /// The only message.
    async fn message(&self) -> Value {
        let mut rows = self.notifications().await;
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows.remove(0)
    }

    fn mailer(&self, patience: Duration) -> Mailer {
        Mailer::new(&self.mail.smtp_url().into(), "Council <hello@council.example>")
            .unwrap()
            .with_patience(patience)
    }

    async fn send(&self, ctx: &Arc<Ctx>, notification_id: NotificationId) -> Result<(), JobError> {
        send_notification::run(
            Arc::clone(ctx),
            SendNotification { notification_id },
            self.attempt(),
        )
        .await
    }
}

/// Lets the time pass that processes wait, all at once.
async fn pass(time: Duration) {
    // Whoever was woken just now begins to wait first.
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn message_id(message: &Message) -> &str {
    let header = message
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("message-id"));
    &header.unwrap().1
}

#[tokio::test]
async fn a_welcome_names_the_person_and_goes_to_them_alone() {
    let world = World::start().await;
    let (person, id) = world.welcome_owed().await;
    world.send(&world.worker, id).await.unwrap();
    let messages = world.mail.messages();
    let [message] = messages.as_slice() else {
        panic!("{messages:?}")
    };
    assert_eq!(message.envelope_to, [person.email.as_str()]);
    assert_eq!(message_id(message), format!("<{id}@council.example>"));
    assert!(
        message
            .links()
            .contains(&"https://council.example/dashboard".to_owned())
    );
    assert!(message.text.as_ref().unwrap().contains("Person 1"));
    let row = world.message().await;
    assert_eq!(
        (&row["state"], &row["last_error"]),
        (&json!("sent"), &json!(null))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_hints_at_once_send_a_message_once() {
    let world = Arc::new(World::start().await);
    let (_, id) = world.welcome_owed().await;
    let mut set = JoinSet::new();
    for _ in 0..10 {
        let world = Arc::clone(&world);
        set.spawn(async move { world.send(&world.worker, id).await.unwrap() });
    }
    soon(set.join_all()).await;
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn a_sender_that_died_is_taken_up_after_its_claim_with_the_same_message_id() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    world.send(&world.worker, id).await.unwrap();
    let first = world.mail.messages().remove(0);

    // Another one is sent too, but its sender dies before it can note that.
    let (_, dead) = {
        let person = world.person().await;
        world.buy(&person, COUNCIL);
        world.deliver_new().await;
        world.redis.flush().await;
        let rows = world.notifications().await;
        (person, rows[1]["id"].as_str().unwrap().parse().unwrap())
    };
    let mut tx = world.worker.db.begin().await.unwrap();
    let until = world.now() + TimeDelta::minutes(1);
    assert!(
        claim_notification(&mut tx, dead, world.now(), until)
            .await
            .unwrap()
            .is_some()
    );
    tx.commit().await.unwrap();
    world.cron("due_sweep").await;
    world.settle().await;
    world.send(&world.worker, dead).await.unwrap();
    assert_eq!(world.mail.messages().len(), 1, "somebody may still be sending it");
    world.sweep().await;
    let second = world.mail.messages().remove(1);
    assert_eq!(message_id(&second), format!("<{dead}@council.example>"));
    assert_ne!(message_id(&first), message_id(&second));
    world.sweep().await;
    assert_eq!(world.mail.messages().len(), 2);
}

#[tokio::test]
async fn a_mail_server_that_refuses_for_now_gets_it_later_and_once() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    world.mail.refuse_next(2, 451);
    world.send(&world.worker, id).await.unwrap();
    let row = world.message().await;
    assert_eq!((&row["state"], &row["attempts"]), (&json!("due"), &json!(1)));
    assert!(row["last_error"].as_str().unwrap().contains("451"), "{row}");
    world.sweep().await;
    assert_eq!(world.message().await["attempts"], 2);
    world.sweep().await;
    assert_eq!(world.mail.messages().len(), 1);
    world.sweep().await;
    assert_eq!(world.mail.messages().len(), 1);
    assert_eq!(world.message().await["state"], "sent");
}

#[tokio::test]
async fn a_mail_server_that_is_away_gets_it_later() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    let nowhere = Mailer::new(&"smtp://127.0.0.1:1".into(), "a@council.example").unwrap();
    let cut_off = Arc::new(Ctx {
        mailer: Some(nowhere),
        ..world.another_worker("cut-off")
    });
    world.send(&cut_off, id).await.unwrap();
    assert_eq!(world.message().await["state"], "due");
    world.sweep().await;
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn a_mail_server_that_says_nothing_gets_a_letter_less_and_less_often_and_not_without_end() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    let hasty = Arc::new(Ctx {
        mailer: Some(world.mailer(Duration::from_millis(100))),
        ..world.another_worker("hasty")
    });
    world.mail.be_silent(u32::MAX);
    let mut waits = Vec::new();
    loop {
        soon(world.send(&hasty, id)).await.unwrap();
        let complaint = hasty.mailer.as_ref().unwrap().complaint();
        assert_eq!(complaint.as_deref(), Some("does not answer in time"));
        let row = world.message().await;
        if row["state"] == "undeliverable" {
            break;
        }
        assert_eq!(row["state"], "due");
        assert!(
            row["last_error"].as_str().unwrap().contains("did not answer"),
            "{row}"
        );
        let again: DateTime<Utc> = row["send_at"].as_str().unwrap().parse().unwrap();
        waits.push(again - world.now());
        world.advance(again - world.now());
    }
    assert!(waits.is_sorted() && waits[0] < TimeDelta::minutes(1), "{waits:?}");
    let days = waits.iter().sum::<TimeDelta>().num_days();
    assert!((1..7).contains(&days), "given up after {days} days");
    let row = world.message().await;
    let error = row["last_error"].as_str().unwrap();
    assert!(
        error.contains("given up") && error.contains("did not answer"),
        "{row}"
    );
    let letters = world.mail.messages();
    assert_eq!(letters.len(), waits.len() + 1);
    assert!(
        letters
            .iter()
            .all(|letter| message_id(letter) == format!("<{id}@council.example>"))
    );
}

#[tokio::test]
async fn a_letter_that_a_slow_mail_server_has_keeps_no_drain_from_its_end_and_is_sent_again_by_the_next() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    let stopping = Arc::new(world.another_worker("stopping"));
    world.mail.be_silent(1);
    let mut sending = JoinSet::new();
    let send = SendNotification { notification_id: id };
    sending.spawn(send_notification::run(
        Arc::clone(&stopping),
        send,
        world.attempt(),
    ));
    until(async || world.mail.messages().len() == 1).await;
    stopping.stop.cancel();
    pass(Duration::from_secs(10)).await;
    soon(sending.join_next()).await.unwrap().unwrap().unwrap();
    let row = world.message().await;
    assert_eq!(row["state"], "due");
    assert!(
        row["last_error"].as_str().unwrap().contains("stopped before"),
        "{row}"
    );
    world.sweep().await;
    assert_eq!(world.message().await["state"], "sent");
    let letters = world.mail.messages();
    assert_eq!(message_id(&letters[0]), message_id(&letters[1]));
}

#[tokio::test]
async fn while_a_mail_server_is_slow_one_letter_waits_for_it_and_the_others_wait_for_that_one() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    let hasty = Arc::new(Ctx {
        mailer: Some(world.mailer(Duration::from_millis(100))),
        ..world.another_worker("hasty")
    });
    world.mail.be_silent(1);
    soon(world.send(&hasty, id)).await.unwrap();
    let probe = hasty.mailer.as_ref().unwrap().turn().unwrap();
    soon(world.send(&hasty, id)).await.unwrap();
    let row = world.message().await;
    assert_eq!((&row["state"], &row["attempts"]), (&json!("due"), &json!(1)));
    assert_eq!(world.mail.messages().len(), 1, "it is not tried");
    drop(probe);
    soon(world.send(&hasty, id)).await.unwrap();
    assert_eq!(world.message().await["state"], "sent");
    assert_eq!(hasty.mailer.as_ref().unwrap().complaint(), None);
    let free = hasty.mailer.as_ref().unwrap();
    let turns = (free.turn(), free.turn());
    assert!(turns.0.is_some() && turns.1.is_some());
}

#[tokio::test]
async fn a_message_that_is_refused_for_good_is_undeliverable_and_says_why() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    world.mail.refuse_next(1, 550);
    let result = world.send(&world.worker, id).await;
    assert!(matches!(result, Err(JobError::Cancel(_))), "{result:?}");
    let row = world.message().await;
    assert_eq!(
        (&row["state"], &row["send_at"]),
        (&json!("undeliverable"), &json!(null))
    );
    assert!(row["last_error"].as_str().unwrap().contains("550"), "{row}");
    world.sweep().await;
    assert!(world.mail.messages().is_empty());
}

#[tokio::test]
async fn without_a_mail_server_the_row_says_so() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    let without = Arc::new(Ctx {
        mailer: None,
        ..world.another_worker("without")
    });
    world
        .send(&without, id)
        .await
        .expect("it is noted in the row and nowhere else");
    let row = world.message().await;
    assert_eq!(row["state"], "undeliverable");
    assert!(row["last_error"].as_str().unwrap().contains("SMTP_URL"), "{row}");
}

#[tokio::test]
async fn somebody_without_an_address_is_not_written_to_and_the_row_says_so() {
    let world = World::start().await;
    let (_, id) = world.welcome_owed().await;
    world
        .postgres
        .tamper("UPDATE members SET email = NULL")
        .await
        .unwrap();
    world
        .send(&world.worker, id)
        .await
        .expect("it is noted in the row and nowhere else");
    let row = world.message().await;
    assert_eq!(row["state"], "undeliverable");
    assert!(
        row["last_error"]
            .as_str()
            .unwrap()
            .contains("no verified e-mail address"),
        "{row}"
    );
}
