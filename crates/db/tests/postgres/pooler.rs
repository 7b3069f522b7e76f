//! Through PgBouncer in transaction mode: everything works as it does directly, and the setting that
//! makes it so cannot be lost unnoticed.

use std::{collections::BTreeMap, process::Command};

use rolecall_db::{
    Database, DatabaseOptions, DbError, PoolerMode,
    catalog::{catalog_version, raise_catalog_version},
    cron_runs::insert_tick,
    customers::upsert_customer,
    database::migrate,
    inbox::{NewInboxEvent, find_event, insert_event},
    member_guilds::{insert_member_guild, lock_member_guild},
    member_roles::{Desired, list_member_roles, set_desired},
    members::{Member, find_member, insert_member, lock_member, set_converge_due},
    subscriptions::{SubscriptionRead, insert_subscription, list_subscriptions_of},
    testing::{TestDatabase, pgbouncer::PgBouncer},
};
use rolecall_domain::{ids::MemberId, trigger::Trigger};
use secrecy::SecretString;
use serde_json::value::RawValue;

use crate::support::{
    POOLER_PORT, admin_url, at, at_once, guild, parse, person, pooled, read, role, update_subscription, user,
    uuid,
};

const CLIENTS: u32 = 20;
const CONNECTIONS_EACH: u32 = 3;
const ROUNDS: u32 = 8;
const TICKS: u32 = 25;

/// A database behind a pooler with so many server connections.
async fn behind_pooler(pool_size: u32) -> (TestDatabase, PgBouncer, SecretString) {
    let test = TestDatabase::create(&admin_url()).await.unwrap();
    let pooler = start(test.url(), pool_size);
    let url = pooler.url(test.name());
    (test, pooler, url)
}

fn start(server_url: &SecretString, pool_size: u32) -> PgBouncer {
    // Its error says what to install.
    PgBouncer::start(server_url, pool_size).unwrap_or_else(|error| panic!("{error}"))
}

fn in_mode(url: &SecretString, pooler: PoolerMode) -> Database {
    Database::new(&DatabaseOptions {
        url: url.clone(),
        pooler,
        max_connections: 1,
    })
    .unwrap()
}

/// The SQLSTATE of a failed statement.
fn code(error: &DbError) -> Option<String> {
    let DbError::Sql(sqlx::Error::Database(cause)) = error else {
        return None;
    };
    cause.code().map(std::borrow::Cow::into_owned)
}

/// One person's life in six transactions, each of which sees what the one before wrote.
async fn live(database: &Database, n: u32) -> Result<(), DbError> {
    let member_id = MemberId::from_uuid(uuid(n));
    let member = Member {
        id: member_id,
        display_name: format!("Person {n}"),
        email: None,
        created_at: at(n.into()),
    };
    let mut tx = database.begin().await?;
    insert_member(&mut tx, &member).await?;
    set_converge_due(&mut tx, member_id, Trigger::Linked, at(n.into())).await?;
    tx.commit().await?;

    let mut tx = database.begin().await?;
    assert!(lock_member(&mut tx, member_id).await?.unwrap().join);
    assert_eq!(find_member(&mut tx, member_id).await?, Some(member));
    let event = parse(&format!("evt_{n}"));
    let payload = RawValue::from_string(format!("{{\"n\":{n}}}")).unwrap();
    let (kind, occurred_at) = ("invoice.paid", at(0));
    let new = NewInboxEvent {
        id: &event,
        kind,
        livemode: false,
        occurred_at,
        payload: &payload,
        next_attempt_at: at(9),
    };
    assert!(insert_event(&mut tx, &new).await?.is_some());
    tx.commit().await?;

    let mut tx = database.begin().await?;
    assert_eq!(
        find_event(&mut tx, &event).await?.unwrap().payload.get(),
        payload.get()
    );
    let customer = parse(&format!("cus_{n}"));
    upsert_customer(&mut tx, &customer, Some(member_id), at(0)).await?;
    let read = SubscriptionRead {
        customer,
        member_id: Some(member_id),
        quantity: n.into(),
        ..read(&format!("sub_{n}"))
    };
    assert!(insert_subscription(&mut tx, &read, at(0)).await?);
    tx.commit().await?;

    let mut tx = database.begin().await?;
    let doubled = SubscriptionRead {
        quantity: 2 * read.quantity,
        ..read
    };
    assert!(update_subscription(&mut tx, &doubled, 1, at(1)).await?.is_some());
    insert_member_guild(&mut tx, guild(1), user(n.into()), member_id).await?;
    let desired = BTreeMap::from([(role(n.into()), std::collections::BTreeSet::new())]);
    set_desired(
        &mut tx,
        &[Desired {
            guild_id: guild(1),
            user_id: user(n.into()),
            roles: &desired,
            asked_in: None,
        }],
    )
    .await?;
    tx.commit().await?;

    let mut tx = database.begin().await?;
    let stored = list_subscriptions_of(&mut tx, member_id).await?;
    assert_eq!(
        stored.iter().map(|stored| stored.quantity).collect::<Vec<_>>(),
        [doubled.quantity]
    );
    assert_eq!(
        lock_member_guild(&mut tx, guild(1), user(n.into()))
            .await?
            .unwrap()
            .member_id,
        member_id
    );
    let roles = list_member_roles(&mut tx, guild(1), user(n.into())).await?;
    assert_eq!(
        roles.iter().map(|row| row.role_id).collect::<Vec<_>>(),
        [role(n.into())]
    );
    tx.commit().await?;

    let mut tx = database.begin().await?;
    raise_catalog_version(&mut tx).await?;
    tx.commit().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_transactions_of_many_clients_are_all_right() {
    let (_test, _pooler, url) = behind_pooler(5).await;
    let clients: Vec<Database> = (0..CLIENTS).map(|_| pooled(&url, CONNECTIONS_EACH)).collect();
    let lives = CLIENTS * CONNECTIONS_EACH * ROUNDS;
    let won = at_once(CLIENTS * CONNECTIONS_EACH, |task| {
        let database = clients[usize::try_from(task % CLIENTS).unwrap()].clone();
        async move {
            for round in 0..ROUNDS {
                live(&database, task * ROUNDS + round).await.unwrap();
            }
            let mut won = 0;
            for tick in 0..TICKS {
                let mut tx = database.begin().await.unwrap();
                let (id, scheduled_for) = (uuid(1000 * tick + task), at(tick.into()));
                won += u32::from(
                    insert_tick(&mut tx, id, "points", scheduled_for, "w", at(0))
                        .await
                        .unwrap(),
                );
                tx.commit().await.unwrap();
            }
            won
        }
    });
    assert_eq!(
        won.await.into_iter().sum::<u32>(),
        TICKS,
        "each tick was claimed once"
    );
    let mut tx = clients[0].begin().await.unwrap();
    assert_eq!(
        catalog_version(&mut tx).await.unwrap(),
        i64::from(lives),
        "no write was lost"
    );
}

#[tokio::test]
async fn in_the_mode_for_no_pooler_a_client_meets_the_statements_of_another() {
    let (_test, _pooler, url) = behind_pooler(1).await;
    let (first, second) = (in_mode(&url, PoolerMode::None), in_mode(&url, PoolerMode::None));
    let mut tx = first.begin().await.unwrap();
    person(&mut tx, 1).await;
    tx.commit().await.unwrap();
    let mut tx = second.begin().await.unwrap();
    let error = find_member(&mut tx, MemberId::from_uuid(uuid(1)))
        .await
        .unwrap_err();
    assert_eq!(code(&error).as_deref(), Some("42P05"), "{error:?}");
    drop(tx);

    // The same two clients again in the right mode.
    for database in [
        in_mode(&url, PoolerMode::Transaction),
        in_mode(&url, PoolerMode::Transaction),
    ] {
        let mut tx = database.begin().await.unwrap();
        assert!(
            find_member(&mut tx, MemberId::from_uuid(uuid(1)))
                .await
                .unwrap()
                .is_some()
        );
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn keeping_no_statements_is_not_enough_without_dropping_those_of_others() {
    let (_test, _pooler, url) = behind_pooler(1).await;
    let options = secrecy::ExposeSecret::expose_secret(&url)
        .parse::<sqlx::postgres::PgConnectOptions>()
        .unwrap();
    let options = options.extra_float_digits(None).statement_cache_capacity(0);
    let mut outcomes = Vec::new();
    for begin in ["BEGIN", "BEGIN", "BEGIN; DEALLOCATE ALL", "BEGIN; DEALLOCATE ALL"] {
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        let mut tx = sqlx::Connection::begin_with(&mut connection, begin)
            .await
            .unwrap();
        let outcome = find_member(&mut tx, MemberId::from_uuid(uuid(1))).await;
        outcomes.push(outcome.err().as_ref().and_then(code));
        tx.rollback().await.unwrap();
    }
    assert_eq!(outcomes, [None, Some("42P05".to_owned()), None, None]);
}

#[tokio::test]
async fn migrations_are_refused_and_leave_no_lock_behind() {
    let (test, _pooler, url) = behind_pooler(3).await;
    let error = migrate(&url).await.unwrap_err();
    assert!(matches!(error, DbError::TransactionPooler), "{error:?}");
    assert!(!error.is_outage());
    assert!(error.to_string().contains("DIRECT_URL"), "{error}");
    let direct = test.open(1).unwrap();
    let mut tx = direct.begin().await.unwrap();
    let sql = "SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database
               WHERE locktype = 'advisory' AND datname = current_database()";
    assert_eq!(
        sqlx::query_scalar::<_, i64>(sql)
            .fetch_one(&mut *tx)
            .await
            .unwrap(),
        0
    );
    drop(tx);
    assert_eq!(migrate(test.url()).await.unwrap(), 0, "past the pooler they run");
}

#[tokio::test]
async fn a_pooler_that_stops_is_an_outage() {
    let (_test, pooler, url) = behind_pooler(1).await;
    let database = pooled(&url, 1);
    let mut tx = database.begin().await.unwrap();
    pooler.stop();
    let error = find_member(&mut tx, MemberId::from_uuid(uuid(1)))
        .await
        .unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    drop(tx);
    tokio::time::pause();
    let error = database.begin().await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}

#[tokio::test]
async fn a_server_that_ends_a_connection_behind_the_pooler_is_an_outage_and_the_next_one_works() {
    let (test, _pooler, url) = behind_pooler(1).await;
    let database = pooled(&url, 1);
    let mut tx = database.begin().await.unwrap();
    let process: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&mut *tx)
        .await
        .unwrap();
    let mut direct = test.open(1).unwrap().begin().await.unwrap();
    let sql = "SELECT pg_terminate_backend($1, 5000)";
    assert!(
        sqlx::query_scalar::<_, bool>(sql)
            .bind(process)
            .fetch_one(&mut *direct)
            .await
            .unwrap()
    );
    let error = find_member(&mut tx, MemberId::from_uuid(uuid(1)))
        .await
        .unwrap_err();
    assert!(error.is_outage(), "{error:?}");
    drop(tx);
    database.ping().await.unwrap();
}

/// All the other tests again, in a process of their own whose databases stand behind a pooler.
#[test]
fn every_test_of_this_suite_also_passes_through_the_pooler() {
    // No test needs more than three transactions at a time to get on.
    let pooler = start(&admin_url(), 4);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--skip", "pooler::", "--test-threads", "4", "--color", "never"])
        .env(POOLER_PORT, pooler.port().to_string())
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{report}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let passed = report
        .lines()
        .find_map(|line| line.strip_prefix("test result: ok. "))
        .unwrap();
    let passed: u32 = passed.split(' ').next().unwrap().parse().unwrap();
    assert!(passed > 80, "hardly anything was run:\n{report}");
}
