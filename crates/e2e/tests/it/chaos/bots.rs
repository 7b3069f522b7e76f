//! Never two bots act at once.

use std::net::SocketAddr;

use rolecall_e2e::{chaos::acts::is_write, process::Process, stack::Stack, story::ADA, until::until};
use rolecall_sandbox::network::Proxy;

use crate::{
    chaos::{RECOVERED, assert_caught_up, flip, impatient},
    support::{SOON, paying_member, start},
};

/// A bot whose requests to Discord can be told from another's.
async fn bot(stack: &Stack, name: &str) -> (Process, Proxy) {
    let origin = stack.discord.origin();
    let target: SocketAddr = origin.trim_start_matches("http://").parse().unwrap();
    let proxy = Proxy::start(target).await.unwrap();
    let base = format!("http://{}", proxy.addr());
    let mut bot = stack
        .start_with("bot", name, &[("DISCORD_API_BASE", &base)])
        .unwrap();
    bot.wait_ready(&stack.client).await.unwrap();
    (bot, proxy)
}

/// Who wrote something about a member, in order.
fn writers(stack: &Stack) -> Vec<String> {
    let log = stack.discord.requests();
    let writes = log.into_iter().filter(is_write);
    writes.filter_map(|entry| entry.host).collect()
}

#[tokio::test]
async fn a_bot_that_was_stopped_for_longer_than_its_lease_does_nothing_when_it_wakes() {
    let mut stack = start(impatient("stopped_bot").with("LEASE_TTL", "2s")).await;
    let (_, subscription) = paying_member(&stack).await;
    stack.bot.stop().await.unwrap();
    let (mut first, first_way) = bot(&stack, "first").await;
    stack
        .wait_for_roles(ADA, flip(&stack, &subscription), SOON)
        .await
        .unwrap();
    let (mut second, second_way) = bot(&stack, "second").await;
    assert_eq!(second.readiness(&stack.client).await.unwrap()["role"], "standby");
    first.signal("STOP").await.unwrap();
    // Commands that the first one may have taken already come to the second one all the same.
    let roles = flip(&stack, &subscription);
    stack.wait_for_roles(ADA, roles, RECOVERED).await.unwrap();
    first.signal("CONT").await.unwrap();
    until("the first one standing by", SOON, async || {
        Ok((first.readiness(&stack.client).await?["role"] == "standby").then_some(()))
    })
    .await
    .unwrap();
    let mut roles = roles;
    for _ in 0..4 {
        roles = flip(&stack, &subscription);
        stack.wait_for_roles(ADA, roles, SOON).await.unwrap();
    }
    assert_caught_up(&stack, roles).await;
    let (first_host, second_host) = (first_way.addr().to_string(), second_way.addr().to_string());
    let writers = writers(&stack);
    let taken_over = writers.iter().position(|host| *host == second_host);
    let after = &writers[taken_over.expect("the second one acted")..];
    assert!(
        !after.contains(&first_host),
        "{after:?}: {first_host} acted without the lease"
    );
    assert_eq!(after.len(), 5, "each change once: {after:?}");
    first.stop().await.unwrap();
    second.stop().await.unwrap();
    stack.stop().await.unwrap();
}
