//! `members`: people, and what they are owed.

use rolecall_db::{
    Transaction,
    catalog::{catalog_version, raise_catalog_version},
    discord_accounts::{DiscordAccount, insert_account},
    grants::{NewGrant, insert_grant},
    members::{
        Member, Owed, find_direct_messages, find_member, insert_member, list_converge_due,
        list_members_with_email, list_next_change_due, lock_free_members, lock_member, search_members,
        set_converge_due, set_converge_due_for_all, set_converged, set_direct_messages, set_profile,
    },
    purchases::write_purchase,
    subscriptions::SubscriptionRead,
};
use rolecall_domain::{
    ids::{GrantId, MemberId},
    trigger::Trigger,
};

use crate::{
    purchases::purchase,
    support::{TestDb, at, guild, in_guild, parse, person, plan, read, soon, subscribe, user, uuid},
};

fn member(n: u32, email: Option<&str>) -> Member {
    Member {
        id: MemberId::from_uuid(uuid(n)),
        display_name: format!("Person {n}"),
        email: email.map(str::to_owned),
        created_at: at(n.into()),
    }
}

#[tokio::test]
async fn a_person_is_found_as_they_were_added() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (member(1, Some("one@example.org")), member(2, None));
    insert_member(&mut tx, &one).await.unwrap();
    insert_member(&mut tx, &other).await.unwrap();
    assert_eq!(find_member(&mut tx, one.id).await.unwrap(), Some(one.clone()));
    assert_eq!(find_member(&mut tx, other.id).await.unwrap(), Some(other));
    assert_eq!(
        find_member(&mut tx, MemberId::from_uuid(uuid(3))).await.unwrap(),
        None
    );
    assert_eq!(
        insert_member(&mut tx, &one).await.unwrap_err().constraint(),
        Some("members_pkey")
    );
}

#[tokio::test]
async fn staff_finds_people_by_id_account_name_and_the_beginning_of_an_address() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, name, email) in [
        (1, "Ada Lovelace", Some("ada@example.org")),
        (2, "Grace 100%", Some("grace@example.org")),
        (3, "Graceless", None),
    ] {
        let known = Member {
            display_name: name.to_owned(),
            ..member(n, email)
        };
        insert_member(&mut tx, &known).await.unwrap();
    }
    let account = DiscordAccount {
        user_id: user(7),
        member_id: MemberId::from_uuid(uuid(3)),
        username: "Hopper".to_owned(),
    };
    insert_account(&mut tx, &account, at(0)).await.unwrap();
    let user_id = user(7).to_string();
    let ada = uuid(1).to_string();
    for (query, expected) in [
        (ada.as_str(), [1].as_slice()),
        (&user_id, &[3]),
        ("GRACE", &[3, 2]),
        ("love", &[1]),
        ("0%", &[2]),
        ("hopp", &[3]),
        (" ADA@ex ", &[1]),
        ("example.org", &[]),
        ("%", &[2]),
        ("", &[3, 2, 1]),
        ("nobody", &[]),
    ] {
        let found = search_members(&mut tx, query, None, 9).await.unwrap();
        let ids: Vec<_> = found.iter().map(|found| found.member.id.as_uuid()).collect();
        let expected: Vec<_> = expected.iter().map(|n| uuid(*n)).collect();
        assert_eq!(ids, expected, "{query:?}");
    }
    let page = search_members(&mut tx, "", Some(MemberId::from_uuid(uuid(3))), 1)
        .await
        .unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!((page[0].member.id.as_uuid(), &page[0].discord), (uuid(2), &None));
    let found = search_members(&mut tx, &user_id, None, 9).await.unwrap();
    assert_eq!(found[0].discord, Some((user(7), "Hopper".to_owned())));
}

#[tokio::test]
async fn who_declines_messages_by_discord_does_so_alone() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    assert_eq!(find_direct_messages(&mut tx, one).await.unwrap(), Some(true));
    assert!(set_direct_messages(&mut tx, one, false).await.unwrap());
    assert!(
        !set_direct_messages(&mut tx, one, false).await.unwrap(),
        "nothing new"
    );
    assert_eq!(find_direct_messages(&mut tx, one).await.unwrap(), Some(false));
    assert_eq!(find_direct_messages(&mut tx, other).await.unwrap(), Some(true));
    let nobody = MemberId::from_uuid(uuid(9));
    assert_eq!(find_direct_messages(&mut tx, nobody).await.unwrap(), None);
    assert!(!set_direct_messages(&mut tx, nobody, false).await.unwrap());
}

#[tokio::test]
async fn everybody_with_an_address_is_found_however_it_is_written() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for member in [
        member(2, Some("shared@example.org")),
        member(1, Some("Shared@Example.org")),
        member(3, Some("other@example.org")),
        member(4, None),
    ] {
        insert_member(&mut tx, &member).await.unwrap();
    }
    let found = list_members_with_email(&mut tx, "SHARED@example.org")
        .await
        .unwrap();
    assert_eq!(found, [uuid(1), uuid(2)].map(MemberId::from_uuid));
    assert_eq!(list_members_with_email(&mut tx, "").await.unwrap(), []);
}

#[tokio::test]
async fn a_profile_without_an_address_keeps_the_known_one() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (
        member(1, Some("old@example.org")),
        member(2, Some("other@example.org")),
    );
    insert_member(&mut tx, &one).await.unwrap();
    insert_member(&mut tx, &other).await.unwrap();
    set_profile(&mut tx, one.id, "Renamed", None).await.unwrap();
    let stored = find_member(&mut tx, one.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.display_name.as_str(), stored.email.as_deref()),
        ("Renamed", Some("old@example.org"))
    );
    set_profile(&mut tx, one.id, "Again", Some("New@Example.org"))
        .await
        .unwrap();
    let stored = find_member(&mut tx, one.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.display_name.as_str(), stored.email.as_deref()),
        ("Again", Some("new@example.org"))
    );
    assert_eq!(find_member(&mut tx, other.id).await.unwrap(), Some(other));
    assert!(
        set_profile(&mut tx, MemberId::from_uuid(uuid(9)), "x", None)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn causes_that_wait_add_up_until_a_convergence_clears_them() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    assert_eq!(lock_member(&mut tx, one).await.unwrap(), Some(Owed::default()));
    let owed = |trigger, join, forced| {
        Some(Owed {
            trigger: Some(trigger),
            join,
            forced,
            is_due: true,
            next_change_at: None,
        })
    };
    for (seconds, trigger, expected) in [
        (
            1,
            Trigger::Subscription,
            owed(Trigger::Subscription, false, false),
        ),
        (2, Trigger::Linked, owed(Trigger::Linked, true, false)),
        (3, Trigger::Staff, owed(Trigger::Staff, true, true)),
        (4, Trigger::Catalog, owed(Trigger::Catalog, true, true)),
    ] {
        set_converge_due(&mut tx, one, trigger, at(seconds))
            .await
            .unwrap();
        assert_eq!(lock_member(&mut tx, one).await.unwrap(), expected);
    }
    assert_eq!(lock_member(&mut tx, other).await.unwrap(), Some(Owed::default()));
    // Owed since the first cause.
    assert_eq!(list_converge_due(&mut tx, at(1), 9).await.unwrap(), [one]);
    set_converge_due(&mut tx, other, Trigger::FixRoles, at(0))
        .await
        .unwrap();
    set_converged(&mut tx, one, Some(at(50))).await.unwrap();
    let settled = Owed {
        next_change_at: Some(at(50)),
        ..Owed::default()
    };
    assert_eq!(lock_member(&mut tx, one).await.unwrap(), Some(settled));
    assert_eq!(
        lock_member(&mut tx, other).await.unwrap(),
        owed(Trigger::FixRoles, true, true)
    );
    assert_eq!(list_converge_due(&mut tx, at(99), 9).await.unwrap(), [other]);
    let nobody = MemberId::from_uuid(uuid(9));
    assert_eq!(lock_member(&mut tx, nobody).await.unwrap(), None);
    assert!(
        set_converge_due(&mut tx, nobody, Trigger::Staff, at(0))
            .await
            .is_err()
    );
    set_converged(&mut tx, nobody, None).await.unwrap();
}

#[tokio::test]
async fn a_convergence_that_finds_nothing_new_writes_nothing() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    set_converged(&mut tx, one, Some(at(9))).await.unwrap();
    let before = place(&mut tx).await;
    set_converged(&mut tx, one, Some(at(9))).await.unwrap();
    assert_eq!(place(&mut tx).await, before);
    set_converged(&mut tx, one, None).await.unwrap();
    assert_ne!(place(&mut tx).await, before);
}

/// Where the only person's row stands; every write moves it.
async fn place(tx: &mut Transaction) -> String {
    let sql = "SELECT ctid::text FROM members";
    sqlx::query_scalar(sql).fetch_one(&mut **tx).await.unwrap()
}

#[tokio::test]
async fn convergences_of_one_person_wait_for_each_other_and_those_of_others_do_not() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    tx.commit().await.unwrap();

    let mut first = db.begin().await;
    lock_member(&mut first, one).await.unwrap();
    let second = Box::pin(async {
        let mut tx = db.begin().await;
        soon(lock_member(&mut tx, other)).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = db.begin().await;
        lock_member(&mut tx, one).await.unwrap().unwrap()
    });
    let finish_first = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        set_converge_due(&mut first, one, Trigger::Staff, at(1))
            .await
            .unwrap();
        first.commit().await.unwrap();
    });
    let (seen, ()) = soon(async { tokio::join!(second, finish_first) }).await;
    assert_eq!(
        seen.trigger,
        Some(Trigger::Staff),
        "who waited sees what was written meanwhile"
    );
}

#[tokio::test]
async fn rows_that_refer_to_a_person_can_be_added_while_they_are_converged() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    tx.commit().await.unwrap();
    let mut converging = db.begin().await;
    lock_member(&mut converging, one).await.unwrap();
    let mut tx = db.begin().await;
    soon(in_guild(&mut tx, guild(1), 1)).await;
}

#[tokio::test]
async fn a_changed_catalog_owes_a_convergence_to_all_who_have_something() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &[]).await;
    let mut people = Vec::new();
    for n in 0..5 {
        people.push(person(&mut tx, n).await);
    }
    let mut subscription = read("sub_1");
    subscription.member_id = Some(people[0]);
    subscribe(&mut tx, &subscription).await;
    let grant = NewGrant {
        id: GrantId::from_uuid(uuid(1)),
        member_id: people[1],
        plan: &council,
        reason: "speaker",
        granted_by: "cli",
        starts_at: at(0),
        ends_at: None,
    };
    insert_grant(&mut tx, &grant, at(0)).await.unwrap();
    in_guild(&mut tx, guild(1), 2).await;
    in_guild(&mut tx, guild(1), 3).await;
    people.push(person(&mut tx, 5).await);
    let bought = purchase("cs_1", Some(people[5]), None);
    assert!(write_purchase(&mut tx, &bought, None, at(0)).await.unwrap());
    set_converge_due(&mut tx, people[3], Trigger::Linked, at(1))
        .await
        .unwrap();

    assert_eq!(set_converge_due_for_all(&mut tx, at(5)).await.unwrap(), 5);
    let catalog = Owed {
        trigger: Some(Trigger::Catalog),
        is_due: true,
        ..Owed::default()
    };
    for member_id in people[..3].iter().chain(&people[5..]) {
        assert_eq!(lock_member(&mut tx, *member_id).await.unwrap(), Some(catalog));
    }
    let waiting = lock_member(&mut tx, people[3]).await.unwrap().unwrap();
    assert_eq!(
        (waiting.trigger, waiting.join),
        (Some(Trigger::Linked), true),
        "owed before, and for more"
    );
    assert_eq!(
        lock_member(&mut tx, people[4]).await.unwrap(),
        Some(Owed::default()),
        "has nothing"
    );
    assert_eq!(list_converge_due(&mut tx, at(4), 9).await.unwrap(), [people[3]]);
}

#[tokio::test]
async fn whoever_is_being_converged_while_the_catalog_changes_is_converged_again() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (known, newcomer) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    in_guild(&mut tx, guild(1), 1).await;
    set_converge_due(&mut tx, known, Trigger::Linked, at(1))
        .await
        .unwrap();
    tx.commit().await.unwrap();

    let mut worker = db.begin().await;
    for member_id in [known, newcomer] {
        lock_member(&mut worker, member_id).await.unwrap();
    }
    let change = Box::pin(async {
        let mut tx = db.begin().await;
        raise_catalog_version(&mut tx).await.unwrap();
        let people = set_converge_due_for_all(&mut tx, at(5)).await.unwrap();
        tx.commit().await.unwrap();
        people
    });
    let finish_worker = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        assert_eq!(catalog_version(&mut worker).await.unwrap(), 0, "the old one");
        let first = SubscriptionRead {
            member_id: Some(newcomer),
            ..read("sub_1")
        };
        subscribe(&mut worker, &first).await;
        for member_id in [known, newcomer] {
            set_converged(&mut worker, member_id, None).await.unwrap();
        }
        worker.commit().await.unwrap();
    });
    let (people, ()) = soon(async { tokio::join!(change, finish_worker) }).await;
    assert_eq!(people, 2);
    let mut tx = db.begin().await;
    let mut due = list_converge_due(&mut tx, at(5), 9).await.unwrap();
    due.sort_unstable();
    assert_eq!(due, [known, newcomer]);
}

#[tokio::test]
async fn whoever_is_converged_or_added_after_that_sees_the_new_catalog() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let known = person(&mut tx, 1).await;
    tx.commit().await.unwrap();
    for (version, is_new) in [(1, false), (2, true)] {
        let mut change = db.begin().await;
        raise_catalog_version(&mut change).await.unwrap();
        set_converge_due_for_all(&mut change, at(5)).await.unwrap();
        let worker = Box::pin(async {
            let mut tx = db.begin().await;
            if is_new {
                insert_member(&mut tx, &member(2, None)).await.unwrap();
            } else {
                lock_member(&mut tx, known).await.unwrap();
            }
            catalog_version(&mut tx).await.unwrap()
        });
        let finish_change = Box::pin(async {
            db.somebody_waits_for_a_lock().await;
            change.commit().await.unwrap();
        });
        let (seen, ()) = soon(async { tokio::join!(worker, finish_change) }).await;
        assert_eq!(seen, version);
    }
}

#[tokio::test]
async fn the_longest_owed_come_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, seconds) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
        let member_id = person(&mut tx, n).await;
        set_converge_due(&mut tx, member_id, Trigger::Sweep, at(seconds))
            .await
            .unwrap();
    }
    let due = |ids: &[u32]| {
        ids.iter()
            .map(|n| MemberId::from_uuid(uuid(*n)))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list_converge_due(&mut tx, at(30), 9).await.unwrap(),
        due(&[2, 3, 1])
    );
    assert_eq!(list_converge_due(&mut tx, at(30), 2).await.unwrap(), due(&[2, 3]));
    assert_eq!(list_converge_due(&mut tx, at(9), 9).await.unwrap(), []);
}

#[tokio::test]
async fn those_whom_time_alone_changes_come_when_it_is_time() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, seconds) in [(1, Some(30)), (2, Some(10)), (3, None), (4, Some(40))] {
        let member_id = person(&mut tx, n).await;
        set_converged(&mut tx, member_id, seconds.map(at)).await.unwrap();
    }
    let due = |ids: &[u32]| {
        ids.iter()
            .map(|n| MemberId::from_uuid(uuid(*n)))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        list_next_change_due(&mut tx, at(30), 9).await.unwrap(),
        due(&[2, 1])
    );
    assert_eq!(list_next_change_due(&mut tx, at(30), 1).await.unwrap(), due(&[2]));
    set_converged(&mut tx, MemberId::from_uuid(uuid(2)), None)
        .await
        .unwrap();
    assert_eq!(list_next_change_due(&mut tx, at(30), 9).await.unwrap(), due(&[1]));
}

#[tokio::test]
async fn a_trigger_that_this_version_does_not_know_is_reported_with_its_column() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    sqlx::query("UPDATE members SET converge_trigger = 'whim'")
        .execute(&mut *tx)
        .await
        .unwrap();
    let error = lock_member(&mut tx, one).await.unwrap_err().to_string();
    assert!(error.starts_with("members.converge_trigger"), "{error}");
    assert!(parse::<Trigger>("sweep") == Trigger::Sweep);
}

#[tokio::test]
async fn of_several_people_those_are_locked_whom_nobody_else_has_and_nobody_is_waited_for() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, busy, other) = (
        person(&mut tx, 1).await,
        person(&mut tx, 2).await,
        person(&mut tx, 3).await,
    );
    set_converge_due(&mut tx, other, Trigger::Linked, at(1))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut elsewhere = db.begin().await;
    lock_member(&mut elsewhere, busy).await.unwrap();

    let mut tx = db.begin().await;
    let mut locked = soon(lock_free_members(&mut tx, &[other, busy, one]))
        .await
        .unwrap();
    locked.sort_by_key(|(id, _)| *id);
    let owed = lock_member(&mut tx, other).await.unwrap().unwrap();
    assert_eq!(locked, [(one, Owed::default()), (other, owed)]);
    assert!(owed.join && owed.is_due);
    // They are locked indeed.
    assert_eq!(
        lock_free_members(&mut elsewhere, &[one, other]).await.unwrap(),
        []
    );
}
