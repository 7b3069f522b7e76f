//! Role commands: carried out, verified, reported.

use rolecall_queue::jobs::{ApplyRoles, Lane, RoleResult};
use rolecall_runtime::{
    clock::SystemRng,
    config::EncryptionKeys,
    env::{Env, Service},
    seal::Sealer,
};
use rolecall_sandbox::discord::{
    demo::{
        BOT_ROLE, CLIENT_ID, CLIENT_SECRET, COUNCIL_ROLE, DEBTOR_ROLE, GUILD, INTRODUCED_ROLE, STAFF_ROLE,
    },
    faults::{Fault, FaultKind},
    gateway::GatewaySwitches,
};

use crate::support::{ADA, REDIRECT, Rig, Seen, command, role, soon, until};

fn applied(roles: &[u64], already: &[u64]) -> RoleResult {
    RoleResult::Applied {
        roles: roles.iter().copied().map(role).collect(),
        already: already.iter().copied().map(role).collect(),
        joined: false,
        pending: false,
    }
}

#[tokio::test]
async fn roles_are_given_and_taken_with_a_reason_and_what_was_read_back_is_reported() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    rig.discord.give_role(GUILD, ben, STAFF_ROLE).unwrap();
    rig.discord.give_role(GUILD, ben, DEBTOR_ROLE).unwrap();
    let bot = rig.bot().await;

    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE], &[DEBTOR_ROLE]))
        .await;
    let outcome = rig.worker.outcome().await;
    assert_eq!(outcome.result, applied(&[COUNCIL_ROLE, STAFF_ROLE], &[]));
    assert!(outcome.revision == 1 && outcome.fence > 0);
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE, STAFF_ROLE].into());
    let reasons: Vec<_> = rig
        .discord
        .audit_log()
        .iter()
        .filter_map(|entry| entry.reason.clone())
        .collect();
    assert_eq!(reasons, ["Rolecall: paid", "Rolecall: paid"]);
    assert!(
        bot.metrics()
            .await
            .contains(r#"rolecall_bot_commands_total{outcome="applied"} 1"#)
    );
    bot.stop().await;
}

#[tokio::test]
async fn somebody_the_gateway_knows_costs_one_request_a_role() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    let before = rig.discord.requests().len();
    rig.worker.push(&command(ben, 2, &[], &[COUNCIL_ROLE])).await;
    assert_eq!(rig.worker.result().await, applied(&[], &[]));
    rig.worker.push(&command(ben, 3, &[], &[COUNCIL_ROLE])).await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[], &[]),
        "nothing was left to do"
    );
    let paths: Vec<_> = rig
        .discord
        .requests()
        .split_off(before)
        .into_iter()
        .map(|entry| entry.method)
        .collect();
    assert_eq!(paths, ["DELETE"]);
    bot.stop().await;
}

#[tokio::test]
async fn a_role_that_was_there_before_is_told_apart() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    rig.discord.give_role(GUILD, ben, COUNCIL_ROLE).unwrap();
    let bot = rig.bot().await;
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE, INTRODUCED_ROLE], &[]))
        .await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE, INTRODUCED_ROLE], &[COUNCIL_ROLE])
    );
    // The same command again found what it had written itself.
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE, INTRODUCED_ROLE], &[]))
        .await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE, INTRODUCED_ROLE], &[])
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_role_outside_the_catalog_is_never_touched() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    rig.discord.give_role(GUILD, ben, INTRODUCED_ROLE).unwrap();
    rig.publish_catalog(2, &[COUNCIL_ROLE]).await;
    let bot = rig.bot().await;
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE, DEBTOR_ROLE], &[INTRODUCED_ROLE]))
        .await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE, INTRODUCED_ROLE], &[])
    );
    // A newer catalog counts at once.
    rig.publish_catalog(3, &[COUNCIL_ROLE, DEBTOR_ROLE]).await;
    rig.worker
        .push(&command(ben, 2, &[COUNCIL_ROLE, DEBTOR_ROLE], &[]))
        .await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE, DEBTOR_ROLE, INTRODUCED_ROLE], &[COUNCIL_ROLE])
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_role_that_left_the_catalog_is_taken_and_never_given() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    rig.discord.give_role(GUILD, ben, INTRODUCED_ROLE).unwrap();
    rig.publish(2, &[COUNCIL_ROLE], &[INTRODUCED_ROLE], false).await;
    let bot = rig.bot().await;
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE], &[INTRODUCED_ROLE]))
        .await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    rig.worker
        .push(&command(ben, 2, &[COUNCIL_ROLE, INTRODUCED_ROLE], &[]))
        .await;
    rig.worker.result().await;
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE].into());
    // Whoever gives it back is told of: it is ours to take.
    rig.discord.give_role(GUILD, ben, INTRODUCED_ROLE).unwrap();
    let introduced = role(INTRODUCED_ROLE);
    rig.worker
        .sighting(|seen| match seen {
            Seen::Changed(member) => member.roles.contains(&introduced).then_some(()),
            _ => None,
        })
        .await;
    bot.stop().await;
}

#[tokio::test]
async fn an_older_command_is_dropped_whenever_it_comes() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.worker.push(&command(ben, 7, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.outcome().await.revision, 7);
    rig.worker
        .push(&command(ben, 6, &[DEBTOR_ROLE], &[COUNCIL_ROLE]))
        .await;
    rig.worker.push(&command(ben, 8, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(
        rig.worker.outcome().await.revision,
        8,
        "the older one has no outcome"
    );
    bot.stop().await;

    // The next process knows it too.
    let bot = rig.bot().await;
    rig.worker
        .push(&command(ben, 6, &[DEBTOR_ROLE], &[COUNCIL_ROLE]))
        .await;
    rig.worker.push(&command(ben, 9, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.outcome().await.revision, 9);
    assert_eq!(rig.roles_of(ben), [COUNCIL_ROLE].into());
    bot.stop().await;
}

#[tokio::test]
async fn commands_that_wait_for_the_same_person_become_one() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord
        .add_fault(Fault::new(FaultKind::Hang).method("PUT").path("/roles/").times(1));
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    soon(
        rig.discord
            .wait_until(|discord| discord.state().faults.is_empty()),
    )
    .await;
    for revision in 2..=6 {
        let wanted = if revision == 6 {
            INTRODUCED_ROLE
        } else {
            DEBTOR_ROLE
        };
        rig.worker.push(&command(ben, revision, &[wanted], &[])).await;
    }
    until(async || bot.metrics().await.contains(r#"outcome="superseded"} 4"#)).await;
    rig.discord.clear_faults();
    assert_eq!(rig.worker.outcome().await.revision, 6);
    assert_eq!(rig.roles_of(ben), [INTRODUCED_ROLE].into());
    assert_eq!(rig.requests("PUT", &format!("/roles/{DEBTOR_ROLE}")), 0);
    bot.stop().await;
}

#[tokio::test]
async fn a_change_that_waits_for_discords_limit_is_not_made_once_a_newer_command_is_there() {
    let rig = Rig::start().await;
    rig.discord.set_limit("member-roles", 1, 4_000).unwrap();
    let (ada, ben) = (rig.member("Ada A"), rig.member("Ben B"));
    let bot = rig.bot().await;
    rig.worker.push(&command(ada, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    let bulk = ApplyRoles {
        lane: Lane::Bulk,
        ..command(ben, 1, &[COUNCIL_ROLE], &[])
    };
    rig.worker.push(&bulk).await;
    let look = format!("/members/{ben}");
    until(async || rig.requests("GET", &look) >= 1).await;
    rig.worker.push(&command(ben, 2, &[], &[COUNCIL_ROLE])).await;
    let outcome = rig.worker.outcome().await;
    assert_eq!((outcome.revision, outcome.result), (2, applied(&[], &[])));
    assert_eq!(
        rig.writes(ben),
        0,
        "a role that would have been taken again at once"
    );
    bot.stop().await;
}

#[tokio::test]
async fn who_is_not_there_is_waited_for() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    rig.worker.push(&command(ADA, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(
        rig.worker.result().await,
        RoleResult::NotInGuild { kicked: false }
    );
    rig.discord.join(GUILD, ADA).unwrap();
    let seen = rig.worker.person().await;
    assert!(
        matches!(&seen, crate::support::Seen::Joined(joined) if joined.user_id.get() == ADA),
        "{seen:?}"
    );
    rig.worker.push(&command(ADA, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    bot.stop().await;
}

/// A token as the api gets it when somebody signs in.
async fn access_token(rig: &Rig, who: u64) -> String {
    let http = reqwest::Client::builder()
        .user_agent("DiscordBot (https://test.example, 1)")
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let query = [
        ("client_id", CLIENT_ID.to_string()),
        ("redirect_uri", REDIRECT.to_owned()),
        ("response_type", "code".to_owned()),
        ("scope", "identify guilds.join".to_owned()),
    ];
    let answer = [("decision", "authorize".to_owned()), ("person", who.to_string())];
    let page = format!("{}/oauth2/authorize", rig.discord.origin());
    let granted = http.post(page).query(&query).form(&answer).send().await.unwrap();
    let location = granted.headers()["location"].to_str().unwrap().to_owned();
    let code = location
        .split("code=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    let form = [
        ("grant_type", "authorization_code".to_owned()),
        ("code", code),
        ("redirect_uri", REDIRECT.to_owned()),
        ("client_id", CLIENT_ID.to_string()),
        ("client_secret", CLIENT_SECRET.to_owned()),
    ];
    let url = format!("{}/api/oauth2/token", rig.discord.origin());
    let tokens: serde_json::Value = http
        .post(url)
        .form(&form)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    tokens["access_token"].as_str().unwrap().to_owned()
}

fn seal(token: &str) -> String {
    let env = Env::from_pairs([("ENCRYPTION_KEYS", crate::support::KEYS)]);
    let keys = env.read(Service::Bot, EncryptionKeys::from_env).unwrap();
    Sealer::new(&keys).seal(&SystemRng, "discord.access_token", token.as_bytes())
}

#[tokio::test]
async fn who_allowed_it_is_added_with_their_roles_in_one_step() {
    let rig = Rig::start().await;
    let token = access_token(&rig, ADA).await;
    let bot = rig.bot().await;
    let mut join = command(ADA, 1, &[COUNCIL_ROLE, INTRODUCED_ROLE], &[]);
    join.join = Some(seal(&token));
    rig.worker.push(&join).await;
    let expected = RoleResult::Applied {
        roles: vec![role(COUNCIL_ROLE), role(INTRODUCED_ROLE)],
        already: vec![],
        joined: true,
        pending: false,
    };
    assert_eq!(rig.worker.result().await, expected);
    assert_eq!(
        (rig.requests("PUT", &format!("/members/{ADA}")), rig.writes(ADA)),
        (1, 0)
    );
    // Somebody who is there already gets their roles one by one.
    let ben = rig.member("Ben B");
    let mut join = command(ben, 1, &[COUNCIL_ROLE], &[]);
    join.join = Some(seal(&access_token(&rig, ben).await));
    rig.worker.push(&join).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_is_no_longer_good_leaves_the_person_to_join_by_themselves() {
    let rig = Rig::start().await;
    let bot = rig.bot().await;
    for (revision, sealed) in [(1, seal("revoked")), (2, "nonsense".to_owned())] {
        let mut join = command(ADA, revision, &[COUNCIL_ROLE], &[]);
        join.join = Some(sealed);
        rig.worker.push(&join).await;
        assert_eq!(
            rig.worker.result().await,
            RoleResult::NotInGuild { kicked: false }
        );
    }
    bot.stop().await;
}

#[tokio::test]
async fn a_role_above_the_bot_is_not_tried_and_does_not_keep_the_others_back() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    rig.discord.move_role(GUILD, COUNCIL_ROLE, 5).unwrap();
    let bot = rig.bot().await;
    rig.worker
        .push(&command(ben, 1, &[COUNCIL_ROLE, DEBTOR_ROLE], &[]))
        .await;
    assert_eq!(rig.worker.result().await, applied(&[DEBTOR_ROLE], &[]));
    let RoleResult::Blocked { code, roles, message } = rig.worker.result().await else {
        panic!()
    };
    assert_eq!((code, roles), (50_013, vec![role(COUNCIL_ROLE)]));
    assert!(message.contains("drag the bot's role above Council"), "{message}");
    assert_eq!(rig.writes(ben), 1, "the hopeless one was tried");
    assert_eq!(rig.discord.invalid_requests(), 0);
    until(async || bot.ready().await["parts"]["setup"]["ok"] == false).await;
    let ready = bot.ready().await;
    assert_eq!(ready["status"], "degraded");
    let told = ready["parts"]["setup"]["detail"].as_str().unwrap();
    assert!(told.contains("Council"), "{told}");

    // Staff mends the order: the worker hears of it, and the same command works.
    rig.worker.guild().await;
    rig.discord.move_role(GUILD, BOT_ROLE, 5).unwrap();
    let mended = rig.worker.guild().await;
    let position = |id| {
        mended
            .roles
            .iter()
            .find(|role| role.id.get() == id)
            .unwrap()
            .position
    };
    assert!(!mended.identified && mended.bot_top_position > position(COUNCIL_ROLE));
    rig.worker
        .push(&command(ben, 2, &[COUNCIL_ROLE, DEBTOR_ROLE], &[]))
        .await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE, DEBTOR_ROLE], &[DEBTOR_ROLE])
    );
    bot.stop().await;
}

#[tokio::test]
async fn a_role_that_was_deleted_is_named_with_what_to_do() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    rig.publish_catalog(2, &[COUNCIL_ROLE, 777]).await;
    let bot = rig.bot().await;
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE, 777], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    let RoleResult::Blocked { code, roles, message } = rig.worker.result().await else {
        panic!()
    };
    assert_eq!((code, roles), (10_011, vec![role(777)]));
    assert!(message.contains("plans file"), "{message}");
    bot.stop().await;
}

#[tokio::test]
async fn a_success_that_is_a_lie_is_seen_through() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord
        .add_fault(Fault::new(FaultKind::Lie).method("PUT").path("/roles/").times(1));
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[], &[]),
        "the role is not there"
    );
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    bot.stop().await;
}

#[tokio::test]
async fn what_the_gateway_does_not_tell_is_asked_for() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord.set_gateway(GatewaySwitches {
        no_member_updates: true,
        ..GatewaySwitches::default()
    });
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    assert_eq!(rig.requests("GET", &format!("/members/{ben}")), 2);
    bot.stop().await;
}

#[tokio::test]
async fn discord_out_of_order_is_tried_again_and_given_up_in_the_end() {
    let rig = Rig::start().await;
    let (ben, eve) = (rig.member("Ben B"), rig.member("Eve E"));
    let bot = rig.bot().await;
    rig.discord.add_fault(
        Fault::new(FaultKind::Status { status: 503 })
            .path(&format!("/members/{ben}"))
            .times(2),
    );
    rig.discord.add_fault(
        Fault::new(FaultKind::LoseAnswer)
            .path(&format!("/members/{ben}/roles/"))
            .times(1),
    );
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE], &[]),
        "what an unanswered try wrote is not foreign"
    );

    rig.discord
        .add_fault(Fault::new(FaultKind::Status { status: 500 }).path(&format!("/members/{eve}")));
    rig.worker.push(&command(eve, 1, &[COUNCIL_ROLE], &[])).await;
    let RoleResult::Failed { message } = rig.worker.result().await else {
        panic!()
    };
    assert!(message.contains("500"), "{message}");
    bot.stop().await;
}

#[tokio::test]
async fn a_probe_looks_and_changes_nothing() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    let mut probe = command(ben, 1, &[COUNCIL_ROLE], &[]);
    probe.probe = true;
    rig.worker.push(&probe).await;
    assert_eq!(rig.worker.result().await, applied(&[], &[]));
    assert_eq!(rig.writes(ben), 0);
    bot.stop().await;
}

#[tokio::test]
async fn many_commands_keep_to_the_limit_without_a_single_429() {
    let rig = Rig::start().await;
    rig.discord.set_limit("member-roles", 10, 1000).unwrap();
    let people: Vec<u64> = (0..40)
        .map(|number| rig.member(&format!("person{number}")))
        .collect();
    let bot = rig.bot().await;
    for who in &people {
        let mut bulk = command(*who, 1, &[COUNCIL_ROLE], &[]);
        bulk.lane = Lane::Bulk;
        rig.worker.push(&bulk).await;
    }
    for _ in &people {
        assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE], &[]));
    }
    let requests = rig.discord.requests();
    assert!(
        requests.iter().all(|request| request.status != Some(429)),
        "{requests:?}"
    );
    assert_eq!(rig.requests("PUT", "/roles/"), 40);
    bot.stop().await;
}

#[tokio::test]
async fn a_backlog_of_many_commands_for_few_people_costs_little_more_than_the_newest_of_each() {
    let rig = Rig::start().await;
    rig.discord.set_limit("member-roles", 100, 1_000).unwrap();
    let people: Vec<u64> = (0..100)
        .map(|number| rig.member(&format!("person{number}")))
        .collect();
    // Each undoes the one before, and the newest gives.
    let mut backlog = Vec::new();
    for revision in 1..=101 {
        for who in &people {
            let (add, remove): (&[u64], &[u64]) = if revision % 2 == 0 {
                (&[], &[COUNCIL_ROLE])
            } else {
                (&[COUNCIL_ROLE], &[])
            };
            backlog.push(command(*who, revision, add, remove));
        }
    }
    rig.worker.push_all(&backlog).await;
    let _: String = rig.redis.run(&["CONFIG", "RESETSTAT"]).await;
    let bot = rig.bot().await;
    until(async || {
        people
            .iter()
            .all(|who| rig.roles_of(*who).contains(&COUNCIL_ROLE))
    })
    .await;
    let mut newest = 0;
    while newest < people.len() {
        newest += usize::from(rig.worker.outcome().await.revision == 101);
    }
    let changes = rig.requests("PUT", "/roles/") + rig.requests("DELETE", "/roles/");
    assert!(changes <= 2 * people.len(), "{changes} changes");
    let calls: String = rig.redis.run(&["INFO", "commandstats"]).await;
    let scripts: usize = calls
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="))
        .and_then(|rest| rest.split(',').next())
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        scripts < backlog.len() / 4,
        "{scripts} scripts for {} commands",
        backlog.len()
    );
    bot.stop().await;
}

#[tokio::test]
async fn the_bot_out_of_the_server_is_told_and_not_tried_again_and_again() {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.discord.leave(GUILD, CLIENT_ID).unwrap();
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    let RoleResult::Blocked { roles, message, .. } = rig.worker.result().await else {
        panic!()
    };
    assert_eq!(roles, [role(COUNCIL_ROLE)]);
    assert!(message.contains("invite it"), "{message}");
    bot.stop().await;
}
