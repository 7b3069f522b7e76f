//! `staff`: by Discord account or by address.

use rolecall_db::{
    discord_accounts::{DiscordAccount, insert_account},
    members::{Member, insert_member},
    staff::{StaffName, insert_staff, is_staff},
};
use rolecall_domain::ids::MemberId;

use crate::support::{TestDb, at, person, user, uuid};

#[tokio::test]
async fn somebody_is_staff_by_either_name_and_their_neighbour_is_not() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (by_account, nobody) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    for (n, member_id) in [(1, by_account), (2, nobody)] {
        let account = DiscordAccount {
            user_id: user(n),
            member_id,
            username: format!("u{n}"),
        };
        insert_account(&mut tx, &account, at(0)).await.unwrap();
    }
    let by_email = MemberId::from_uuid(uuid(3));
    let email = Some("ada@example.org".to_owned());
    let member = Member {
        id: by_email,
        display_name: "Ada".to_owned(),
        email,
        created_at: at(0),
    };
    insert_member(&mut tx, &member).await.unwrap();

    let discord = StaffName::Discord(user(1));
    let address = StaffName::Email("Ada@Example.org".to_owned());
    assert!(
        insert_staff(&mut tx, uuid(1), &discord, "cli", at(0))
            .await
            .unwrap()
    );
    assert!(
        insert_staff(&mut tx, uuid(2), &address, "cli", at(0))
            .await
            .unwrap()
    );
    for (member_id, staff) in [(by_account, true), (by_email, true), (nobody, false)] {
        assert_eq!(is_staff(&mut tx, member_id).await.unwrap(), staff);
    }
}

#[tokio::test]
async fn nobody_is_made_staff_twice_under_one_name() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    for (n, name, new) in [
        (1, StaffName::Discord(user(1)), true),
        (2, StaffName::Discord(user(1)), false),
        (3, StaffName::Discord(user(2)), true),
        (4, StaffName::Email("a@b.c".to_owned()), true),
        (5, StaffName::Email("A@B.c".to_owned()), false),
        (6, StaffName::Email("a@b.d".to_owned()), true),
    ] {
        assert_eq!(
            insert_staff(&mut tx, uuid(n), &name, "cli", at(0)).await.unwrap(),
            new,
            "{name:?}"
        );
    }
}
