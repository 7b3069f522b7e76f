//! `DbError`: what the real server says, and whether waiting mends it.

use rolecall_db::{
    Database, DatabaseOptions, DbError, PoolerMode,
    database::migrate,
    members::{find_member, lock_member},
    staff::is_staff,
};
use rolecall_domain::ids::MemberId;
use secrecy::{ExposeSecret, SecretString};

use crate::support::{TestDb, person, soon, uuid};

/// Nothing listens there.
const NOBODY: &str = "postgres://nobody@127.0.0.1:1/none";

fn open(url: &SecretString) -> Database {
    Database::new(&DatabaseOptions {
        url: url.clone(),
        pooler: PoolerMode::None,
        max_connections: 1,
    })
    .unwrap()
}

#[tokio::test]
async fn a_connection_that_the_server_ends_is_an_outage_and_the_next_one_works() {
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    let mut tx = direct.begin().await.unwrap();
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let mut other = db.begin().await;
    // What a stopping server does to every connection.
    let sql = "SELECT pg_terminate_backend($1, 5000)";
    assert!(
        sqlx::query_scalar::<_, bool>(sql)
            .bind(process)
            .fetch_one(&mut *other)
            .await
            .unwrap()
    );
    let error = is_staff(&mut tx, MemberId::from_uuid(uuid(1))).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    assert_eq!(error.constraint(), None);
    drop(tx);
    direct.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_outage() {
    let error = migrate(&NOBODY.into()).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    // The pool tries again for five seconds, which pass at once.
    tokio::time::pause();
    let error = open(&NOBODY.into()).ping().await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}

#[tokio::test]
async fn a_pool_whose_connections_are_all_taken_is_an_outage() {
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    let _only = direct.begin().await.unwrap();
    tokio::time::pause();
    let error = direct.begin().await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}

#[tokio::test]
async fn too_many_connections_are_an_outage() {
    let db = TestDb::new().await;
    let direct = db.server.open(1).unwrap();
    let role = db.server.name();
    let run = async |sql: String| {
        let mut tx = direct.begin().await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    run(format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'p' CONNECTION LIMIT 0"
    ))
    .await;
    let mut url = url::Url::parse(db.server.url().expose_secret()).unwrap();
    url.set_username(role).unwrap();
    url.set_password(Some("p")).unwrap();
    let error = migrate(&String::from(url).into()).await.unwrap_err();
    run(format!("DROP ROLE {role}")).await;
    let DbError::Sql(sqlx::Error::Database(cause)) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(cause.code().as_deref(), Some("53300"));
    assert!(error.is_outage());
}

#[tokio::test]
async fn a_mistake_is_no_outage() {
    let db = TestDb::new().await;
    let mut url = url::Url::parse(db.server.url().expose_secret()).unwrap();
    url.set_path("rolecall_no_such_database");
    let error = migrate(&String::from(url).into()).await.unwrap_err();
    assert!(!error.is_outage(), "{error:?}");

    let mut tx = db.begin().await;
    let one = person(&mut tx, 1).await;
    sqlx::query("DROP TABLE members CASCADE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let error = find_member(&mut tx, one).await.unwrap_err();
    assert!(!error.is_outage(), "{error:?}");
    assert_eq!(error.constraint(), None);
}

#[tokio::test]
async fn an_error_keeps_its_cause() {
    let error = migrate(&NOBODY.into()).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.downcast_ref::<sqlx::Error>().is_some());
}

#[tokio::test]
async fn of_two_who_stand_in_each_other_s_way_one_is_given_up_and_told_so() {
    let db = TestDb::new().await;
    let mut tx = db.begin().await;
    let (one, other) = (person(&mut tx, 1).await, person(&mut tx, 2).await);
    tx.commit().await.unwrap();
    let (mut first, mut second) = (db.begin().await, db.begin().await);
    lock_member(&mut first, one).await.unwrap();
    lock_member(&mut second, other).await.unwrap();
    let (first, second) = soon(async {
        tokio::join!(
            Box::pin(async {
                let locked = lock_member(&mut first, other).await;
                first.rollback().await.unwrap();
                locked
            }),
            Box::pin(async {
                let locked = lock_member(&mut second, one).await;
                second.rollback().await.unwrap();
                locked
            })
        )
    })
    .await;
    let (error, locked) = match first {
        Err(error) => (error, second),
        locked => (second.unwrap_err(), locked),
    };
    assert!(locked.unwrap().is_some());
    assert!(error.is_deadlock() && !error.is_outage(), "{error:?}");
}
