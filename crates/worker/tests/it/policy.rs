//! B13: a policy that was saved reaches everybody, behind those who are waiting for something.

use std::collections::BTreeMap;

use rolecall_db::{
    giving::By,
    impact::Terms,
    policy_change::{PolicyChange, PolicyRefusal, save_policy},
};
use rolecall_domain::{
    policy::{Policy, RuleChange},
    standing::StandingKind,
};
use rolecall_queue::jobs::{Lane, SyncPlans};
use rolecall_worker::handlers::sync_plans;

use crate::support::{
    World,
    plans::{debtor_role, member_role},
};

fn with_grace(change: RuleChange) -> Policy {
    Policy {
        standings: BTreeMap::from([(StandingKind::Grace, change)]),
        ..Policy::default()
    }
}

impl World {
    async fn save(&self, policy: &Policy) -> Result<String, PolicyRefusal> {
        let change = PolicyChange {
            policy,
            if_version: None,
        };
        let terms = Terms {
            default_grace: self.worker.default_grace,
            now: self.now(),
        };
        let by = By {
            actor: "cli",
            now: self.now(),
            rng: &*self.rng,
        };
        let mut tx = self.worker.db.begin().await.unwrap();
        let weighed = save_policy(&mut tx, change, "a test", terms, by).await?;
        tx.commit().await.unwrap();
        Ok(weighed.summary)
    }
}

#[tokio::test]
async fn a_saved_policy_changes_what_it_said_it_would_behind_those_who_wait() {
    let world = World::start().await;
    let (payer, _) = world.council_member().await;
    let (late, subscription) = world.council_member().await;
    world.stripe.fail_payment(&subscription).unwrap();
    world.follow().await;
    let both = [member_role(), debtor_role()];
    assert_eq!(world.roles(&late), both.into());

    let strict = with_grace(RuleChange {
        access: Some(false),
        ..RuleChange::default()
    });
    let summary = world.save(&strict).await.unwrap();
    assert!(
        summary.starts_with("1 of 2 members changes: 1 loses "),
        "{summary}"
    );
    sync_plans::run(world.worker.clone(), SyncPlans {}, world.attempt())
        .await
        .unwrap();
    let commands = world.commands().await;
    let [command] = commands.as_slice() else {
        panic!("one person changes: {commands:?}")
    };
    assert_eq!((command.user_id, command.lane), (late.user, Lane::Bulk));
    world.carry_out(command).await;
    world.settle().await;
    assert_eq!(world.roles(&late), [debtor_role()].into());
    assert_eq!(world.roles(&payer), [member_role()].into());

    world.save(&Policy::default()).await.unwrap();
    // The hint is lost this time.
    world.sweep().await;
    assert_eq!(world.roles(&late), both.into(), "the built-in rules again");
}
