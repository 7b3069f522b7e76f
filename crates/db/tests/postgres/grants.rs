//! `grants`: who was given what, by whom, and who took it back.

use std::sync::atomic::{AtomicU8, Ordering};

use chrono::{DateTime, Utc};
use rolecall_db::{
    Transaction,
    giving::{By, give, take_back},
    grants::{
        GrantSelection, NewGrant, find_grant_row, insert_grant, list_grant_rows, list_grants_of,
        set_grant_revoked,
    },
    members::lock_member,
};
use rolecall_domain::{
    clock::Rng,
    grant::Gift,
    ids::{GrantId, MemberId},
    member::Grant,
    trigger::Trigger,
};

use crate::support::{TestDb, at, parse, person, plan, uuid};

/// Different bytes at each throw.
#[derive(Debug, Default)]
pub(crate) struct Dice(AtomicU8);

impl Rng for Dice {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn id(n: u32) -> GrantId {
    GrantId::from_uuid(uuid(n))
}

async fn insert(tx: &mut Transaction, n: u32, member_id: MemberId, ends_at: Option<DateTime<Utc>>) {
    let council = plan(tx, "council", &[]).await;
    let grant = NewGrant {
        id: id(n),
        member_id,
        plan: &council,
        reason: "speaker",
        granted_by: "cli",
        starts_at: at(1),
        ends_at,
    };
    insert_grant(tx, &grant, at(0)).await.unwrap();
}

async fn states(tx: &mut Transaction, selection: GrantSelection, now: i64) -> Vec<(GrantId, &'static str)> {
    let rows = list_grant_rows(tx, selection, None, 9, at(now)).await.unwrap();
    rows.into_iter().map(|row| (row.id, row.state)).collect()
}

#[tokio::test]
async fn a_person_has_their_own_grants_that_were_not_taken_back() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (n, member_id, ends_at) in [
        (1, one, None),
        (2, one, Some(at(9))),
        (3, other, None),
        (4, one, None),
    ] {
        insert(&mut tx, n, member_id, ends_at).await;
    }
    assert!(set_grant_revoked(&mut tx, id(4), "cli", at(2)).await.unwrap());
    assert!(!set_grant_revoked(&mut tx, id(4), "staff:1", at(3)).await.unwrap());
    assert!(!set_grant_revoked(&mut tx, id(9), "cli", at(2)).await.unwrap());
    let grant = |n, ends_at| Grant {
        id: id(n),
        plan: parse("council"),
        starts_at: at(1),
        ends_at,
    };
    assert_eq!(
        list_grants_of(&mut tx, one).await.unwrap(),
        [grant(1, None), grant(2, Some(at(9)))]
    );
    assert_eq!(list_grants_of(&mut tx, other).await.unwrap(), [grant(3, None)]);
    let row = find_grant_row(&mut tx, id(4), at(5)).await.unwrap().unwrap();
    assert_eq!(
        (row.state, row.revoked_at, row.revoked_by.as_deref()),
        ("revoked", Some(at(2)), Some("cli")),
        "who took it back first did"
    );
    assert_eq!(
        (row.reason.as_str(), row.granted_by.as_str(), row.created_at),
        ("speaker", "cli", at(0))
    );
}

#[tokio::test]
async fn grants_are_listed_with_what_they_are_worth_now_the_newest_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    insert(&mut tx, 1, one, Some(at(9))).await;
    insert(&mut tx, 2, other, None).await;
    insert(&mut tx, 3, one, None).await;
    insert(&mut tx, 4, one, None).await;
    set_grant_revoked(&mut tx, id(4), "cli", at(2)).await.unwrap();
    let all = GrantSelection::default();
    let theirs = GrantSelection {
        member_id: Some(one),
        ..all
    };
    let open = GrantSelection {
        is_open: true,
        ..theirs
    };
    let (first, second, third, fourth) = (id(1), id(2), id(3), id(4));
    assert_eq!(
        states(&mut tx, all, 8).await,
        [
            (fourth, "revoked"),
            (third, "live"),
            (second, "live"),
            (first, "live")
        ]
    );
    assert_eq!(
        states(&mut tx, theirs, 9).await,
        [(fourth, "revoked"), (third, "live"), (first, "ended")]
    );
    assert_eq!(states(&mut tx, open, 9).await, [(third, "live")]);
    assert_eq!(
        states(&mut tx, open, 0).await,
        [(third, "upcoming"), (first, "upcoming")]
    );
    let page = list_grant_rows(&mut tx, all, Some(id(4)), 2, at(5))
        .await
        .unwrap();
    let ids: Vec<GrantId> = page.iter().map(|row| row.id).collect();
    assert_eq!(ids, [id(3), id(2)]);
}

#[tokio::test]
async fn what_is_given_stands_with_its_audit_line_and_the_convergence_that_is_owed() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    plan(&mut tx, "council", &[]).await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let dice = Dice::default();
    let by = |actor, seconds| By {
        actor,
        now: at(seconds),
        rng: &dice,
    };
    let gift = Gift {
        plan: parse("council"),
        reason: "speaker".to_owned(),
        ends_at: Some(at(9)),
    };
    let given = give(&mut tx, one, &gift, by("staff:7", 5)).await.unwrap();
    assert_eq!(
        find_grant_row(&mut tx, given.id, at(5)).await.unwrap(),
        Some(given.clone())
    );
    assert_eq!(
        (
            given.member_id,
            given.granted_by.as_str(),
            given.starts_at,
            given.ends_at
        ),
        (one, "staff:7", at(5), Some(at(9)))
    );
    let owed =
        async |tx: &mut Transaction, member_id| lock_member(tx, member_id).await.unwrap().unwrap().trigger;
    assert_eq!(owed(&mut tx, one).await, Some(Trigger::Grant));
    assert_eq!(owed(&mut tx, other).await, None);

    let taken = take_back(&mut tx, given.id, by("cli", 6)).await.unwrap().unwrap();
    assert_eq!(
        (taken.state, taken.revoked_by.as_deref()),
        ("revoked", Some("cli"))
    );
    let again = take_back(&mut tx, given.id, by("staff:8", 7)).await.unwrap();
    assert_eq!(again.as_ref(), Some(&taken), "it is taken back once");
    assert_eq!(take_back(&mut tx, id(99), by("cli", 7)).await.unwrap(), None);
    let lines: Vec<(String, String, String)> =
        sqlx::query_as("SELECT actor, action, subject FROM audit_log WHERE member_id = $1 ORDER BY at")
            .bind(one.as_uuid())
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    let line = |actor: &str, action: &str| (actor.to_owned(), action.to_owned(), given.id.to_string());
    assert_eq!(
        lines,
        [line("staff:7", "grant.give"), line("cli", "grant.revoke")]
    );
}

#[tokio::test]
async fn a_grant_without_a_reason_or_with_its_end_before_its_beginning_cannot_be_stored() {
    let db = TestDb::new().await;
    for (reason, ends_at, constraint) in [
        (" ", None, "grants_reason_check"),
        ("speaker", Some(at(1)), "grants_ends_at_check"),
    ] {
        let mut tx = db.begin().await;
        let one = person(&mut tx, 1).await;
        let council = plan(&mut tx, "council", &[]).await;
        let grant = NewGrant {
            id: id(1),
            member_id: one,
            plan: &council,
            reason,
            granted_by: "cli",
            starts_at: at(1),
            ends_at,
        };
        let error = insert_grant(&mut tx, &grant, at(0)).await.unwrap_err();
        assert_eq!(error.constraint(), Some(constraint));
    }
}
