//! Redis goes away and comes back while people pay.

use std::sync::Arc;

use rolecall_e2e::{
    machine::Machine,
    servers::{Folder, Redis},
    stack::Stack,
};

use crate::{
    chaos::{RECOVERED, assert_caught_up, flip, impatient},
    support::paying_member,
};

#[tokio::test]
async fn redis_killed_and_restarted_under_load_loses_no_event_and_doubles_nothing() {
    let folder = Arc::new(Folder::create("redis-restart").unwrap());
    let mut redis = Redis::start(&folder).await.unwrap();
    let machine = Machine {
        redis: redis.url().unwrap(),
        ..Machine::find().unwrap()
    };
    let stack = Stack::start(&machine, impatient("redis_restart")).await.unwrap();
    let (_, subscription) = paying_member(&stack).await;
    for _ in 0..2 {
        redis.kill().await.unwrap();
        // Stripe is answered with 503 now, and sends it again.
        let roles = flip(&stack, &subscription);
        let refused = |status: Option<u16>| status == Some(503);
        stack
            .stripe
            .wait_for("a webhook that is not taken", RECOVERED, |world| {
                let mut attempts = world.deliveries.iter().rev().flat_map(|row| &row.attempts);
                attempts.any(|attempt| refused(attempt.status))
            })
            .await
            .unwrap();
        redis.restart().await.unwrap();
        assert_caught_up(&stack, roles).await;
    }
    stack.stop().await.unwrap();
}
