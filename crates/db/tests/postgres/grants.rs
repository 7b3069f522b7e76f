//! `grants`: who was given what.

use rolecall_db::grants::{NewGrant, insert_grant, list_grants_of};
use rolecall_domain::{ids::GrantId, member::Grant};

use crate::support::{TestDb, at, parse, person, plan, uuid};

#[tokio::test]
async fn a_person_has_their_own_grants_that_were_not_taken_back() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let council = plan(&mut tx, "council", &[]).await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (n, member_id, ends_at) in [
        (1, one, None),
        (2, one, Some(at(9))),
        (3, other, None),
        (4, one, None),
    ] {
        let grant = NewGrant {
            id: GrantId::from_uuid(uuid(n)),
            member_id,
            plan: &council,
            reason: "speaker",
            granted_by: "cli",
            starts_at: at(1),
            ends_at,
        };
        insert_grant(&mut tx, &grant, at(0)).await.unwrap();
    }
    sqlx::query("UPDATE grants SET revoked_at = $2 WHERE id = $1")
        .bind(uuid(4))
        .bind(at(2))
        .execute(&mut *tx)
        .await
        .unwrap();
    let grant = |n, ends_at| Grant {
        id: GrantId::from_uuid(uuid(n)),
        plan: parse("council"),
        starts_at: at(1),
        ends_at,
    };
    assert_eq!(
        list_grants_of(&mut tx, one).await.unwrap(),
        [grant(1, None), grant(2, Some(at(9)))]
    );
    assert_eq!(list_grants_of(&mut tx, other).await.unwrap(), [grant(3, None)]);
}
