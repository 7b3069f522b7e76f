//! One bot acts at a time.

use rolecall_queue::jobs::RoleResult;
use rolecall_sandbox::discord::{
    demo::{COUNCIL_ROLE, DEBTOR_ROLE, GUILD},
    faults::{Fault, FaultKind},
};

use crate::support::{Bot, Rig, command, role, soon, until};

#[tokio::test]
async fn one_bot_leads_and_the_other_is_ready_to() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let first = rig.bot().await;
    let second = rig.idle_bot("10s");
    assert_eq!(
        (first.role().await, second.role().await),
        ("leader".to_owned(), "standby".to_owned())
    );
    assert_eq!(
        (
            second.ready_status().await,
            second.ready().await["status"].as_str()
        ),
        (200, Some("ready"))
    );
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    let fence = rig.worker.outcome().await.fence;
    assert_eq!(
        rig.discord
            .gateway()
            .log
            .iter()
            .filter(|entry| entry.connection > 1)
            .count(),
        0
    );

    // Stopped in good order it hands over at once.
    first.stop().await;
    until(async || second.role().await == "leader").await;
    rig.worker.push(&command(ben, 2, &[], &[COUNCIL_ROLE])).await;
    assert!(rig.worker.outcome().await.fence > fence);
    until(async || second.ready().await["parts"]["gateway"]["ok"] == true).await;
    assert_eq!((rig.identified(), rig.resumed()), (1, 1));
    second.stop().await;
}

#[tokio::test]
async fn a_bot_that_dies_is_replaced_within_seconds_and_its_command_is_carried_out() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let first = rig.bot_with_ttl("1s").await;
    let second = rig.idle_bot("1s");
    rig.discord
        .add_fault(Fault::new(FaultKind::Hang).method("PUT").path("/roles/").times(1));
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    soon(
        rig.discord
            .wait_until(|discord| discord.state().faults.is_empty()),
    )
    .await;
    first.kill();
    rig.discord.clear_faults();
    until(async || second.role().await == "leader").await;
    rig.worker.outcome().await;
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE].into());
    second.stop().await;
}

#[tokio::test]
async fn without_the_lease_nothing_is_written() {
    let rig = Rig::start().await;
    let (ben, eve) = (rig.member("Ben B"), rig.member("Eve E"));
    let bot = rig.bot_with_ttl("1s").await;
    // A write waits for its turn at the limiter while the lease goes to somebody else.
    rig.discord.set_limit("member-roles", 1, 3_000).unwrap();
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    rig.worker.push(&command(eve, 1, &[COUNCIL_ROLE], &[])).await;
    soon(
        rig.discord
            .wait_until(|_| rig.requests("GET", &format!("/members/{eve}")) == 1),
    )
    .await;
    let _: String = rig.redis.run(&["SET", "test:bot:lease", "somebody else"]).await;
    until(async || bot.role().await == "standby").await;
    until(async || rig.discord.gateway().connections == 0).await;
    assert!(bot.metrics().await.contains("rolecall_bot_lease_held 0"));
    // The limit has long been free again when the same bot leads once more.
    let _: u64 = rig.redis.run(&["PEXPIRE", "test:bot:lease", "4000"]).await;
    until(async || {
        let written = rig.writes(eve);
        let holder: Option<String> = rig.redis.run(&["GET", "test:bot:lease"]).await;
        let is_over = holder.as_deref() != Some("somebody else");
        assert!(
            is_over || written == 0,
            "written under the lease of somebody else"
        );
        is_over
    })
    .await;
    until(async || bot.role().await == "leader").await;
    rig.worker.outcome().await;
    assert_eq!(rig.roles_of(eve), [COUNCIL_ROLE].into());
    bot.stop().await;
}

#[tokio::test]
async fn a_stop_lets_running_commands_finish() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord.add_fault(
        Fault::new(FaultKind::Delay { millis: 300 })
            .method("PUT")
            .path("/roles/"),
    );
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE, DEBTOR_ROLE], &[]))
        .await;
    soon(
        rig.discord
            .wait_until(|_| rig.requests("PUT", &format!("/members/{ben}/roles/")) == 1),
    )
    .await;
    bot.stop().await;
    rig.worker.outcome().await;
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE, DEBTOR_ROLE].into());
    let lease: u64 = rig.redis.run(&["EXISTS", "test:bot:lease"]).await;
    assert_eq!(lease, 0, "the lease was not released");
}

#[tokio::test]
async fn what_was_learned_of_the_limits_outlives_the_process() {
    let rig = Rig::start().await;
    let (ben, eve) = (rig.member("Ben B"), rig.member("Eve E"));
    rig.discord.set_limit("member-roles", 1, 2_000).unwrap();
    let bot = rig.bot().await;
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    bot.stop().await;
    let bot = rig.bot().await;
    rig.worker.push(&command(eve, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    assert!(
        rig.discord
            .requests()
            .iter()
            .all(|request| request.status != Some(429))
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_stop_hands_back_at_once_what_has_written_nothing_and_the_next_bot_does_it_once() {
    let rig = Rig::start().await;
    let people: Vec<u64> = (0..5)
        .map(|number| rig.member(&format!("person{number}")))
        .collect();
    for who in &people {
        rig.discord.give_role(GUILD, *who, COUNCIL_ROLE).unwrap();
    }
    // One change now, and the next one in an hour.
    rig.discord.set_limit("member-roles", 1, 3_600_000).unwrap();
    let bot = Bot::start(&rig.redis, &rig.discord, &[("DRAIN_TIMEOUT", "10m")]);
    until(async || bot.ready().await["parts"]["gateway"]["ok"] == true).await;
    for who in &people {
        rig.worker
            .push(&command(*who, 1, &[COUNCIL_ROLE, DEBTOR_ROLE], &[]))
            .await;
    }
    rig.worker.outcome().await;
    until(async || bot.metrics().await.contains("rolecall_bot_limiter_waiting_now 4")).await;
    bot.stop().await;
    assert_eq!(rig.requests("PUT", "/roles/"), 1);

    let _: u64 = rig.redis.run(&["DEL", "test:bot:limiter"]).await;
    rig.discord.set_limit("member-roles", 50, 1_000).unwrap();
    let bot = rig.bot().await;
    for _ in 1..people.len() {
        let RoleResult::Applied { roles, already, .. } = rig.worker.result().await else {
            panic!()
        };
        assert_eq!(roles, [role(COUNCIL_ROLE), role(DEBTOR_ROLE)]);
        assert_eq!(
            already,
            [role(COUNCIL_ROLE)],
            "who gave it is still known, for the first bot wrote nothing"
        );
    }
    assert_eq!(rig.requests("PUT", "/roles/"), people.len());
    bot.stop().await;
}

#[tokio::test]
async fn a_redis_that_is_full_is_said_and_neither_costs_the_lease_nor_keeps_a_standby_from_it() {
    let rig = Rig::start().await;
    let bot = rig.bot_with_ttl("2s").await;
    let standby = rig.idle_bot("2s");
    let _: String = rig.redis.run(&["CONFIG", "SET", "maxmemory", "1"]).await;
    until(async || {
        let ready = bot.ready().await;
        let detail = ready["parts"]["redis"]["detail"].as_str().unwrap_or_default();
        detail.contains("full") && ready["role"] == "leader"
    })
    .await;
    bot.kill();
    until(async || standby.role().await == "leader").await;
    let _: String = rig.redis.run(&["CONFIG", "SET", "maxmemory", "0"]).await;
    until(async || standby.ready_status().await == 200).await;
    standby.stop().await;
}
