//! `member_roles`: what should be, what was seen, and who gave it.

use std::collections::{BTreeMap, BTreeSet};

use rolecall_db::{
    Transaction,
    member_roles::{
        Desired, MemberRole, Provenance, delete_settled, list_member_roles, list_roles_in, set_desired,
        set_first_revision, set_role_observed,
    },
};
use rolecall_domain::{
    ids::{GuildId, RoleId},
    roles::Reason,
};

use crate::support::{TestDb, guild, in_guild, parse, person, role, user};

/// Persons 1 and 2 in servers 1 and 2.
const PLACES: [(u64, u32); 4] = [(1, 1), (1, 2), (2, 1), (2, 2)];

async fn places(tx: &mut Transaction) {
    for n in [1, 2] {
        person(tx, n).await;
    }
    for (guild_id, n) in PLACES {
        in_guild(tx, guild(guild_id), n).await;
    }
}

fn reason(subscription: &str) -> Reason {
    Reason::Subscription {
        id: parse(subscription),
        plan: parse("council"),
        detail: "active".to_owned(),
    }
}

fn desired(roles: &[(u64, &str)]) -> BTreeMap<RoleId, BTreeSet<Reason>> {
    roles
        .iter()
        .map(|(n, subscription)| (role(*n), BTreeSet::from([reason(subscription)])))
        .collect()
}

fn wanted(n: u64, subscription: &str) -> MemberRole {
    MemberRole {
        role_id: role(n),
        desired: true,
        reasons: BTreeSet::from([reason(subscription)]),
        observed: None,
        provenance: None,
        first_revision: None,
    }
}

fn unwanted(n: u64) -> MemberRole {
    MemberRole {
        desired: false,
        reasons: BTreeSet::new(),
        ..wanted(n, "sub_1")
    }
}

async fn roles(tx: &mut Transaction, guild_id: GuildId, n: u64) -> Vec<MemberRole> {
    list_member_roles(tx, guild_id, user(n)).await.unwrap()
}

/// Sets what is wanted in one place.
async fn want(
    tx: &mut Transaction,
    (guild_id, n): (u64, u32),
    roles: &BTreeMap<RoleId, BTreeSet<Reason>>,
    asked_in: Option<i64>,
) {
    let desired = Desired {
        guild_id: guild(guild_id),
        user_id: user(n.into()),
        roles,
        asked_in,
    };
    set_desired(tx, &[desired]).await.unwrap();
}

/// Role 1 wanted in all four places.
async fn wanted_everywhere(tx: &mut Transaction) {
    places(tx).await;
    for (guild_id, n) in PLACES {
        want(tx, (guild_id, n), &desired(&[(1, "sub_1")]), None).await;
    }
}

/// The three places beside (server 1, person 1).
async fn assert_neighbours_only_want_role_one(tx: &mut Transaction) {
    for (guild_id, n) in &PLACES[1..] {
        assert_eq!(
            roles(tx, guild(*guild_id), (*n).into()).await,
            [wanted(1, "sub_1")],
            "{guild_id} {n}"
        );
    }
}

#[tokio::test]
async fn what_is_desired_is_replaced_for_one_person_in_one_server() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    wanted_everywhere(&mut tx).await;
    want(&mut tx, (1, 1), &desired(&[(2, "sub_2"), (1, "sub_9")]), None).await;
    assert_eq!(
        roles(&mut tx, guild(1), 1).await,
        [wanted(1, "sub_9"), wanted(2, "sub_2")]
    );
    want(&mut tx, (1, 1), &desired(&[(3, "sub_3"), (2, "sub_2")]), None).await;
    assert_eq!(
        roles(&mut tx, guild(1), 1).await,
        [unwanted(1), wanted(2, "sub_2"), wanted(3, "sub_3")]
    );
    want(&mut tx, (1, 1), &desired(&[]), None).await;
    assert_eq!(
        roles(&mut tx, guild(1), 1).await,
        [unwanted(1), unwanted(2), unwanted(3)]
    );
    assert_neighbours_only_want_role_one(&mut tx).await;
    let places = [(guild(2), user(1)), (guild(1), user(1)), (guild(9), user(1))];
    let listed = list_roles_in(&mut tx, places.into_iter()).await.unwrap();
    let here = roles(&mut tx, guild(1), 1).await.into_iter();
    let mut expected: Vec<_> = here.map(|role| ((guild(1), user(1)), role)).collect();
    expected.push(((guild(2), user(1)), wanted(1, "sub_1")));
    assert_eq!(listed, expected);
}

#[tokio::test]
async fn what_several_people_should_have_is_replaced_for_each_of_them() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    wanted_everywhere(&mut tx).await;
    let (first, second, third) = (desired(&[(2, "sub_2")]), desired(&[]), desired(&[(1, "sub_3")]));
    let place = |guild_id, n: u64, roles, asked_in| Desired {
        guild_id: guild(guild_id),
        user_id: user(n),
        roles,
        asked_in,
    };
    let all = [
        place(1, 1, &first, Some(7)),
        place(1, 2, &second, Some(8)),
        place(2, 1, &third, None),
    ];
    set_desired(&mut tx, &all).await.unwrap();
    let asked = MemberRole {
        first_revision: Some(7),
        ..wanted(2, "sub_2")
    };
    assert_eq!(roles(&mut tx, guild(1), 1).await, [unwanted(1), asked]);
    assert_eq!(roles(&mut tx, guild(1), 2).await, [unwanted(1)]);
    assert_eq!(roles(&mut tx, guild(2), 1).await, [wanted(1, "sub_3")]);
    assert_eq!(roles(&mut tx, guild(2), 2).await, [wanted(1, "sub_1")]);
}

#[tokio::test]
async fn what_was_seen_outlives_a_change_of_what_is_desired() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    wanted_everywhere(&mut tx).await;
    let seen = MemberRole {
        observed: Some(true),
        provenance: Some(Provenance::Ours),
        first_revision: Some(4),
        ..wanted(1, "sub_1")
    };
    set_role_observed(&mut tx, guild(1), user(1), &seen)
        .await
        .unwrap();
    want(&mut tx, (1, 1), &desired(&[]), None).await;
    let gone = MemberRole {
        desired: false,
        reasons: BTreeSet::new(),
        ..seen.clone()
    };
    assert_eq!(roles(&mut tx, guild(1), 1).await, [gone]);
    want(&mut tx, (1, 1), &desired(&[(1, "sub_1")]), None).await;
    assert_eq!(roles(&mut tx, guild(1), 1).await, [seen]);
}

#[tokio::test]
async fn one_role_is_seen_without_touching_its_neighbours() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    wanted_everywhere(&mut tx).await;
    want(&mut tx, (1, 1), &desired(&[(1, "sub_1"), (2, "sub_1")]), None).await;
    for provenance in [Some(Provenance::Ours), Some(Provenance::Foreign), None] {
        let seen = MemberRole {
            observed: Some(false),
            provenance,
            first_revision: Some(2),
            ..wanted(1, "sub_1")
        };
        set_role_observed(&mut tx, guild(1), user(1), &seen)
            .await
            .unwrap();
        assert_eq!(roles(&mut tx, guild(1), 1).await, [seen, wanted(2, "sub_1")]);
    }
    assert_neighbours_only_want_role_one(&mut tx).await;
    assert!(
        set_role_observed(&mut tx, guild(1), user(1), &wanted(9, "sub_1"))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_first_command_for_a_role_is_noted_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    wanted_everywhere(&mut tx).await;
    want(&mut tx, (1, 1), &desired(&[(1, "sub_1"), (2, "sub_1")]), None).await;
    want(&mut tx, (1, 1), &desired(&[(1, "sub_1")]), None).await;
    set_first_revision(&mut tx, guild(1), user(1), 5).await.unwrap();
    let noted = MemberRole {
        first_revision: Some(5),
        ..wanted(1, "sub_1")
    };
    assert_eq!(roles(&mut tx, guild(1), 1).await, [noted.clone(), unwanted(2)]);
    set_first_revision(&mut tx, guild(1), user(1), 6).await.unwrap();
    assert_eq!(roles(&mut tx, guild(1), 1).await, [noted.clone(), unwanted(2)]);
    let both = desired(&[(1, "sub_1"), (2, "sub_1")]);
    want(&mut tx, (1, 1), &both, Some(7)).await;
    let later = MemberRole {
        first_revision: Some(7),
        ..wanted(2, "sub_1")
    };
    assert_eq!(roles(&mut tx, guild(1), 1).await, [noted, later]);
    assert_neighbours_only_want_role_one(&mut tx).await;
}

#[tokio::test]
async fn only_roles_that_nothing_is_left_to_do_about_are_forgotten() {
    let (ours, foreign) = (Some(Provenance::Ours), Some(Provenance::Foreign));
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    places(&mut tx).await;
    // desired, observed, provenance, first revision, kept
    let table = [
        (true, Some(false), None, None, true),
        (true, Some(true), foreign, None, true),
        // Still to be taken away.
        (false, Some(true), ours, Some(1), true),
        (false, None, ours, Some(1), true),
        // A command may be on its way: whose it is will show.
        (false, None, None, Some(1), true),
        // Taken away, or never there.
        (false, Some(false), ours, Some(1), false),
        (false, Some(false), None, None, false),
        (false, Some(false), foreign, Some(1), false),
        // Never asked for, and not ours.
        (false, None, None, None, false),
        (false, Some(true), None, None, false),
        (false, Some(true), foreign, None, false),
    ];
    for (guild_id, n) in [(1, 1), (1, 2), (2, 1)] {
        for (number, (is_desired, observed, provenance, first_revision, _)) in (1..).zip(table) {
            let row = MemberRole {
                observed,
                provenance,
                first_revision,
                ..unwanted(number)
            };
            let (guild_id, user_id) = (guild(guild_id), user(n));
            sqlx::query("INSERT INTO member_roles VALUES ($1, $2, $3, $4, '[]')")
                .bind(guild_id.get().cast_signed())
                .bind(user_id.get().cast_signed())
                .bind(role(number).get().cast_signed())
                .bind(is_desired)
                .execute(&mut *tx)
                .await
                .unwrap();
            set_role_observed(&mut tx, guild_id, user_id, &row).await.unwrap();
        }
    }
    delete_settled(&mut tx, guild(1), user(1)).await.unwrap();
    let left: Vec<_> = roles(&mut tx, guild(1), 1)
        .await
        .into_iter()
        .map(|role| role.role_id)
        .collect();
    let kept = (1..)
        .zip(table)
        .filter(|(_, row)| row.4)
        .map(|(number, _)| role(number));
    assert_eq!(left, kept.collect::<Vec<_>>());
    assert_eq!(roles(&mut tx, guild(1), 2).await.len(), table.len());
    assert_eq!(roles(&mut tx, guild(2), 1).await.len(), table.len());
}

#[test]
fn a_role_is_in_sync_unless_it_is_missing_or_ours_and_unwanted() {
    let (ours, foreign) = (Some(Provenance::Ours), Some(Provenance::Foreign));
    // desired, observed, provenance: in sync, must go
    for (is_desired, observed, provenance, in_sync, must_go) in [
        (true, Some(true), ours, true, false),
        (true, Some(true), foreign, true, false),
        (true, Some(false), ours, false, false),
        (true, None, None, false, false),
        (false, Some(true), ours, false, true),
        (false, None, ours, false, true),
        (false, Some(false), ours, true, false),
        (false, Some(true), foreign, true, false),
        (false, Some(true), None, true, false),
    ] {
        let row = MemberRole {
            desired: is_desired,
            observed,
            provenance,
            ..wanted(1, "sub_1")
        };
        assert_eq!((row.is_in_sync(), row.must_go()), (in_sync, must_go), "{row:?}");
    }
}
