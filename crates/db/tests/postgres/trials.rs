//! `trials`, `used_trials`: each holder uses the trial of a plan once, and what is due stays due until it is
//! settled.

use rolecall_db::{
    Transaction,
    discord_accounts::{DiscordAccount, insert_account},
    trials::{
        Holder, Trial, TrialState, defer_trial, find_trial, insert_trial, list_due_trials, list_tried_plans,
        set_trial_state, use_trial,
    },
};
use rolecall_domain::{catalog::PlanSlug, ids::MemberId};

use crate::support::{TestDb, at, parse, person, plan, read, user};

fn trial(id: &str, plan: &PlanSlug, member_id: MemberId) -> Trial {
    Trial {
        subscription: parse(id),
        plan: plan.clone(),
        member_id,
        discord_user_id: Some(user(1)),
        state: TrialState::Unchecked,
        attempts: 0,
    }
}

async fn state(tx: &mut Transaction, id: &str) -> (TrialState, i32) {
    let trial = find_trial(tx, &parse(id)).await.unwrap().unwrap();
    (trial.state, trial.attempts)
}

#[tokio::test]
async fn a_trial_is_due_until_it_is_settled_and_kept_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (council, one) = (plan(&mut tx, "council", &[]).await, person(&mut tx, 1).await);
    for id in ["sub_1", "sub_2", "sub_3"] {
        insert_trial(&mut tx, &trial(id, &council, one), at(20), at(0))
            .await
            .unwrap();
    }
    assert_eq!(
        find_trial(&mut tx, &parse("sub_1")).await.unwrap(),
        Some(trial("sub_1", &council, one))
    );
    assert_eq!(list_due_trials(&mut tx, at(19), 9).await.unwrap(), []);
    assert_eq!(list_due_trials(&mut tx, at(20), 9).await.unwrap().len(), 3);
    assert_eq!(list_due_trials(&mut tx, at(20), 2).await.unwrap().len(), 2);

    set_trial_state(&mut tx, &parse("sub_1"), TrialState::Kept, at(21))
        .await
        .unwrap();
    set_trial_state(&mut tx, &parse("sub_2"), TrialState::Refused, at(21))
        .await
        .unwrap();
    defer_trial(&mut tx, &parse("sub_2"), 1, at(60), "Stripe is away")
        .await
        .unwrap();
    // Who began earlier and comes later takes nothing back.
    defer_trial(&mut tx, &parse("sub_2"), 0, at(60), "Stripe is away")
        .await
        .unwrap();
    // What is settled is not put off.
    defer_trial(&mut tx, &parse("sub_1"), 1, at(60), "late")
        .await
        .unwrap();
    assert_eq!(
        list_due_trials(&mut tx, at(59), 9).await.unwrap(),
        [parse("sub_3")]
    );
    assert_eq!(state(&mut tx, "sub_1").await, (TrialState::Kept, 0));
    assert_eq!(state(&mut tx, "sub_2").await, (TrialState::Refused, 1));

    set_trial_state(&mut tx, &parse("sub_2"), TrialState::Ended, at(61))
        .await
        .unwrap();
    // The same purchase is looked at again: what is known stays.
    insert_trial(&mut tx, &trial("sub_2", &council, one), at(90), at(62))
        .await
        .unwrap();
    assert_eq!(state(&mut tx, "sub_2").await, (TrialState::Ended, 1));
    assert_eq!(find_trial(&mut tx, &parse("sub_9")).await.unwrap(), None);
}

#[tokio::test]
async fn each_holder_uses_the_trial_of_a_plan_with_one_subscription() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (council, guest) = (
        plan(&mut tx, "council", &[]).await,
        plan(&mut tx, "guest", &[]).await,
    );
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let (first, second) = (parse("sub_1"), parse("sub_2"));
    let card = |number: &str| Holder::Card(number.to_owned());
    for (plan, holder, subscription, expected) in [
        (&council, card("f1"), &first, true),
        (&council, card("f1"), &first, true),
        (&council, card("f1"), &second, false),
        (&council, card("f2"), &second, true),
        (&guest, card("f1"), &second, true),
        (&council, Holder::Member(one), &first, true),
        (&council, Holder::Member(one), &second, false),
        (&council, Holder::Member(other), &second, true),
        (&council, Holder::Discord(user(1)), &first, true),
        (&council, Holder::Discord(user(1)), &second, false),
    ] {
        let used = use_trial(&mut tx, plan, &holder, subscription, at(0))
            .await
            .unwrap();
        assert_eq!(used, expected, "{plan} {holder:?} {subscription}");
    }
}

#[tokio::test]
async fn of_two_at_the_same_time_one_uses_it() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &[]).await;
    tx.commit().await.unwrap();
    let card = Holder::Card("f1".to_owned());
    let (one, two) = (parse("sub_1"), parse("sub_2"));
    let claim = async |id| {
        let mut tx = db.begin().await;
        let used = use_trial(&mut tx, &council, &card, id, at(0)).await.unwrap();
        tx.commit().await.unwrap();
        used
    };
    let (first, second) = tokio::join!(claim(&one), claim(&two));
    assert!(first != second, "{first} {second}");
}

#[tokio::test]
async fn a_plan_was_tried_by_the_person_the_account_or_a_subscription_without_trial() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let mut plans = Vec::new();
    for slug in ["by_account", "by_person", "by_trial", "bought", "never", "others"] {
        plans.push(plan(&mut tx, slug, &[]).await);
    }
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let account = DiscordAccount {
        user_id: user(1),
        member_id: one,
        username: "one".to_owned(),
    };
    insert_account(&mut tx, &account, at(0)).await.unwrap();
    for (plan, holder) in [
        (0, Holder::Discord(user(1))),
        (1, Holder::Member(one)),
        (5, Holder::Discord(user(2))),
        (5, Holder::Member(other)),
    ] {
        use_trial(&mut tx, &plans[plan], &holder, &parse("sub_0"), at(0))
            .await
            .unwrap();
    }
    insert_trial(&mut tx, &trial("sub_3", &plans[2], other), at(20), at(0))
        .await
        .unwrap();
    let mut bought = read("sub_4");
    bought.member_id = Some(one);
    bought.plan = Some(plans[3].clone());
    crate::support::subscribe(&mut tx, &bought).await;
    let mut tried = list_tried_plans(&mut tx, one).await.unwrap();
    tried.sort();
    assert_eq!(
        tried,
        [&plans[3], &plans[0], &plans[1], &plans[2]].map(Clone::clone)
    );
}
