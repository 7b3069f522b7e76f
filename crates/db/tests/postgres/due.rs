//! `due`: each kind counts what is owed, and nothing else.

use rolecall_db::{
    due::{DueRows, count_due},
    member_guilds::{Due, set_due},
    members::set_converge_due,
    trials::{Trial, TrialState, insert_trial, set_trial_state},
};
use rolecall_domain::trigger::Trigger;
use rolecall_queue::jobs::Lane;

use crate::support::{TestDb, at, guild, in_guild, parse, person, plan, user};

#[tokio::test]
async fn what_is_owed_is_counted_by_its_kind() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in [1, 2, 3] {
        person(&mut tx, n).await;
        in_guild(&mut tx, guild(1), n).await;
    }
    let counted = |roles, messages, convergences, trials| DueRows {
        roles,
        messages,
        convergences,
        trials,
    };
    assert_eq!(count_due(&mut tx).await.unwrap(), counted(0, 0, 0, 0));
    let due = Due {
        guild_id: guild(1),
        user_id: user(1),
        lane: Lane::Now,
        reason: "subscription",
        join_wanted: false,
        send_at: at(9),
    };
    let other = Due {
        user_id: user(2),
        ..due
    };
    set_due(&mut tx, &[due, other]).await.unwrap();
    let third = person(&mut tx, 4).await;
    set_converge_due(&mut tx, third, Trigger::Staff, at(0))
        .await
        .unwrap();
    assert_eq!(count_due(&mut tx).await.unwrap(), counted(2, 0, 1, 0));
    let sql = "INSERT INTO notifications (id, member_id, kind, channel, dedup_key, args, state, attempts, created_at)
               SELECT gen_random_uuid(), $1, 'welcome', 'mail', state, '{}', state, 0, clock_timestamp()
               FROM unnest(ARRAY['due', 'sending', 'sent', 'undeliverable']) AS s (state)";
    sqlx::query(sql)
        .bind(third.as_uuid())
        .execute(&mut *tx)
        .await
        .unwrap();
    assert_eq!(count_due(&mut tx).await.unwrap(), counted(2, 2, 1, 0));

    let council = plan(&mut tx, "council", &[]).await;
    for id in ["sub_1", "sub_2"] {
        let trial = Trial {
            subscription: parse(id),
            plan: council.clone(),
            member_id: third,
            discord_user_id: None,
            state: TrialState::Unchecked,
            attempts: 0,
        };
        insert_trial(&mut tx, &trial, at(9), at(0)).await.unwrap();
    }
    set_trial_state(&mut tx, &parse("sub_2"), TrialState::Kept, at(1))
        .await
        .unwrap();
    assert_eq!(count_due(&mut tx).await.unwrap(), counted(2, 2, 1, 1));
}
