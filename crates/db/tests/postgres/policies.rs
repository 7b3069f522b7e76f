//! `policies`: what each standing means, in all its versions.

use std::collections::BTreeMap;

use rolecall_db::{
    catalog::load_catalog,
    policies::{current_policy, insert_policy, list_policies},
};
use rolecall_domain::{
    policy::{Policy, RuleChange},
    standing::StandingKind,
};

use crate::support::{TestDb, at};

fn policy(delay_seconds: u32) -> Policy {
    let change = RuleChange {
        delay_seconds: Some(delay_seconds),
        ..RuleChange::default()
    };
    Policy {
        standings: BTreeMap::from([(StandingKind::Ended, change)]),
        ..Policy::default()
    }
}

#[tokio::test]
async fn the_newest_policy_is_in_force_and_the_others_are_kept() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let none = current_policy(&mut tx).await.unwrap();
    assert_eq!((none.version, none.policy), (0, Policy::default()), "built in");
    let first = insert_policy(&mut tx, &policy(1), "cli", "a try", at(1))
        .await
        .unwrap();
    let second = insert_policy(&mut tx, &policy(2), "member:1", "better", at(2))
        .await
        .unwrap();
    assert!(first < second);
    let current = current_policy(&mut tx).await.unwrap();
    assert_eq!(
        (current.version, &current.policy, current.saved_at),
        (second, &policy(2), Some(at(2)))
    );
    assert_eq!(
        (current.saved_by.as_str(), current.reason.as_str()),
        ("member:1", "better")
    );
    let versions: Vec<i64> = list_policies(&mut tx, None, 10)
        .await
        .unwrap()
        .iter()
        .map(|saved| saved.version)
        .collect();
    assert_eq!(versions, [second, first]);
    let older = list_policies(&mut tx, Some(second), 10).await.unwrap();
    assert_eq!(
        older.iter().map(|saved| saved.version).collect::<Vec<_>>(),
        [first]
    );
    assert_eq!(load_catalog(&mut tx).await.unwrap().policy, policy(2));
}
