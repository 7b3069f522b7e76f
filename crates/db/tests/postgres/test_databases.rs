//! The databases that these tests run on: each alone, and gone afterwards.

use rolecall_db::{database::missing_migrations, members::find_member, testing::TestDatabase};

use crate::support::{admin_url, at_once, person};

async fn is_there(name: &str) -> bool {
    let admin = TestDatabase::create(&admin_url()).await.unwrap();
    let mut tx = admin.open(1).unwrap().begin().await.unwrap();
    let sql = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
    sqlx::query_scalar(sql)
        .bind(name)
        .fetch_one(&mut *tx)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_made_together_are_migrated_and_know_nothing_of_each_other() {
    let made = at_once(8, |_| async { TestDatabase::create(&admin_url()).await.unwrap() }).await;
    for (n, test) in (1..).zip(&made) {
        let database = test.open(1).unwrap();
        assert_eq!(missing_migrations(&database).await.unwrap(), 0);
        let mut tx = database.begin().await.unwrap();
        let member_id = person(&mut tx, n).await;
        tx.commit().await.unwrap();
        let other = made.iter().find(|other| other.name() != test.name()).unwrap();
        let mut tx = other.open(1).unwrap().begin().await.unwrap();
        assert_eq!(find_member(&mut tx, member_id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_database_goes_with_its_value_even_while_somebody_is_connected() {
    let test = TestDatabase::create(&admin_url()).await.unwrap();
    let name = test.name().to_owned();
    let database = test.open(1).unwrap();
    let _open = database.begin().await.unwrap();
    assert!(is_there(&name).await);
    drop(test);
    assert!(!is_there(&name).await);
}

#[tokio::test]
async fn a_database_can_be_dropped_with_a_word_on_how_it_went() {
    let test = TestDatabase::create(&admin_url()).await.unwrap();
    let name = test.name().to_owned();
    test.cleanup().await.unwrap();
    assert!(!is_there(&name).await);
}
