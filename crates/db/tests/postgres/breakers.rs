//! `breakers`: one for each role of each server.

use std::collections::BTreeMap;

use rolecall_db::breakers::{Breaker, close_breakers, list_breakers, open_breaker};

use crate::support::{TestDb, at, guild, role};

fn breaker(message: &str) -> Breaker {
    Breaker {
        code: 50_013,
        message: message.to_owned(),
        opened_at: at(1),
    }
}

#[tokio::test]
async fn a_breaker_opens_once_and_keeps_its_first_cause() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    assert!(
        open_breaker(&mut tx, guild(1), role(1), &breaker("first"))
            .await
            .unwrap()
    );
    assert!(
        !open_breaker(&mut tx, guild(1), role(1), &breaker("second"))
            .await
            .unwrap()
    );
    let open = list_breakers(&mut tx, guild(1)).await.unwrap();
    assert_eq!(open, BTreeMap::from([(role(1), breaker("first"))]));
}

#[tokio::test]
async fn a_breaker_concerns_one_role_of_one_server() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (guild_id, role_id) in [(guild(1), role(1)), (guild(1), role(2)), (guild(2), role(1))] {
        assert!(
            open_breaker(&mut tx, guild_id, role_id, &breaker("x"))
                .await
                .unwrap()
        );
    }
    assert_eq!(close_breakers(&mut tx, guild(1), &[]).await.unwrap(), 0);
    assert_eq!(
        close_breakers(&mut tx, guild(1), &[role(1), role(9)])
            .await
            .unwrap(),
        1
    );
    let left = list_breakers(&mut tx, guild(1)).await.unwrap();
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [role(2)]);
    let left = list_breakers(&mut tx, guild(2)).await.unwrap();
    assert_eq!(left.into_keys().collect::<Vec<_>>(), [role(1)]);
    assert!(
        open_breaker(&mut tx, guild(1), role(1), &breaker("again"))
            .await
            .unwrap()
    );
}
