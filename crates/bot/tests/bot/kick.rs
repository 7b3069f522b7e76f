//! People whose membership has ended are removed from the server, where the owner chose so.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_domain::clock::Clock;
use rolecall_queue::jobs::{ApplyRoles, RoleResult};
use rolecall_runtime::clock::SystemClock;
use rolecall_sandbox::discord::{
    Config,
    demo::{BOT_ROLE, COUNCIL_ROLE, DEBTOR_ROLE, GUILD, OWNER, STAFF_ROLE},
    faults::{Fault, FaultKind},
    limits::rules::LimitRule,
    state::{audit::AuditAction, permissions::KICK_MEMBERS},
};

use crate::support::{Rig, Seen, command, no_intents, role, until};

/// The bot may remove people.
fn may_kick(config: &mut Config) {
    let roles = config.guilds.iter_mut().flat_map(|guild| &mut guild.roles);
    for bot in roles.filter(|role| role.id == BOT_ROLE) {
        bot.permissions |= KICK_MEMBERS;
    }
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

/// The command to remove somebody whose membership had ended by `ended`, with the role it gave them.
fn removal(who: u64, revision: i64, ended: DateTime<Utc>) -> ApplyRoles {
    ApplyRoles {
        kick: Some(ended),
        ..command(who, revision, &[], &[COUNCIL_ROLE])
    }
}

impl Rig {
    fn kicks(&self, who: u64) -> usize {
        let path = format!("/guilds/{GUILD}/members/{who}");
        let requests = self.discord.requests();
        let kicks = requests
            .iter()
            .filter(|entry| entry.method == "DELETE" && entry.path.ends_with(&path));
        kicks.count()
    }

    fn is_in(&self, who: u64) -> bool {
        self.discord.member_roles(GUILD, who).is_some()
    }

    /// Somebody who had been a member for a while.
    fn paid(&self, name: &str) -> u64 {
        let who = self.member(name);
        self.discord.give_role(GUILD, who, COUNCIL_ROLE).unwrap();
        who
    }

    /// The reports on a removal that was refused: who they still are, and why they are still there.
    async fn refusal(&self) -> (RoleResult, i64, String) {
        let seen = self.worker.result().await;
        match self.worker.result().await {
            RoleResult::Blocked { code, roles, message } => {
                assert_eq!(roles, []);
                (seen, code, message)
            }
            other => panic!("{other:?}"),
        }
    }
}

fn applied(roles: &[u64]) -> RoleResult {
    RoleResult::Applied {
        roles: roles.iter().copied().map(role).collect(),
        already: Vec::new(),
        joined: false,
        pending: false,
    }
}

#[tokio::test]
async fn somebody_is_removed_with_a_reason_in_the_audit_log_and_that_is_reported() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    let bot = rig.bot().await;
    rig.worker.push(&removal(ben, 1, now())).await;
    assert_eq!(rig.worker.result().await, RoleResult::NotInGuild { kicked: true });
    assert!(!rig.is_in(ben));
    let log = rig.discord.audit_log();
    let entry = log
        .iter()
        .find(|entry| entry.action == AuditAction::MemberKick)
        .unwrap();
    assert_eq!(
        entry.reason.as_deref(),
        Some("Rolecall: the membership has ended (paid)")
    );
    assert_eq!(rig.writes(ben), 0, "who is removed loses their roles by that");
    assert!(
        bot.metrics()
            .await
            .contains(r#"rolecall_bot_commands_total{outcome="kicked"} 1"#)
    );
    bot.stop().await;
}

#[tokio::test]
async fn who_came_back_since_their_membership_ended_is_not_removed_however_often_the_command_comes() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    let bot = rig.bot().await;
    let ended = now();
    rig.worker.push(&removal(ben, 1, ended)).await;
    assert_eq!(rig.worker.result().await, RoleResult::NotInGuild { kicked: true });
    rig.discord.join(GUILD, ben).unwrap();
    rig.worker
        .sighting(|seen| matches!(seen, Seen::Joined(_)).then_some(()))
        .await;
    for _ in 0..2 {
        rig.worker.push(&removal(ben, 1, ended)).await;
        assert_eq!(rig.worker.result().await, applied(&[]));
    }
    assert!(rig.is_in(ben));
    assert_eq!(rig.kicks(ben), 1);
    bot.stop().await;
}

#[tokio::test]
async fn who_should_have_a_role_is_never_removed_whatever_else_the_command_says() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    let bot = rig.bot().await;
    let contradicts_itself = ApplyRoles {
        add: vec![role(DEBTOR_ROLE)],
        ..removal(ben, 1, now())
    };
    rig.worker.push(&contradicts_itself).await;
    assert_eq!(rig.worker.result().await, applied(&[DEBTOR_ROLE]));
    let only_looks = ApplyRoles {
        probe: true,
        ..removal(ben, 2, now())
    };
    rig.worker.push(&only_looks).await;
    assert_eq!(rig.worker.result().await, applied(&[DEBTOR_ROLE]));
    assert_eq!(rig.kicks(ben), 0);
    bot.stop().await;
}

#[tokio::test]
async fn a_newer_purchase_overtakes_a_removal_that_waits() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    // The removal waits for its looks, and meanwhile they have paid.
    let look = FaultKind::Delay { millis: 1_500 };
    let path = format!("/members/{ben}");
    rig.discord
        .add_fault(Fault::new(look).method("GET").path(&path).times(2));
    let bot = rig.bot().await;
    rig.worker.push(&removal(ben, 1, now())).await;
    until(async || rig.requests("GET", &path) >= 1).await;
    rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
    let outcome = rig.worker.outcome().await;
    assert_eq!(outcome.revision, 2);
    assert!(rig.roles_of(ben).contains(&COUNCIL_ROLE));
    assert_eq!(rig.kicks(ben), 0);
    bot.stop().await;
}

#[tokio::test]
async fn a_newer_purchase_overtakes_a_removal_that_waits_for_discords_limit() {
    let rig = Rig::start_with(|config| {
        may_kick(config);
        let removals = LimitRule::new(
            "removals",
            &["DELETE /guilds/{g}/members/{u}"],
            1,
            Duration::from_secs(4),
        );
        config.limits.rules.push(removals);
    })
    .await;
    let (ada, ben) = (rig.paid("Ada A"), rig.paid("Ben B"));
    let bot = rig.bot().await;
    rig.worker.push(&removal(ada, 1, now())).await;
    assert_eq!(rig.worker.result().await, RoleResult::NotInGuild { kicked: true });
    rig.worker.push(&removal(ben, 1, now())).await;
    // They have been looked at for the last time before the removal, which has to wait.
    let last_look = format!("/members/{ben}");
    until(async || rig.requests("GET", &last_look) >= 2).await;
    rig.worker.push(&command(ben, 2, &[COUNCIL_ROLE], &[])).await;
    let outcome = rig.worker.outcome().await;
    assert_eq!(outcome.revision, 2);
    assert!(rig.roles_of(ben).contains(&COUNCIL_ROLE));
    assert_eq!(rig.kicks(ben), 0);
    bot.stop().await;
}

#[tokio::test]
async fn without_the_permission_nobody_is_removed_and_ready_and_the_report_say_what_to_switch_on() {
    let rig = Rig::start().await;
    let ben = rig.paid("Ben B");
    let bot = rig.bot().await;
    assert_eq!(
        bot.ready().await["parts"]["setup"]["ok"],
        true,
        "nobody asked for it yet"
    );
    rig.publish(2, &[COUNCIL_ROLE], &[], true).await;
    until(async || bot.ready().await["parts"]["setup"]["ok"] == false).await;
    let ready = bot.ready().await;
    let detail = ready["parts"]["setup"]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("switch on Kick Members"), "{detail}");

    rig.worker.push(&removal(ben, 1, now())).await;
    let (seen, code, message) = rig.refusal().await;
    assert_eq!((seen, code), (applied(&[]), 50_013));
    assert!(message.contains("switch on Kick Members"), "{message}");
    assert_eq!(
        (rig.kicks(ben), rig.is_in(ben)),
        (0, true),
        "foreseen, and not even tried"
    );
    bot.stop().await;
}

#[tokio::test]
async fn staff_of_the_server_is_left_alone() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    rig.discord.give_role(GUILD, ben, STAFF_ROLE).unwrap();
    let bot = rig.bot().await;
    rig.worker.push(&removal(ben, 1, now())).await;
    let (seen, _, message) = rig.refusal().await;
    assert_eq!(
        seen,
        applied(&[STAFF_ROLE]),
        "the role that had been paid for goes"
    );
    assert!(
        message.contains("Staff") && message.contains("permissions of staff"),
        "{message}"
    );
    assert_eq!(rig.kicks(ben), 0);
    bot.stop().await;
}

#[tokio::test]
async fn staff_is_left_alone_even_where_the_gateway_does_not_tell_who_that_is() {
    let rig = Rig::start_with(|config| {
        may_kick(config);
        no_intents(config);
    })
    .await;
    let (ada, ben) = (rig.paid("Ada A"), rig.paid("Ben B"));
    rig.discord.give_role(GUILD, ben, STAFF_ROLE).unwrap();
    let bot = rig.idle_bot("10s");
    until(async || bot.ready().await["parts"]["gateway"]["ok"] == false).await;
    rig.worker.push(&removal(ben, 1, now())).await;
    let (seen, _, message) = rig.refusal().await;
    assert_eq!(seen, applied(&[STAFF_ROLE]));
    assert!(message.contains("permissions of staff"), "{message}");
    assert_eq!(rig.kicks(ben), 0);
    rig.worker.push(&removal(ada, 1, now())).await;
    assert_eq!(rig.worker.result().await, RoleResult::NotInGuild { kicked: true });
    bot.stop().await;
}

#[tokio::test]
async fn discords_no_is_taken_for_one_and_not_asked_for_again() {
    let rig = Rig::start_with(|config| {
        may_kick(config);
        for guild in &mut config.guilds {
            guild.members = vec![(OWNER, Vec::new())];
        }
    })
    .await;
    let bot = rig.bot().await;
    rig.worker.push(&removal(OWNER, 1, now())).await;
    let (seen, code, message) = rig.refusal().await;
    assert_eq!((seen, code), (applied(&[]), 50_013));
    assert!(message.contains("own the server"), "{message}");
    assert_eq!((rig.kicks(OWNER), rig.is_in(OWNER)), (1, true));
    bot.stop().await;
}

#[tokio::test]
async fn a_removal_that_is_a_lie_is_seen_through_and_the_roles_are_taken() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    let lie = Fault::new(FaultKind::Lie).method("DELETE").times(1);
    rig.discord.add_fault(lie);
    let bot = rig.bot().await;
    rig.worker.push(&removal(ben, 1, now())).await;
    let (seen, _, message) = rig.refusal().await;
    assert_eq!(seen, applied(&[]));
    assert!(message.contains("still there"), "{message}");
    bot.stop().await;
}

#[tokio::test]
async fn who_has_left_already_is_not_reported_as_removed() {
    let rig = Rig::start_with(may_kick).await;
    let ben = rig.paid("Ben B");
    let bot = rig.bot().await;
    rig.discord.leave(GUILD, ben).unwrap();
    rig.worker
        .push(&removal(ben, 1, now() + TimeDelta::seconds(1)))
        .await;
    assert_eq!(
        rig.worker.result().await,
        RoleResult::NotInGuild { kicked: false }
    );
    bot.stop().await;
}
