//! `discord_accounts`: one account for one person.

use rolecall_db::discord_accounts::{
    DiscordAccount, SealedTokens, find_account, find_account_of, find_tokens, insert_account,
    list_accounts_of, set_username, upsert_tokens,
};
use rolecall_domain::ids::MemberId;

use crate::support::{TestDb, at, person, user};

fn account(n: u64, member_id: MemberId) -> DiscordAccount {
    DiscordAccount {
        user_id: user(n),
        member_id,
        username: format!("user{n}"),
    }
}

#[tokio::test]
async fn an_account_is_found_by_itself_and_by_its_person() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    // Numbered crosswise, so that a wrong key finds the wrong one.
    for account in [account(2, one), account(1, other)] {
        insert_account(&mut tx, &account, at(0)).await.unwrap();
    }
    assert_eq!(
        find_account(&mut tx, user(2)).await.unwrap(),
        Some(account(2, one))
    );
    assert_eq!(
        find_account_of(&mut tx, other).await.unwrap(),
        Some(account(1, other))
    );
    assert_eq!(find_account(&mut tx, user(3)).await.unwrap(), None);
    let unlinked = person(&mut tx, 3).await;
    assert_eq!(find_account_of(&mut tx, unlinked).await.unwrap(), None);
    let mut listed = list_accounts_of(&mut tx, &[one, unlinked, other]).await.unwrap();
    listed.sort_by_key(|account| account.user_id);
    assert_eq!(listed, [account(1, other), account(2, one)]);
}

#[tokio::test]
async fn an_account_that_belongs_to_somebody_is_refused_by_name() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    insert_account(&mut tx, &account(1, one), at(0)).await.unwrap();
    tx.commit().await.unwrap();
    for (taken, constraint) in [
        (account(1, other), "discord_accounts_pkey"),
        (account(2, one), "discord_accounts_member_id_key"),
    ] {
        let mut tx = db.begin().await;
        let error = insert_account(&mut tx, &taken, at(0)).await.unwrap_err();
        assert_eq!(error.constraint(), Some(constraint));
        assert!(!error.is_outage());
    }
}

#[tokio::test]
async fn a_changed_name_is_taken_over_for_that_account_only() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    insert_account(&mut tx, &account(1, one), at(0)).await.unwrap();
    insert_account(&mut tx, &account(2, other), at(0)).await.unwrap();
    set_username(&mut tx, user(1), "renamed").await.unwrap();
    assert_eq!(
        find_account_of(&mut tx, one).await.unwrap().unwrap().username,
        "renamed"
    );
    assert_eq!(
        find_account_of(&mut tx, other).await.unwrap().unwrap().username,
        "user2"
    );
    assert!(set_username(&mut tx, user(3), "nobody").await.is_err());
}

#[tokio::test]
async fn the_newest_tokens_of_each_person_are_kept() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    let tokens = |name: &str, seconds| SealedTokens {
        access_sealed: format!("access {name}"),
        refresh_sealed: format!("refresh {name}"),
        expires_at: at(seconds),
        scopes: format!("identify {name}"),
    };
    upsert_tokens(&mut tx, one, &tokens("old", 1)).await.unwrap();
    upsert_tokens(&mut tx, other, &tokens("other", 2)).await.unwrap();
    upsert_tokens(&mut tx, one, &tokens("new", 3)).await.unwrap();
    assert_eq!(find_tokens(&mut tx, one).await.unwrap(), Some(tokens("new", 3)));
    assert_eq!(
        find_tokens(&mut tx, other).await.unwrap(),
        Some(tokens("other", 2))
    );
    let third = person(&mut tx, 3).await;
    assert_eq!(find_tokens(&mut tx, third).await.unwrap(), None);
}
