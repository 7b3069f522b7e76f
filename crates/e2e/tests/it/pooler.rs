//! The whole story behind a pooler in transaction mode, as Supabase has one.

use rolecall_db::testing::pgbouncer::PgBouncer;
use rolecall_e2e::{
    machine::Machine,
    stack::{Stack, StackOptions},
    story,
};
use secrecy::ExposeSecret;

use crate::support::start;

const STACK: &str = "rolecall_pooler";

/// Fewer than the services would like to have: three each.
const SERVER_CONNECTIONS: u32 = 3;

/// The services reach Postgres only through the pooler, and migrations past it.
async fn behind_pooler() -> (Stack, PgBouncer) {
    let machine = Machine::find().expect("run the tests through `cargo xtask test`");
    let server = String::from(machine.postgres.clone()).into();
    // Its error says what to install.
    let pooler = PgBouncer::start(&server, SERVER_CONNECTIONS).unwrap_or_else(|error| panic!("{error}"));
    let options = StackOptions::named(STACK)
        .with("DATABASE_URL", pooler.url(STACK).expose_secret())
        .with("DATABASE_POOLER", "transaction");
    (start(options).await, pooler)
}

#[tokio::test]
async fn a_payment_becomes_a_role_through_a_pooler_in_transaction_mode() {
    let (stack, pooler) = behind_pooler().await;
    // The second worker finds out by itself what it is behind.
    let url = format!("{}?pgbouncer=true", pooler.url(STACK).expose_secret());
    let variables = [("DATABASE_URL", url.as_str()), ("DATABASE_POOLER", "auto")];
    let mut second = stack.start_with("worker", "worker-2", &variables).unwrap();
    second.wait_ready(&stack.client).await.unwrap();
    for process in [&stack.api, &stack.worker, &second] {
        let log = process.log().unwrap();
        assert!(log.contains("database_pooler=transaction"), "{log}");
    }
    let timeline = story::walk(&stack).await.unwrap();
    assert!(timeline.is_good(), "\n{}", timeline.text());
    for log in [stack.logs().unwrap(), second.log().unwrap()] {
        // What goes wrong with statements in a pooler is tried again, and so would stay unseen.
        let complaint = log.lines().find(|line| line.contains("prepared statement"));
        assert_eq!(complaint, None);
    }
    assert!(second.stop().await.unwrap().success());
    stack.stop().await.unwrap();
}
