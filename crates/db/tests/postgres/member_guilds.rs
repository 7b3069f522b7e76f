//! `member_guilds`: a person in a server, and the command that is owed for them.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use rolecall_db::{
    Transaction,
    member_guilds::{
        Due, GuildState, MemberGuild, Observation, claim_unanswered, count_by_state, insert_member_guild,
        list_member_guilds, lock_member_guild, lock_member_guilds, set_converge_due_in_guild, set_due,
        set_kick, set_observed, set_send_at,
    },
    members::{Owed, lock_member, set_converge_due},
};
use rolecall_domain::{
    ids::{GuildId, MemberId},
    trigger::Trigger,
};
use rolecall_queue::jobs::Lane;

use crate::support::{TestDb, at, at_once, guild, in_guild, person, soon, user, uuid};

fn new_row(guild_id: GuildId, n: u32) -> MemberGuild {
    MemberGuild {
        guild_id,
        user_id: user(n.into()),
        member_id: MemberId::from_uuid(uuid(n)),
        revision: 0,
        applied_revision: 0,
        state: GuildState::InSync,
        blocked_reason: None,
        lane: Lane::Bulk,
        reason: "new".to_owned(),
        join_wanted: false,
        send_at: None,
        sends: 0,
        screening_pending: false,
        observed_at: None,
        fence: 0,
        kick_ahead: false,
        kick_due_at: None,
    }
}

/// Persons 1 and 2, each in servers 1 and 2.
async fn four_rows(tx: &mut Transaction) {
    for n in [1, 2] {
        person(tx, n).await;
        for guild_id in [guild(1), guild(2)] {
            in_guild(tx, guild_id, n).await;
        }
    }
}

async fn row(tx: &mut Transaction, guild_id: GuildId, n: u32) -> MemberGuild {
    lock_member_guild(tx, guild_id, user(n.into()))
        .await
        .unwrap()
        .unwrap()
}

/// The three rows beside (server 1, person 1).
async fn assert_neighbours_are_new(tx: &mut Transaction) {
    for (guild_id, n) in [(guild(1), 2), (guild(2), 1), (guild(2), 2)] {
        assert_eq!(row(tx, guild_id, n).await, new_row(guild_id, n));
    }
}

fn due(seconds: i64) -> Due<'static> {
    Due {
        guild_id: guild(1),
        user_id: user(1),
        lane: Lane::Now,
        reason: "checkout",
        join_wanted: true,
        send_at: at(seconds),
    }
}

fn observation(state: GuildState) -> Observation<'static> {
    Observation {
        state,
        blocked_reason: None,
        applied_revision: 1,
        join_wanted: false,
        screening_pending: false,
        observed_at: at(9),
        fence: 0,
        send_at: None,
    }
}

#[tokio::test]
async fn a_row_is_made_once_in_sync_with_nothing() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    assert_eq!(row(&mut tx, guild(1), 1).await, new_row(guild(1), 1));
    set_due(&mut tx, &[due(5)]).await.unwrap();
    insert_member_guild(&mut tx, guild(1), user(1), MemberId::from_uuid(uuid(1)))
        .await
        .unwrap();
    assert_eq!(row(&mut tx, guild(1), 1).await.revision, 1, "it was there");
    assert_neighbours_are_new(&mut tx).await;
    assert_eq!(lock_member_guild(&mut tx, guild(3), user(1)).await.unwrap(), None);
    assert_eq!(lock_member_guild(&mut tx, guild(1), user(3)).await.unwrap(), None);
}

#[tokio::test]
async fn a_person_has_their_rows_server_by_server() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    let listed = list_member_guilds(&mut tx, MemberId::from_uuid(uuid(2)))
        .await
        .unwrap();
    assert_eq!(listed, [new_row(guild(1), 2), new_row(guild(2), 2)]);
    let locked = lock_member_guilds(&mut tx, &[MemberId::from_uuid(uuid(2))])
        .await
        .unwrap();
    assert_eq!(locked, listed);
}

#[tokio::test]
async fn a_new_revision_is_due_and_counts_as_sent_once() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    let blocked = Observation {
        blocked_reason: Some("50013"),
        ..observation(GuildState::Blocked)
    };
    set_observed(&mut tx, guild(1), user(1), &blocked).await.unwrap();
    set_due(&mut tx, &[due(5)]).await.unwrap();
    let expected = MemberGuild {
        revision: 1,
        applied_revision: 1,
        state: GuildState::Due,
        lane: Lane::Now,
        reason: "checkout".to_owned(),
        join_wanted: true,
        send_at: Some(at(5)),
        sends: 1,
        observed_at: Some(at(9)),
        ..new_row(guild(1), 1)
    };
    assert_eq!(row(&mut tx, guild(1), 1).await, expected);

    claim_unanswered(&mut tx, at(5), TimeDelta::seconds(20), 9)
        .await
        .unwrap();
    let sweep = Due {
        guild_id: guild(1),
        user_id: user(1),
        lane: Lane::Bulk,
        reason: "sweep",
        join_wanted: false,
        send_at: at(40),
    };
    set_due(&mut tx, &[sweep]).await.unwrap();
    let again = row(&mut tx, guild(1), 1).await;
    assert_eq!((again.revision, again.sends, again.send_at), (2, 1, Some(at(40))));
    assert_eq!((again.lane, again.reason.as_str()), (Lane::Bulk, "sweep"));
    assert!(
        again.join_wanted,
        "who asked to be in the server is not forgotten by a sweep"
    );
    assert_neighbours_are_new(&mut tx).await;
    assert!(
        set_due(
            &mut tx,
            &[Due {
                guild_id: guild(3),
                ..sweep
            }]
        )
        .await
        .is_err()
    );
}

#[tokio::test]
async fn several_rows_are_made_due_each_in_its_own_way_or_none_of_them() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    let later = Due {
        guild_id: guild(2),
        user_id: user(2),
        lane: Lane::Bulk,
        reason: "sweep",
        join_wanted: false,
        ..due(7)
    };
    let mut written = set_due(&mut tx, &[later, due(5)]).await.unwrap();
    written.sort_by_key(|row| row.guild_id);
    let here = row(&mut tx, guild(1), 1).await;
    let there = row(&mut tx, guild(2), 2).await;
    assert_eq!(
        (here.lane, &*here.reason, here.send_at),
        (Lane::Now, "checkout", Some(at(5)))
    );
    assert_eq!(
        (there.lane, &*there.reason, there.send_at),
        (Lane::Bulk, "sweep", Some(at(7)))
    );
    assert_eq!((here.join_wanted, there.join_wanted), (true, false));
    assert_eq!(written, [here, there]);
    for beside in [(guild(1), 2), (guild(2), 1)] {
        assert_eq!(
            row(&mut tx, beside.0, beside.1).await,
            new_row(beside.0, beside.1)
        );
    }
    let nobody = Due {
        guild_id: guild(3),
        ..due(5)
    };
    let error = set_due(&mut tx, &[due(5), nobody]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected to write 2 rows of member_guilds, wrote 1"
    );
}

#[tokio::test]
async fn a_removal_is_owed_for_as_long_as_the_row_is_due_and_no_longer() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    let kick = async |tx: &mut Transaction| {
        let row = row(tx, guild(1), 1).await;
        (row.kick_ahead, row.kick_due_at)
    };
    set_kick(&mut tx, guild(1), user(1), true, None).await.unwrap();
    let seen = observation(GuildState::InSync);
    set_observed(&mut tx, guild(1), user(1), &seen).await.unwrap();
    assert_eq!(kick(&mut tx).await, (true, None), "what is ahead is not over");

    set_kick(&mut tx, guild(1), user(1), false, Some(at(7)))
        .await
        .unwrap();
    let still_due = observation(GuildState::Due);
    set_observed(&mut tx, guild(1), user(1), &still_due)
        .await
        .unwrap();
    assert_eq!(kick(&mut tx).await, (false, Some(at(7))));
    set_observed(&mut tx, guild(1), user(1), &seen).await.unwrap();
    assert_eq!(kick(&mut tx).await, (false, None));
    assert_neighbours_are_new(&mut tx).await;
    assert!(set_kick(&mut tx, guild(3), user(1), true, None).await.is_err());
    assert!(
        set_kick(&mut tx, guild(1), user(1), true, Some(at(7)))
            .await
            .is_err(),
        "it is ahead or due, and never both"
    );
}

#[tokio::test]
async fn what_was_seen_is_kept_and_lowers_neither_the_applied_revision_nor_the_fence() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    let seen = Observation {
        state: GuildState::Due,
        blocked_reason: Some("why"),
        applied_revision: 7,
        join_wanted: true,
        screening_pending: true,
        observed_at: at(1),
        fence: 3,
        send_at: Some(at(2)),
    };
    set_observed(&mut tx, guild(1), user(1), &seen).await.unwrap();
    let expected = MemberGuild {
        state: GuildState::Due,
        blocked_reason: Some("why".to_owned()),
        applied_revision: 7,
        join_wanted: true,
        screening_pending: true,
        observed_at: Some(at(1)),
        fence: 3,
        send_at: Some(at(2)),
        ..new_row(guild(1), 1)
    };
    assert_eq!(row(&mut tx, guild(1), 1).await, expected);
    for ((applied_revision, fence), kept) in [((6, 2), (7, 3)), ((8, 2), (8, 3)), ((0, 4), (8, 4))] {
        let late = Observation {
            applied_revision,
            fence,
            ..observation(GuildState::InSync)
        };
        set_observed(&mut tx, guild(1), user(1), &late).await.unwrap();
        let row = row(&mut tx, guild(1), 1).await;
        assert_eq!((row.applied_revision, row.fence), kept);
    }
    assert_neighbours_are_new(&mut tx).await;
    assert!(set_observed(&mut tx, guild(1), user(3), &seen).await.is_err());
}

#[tokio::test]
async fn the_next_sending_is_set_for_one_row() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    set_send_at(&mut tx, guild(1), user(1), at(8)).await.unwrap();
    assert_eq!(row(&mut tx, guild(1), 1).await.send_at, Some(at(8)));
    assert_neighbours_are_new(&mut tx).await;
    assert!(set_send_at(&mut tx, guild(3), user(1), at(8)).await.is_err());
}

#[tokio::test]
async fn a_row_is_locked_against_the_same_row_only() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    four_rows(&mut tx).await;
    tx.commit().await.unwrap();
    let mut first = db.begin().await;
    row(&mut first, guild(1), 1).await;
    let second = Box::pin(async {
        let mut tx = db.begin().await;
        soon(assert_neighbours_are_new(&mut tx)).await;
        row(&mut tx, guild(1), 1).await
    });
    let finish_first = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        set_due(&mut first, &[due(5)]).await.unwrap();
        first.commit().await.unwrap();
    });
    let (seen, ()) = soon(async { tokio::join!(second, finish_first) }).await;
    assert_eq!(seen.revision, 1);
}

#[tokio::test]
async fn only_rows_that_are_due_and_past_their_time_are_claimed_the_longest_past_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in 1..=5 {
        person(&mut tx, n).await;
        in_guild(&mut tx, guild(1), n).await;
    }
    for (n, seconds) in [(1, 30), (2, 10), (3, 20), (4, 31), (5, 1)] {
        set_due(
            &mut tx,
            &[Due {
                user_id: user(n),
                ..due(seconds)
            }],
        )
        .await
        .unwrap();
    }
    let held = Observation {
        send_at: Some(at(1)),
        ..observation(GuildState::Held)
    };
    set_observed(&mut tx, guild(1), user(5), &held).await.unwrap();

    let lease = TimeDelta::seconds(20);
    let claimed = claim_unanswered(&mut tx, at(30), lease, 2).await.unwrap();
    let users: BTreeSet<_> = claimed.iter().map(|row| row.user_id).collect();
    assert_eq!(users, BTreeSet::from([user(2), user(3)]));
    assert!(
        claimed
            .iter()
            .all(|row| row.sends == 2 && row.send_at == Some(at(50)))
    );
    let claimed = claim_unanswered(&mut tx, at(30), lease, 2).await.unwrap();
    assert_eq!(
        claimed.iter().map(|row| row.user_id).collect::<Vec<_>>(),
        [user(1)]
    );
    assert_eq!(claim_unanswered(&mut tx, at(30), lease, 2).await.unwrap(), []);
    assert_eq!(row(&mut tx, guild(1), 4).await.sends, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_sweepers_never_claim_the_same_row() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for n in 1..=60 {
        person(&mut tx, n).await;
        in_guild(&mut tx, guild(1), n).await;
        set_due(
            &mut tx,
            &[Due {
                user_id: user(n.into()),
                ..due(n.into())
            }],
        )
        .await
        .unwrap();
    }
    tx.commit().await.unwrap();
    let claims = at_once(8, |_| {
        let database = db.database();
        async move {
            let mut claimed = Vec::new();
            loop {
                let mut tx = database.begin().await.unwrap();
                let some = claim_unanswered(&mut tx, at(100), TimeDelta::seconds(60), 4)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                assert!(some.len() <= 4);
                if some.is_empty() {
                    return claimed;
                }
                claimed.extend(some);
            }
        }
    });
    let claimed: Vec<_> = claims.await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 60);
    assert!(
        claimed.iter().all(|row| row.sends == 2),
        "each was sent again once"
    );
    assert_eq!(
        claimed
            .iter()
            .map(|row| row.user_id)
            .collect::<BTreeSet<_>>()
            .len(),
        60
    );
}

#[tokio::test]
async fn a_mended_server_owes_a_convergence_to_those_in_the_named_states_there() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, guild_id, state) in [
        (1, guild(1), GuildState::Blocked),
        (2, guild(1), GuildState::WaitingForMember),
        (3, guild(1), GuildState::Held),
        (4, guild(2), GuildState::Blocked),
    ] {
        person(&mut tx, n).await;
        in_guild(&mut tx, guild_id, n).await;
        set_observed(&mut tx, guild_id, user(n.into()), &observation(state))
            .await
            .unwrap();
    }
    let member = |n| MemberId::from_uuid(uuid(n));
    set_converge_due(&mut tx, member(2), Trigger::Linked, at(1))
        .await
        .unwrap();
    assert_eq!(
        set_converge_due_in_guild(&mut tx, guild(1), &[], at(5))
            .await
            .unwrap(),
        0
    );
    let states = [GuildState::Blocked, GuildState::WaitingForMember];
    assert_eq!(
        set_converge_due_in_guild(&mut tx, guild(1), &states, at(5))
            .await
            .unwrap(),
        2
    );
    let mended = |join| Owed {
        trigger: Some(Trigger::GuildMended),
        join,
        forced: true,
        is_due: true,
        next_change_at: None,
    };
    for (n, owed) in [
        (1, mended(false)),
        (2, mended(true)),
        (3, Owed::default()),
        (4, Owed::default()),
    ] {
        assert_eq!(
            lock_member(&mut tx, member(n)).await.unwrap(),
            Some(owed),
            "person {n}"
        );
    }
}

#[tokio::test]
async fn rows_are_counted_by_state_and_every_state_is_read_as_it_is_written() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let states = [
        GuildState::InSync,
        GuildState::Due,
        GuildState::WaitingForMember,
        GuildState::Blocked,
        GuildState::Held,
        GuildState::Held,
    ];
    for (n, state) in (1..).zip(states) {
        person(&mut tx, n).await;
        in_guild(&mut tx, guild(1), n).await;
        set_observed(&mut tx, guild(1), user(n.into()), &observation(state))
            .await
            .unwrap();
        assert_eq!(row(&mut tx, guild(1), n).await.state, state);
    }
    let mut counts = count_by_state(&mut tx).await.unwrap();
    counts.sort();
    let expected = [
        ("blocked", 1),
        ("due", 1),
        ("held", 2),
        ("in_sync", 1),
        ("waiting_for_member", 1),
    ];
    assert_eq!(counts, expected.map(|(state, count)| (state.to_owned(), count)));
}
