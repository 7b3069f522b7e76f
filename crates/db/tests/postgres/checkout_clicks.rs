//! `checkout_clicks`: clicks that come close together are one.

use chrono::TimeDelta;
use rolecall_db::checkout_clicks::{forget_click, note_click};

use crate::support::{TestDb, at, person};

const SAME: TimeDelta = TimeDelta::minutes(10);

#[tokio::test]
async fn clicks_count_from_the_first_until_it_is_too_long_ago() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (member_id, order, clicked, first) in [
        (one, b"a", 0, 0),
        (one, b"a", 599, 0),
        (one, b"b", 599, 599),
        (other, b"a", 599, 599),
        (one, b"a", 600, 600),
        (one, b"a", 1_199, 600),
    ] {
        let noted = note_click(&mut tx, member_id, order, SAME, at(clicked))
            .await
            .unwrap();
        assert_eq!(noted, at(first), "{order:?} at {clicked}");
    }
}

#[tokio::test]
async fn clicks_of_the_day_before_are_forgotten() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    for (order, clicked) in [(b"a", 0), (b"b", 50_000), (b"c", 86_401)] {
        note_click(&mut tx, one, order, SAME, at(clicked)).await.unwrap();
    }
    let left: Vec<Vec<u8>> = sqlx::query_scalar("SELECT order_hash FROM checkout_clicks ORDER BY 1")
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(left, [b"b", b"c"]);
}

#[tokio::test]
async fn a_click_that_is_forgotten_is_followed_by_a_first_one() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (member_id, order) in [(one, b"a"), (one, b"b"), (other, b"a")] {
        note_click(&mut tx, member_id, order, SAME, at(1)).await.unwrap();
    }
    forget_click(&mut tx, one, b"a", at(1)).await.unwrap();
    for (member_id, order, first) in [(one, b"a", 2), (one, b"b", 1), (other, b"a", 1)] {
        let noted = note_click(&mut tx, member_id, order, SAME, at(2)).await.unwrap();
        assert_eq!(noted, at(first), "{order:?}");
    }
    // Somebody who is late forgets only what they mean.
    forget_click(&mut tx, one, b"a", at(1)).await.unwrap();
    let noted = note_click(&mut tx, one, b"a", SAME, at(3)).await.unwrap();
    assert_eq!(noted, at(2));
}

#[tokio::test]
async fn clicks_at_the_same_time_are_one() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    tx.commit().await.unwrap();
    let click = async |seconds| {
        let mut tx = db.begin().await;
        let first = note_click(&mut tx, one, b"a", SAME, at(seconds)).await.unwrap();
        tx.commit().await.unwrap();
        first
    };
    let (first, second) = tokio::join!(click(1), click(2));
    assert_eq!(first, second);
}
