//! `Database::begin`: limits inside, and nothing that outlasts the transaction.

use std::time::Duration;

use rolecall_db::{DatabaseOptions, DbError, PoolerMode, database::missing_migrations, members::find_member};

use crate::support::{TestDb, person};

const SETTINGS: &str = "SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout')
    || ' ' || current_setting('idle_in_transaction_session_timeout')";

const BEGAN_AFTER: &str =
    "SELECT xact_start > $1::timestamptz FROM pg_stat_activity WHERE pid = pg_backend_pid()";

#[tokio::test]
async fn nothing_in_a_transaction_can_hang_for_ever_and_no_limit_outlasts_it() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let inside: String = sqlx::query_scalar(SETTINGS).fetch_one(&mut *tx).await.unwrap();
    assert_eq!(inside, "20s 10s 30s");
    // The end and the look after it in one message, which no pooler takes apart.
    let sql = format!("COMMIT; {SETTINGS}");
    let rows = sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&rows, 0), "0 0 0");
}

#[tokio::test]
async fn what_is_committed_lasts_and_what_is_rolled_back_or_dropped_does_not() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let committed = person(&mut tx, 1).await;
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    let undone = person(&mut tx, 2).await;
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await;
    let dropped = person(&mut tx, 3).await;
    drop(tx);
    let mut tx = db.begin().await;
    for (member_id, lasts) in [(committed, true), (undone, false), (dropped, false)] {
        assert_eq!(find_member(&mut tx, member_id).await.unwrap().is_some(), lasts);
    }
}

#[tokio::test]
async fn whoever_gives_up_while_a_transaction_is_opened_leaves_none_open_behind() {
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    direct.ping().await.unwrap();
    // Now and then it is open at once.
    while tokio::time::timeout(Duration::ZERO, direct.begin()).await.is_ok() {}
    let mut other = db.begin().await;
    let since: String = sqlx::query_scalar("SELECT clock_timestamp()::text")
        .fetch_one(&mut *other)
        .await
        .unwrap();
    let mut tx = direct.begin().await.unwrap();
    let is_new: bool = sqlx::query_scalar(BEGAN_AFTER)
        .bind(since)
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    assert!(is_new, "it goes on in the transaction that was given up");
}

#[tokio::test]
async fn a_connection_outlives_the_runtime_of_whoever_was_first_to_use_it() {
    let db = TestDb::new().await;
    let database = db.database();
    let elsewhere = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(database.begin())
    };
    let mut tx = tokio::task::spawn_blocking(elsewhere).await.unwrap().unwrap();
    person(&mut tx, 1).await;
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_ping_is_answered_until_the_pool_is_closed() {
    let db = TestDb::new().await;
    db.ping().await.unwrap();
    db.close().await;
    assert!(db.ping().await.unwrap_err().is_outage());
}

#[tokio::test]
async fn a_pool_is_made_while_the_server_is_away_but_not_for_what_is_no_url() {
    let options = |url: &str| DatabaseOptions {
        url: url.into(),
        pooler: PoolerMode::Session,
        max_connections: 1,
    };
    let database = rolecall_db::Database::new(&options("postgres://nobody@127.0.0.1:1/none")).unwrap();
    assert_eq!(database.pooler(), PoolerMode::Session);
    let error = rolecall_db::Database::new(&options("mysql://user:hunter2@host/db")).unwrap_err();
    assert!(matches!(error, DbError::Url));
    assert!(!error.is_outage());
    let shown = format!(
        "{error} {error:?} {:?}",
        options("postgres://user:hunter2@host/db")
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn every_mode_of_pooling_works_without_a_pooler() {
    let db = TestDb::new().await;
    for pooler in [PoolerMode::None, PoolerMode::Session, PoolerMode::Transaction] {
        let options = DatabaseOptions {
            url: db.server.url().clone(),
            pooler,
            max_connections: 1,
        };
        let database = rolecall_db::Database::new(&options).unwrap();
        for _ in 0..3 {
            assert_eq!(
                missing_migrations(&database).await.unwrap(),
                0,
                "{}",
                pooler.as_str()
            );
        }
    }
}
