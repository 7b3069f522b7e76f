//! A policy is weighed over everybody before it is put in force, and owed to everybody after.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;
use rolecall_db::{
    Transaction,
    catalog::{catalog_version, load_catalog, replace_guilds, replace_plan_roles},
    discord_accounts::{DiscordAccount, insert_account},
    giving::By,
    impact::{Terms, compare, list_outlooks, weigh},
    members::lock_member,
    policies::current_policy,
    policy_change::{PolicyChange, PolicyRefusal, save_policy, weigh_policy},
    subscriptions::SubscriptionRead,
};
use rolecall_domain::{
    catalog::{GuildRole, GuildSettings},
    ids::MemberId,
    policy::{Policy, RuleChange},
    standing::StandingKind,
    trigger::Trigger,
};

use crate::{
    grants::Dice,
    support::{TestDb, at, guild, parse, person, plan, read, role, subscribe, user, uuid},
};

fn terms() -> Terms {
    Terms {
        default_grace: TimeDelta::days(7),
        now: at(100),
    }
}

fn by(rng: &Dice) -> By<'_> {
    By {
        actor: "cli",
        now: at(100),
        rng,
    }
}

/// Plan `council` with role 1, and Debtor role 2; the first `paying` people pay for it, and the next
/// `failing` failed to a moment ago.
async fn community(tx: &mut Transaction, paying: u32, failing: u32) {
    let council = plan(tx, "council", &[]).await;
    let member_role = GuildRole {
        guild: guild(1),
        role: role(1),
    };
    replace_plan_roles(tx, &council, &BTreeSet::from([member_role]))
        .await
        .unwrap();
    let settings = GuildSettings {
        debtor_role: Some(role(2)),
        ..GuildSettings::default()
    };
    replace_guilds(tx, &[(guild(1), settings)].into()).await.unwrap();
    for n in 1..=paying + failing {
        let member_id = person(tx, n).await;
        let account = DiscordAccount {
            user_id: user(n.into()),
            member_id,
            username: "somebody".to_owned(),
        };
        insert_account(tx, &account, at(0)).await.unwrap();
        let fails = n > paying;
        let subscription = SubscriptionRead {
            member_id: Some(member_id),
            plan: Some(council.clone()),
            status: parse(if fails { "past_due" } else { "active" }),
            owed_since: fails.then(|| at(90)),
            ..read(&format!("sub_{n}"))
        };
        subscribe(tx, &subscription).await;
    }
}

/// Who owes has no access from the first day on.
fn strict() -> Policy {
    let change = RuleChange {
        access: Some(false),
        ..RuleChange::default()
    };
    Policy {
        standings: BTreeMap::from([(StandingKind::Grace, change)]),
        ..Policy::default()
    }
}

const fn wanted(policy: &Policy) -> PolicyChange<'_> {
    PolicyChange {
        policy,
        if_version: None,
    }
}

#[tokio::test]
async fn a_policy_is_saved_with_its_impact_and_owed_to_everybody() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    community(&mut tx, 2, 3).await;
    let (policy, dice) = (strict(), Dice::default());
    let weighed = weigh_policy(&mut tx, wanted(&policy), terms()).await.unwrap();
    assert_eq!((weighed.version, weighed.is_same), (0, false));
    let words = format!(
        "3 of 5 members change: 3 lose role {} in server {}",
        role(1),
        guild(1)
    );
    assert_eq!(weighed.summary, words);
    assert_eq!(
        current_policy(&mut tx).await.unwrap().version,
        0,
        "it was only weighed"
    );

    let before = catalog_version(&mut tx).await.unwrap();
    let saved = save_policy(&mut tx, wanted(&policy), "stricter", terms(), by(&dice))
        .await
        .unwrap();
    assert_eq!(saved.impact, weighed.impact);
    assert_eq!(catalog_version(&mut tx).await.unwrap(), before + 1);
    let current = current_policy(&mut tx).await.unwrap();
    assert_eq!(
        (current.version, &current.policy, current.reason.as_str()),
        (saved.version, &policy, "stricter")
    );
    for n in 1..=5 {
        let member_id = MemberId::from_uuid(uuid(n));
        let owed = lock_member(&mut tx, member_id).await.unwrap().unwrap();
        assert_eq!(owed.trigger, Some(Trigger::Catalog), "person {n}");
    }
    let subjects: Vec<String> =
        sqlx::query_scalar("SELECT subject FROM audit_log WHERE action = 'policy.save'")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    assert_eq!(subjects, [format!("policy {}", saved.version)]);

    let again = save_policy(&mut tx, wanted(&policy), "again", terms(), by(&dice))
        .await
        .unwrap();
    assert_eq!((again.is_same, again.version), (true, saved.version));
}

#[tokio::test]
async fn a_policy_that_locks_everybody_out_is_refused_with_the_numbers() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    community(&mut tx, 0, 3).await;
    let (policy, dice) = (strict(), Dice::default());
    let refusal = save_policy(&mut tx, wanted(&policy), "stricter", terms(), by(&dice))
        .await
        .unwrap_err();
    assert!(matches!(refusal, PolicyRefusal::LocksOut { .. }), "{refusal:?}");
    let text = refusal.to_string();
    assert!(
        text.contains("of 3 with access now 0 would keep it") && text.contains("3 lose role"),
        "{text}"
    );
    assert_eq!(current_policy(&mut tx).await.unwrap().version, 0);
}

#[tokio::test]
async fn of_two_editors_the_second_is_told_that_somebody_was_faster() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    community(&mut tx, 1, 1).await;
    let dice = Dice::default();
    let (first, second) = (strict(), Policy::default());
    let from_zero = |policy| PolicyChange {
        policy,
        if_version: Some(0),
    };
    let saved = save_policy(&mut tx, from_zero(&first), "first", terms(), by(&dice))
        .await
        .unwrap();
    let refusal = save_policy(&mut tx, from_zero(&second), "second", terms(), by(&dice))
        .await
        .unwrap_err();
    match refusal {
        PolicyRefusal::Overtaken { current, expected } => assert_eq!((current, expected), (saved.version, 0)),
        other => panic!("{other:?}"),
    }
    assert_eq!(current_policy(&mut tx).await.unwrap().policy, first);
}

#[tokio::test]
async fn every_fault_of_a_policy_is_named_and_what_could_not_be_checked_is_said() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    community(&mut tx, 1, 0).await;
    let mut policy = strict();
    let locked = RuleChange {
        access: Some(false),
        ..RuleChange::default()
    };
    policy.standings.insert(StandingKind::Active, locked);
    policy.plans.insert(parse("counsel"), BTreeMap::new());
    match weigh_policy(&mut tx, wanted(&policy), terms()).await {
        Err(PolicyRefusal::Faults(faults)) => assert_eq!(faults.len(), 2, "{faults:?}"),
        other => panic!("{other:?}"),
    }
    let mut policy = strict();
    let more = RuleChange {
        roles: Some(BTreeSet::from([GuildRole {
            guild: guild(7),
            role: role(7),
        }])),
        ..RuleChange::default()
    };
    policy.standings.insert(StandingKind::Ended, more);
    let weighed = weigh_policy(&mut tx, wanted(&policy), terms()).await.unwrap();
    assert_eq!(weighed.warnings.len(), 1, "{weighed:?}");
}

#[tokio::test]
async fn weighing_a_change_and_comparing_two_looks_come_to_the_same() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    community(&mut tx, 2, 2).await;
    let before = load_catalog(&mut tx).await.unwrap();
    let mut after = before.clone();
    after.policy = strict();
    let weighed = weigh(&mut tx, &before, &after, terms()).await.unwrap();
    let first = list_outlooks(&mut tx, &before, terms()).await.unwrap();
    let second = list_outlooks(&mut tx, &after, terms()).await.unwrap();
    assert_eq!((weighed.members, weighed.changed), (4, 2));
    assert_eq!(compare(&first, &second), weighed);
}
