//! Migrations: each once, by whoever comes first, also while two versions overlap.

use rolecall_db::{
    DbError,
    database::{MIGRATOR, migrate, missing_migrations},
};

use crate::support::{TestDb, at_once};

async fn run(db: &TestDb, sql: &'static str) {
    let mut tx = db.begin().await;
    sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
}

async fn emptied() -> TestDb {
    let db = TestDb::new().await;
    run(&db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
    db
}

fn all() -> usize {
    MIGRATOR.iter().count()
}

#[tokio::test]
async fn an_empty_database_gets_every_migration_once() {
    let db = emptied().await;
    assert!(all() >= 4);
    assert_eq!(missing_migrations(&db).await.unwrap(), all());
    assert_eq!(migrate(db.server.url()).await.unwrap(), all());
    assert_eq!(missing_migrations(&db).await.unwrap(), 0);
    assert_eq!(migrate(db.server.url()).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_start_together_all_find_the_database_migrated() {
    let db = emptied().await;
    let url = db.server.url().clone();
    let outcomes = at_once(4, |_| {
        let url = url.clone();
        async move { migrate(&url).await }
    });
    for outcome in outcomes.await {
        outcome.unwrap();
    }
    assert_eq!(missing_migrations(&db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_migration_that_is_absent_or_did_not_succeed_is_missing() {
    let db = TestDb::new().await;
    run(
        &db,
        "UPDATE _sqlx_migrations SET success = false WHERE version = 4",
    )
    .await;
    assert_eq!(missing_migrations(&db).await.unwrap(), 1);
    run(&db, "DELETE FROM _sqlx_migrations WHERE version >= 3").await;
    assert_eq!(missing_migrations(&db).await.unwrap(), all() - 2);
}

#[tokio::test]
async fn an_older_version_of_a_service_starts_on_a_newer_database() {
    let db = TestDb::new().await;
    run(
        &db,
        "INSERT INTO _sqlx_migrations (version, description, installed_on, success, checksum, execution_time)
         VALUES (9999, 'of the next version', clock_timestamp(), true, 'x', 0)",
    )
    .await;
    assert_eq!(missing_migrations(&db).await.unwrap(), 0);
    assert_eq!(migrate(db.server.url()).await.unwrap(), 0);
}

#[tokio::test]
async fn a_migration_that_was_edited_after_it_was_applied_is_refused() {
    let db = TestDb::new().await;
    run(
        &db,
        "UPDATE _sqlx_migrations SET checksum = 'x' WHERE version = 1",
    )
    .await;
    let error = migrate(db.server.url()).await.unwrap_err();
    assert!(matches!(error, DbError::Migrate(_)), "{error:?}");
    assert!(!error.is_outage());
}
