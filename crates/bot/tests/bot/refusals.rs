//! Everything that Discord may answer to a change of a role, and what the bot makes of it.

use rolecall_queue::jobs::RoleResult;
use rolecall_sandbox::discord::{
    demo::{COUNCIL_ROLE, DEBTOR_ROLE, GUILD},
    faults::{Fault, FaultKind},
    limits::answer::Scope,
};

use crate::support::{Bot, Rig, command, role, until};

fn applied(roles: &[u64]) -> RoleResult {
    RoleResult::Applied {
        roles: roles.iter().copied().map(role).collect(),
        already: Vec::new(),
        joined: false,
        pending: false,
    }
}

/// A server with somebody whom the bot has just seen, so that the next command costs one request.
async fn known_member() -> (Rig, Bot, u64) {
    let rig = Rig::start().await;
    let ben = rig.member("Ben B");
    let bot = rig.bot().await;
    rig.worker.push(&command(ben, 1, &[], &[DEBTOR_ROLE])).await;
    assert_eq!(rig.worker.result().await, applied(&[]));
    (rig, bot, ben)
}

/// The next change of a role meets this.
fn meets(rig: &Rig, kind: FaultKind, times: u32) {
    let fault = Fault::new(kind).method("PUT").path("/roles/").times(times);
    rig.discord.add_fault(fault);
}

async fn blocked(rig: &Rig) -> (i64, Vec<u64>, String) {
    loop {
        match rig.worker.result().await {
            RoleResult::Blocked { code, roles, message } => {
                return (code, roles.iter().map(|role| role.get()).collect(), message);
            }
            RoleResult::Applied { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_refusal_because_of_the_set_up_names_the_role_and_is_not_tried_again() {
    let table = [
        (403, 50_013, "Manage Roles"),
        (403, 50_001, "invite it"),
        (404, 10_011, "plans file"),
        (404, 10_004, "invite it"),
        (403, 60_003, "two-factor"),
    ];
    let (rig, bot, ben) = known_member().await;
    for ((status, code, words), revision) in table.into_iter().zip(2..) {
        let before = rig.writes(ben);
        meets(&rig, FaultKind::Refuse { status, code }, 1);
        rig.worker
            .push(&command(ben, revision, &[COUNCIL_ROLE], &[]))
            .await;
        let (told, roles, message) = blocked(&rig).await;
        assert_eq!((told, roles), (i64::from(code), vec![COUNCIL_ROLE]));
        assert!(message.contains(words), "{code}: {message}");
        assert_eq!(rig.writes(ben), before + 1, "{code}");
    }
    bot.stop().await;
}

#[tokio::test]
async fn who_has_left_in_the_very_moment_is_a_state_and_no_fault() {
    for code in [10_007, 10_013] {
        let (rig, bot, ben) = known_member().await;
        meets(&rig, FaultKind::Refuse { status: 404, code }, 1);
        rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
        assert_eq!(
            rig.worker.result().await,
            RoleResult::NotInGuild { kicked: false }
        );
        assert_eq!(rig.writes(ben), 1);
        bot.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_that_nobody_knows_is_reported_with_its_words_and_not_tried_again_and_again() {
    let (rig, bot, ben) = known_member().await;
    for (kind, revision) in [(403, 0), (400, 50_035)].into_iter().zip(2..) {
        let (status, code) = kind;
        let before = rig.writes(ben);
        meets(&rig, FaultKind::Refuse { status, code }, 100);
        rig.worker
            .push(&command(ben, revision, &[COUNCIL_ROLE], &[]))
            .await;
        let RoleResult::Failed { message } = rig.worker.result().await else {
            panic!()
        };
        assert!(message.contains(&status.to_string()), "{message}");
        assert_eq!(rig.writes(ben), before + 1);
        rig.discord.clear_faults();
    }
    // It was about that try, and not about the person.
    rig.worker.push(&command(ben, 9, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE]));
    bot.stop().await;
}

#[tokio::test]
async fn every_kind_of_429_is_waited_out_and_the_change_made_after_it() {
    let too_many = |scope| FaultKind::TooMany {
        retry_after_ms: 120,
        scope,
    };
    let kinds = [
        too_many(Scope::User),
        too_many(Scope::Shared),
        too_many(Scope::Global),
        FaultKind::Cloudflare { retry_after_s: 1 },
    ];
    for kind in kinds {
        let (rig, bot, ben) = known_member().await;
        meets(&rig, kind.clone(), 1);
        rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
        assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE]), "{kind:?}");
        assert_eq!(rig.writes(ben), 2, "{kind:?}");
        bot.stop().await;
    }
}

#[tokio::test]
async fn garbage_and_broken_answers_are_tried_again_and_nothing_is_doubled() {
    let kinds = [
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 502 },
        FaultKind::Drop,
        FaultKind::LoseAnswer,
    ];
    for kind in kinds {
        let (rig, bot, ben) = known_member().await;
        meets(&rig, kind.clone(), 1);
        rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
        assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE]), "{kind:?}");
        assert!(rig.writes(ben) <= 2, "{kind:?}");
        bot.stop().await;
    }
    let (rig, bot, ben) = known_member().await;
    // A success that is no JSON, to a change and then to the look after it.
    meets(&rig, FaultKind::Garbage, 1);
    let path = format!("/members/{ben}");
    let look = Fault::new(FaultKind::Garbage).method("GET").path(&path);
    rig.discord.add_fault(look.times(1));
    rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(
        rig.worker.result().await,
        applied(&[COUNCIL_ROLE]),
        "an answer that is not understood proves nothing"
    );
    bot.stop().await;
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_and_the_change_made_by_the_next_try() {
    let (rig, bot, ben) = known_member().await;
    meets(&rig, FaultKind::Hang, 1);
    rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE]));
    bot.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_in_the_middle_ends_all_calls_and_no_command_is_lost() {
    let (rig, bot, ben) = known_member().await;
    let fault = FaultKind::Refuse { status: 401, code: 0 };
    rig.discord.add_fault(Fault::new(fault));
    rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
    until(async || bot.ready().await["parts"]["discord_rest"]["ok"] == false).await;
    let asked = rig.discord.requests().len();
    for revision in 3..30 {
        rig.worker
            .push(&command(ben, revision, &[COUNCIL_ROLE], &[]))
            .await;
    }
    // All of them are put off, but for those that a newer one has overtaken.
    until(async || {
        let waiting: usize = rig
            .redis
            .run(&["ZCARD", "{test:role-commands-now}:delayed"])
            .await;
        let metrics = bot.metrics().await;
        let series = r#"rolecall_bot_commands_total{outcome="superseded"} "#;
        let overtaken = metrics.lines().find_map(|line| line.strip_prefix(series));
        waiting + overtaken.unwrap().parse::<usize>().unwrap() == 28
    })
    .await;
    assert_eq!(rig.discord.requests().len(), asked, "one 401 was enough");
    bot.stop().await;

    rig.discord.clear_faults();
    let bot = rig.bot().await;
    // It comes back within the minute that it was put off for, or with the next sending.
    rig.worker.push(&command(ben, 30, &[COUNCIL_ROLE], &[])).await;
    assert_eq!(rig.worker.result().await, applied(&[COUNCIL_ROLE]));
    assert!(
        rig.discord
            .member_roles(GUILD, ben)
            .unwrap()
            .contains(&COUNCIL_ROLE)
    );
    bot.stop().await;
}
