//! `why`: the derivation of somebody's roles, whole and theirs alone.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_db::{
    discord_accounts::{DiscordAccount, insert_account},
    grants::{NewGrant, insert_grant},
    member_guilds::{Due, set_due},
    member_roles::{Desired, set_desired},
    members::set_profile,
    subscriptions::{SubscriptionRead, set_standing},
    why::{find_standing, find_why},
};
use rolecall_domain::{
    ids::{GrantId, MemberId},
    roles::Reason,
    standing::Standing,
};
use rolecall_queue::jobs::Lane;
use serde_json::json;

use crate::support::{TestDb, at, guild, in_guild, parse, person, plan, read, role, subscribe, user, uuid};

#[tokio::test]
async fn the_derivation_tells_of_one_person_all_that_is_kept() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in [1, 2] {
        let member_id = person(&mut tx, n).await;
        let account = DiscordAccount {
            user_id: user(n.into()),
            member_id,
            username: "u".to_owned(),
        };
        insert_account(&mut tx, &account, at(0)).await.unwrap();
        for guild_id in [guild(1), guild(2)] {
            in_guild(&mut tx, guild_id, n).await;
        }
        let subscription = format!("sub_{n}");
        subscribe(
            &mut tx,
            &SubscriptionRead {
                member_id: Some(member_id),
                ..read(&subscription)
            },
        )
        .await;
        let (id, plan) = (parse(&subscription), parse("council"));
        let reasons = BTreeSet::from([Reason::Subscription {
            id,
            plan,
            detail: "active".to_owned(),
        }]);
        set_desired(
            &mut tx,
            &[Desired {
                guild_id: guild(1),
                user_id: user(n.into()),
                roles: &BTreeMap::from([(role(n.into()), reasons)]),
                asked_in: None,
            }],
        )
        .await
        .unwrap();
    }
    let one = MemberId::from_uuid(uuid(1));
    set_profile(&mut tx, one, "One", Some("one@example.org"))
        .await
        .unwrap();
    set_standing(&mut tx, &parse("sub_1"), Standing::Active, None, true)
        .await
        .unwrap();
    let due = Due {
        guild_id: guild(1),
        user_id: user(1),
        lane: Lane::Now,
        reason: "linked",
        join_wanted: true,
        send_at: at(5),
    };
    set_due(&mut tx, &[due]).await.unwrap();

    let why = find_why(&mut tx, one, at(1)).await.unwrap().unwrap();
    let reason = json!({"kind": "subscription", "id": "sub_1", "plan": "council", "detail": "active"});
    let expected = json!({
        "member": {"id": uuid(1), "discord_user_id": user(1), "email": "one@example.org"},
        "standing": "active",
        "guilds": [
            {
                "guild": guild(1), "state": "due", "blocked_reason": null,
                "roles": [{"role": role(1), "desired": true, "observed": null, "reasons": [reason]}],
                "revision": 1, "applied_revision": 0, "observed_at": null,
            },
            {
                "guild": guild(2), "state": "in_sync", "blocked_reason": null, "roles": [],
                "revision": 0, "applied_revision": 0, "observed_at": null,
            },
        ],
    });
    assert_eq!(serde_json::to_value(&why).unwrap(), expected);
    assert_eq!(
        find_why(&mut tx, MemberId::from_uuid(uuid(3)), at(1))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test]
async fn somebody_is_summed_up_by_the_best_that_they_have_at_that_time() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &[]).await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    subscribe(
        &mut tx,
        &SubscriptionRead {
            member_id: Some(one),
            ..read("sub_1")
        },
    )
    .await;
    set_standing(&mut tx, &parse("sub_1"), Standing::Debtor, None, false)
        .await
        .unwrap();
    assert_eq!(
        find_standing(&mut tx, one, at(0)).await.unwrap(),
        Some(Standing::Debtor)
    );
    let grant = NewGrant {
        id: GrantId::from_uuid(uuid(1)),
        member_id: one,
        plan: &council,
        reason: "speaker",
        granted_by: "cli",
        starts_at: at(0),
        ends_at: Some(at(10)),
    };
    insert_grant(&mut tx, &grant, at(0)).await.unwrap();
    assert_eq!(
        find_standing(&mut tx, one, at(9)).await.unwrap(),
        Some(Standing::Active)
    );
    assert_eq!(
        find_standing(&mut tx, one, at(10)).await.unwrap(),
        Some(Standing::Debtor)
    );
    assert_eq!(
        find_standing(&mut tx, other, at(9)).await.unwrap(),
        None,
        "never held anything"
    );
}
