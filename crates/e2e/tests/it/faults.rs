//! Processes die, Redis forgets, Discord lies: nothing is lost and nothing is doubled.

use rolecall_e2e::{story::ADA, until::until};
use rolecall_sandbox::discord::{
    demo,
    faults::{Fault, FaultKind},
};

use crate::support::{
    AFTER_A_SWEEP, SOON, WELCOME, paying_member, stack, wait_for_mail, wait_for_why, wait_in_sync,
};

#[tokio::test]
async fn what_was_due_when_redis_forgot_everything_is_done_all_the_same() {
    let mut stack = stack("flush").await;
    let (_, subscription) = paying_member(&stack).await;
    wait_in_sync(&stack).await;
    // The bot is away, so the command waits in Redis when Redis forgets.
    stack.bot.stop().await.unwrap();
    stack.stripe.cancel(&subscription).unwrap();
    wait_for_why(&stack, "the end recorded", SOON, |why| why["standing"] == "ended").await;
    flush(&stack).await;
    let mut bot = stack.start_another("bot", "bot-again").unwrap();
    bot.wait_ready(&stack.client).await.unwrap();
    stack.wait_for_roles(ADA, &[], AFTER_A_SWEEP).await.unwrap();
    bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_is_killed_loses_no_event() {
    let mut stack = stack("killed").await;
    let (_, subscription) = paying_member(&stack).await;
    stack.worker.kill().await.unwrap();
    stack.stripe.fail_payment(&subscription).unwrap();
    stack.stripe.deliveries_settled(SOON).await.unwrap();
    let mut worker = stack.start_another("worker", "worker-again").unwrap();
    worker.wait_ready(&stack.client).await.unwrap();
    stack
        .wait_for_roles(ADA, &["Council", "Debtor"], AFTER_A_SWEEP)
        .await
        .unwrap();
    assert_eq!(wait_for_mail(&stack, WELCOME).await.len(), 1, "one welcome");
    worker.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_bot_stands_by_and_takes_over_when_the_first_is_killed() {
    let mut stack = stack("standby").await;
    let (_, subscription) = paying_member(&stack).await;
    let mut standby = stack.start_another("bot", "standby").unwrap();
    standby.wait_ready(&stack.client).await.unwrap();
    assert_eq!(standby.readiness(&stack.client).await.unwrap()["role"], "standby");
    stack.bot.kill().await.unwrap();
    stack.stripe.cancel(&subscription).unwrap();
    stack.wait_for_roles(ADA, &[], AFTER_A_SWEEP).await.unwrap();
    standby.stop().await.unwrap();
}

#[tokio::test]
async fn a_restarted_bot_resumes_its_session() {
    let mut stack = stack("resume").await;
    let (_, subscription) = paying_member(&stack).await;
    let before = stack.discord.gateway().identifies_remaining;
    assert!(stack.bot.stop().await.unwrap().success());
    let mut bot = stack.start_another("bot", "bot-again").unwrap();
    bot.wait_ready(&stack.client).await.unwrap();
    stack.stripe.cancel(&subscription).unwrap();
    stack.wait_for_roles(ADA, &[], AFTER_A_SWEEP).await.unwrap();
    assert_eq!(
        stack.discord.gateway().identifies_remaining,
        before,
        "{:?}",
        stack.discord.gateway()
    );
    bot.stop().await.unwrap();
}

#[tokio::test]
async fn a_role_that_discord_only_pretends_to_take_stays_due_until_it_is_gone() {
    let stack = stack("lie").await;
    let (_, subscription) = paying_member(&stack).await;
    wait_in_sync(&stack).await;
    stack.discord.add_fault(Fault::new(FaultKind::Lie).times(1));
    stack.stripe.cancel(&subscription).unwrap();
    stack.wait_for_roles(ADA, &[], AFTER_A_SWEEP).await.unwrap();
    wait_for_why(&stack, "in sync", AFTER_A_SWEEP, |why| {
        why["guilds"][0]["state"] == "in_sync"
    })
    .await;
    assert_eq!(stack.discord.member_roles(demo::GUILD, ADA), Some(Vec::new()));
    stack.stop().await.unwrap();
}

async fn flush(stack: &rolecall_e2e::stack::Stack) {
    let redis = redis::Client::open(stack.environment()["REDIS_URL"].as_str()).unwrap();
    let mut connection = redis.get_multiplexed_async_connection().await.unwrap();
    // Other tests share the server: only what is this stack's is forgotten.
    let namespace = &stack.environment()["REDIS_NAMESPACE"];
    until("everything forgotten", SOON, async || {
        let mut forgotten = 0;
        for pattern in [format!("{namespace}:*"), format!("{{{namespace}:*")] {
            let keys: Vec<String> = redis::cmd("KEYS")
                .arg(pattern)
                .query_async(&mut connection)
                .await?;
            for key in keys {
                let () = redis::cmd("DEL").arg(key).query_async(&mut connection).await?;
                forgotten += 1;
            }
        }
        Ok((forgotten > 0).then_some(()))
    })
    .await
    .unwrap();
}
