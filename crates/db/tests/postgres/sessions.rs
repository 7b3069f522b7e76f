//! `sessions`: who is signed in, and which refresh token may be used.

use rolecall_db::{
    Transaction,
    sessions::{
        RefreshToken, Session, delete_sessions_before, insert_refresh_token, insert_session, is_session_live,
        list_sessions, lock_refresh_token, revoke_session, revoke_sessions_of, set_refresh_token_used,
        set_session_used,
    },
};
use rolecall_domain::ids::{MemberId, RefreshTokenId, SessionId};

use crate::support::{TestDb, at, at_once, person, soon, uuid};

fn session_id(n: u32) -> SessionId {
    SessionId::from_uuid(uuid(n))
}

fn token_id(n: u32) -> RefreshTokenId {
    RefreshTokenId::from_uuid(uuid(n))
}

/// Opened at 0, over at 100.
async fn open(tx: &mut Transaction, n: u32, member_id: MemberId) -> Session {
    let session = Session {
        id: session_id(n),
        member_id,
        user_agent: format!("browser {n}"),
        created_at: at(0),
        last_used_at: at(0),
        expires_at: at(100),
    };
    insert_session(tx, &session).await.unwrap();
    session
}

async fn token(tx: &mut Transaction, n: u32, session: u32) {
    let hash = format!("hash {n}");
    insert_refresh_token(tx, token_id(n), session_id(session), hash.as_bytes(), at(0))
        .await
        .unwrap();
}

async fn is_live(tx: &mut Transaction, n: u32, seconds: i64) -> bool {
    is_session_live(tx, session_id(n), at(seconds)).await.unwrap()
}

#[tokio::test]
async fn a_session_is_live_until_it_is_over_or_ended() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    open(&mut tx, 1, one).await;
    open(&mut tx, 2, one).await;
    revoke_session(&mut tx, session_id(1), at(5)).await.unwrap();
    for (n, seconds, live) in [
        (1, 6, false),
        (2, 6, true),
        (2, 99, true),
        (2, 100, false),
        (3, 6, false),
    ] {
        assert_eq!(
            is_live(&mut tx, n, seconds).await,
            live,
            "session {n} at {seconds}"
        );
    }
}

#[tokio::test]
async fn a_person_sees_their_live_sessions_the_last_used_first() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let first = open(&mut tx, 1, one).await;
    let second = open(&mut tx, 2, one).await;
    open(&mut tx, 3, other).await;
    open(&mut tx, 4, one).await;
    revoke_session(&mut tx, session_id(4), at(1)).await.unwrap();
    set_session_used(&mut tx, first.id, at(7)).await.unwrap();
    let used = Session {
        last_used_at: at(7),
        ..first
    };
    assert_eq!(list_sessions(&mut tx, one, at(8)).await.unwrap(), [used, second]);
    assert_eq!(list_sessions(&mut tx, one, at(100)).await.unwrap(), []);
    assert!(set_session_used(&mut tx, session_id(9), at(7)).await.is_err());
}

#[tokio::test]
async fn signing_out_everywhere_ends_the_live_sessions_of_one_person() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for n in 1..=4 {
        open(&mut tx, n, if n == 4 { other } else { one }).await;
    }
    revoke_session(&mut tx, session_id(1), at(1)).await.unwrap();
    assert_eq!(revoke_sessions_of(&mut tx, one, at(2)).await.unwrap(), 2);
    for (n, live) in [(1, false), (2, false), (3, false), (4, true)] {
        assert_eq!(is_live(&mut tx, n, 3).await, live, "session {n}");
    }
    assert_eq!(
        revoke_sessions_of(&mut tx, other, at(100)).await.unwrap(),
        0,
        "it was over by itself"
    );
}

#[tokio::test]
async fn a_session_that_was_ended_keeps_the_time_of_its_end() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    open(&mut tx, 1, one).await;
    token(&mut tx, 1, 1).await;
    revoke_session(&mut tx, session_id(1), at(5)).await.unwrap();
    revoke_session(&mut tx, session_id(1), at(6)).await.unwrap();
    revoke_sessions_of(&mut tx, one, at(7)).await.unwrap();
    let token = lock_refresh_token(&mut tx, b"hash 1").await.unwrap().unwrap();
    assert_eq!(token.session_revoked_at, Some(at(5)));
}

#[tokio::test]
async fn a_refresh_token_is_found_by_its_hash_with_its_session() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    open(&mut tx, 1, one).await;
    open(&mut tx, 2, other).await;
    for (n, session) in [(1, 2), (2, 1), (3, 1)] {
        token(&mut tx, n, session).await;
    }
    set_refresh_token_used(&mut tx, token_id(2), at(4)).await.unwrap();
    set_refresh_token_used(&mut tx, token_id(2), at(5)).await.unwrap();
    let expected = |n, session, member_id, used_at| RefreshToken {
        id: token_id(n),
        session_id: session_id(session),
        member_id,
        used_at,
        session_expires_at: at(100),
        session_revoked_at: None,
    };
    let found = lock_refresh_token(&mut tx, b"hash 1").await.unwrap();
    assert_eq!(found, Some(expected(1, 2, other, None)));
    let found = lock_refresh_token(&mut tx, b"hash 2").await.unwrap();
    assert_eq!(
        found,
        Some(expected(2, 1, one, Some(at(4)))),
        "the first use counts"
    );
    let found = lock_refresh_token(&mut tx, b"hash 3").await.unwrap();
    assert_eq!(found, Some(expected(3, 1, one, None)));
    assert_eq!(lock_refresh_token(&mut tx, b"hash 4").await.unwrap(), None);
    assert!(set_refresh_token_used(&mut tx, token_id(4), at(4)).await.is_err());
    let again = insert_refresh_token(&mut tx, token_id(5), session_id(1), b"hash 1", at(0)).await;
    assert_eq!(again.unwrap_err().constraint(), Some("refresh_tokens_hash_key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_ten_tabs_exactly_one_is_the_first_to_use_a_token() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    open(&mut tx, 1, one).await;
    token(&mut tx, 1, 1).await;
    tx.commit().await.unwrap();
    let uses = at_once(10, |tab| {
        let database = db.database();
        async move {
            let mut tx = database.begin().await.unwrap();
            let token = lock_refresh_token(&mut tx, b"hash 1").await.unwrap().unwrap();
            set_refresh_token_used(&mut tx, token.id, at(tab.into()))
                .await
                .unwrap();
            tx.commit().await.unwrap();
            token.used_at.is_none()
        }
    });
    assert_eq!(uses.await.into_iter().filter(|first| *first).count(), 1);
}

#[tokio::test]
async fn a_tab_that_waited_for_a_token_sees_that_its_session_was_ended() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    open(&mut tx, 1, one).await;
    open(&mut tx, 2, one).await;
    token(&mut tx, 1, 1).await;
    token(&mut tx, 2, 1).await;
    token(&mut tx, 3, 2).await;
    tx.commit().await.unwrap();

    let mut first = db.begin().await;
    lock_refresh_token(&mut first, b"hash 1").await.unwrap().unwrap();
    let second = Box::pin(async {
        let mut tx = db.begin().await;
        soon(lock_refresh_token(&mut tx, b"hash 3"))
            .await
            .unwrap()
            .unwrap();
        // Another token, but of the same session.
        lock_refresh_token(&mut tx, b"hash 2").await.unwrap().unwrap()
    });
    let finish_first = Box::pin(async {
        db.somebody_waits_for_a_lock().await;
        revoke_session(&mut first, session_id(1), at(9)).await.unwrap();
        first.commit().await.unwrap();
    });
    let (token, ()) = soon(async { tokio::join!(second, finish_first) }).await;
    assert_eq!(token.session_revoked_at, Some(at(9)));
}

#[tokio::test]
async fn sessions_that_ended_long_ago_are_forgotten_with_their_tokens() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for n in 1..=3 {
        open(&mut tx, n, one).await;
        token(&mut tx, n, n).await;
    }
    revoke_session(&mut tx, session_id(1), at(10)).await.unwrap();
    revoke_session(&mut tx, session_id(2), at(20)).await.unwrap();
    assert_eq!(delete_sessions_before(&mut tx, at(20)).await.unwrap(), 1);
    assert_eq!(lock_refresh_token(&mut tx, b"hash 1").await.unwrap(), None);
    assert!(lock_refresh_token(&mut tx, b"hash 2").await.unwrap().is_some());
    assert!(lock_refresh_token(&mut tx, b"hash 3").await.unwrap().is_some());
    assert_eq!(
        delete_sessions_before(&mut tx, at(101)).await.unwrap(),
        2,
        "the third was over by itself"
    );
}
