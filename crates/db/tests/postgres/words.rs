//! A Postgres that refuses: what it says on the wire, whether waiting mends it, and what people are told.

use rolecall_db::{Database, DatabaseOptions, DbError, PoolerMode, database::migrate};
use secrecy::{ExposeSecret, SecretString};

use crate::support::TestDb;

fn open(url: &SecretString) -> Database {
    Database::new(&DatabaseOptions {
        url: url.clone(),
        pooler: PoolerMode::None,
        max_connections: 1,
    })
    .unwrap()
}

#[track_caller]
fn check(error: &DbError, expected: &str) {
    assert!(error.is_outage(), "{error:?}");
    let words = error.in_plain_words();
    assert!(words.contains(expected), "{words}");
}

/// What a statement that raises this SQLSTATE fails with.
async fn raised(db: &TestDb, code: &str) -> DbError {
    let mut tx = db.begin().await;
    let sql = format!("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$");
    let raised = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *tx).await;
    raised.unwrap_err().into()
}

#[tokio::test]
async fn what_a_server_in_trouble_answers_is_told_in_plain_words() {
    let db = TestDb::new().await;
    for (code, expected) in [
        ("53300", "no connection left"),
        ("53100", "full disk"),
        ("53200", "out of memory"),
        ("25006", "read-only"),
        ("57P01", "stopped by its administrator"),
        ("57P03", "starting up"),
        ("57014", "too slow"),
    ] {
        check(&raised(&db, code).await, expected);
    }
    let strange = raised(&db, "P0123").await.in_plain_words();
    assert_eq!(strange, "answers P0123 (x)", "what nobody foresaw is quoted");
}

#[tokio::test]
async fn a_database_that_takes_no_writes_does_not_pass_for_well() {
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    let sql = format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        db.server.name()
    );
    let mut tx = direct.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    direct.ping().await.unwrap();
    // It holds for connections that are made from now on.
    let error = open(db.server.url()).ping().await.unwrap_err();
    assert!(matches!(error, DbError::ReadOnly));
    check(&error, "read-only");
}

#[tokio::test]
async fn a_wrong_password_says_where_it_stands_and_not_what_it_is() {
    let db = TestDb::new().await;
    let mut url = url::Url::parse(db.server.url().expose_secret()).unwrap();
    url.set_username("rolecall_nobody").unwrap();
    url.set_password(Some("hunter2")).unwrap();
    let error = migrate(&String::from(url).into()).await.unwrap_err();
    check(&error, "DATABASE_URL");
    assert!(!error.in_plain_words().contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_is_not_running_is_told_from_one_that_does_not_answer() {
    let nobody = SecretString::from("postgres://nobody@127.0.0.1:1/none");
    check(&migrate(&nobody).await.unwrap_err(), "not running");
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    let _only = direct.begin().await.unwrap();
    tokio::time::pause();
    check(&direct.begin().await.unwrap_err(), "no connection in time");
}

#[tokio::test]
async fn a_pool_that_gets_no_connection_says_why_at_once() {
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    let nobody = SecretString::from("postgres://nobody@127.0.0.1:1/none");
    let asked = std::time::Instant::now();
    check(&open(&nobody).ping().await.unwrap_err(), "not running");
    assert!(
        asked.elapsed() < std::time::Duration::from_secs(3),
        "{:?}",
        asked.elapsed()
    );

    let role = db.server.name();
    let run = async |sql: String| {
        let mut tx = direct.begin().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    run(format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0")).await;
    let mut url = url::Url::parse(db.server.url().expose_secret()).unwrap();
    url.set_username(role).unwrap();
    let full = open(&String::from(url).into());
    let error = full.ping().await.unwrap_err();
    let impatient = full.clone().impatient(std::time::Duration::from_millis(50));
    for _ in 0..3 {
        check(&impatient.ping().await.unwrap_err(), "no connection left for us");
    }
    run(format!("ALTER ROLE {role} CONNECTION LIMIT -1")).await;
    check(&error, "no connection left for us");
    full.ping().await.unwrap();
    full.close().await;
    run(format!("DROP ROLE {role}")).await;
}
