//! Messages about a debt: each once, at its time, both ways, with a link to pay; and none that is not
//! true any more.

use std::sync::Arc;

use chrono::TimeDelta;
use rolecall_queue::{
    Queue,
    jobs::{MessageOutcome, MessageResult},
};
use rolecall_worker::handlers::message_outcome;
use serde_json::{Value, json};

use crate::support::{Person, World, plans::GRACE};

impl World {
    /// The subjects of all mails after the welcome.
    fn subjects(&self) -> Vec<String> {
        let messages = self.mail.messages();
        let subjects = messages.into_iter().skip(1).map(|message| message.subject);
        subjects.collect()
    }

    /// Lets time pass, and what it gives cause to happen; twice, as a job that runs too often does.
    async fn pass(&self, time: TimeDelta) {
        self.advance(time);
        for _ in 0..2 {
            self.cron("grace_expiry").await;
            self.settle().await;
        }
    }

    /// A member whose payment has just failed, and their subscription.
    async fn debtor(&self) -> (Person, String) {
        let (person, subscription) = self.council_member().await;
        self.advance(TimeDelta::days(30));
        self.stripe.fail_payment(&subscription).unwrap();
        self.follow().await;
        (person, subscription)
    }

    async fn by_discord(&self) -> Vec<Value> {
        let rows = self.notifications().await;
        let by_discord = rows.into_iter().filter(|row| row["channel"] == "discord");
        by_discord.collect()
    }
}

const FAILED: &str = "Your payment did not go through";
const MIDWAY: &str = "A reminder: your payment is still open";
const LAST_DAY: &str = "Your access ends soon";
const REMOVED: &str = "Your access has been paused";
const RECOVERED: &str = "Thank you: your payment has arrived";

#[tokio::test]
async fn a_debt_is_told_four_times_and_its_payment_once_however_often_the_job_runs() {
    let world = World::start().await;
    let (_, subscription) = world.debtor().await;
    assert_eq!(world.subjects(), [FAILED]);
    world.pass(GRACE / 2 - TimeDelta::seconds(1)).await;
    assert_eq!(world.subjects(), [FAILED], "before its middle");
    world.pass(TimeDelta::seconds(1)).await;
    assert_eq!(world.subjects(), [FAILED, MIDWAY]);
    world.pass(GRACE / 2 - TimeDelta::days(1)).await;
    assert_eq!(world.subjects(), [FAILED, MIDWAY, LAST_DAY]);
    world.pass(TimeDelta::days(1)).await;
    assert_eq!(world.subjects(), [FAILED, MIDWAY, LAST_DAY, REMOVED]);
    world.pass(TimeDelta::days(10)).await;
    world.stripe.pay_open_invoice(&subscription).unwrap();
    world.follow().await;
    world.pass(TimeDelta::days(1)).await;
    assert_eq!(world.subjects(), [FAILED, MIDWAY, LAST_DAY, REMOVED, RECOVERED]);
    let written: Vec<String> = world
        .bot()
        .messages
        .iter()
        .map(|message| message.text.clone())
        .collect();
    assert_eq!(written.len(), 5, "each of them by Discord, too");
    assert!(
        written[0].contains(FAILED) && written[4].contains(RECOVERED),
        "{written:?}"
    );
}

#[tokio::test]
async fn each_message_links_the_page_where_the_debt_can_be_paid() {
    let world = World::start().await;
    let (_, subscription) = world.debtor().await;
    world.pass(GRACE).await;
    let invoice = world.stripe.object(&subscription).unwrap()["latest_invoice"].clone();
    let invoice = world.stripe.object(invoice.as_str().unwrap()).unwrap();
    let page = invoice["hosted_invoice_url"].as_str().unwrap().to_owned();
    let mails = world.mail.messages();
    assert!(mails.len() > 2);
    for mail in mails.iter().skip(1) {
        assert!(
            mail.links().contains(&page),
            "{}: {:?}",
            mail.subject,
            mail.links()
        );
        assert!(mail.text.as_ref().unwrap().contains(&page), "{}", mail.subject);
    }
    assert!(
        world
            .bot()
            .messages
            .iter()
            .all(|message| message.text.contains(&page))
    );
}

#[tokio::test]
async fn a_worker_that_was_away_makes_up_for_no_reminder_whose_time_has_passed() {
    let world = World::start().await;
    let (_, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    world.stripe.fail_payment(&subscription).unwrap();
    world.advance(GRACE + TimeDelta::days(1));
    world.follow().await;
    assert_eq!(world.subjects(), [REMOVED]);
}

#[tokio::test]
async fn a_message_that_has_not_left_when_the_debt_is_paid_never_leaves() {
    let world = World::start().await;
    let (_, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    world.stripe.fail_payment(&subscription).unwrap();
    // Redis loses the hints: the messages are owed and nobody is told.
    world.deliver_new().await;
    world.redis.take(rolecall_queue::Queue::Jobs).await;
    world.stripe.pay_open_invoice(&subscription).unwrap();
    world.follow().await;
    world.pass(TimeDelta::hours(1)).await;
    world.sweep().await;
    assert_eq!(world.subjects(), [RECOVERED]);
    let cancelled = world.notifications().await;
    let cancelled = cancelled.iter().filter(|row| row["state"] == "cancelled");
    assert_eq!(cancelled.count(), 2, "the mail and the direct message");
}

#[tokio::test]
async fn a_second_debt_is_told_anew() {
    let world = World::start().await;
    let (_, subscription) = world.debtor().await;
    world.stripe.pay_open_invoice(&subscription).unwrap();
    world.follow().await;
    world.advance(TimeDelta::days(30));
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    assert_eq!(world.subjects(), [FAILED, RECOVERED, FAILED]);
}

#[tokio::test]
async fn who_ends_their_membership_in_debt_is_not_told_that_they_paid() {
    let world = World::start().await;
    let (_, subscription) = world.debtor().await;
    world.stripe.cancel(&subscription).unwrap();
    world.follow().await;
    world.pass(GRACE).await;
    assert_eq!(world.subjects(), [FAILED]);
}

#[tokio::test]
async fn who_declined_direct_messages_gets_mail_alone() {
    let world = World::start().await;
    world.council_member().await;
    world
        .rows("UPDATE members SET direct_messages = false RETURNING to_jsonb(members)")
        .await;
    let subscription = world.rows("SELECT to_jsonb(id) FROM subscriptions").await;
    world.advance(TimeDelta::days(30));
    world
        .stripe
        .fail_payment(subscription[0].as_str().unwrap())
        .unwrap();
    world.follow().await;
    assert_eq!(world.subjects(), [FAILED]);
    assert!(world.by_discord().await.is_empty());
}

#[tokio::test]
async fn a_closed_door_at_discord_is_noted_and_not_knocked_at_again() {
    let world = World::start().await;
    world.bot().message_result = Some(MessageResult::Refused {
        code: 50_007,
        message: "Cannot send messages to this user".to_owned(),
    });
    world.debtor().await;
    world.sweep().await;
    let rows = world.by_discord().await;
    let [row] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    assert_eq!(
        (&row["state"], &row["attempts"]),
        (&json!("undeliverable"), &json!(1))
    );
    assert!(row["last_error"].as_str().unwrap().contains("50007"), "{row}");
    assert_eq!(world.subjects(), [FAILED], "the mail has left");
}

#[tokio::test]
async fn a_bot_that_does_not_answer_is_told_again() {
    let world = World::start().await;
    world.bot().message_result = Some(MessageResult::Failed {
        message: "Discord is away".to_owned(),
    });
    world.debtor().await;
    assert!(world.bot().messages.is_empty());
    world.bot().message_result = None;
    world.advance(TimeDelta::minutes(2));
    world.sweep().await;
    assert_eq!(world.bot().messages.len(), 1);
    assert_eq!(world.by_discord().await[0]["state"], "sent");
}

#[tokio::test]
async fn a_message_whose_first_copy_failed_and_whose_second_one_left_is_not_written_again() {
    let world = World::start().await;
    world.bot().message_result = Some(MessageResult::Failed {
        message: "Discord is away".to_owned(),
    });
    world.debtor().await;
    world.bot().message_result = None;
    let row = world.by_discord().await.remove(0);
    assert_eq!((&row["state"], &row["attempts"]), (&json!("due"), &json!(1)));
    // The other copy was under way all the time.
    let left = MessageOutcome {
        notification_id: row["id"].as_str().unwrap().parse().unwrap(),
        result: MessageResult::Sent,
    };
    message_outcome::run(Arc::clone(&world.worker), left, world.attempt())
        .await
        .unwrap();
    assert_eq!(world.by_discord().await[0]["state"], "sent");
    world.sweep().await;
    assert!(world.bot().messages.is_empty());
}

#[tokio::test]
async fn a_bot_that_is_away_is_handed_a_message_less_and_less_often() {
    let world = World::start().await;
    let (_, subscription) = world.council_member().await;
    world.advance(TimeDelta::days(30));
    world.stripe.fail_payment(&subscription).unwrap();
    world.deliver_new().await;
    let mut copies = 0;
    for _ in 0..24 * 6 {
        world.run_jobs().await;
        let bulk = world.redis.take(Queue::RoleCommandsBulk).await;
        copies += bulk
            .iter()
            .filter(|job| job.kind == "send_direct_message")
            .count();
        world.advance(TimeDelta::minutes(10));
        world.cron("due_sweep").await;
    }
    assert!((2..=12).contains(&copies), "{copies} copies in a day");
    // Redis forgets them all, and the message comes all the same.
    world.redis.flush().await;
    world.advance(TimeDelta::hours(5));
    world.sweep().await;
    assert_eq!(world.bot().messages.len(), 1);
}
