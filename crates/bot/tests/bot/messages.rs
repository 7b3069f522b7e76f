//! Direct messages: written once, and what became of them is told.

use rolecall_domain::ids::NotificationId;
use rolecall_queue::jobs::{MessageResult, SendDirectMessage};
use rolecall_sandbox::discord::{
    control::people::PeopleAction,
    faults::{Fault, FaultKind},
};

use crate::support::{ADA, Rig, user};

fn message(n: u128, who: u64) -> SendDirectMessage {
    SendDirectMessage {
        notification_id: NotificationId::from_uuid(uuid::Uuid::from_u128(n)),
        user_id: user(who),
        text: format!("Message {n} for @everyone"),
    }
}

#[tokio::test]
async fn a_message_is_written_to_its_person_once_however_often_it_is_sent() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    for _ in 0..2 {
        rig.worker.push(&message(1, ben)).await;
        let outcome = rig.worker.message().await;
        assert_eq!(outcome.notification_id, message(1, ben).notification_id);
        assert_eq!(outcome.result, MessageResult::Sent);
    }
    rig.worker.push(&message(2, ben)).await;
    assert_eq!(rig.worker.message().await.result, MessageResult::Sent);
    let texts: Vec<String> = rig
        .discord
        .messages()
        .into_iter()
        .map(|message| message.content)
        .collect();
    assert_eq!(texts, ["Message 1 for @everyone", "Message 2 for @everyone"]);
    assert_eq!(
        rig.requests("POST", "/messages"),
        2,
        "Discord forgets a nonce after minutes, so it does not hear of a copy"
    );
    bot.stop().await;
}

#[tokio::test]
async fn who_takes_no_messages_or_is_in_no_server_with_us_is_told_apart_and_left_alone() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let close = PeopleAction::SetDms {
        user: ben.into(),
        open: false,
    };
    rig.discord.act(close).unwrap();
    let bot = rig.bot().await;
    for (n, who, expected) in [(1, ben, 50_007), (2, ADA, 50_278)] {
        rig.worker.push(&message(n, who)).await;
        let result = rig.worker.message().await.result;
        assert!(
            matches!(result, MessageResult::Refused { code, .. } if code == expected),
            "{result:?}"
        );
    }
    assert!(rig.discord.messages().is_empty());
    bot.stop().await;
}

#[tokio::test]
async fn a_discord_that_is_away_is_told_and_not_stormed() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    let away = Fault::new(FaultKind::Status { status: 503 }).path("/messages");
    rig.discord.add_fault(away);
    rig.worker.push(&message(1, ben)).await;
    let result = rig.worker.message().await.result;
    assert!(matches!(result, MessageResult::Failed { .. }), "{result:?}");
    assert_eq!(rig.requests("POST", "/messages"), 1);
    rig.discord.clear_faults();
    rig.worker.push(&message(1, ben)).await;
    assert_eq!(rig.worker.message().await.result, MessageResult::Sent);
    bot.stop().await;
}

#[tokio::test]
async fn channels_that_were_opened_too_fast_say_nothing_about_the_person() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    let too_fast = FaultKind::Refuse {
        status: 400,
        code: 40_003,
    };
    rig.discord
        .add_fault(Fault::new(too_fast).path("/users/@me/channels").times(1));
    rig.worker.push(&message(1, ben)).await;
    let result = rig.worker.message().await.result;
    assert!(matches!(result, MessageResult::Failed { .. }), "{result:?}");
    rig.worker.push(&message(1, ben)).await;
    assert_eq!(rig.worker.message().await.result, MessageResult::Sent);
    bot.stop().await;
}
