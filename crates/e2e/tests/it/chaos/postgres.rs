//! Postgres goes away, is full, lets nobody in, and loses connections in the middle of a commit.

use std::sync::Arc;

use rolecall_e2e::{
    machine::{self, Machine},
    process::Process,
    servers::{Folder, Postgres},
    stack::Stack,
    story::ADA,
    until::until,
};
use rolecall_sandbox::{
    discord::demo,
    network::{Conduct, Proxy},
};
use url::Url;

use crate::{
    chaos::{RECOVERED, assert_caught_up, flip, impatient},
    support::{SOON, paying_member, start},
};

#[tokio::test]
async fn postgres_killed_and_restarted_under_load_loses_no_event_and_doubles_nothing() {
    let (mut postgres, machine) = own_postgres("postgres-restart").await;
    let stack = Stack::start(&machine, impatient("postgres_restart"))
        .await
        .unwrap();
    let (_, subscription) = paying_member(&stack).await;
    for _ in 0..3 {
        flip(&stack, &subscription);
        postgres.kill().await.unwrap();
        // No database stands in the way of a webhook: all of them are taken.
        let roles = flip(&stack, &subscription);
        stack.stripe.deliveries_settled(SOON).await.unwrap();
        postgres.restart().await.unwrap();
        assert_caught_up(&stack, roles).await;
    }
    let refused = stack.stripe.deliveries().into_iter().flat_map(|row| row.attempts);
    let refused: Vec<_> = refused.filter(|attempt| attempt.status != Some(200)).collect();
    assert!(refused.is_empty(), "{refused:?}");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn events_that_come_while_the_disk_is_full_are_done_when_there_is_room_again() {
    let stack = start(impatient("disk_full")).await;
    let (_, subscription) = paying_member(&stack).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                  RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; \
                  END $$; \
                  CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON inbox EXECUTE FUNCTION refuse(); \
                  CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON subscriptions EXECUTE FUNCTION refuse()";
    stack.rows(refuse).await.unwrap();
    let before = stack.rows("SELECT event_id FROM inbox").await.unwrap();
    let roles = flip(&stack, &subscription);
    stack.stripe.deliveries_settled(SOON).await.unwrap();
    until("a worker that has met the full disk", SOON, async || {
        Ok(stack
            .worker
            .log()?
            .contains("No space left on device")
            .then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(stack.rows("SELECT event_id FROM inbox").await.unwrap(), before);
    assert_eq!(stack.roles_of(ADA).unwrap(), ["Council"]);
    let room = "DROP TRIGGER full_disk ON inbox; DROP TRIGGER full_disk ON subscriptions";
    stack.rows(room).await.unwrap();
    assert_caught_up(&stack, roles).await;
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn services_that_postgres_lets_in_no_more_say_so_and_go_on_when_it_does() {
    let (_postgres, machine) = own_postgres("crowded").await;
    // The superuser's tables are its own too, but its connections are counted.
    let make = "CREATE ROLE crowded LOGIN CONNECTION LIMIT 50 IN ROLE postgres";
    machine::sql(&machine.postgres, make).await.unwrap();
    let mut url = machine.database("rolecall_crowded");
    url.set_username("crowded").unwrap();
    let stack = Stack::start(&machine, impatient("crowded").with("DATABASE_URL", url.as_str()))
        .await
        .unwrap();
    let (_, subscription) = paying_member(&stack).await;
    let shut = "ALTER ROLE crowded CONNECTION LIMIT 0; \
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crowded'";
    machine::sql(&machine.postgres, shut).await.unwrap();
    let roles = flip(&stack, &subscription);
    stack.stripe.deliveries_settled(SOON).await.unwrap();
    until("a worker that says what is wrong", RECOVERED, async || {
        let ready = stack.worker.readiness(&stack.client).await?;
        Ok((ready["parts"]["postgres"]["ok"] == false).then_some(()))
    })
    .await
    .unwrap();
    let open = "ALTER ROLE crowded CONNECTION LIMIT 50";
    machine::sql(&machine.postgres, open).await.unwrap();
    assert_caught_up(&stack, roles).await;
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_connection_cut_anywhere_in_a_transaction_loses_nothing_and_doubles_nothing() {
    let mut stack = start(impatient("cut_commit")).await;
    let (_, subscription) = paying_member(&stack).await;
    stack.worker.stop().await.unwrap();
    let (mut worker, proxy) = worker_behind_a_proxy(&stack).await;
    let mut roles: &[&str] = &["Council"];
    // From the first words of a connection to beyond the end of a sync.
    for bytes in [40, 400, 900, 1_500, 2_500, 4_000, 7_000, 12_000, 20_000] {
        let resets = proxy.resets();
        proxy.set(Conduct::CutAfter { bytes });
        roles = flip(&stack, &subscription);
        until("a connection that was cut, or too late", RECOVERED, async || {
            let over = proxy.resets() > resets || stack.roles_of(ADA).as_deref() == Some(roles);
            Ok(over.then_some(()))
        })
        .await
        .unwrap();
        proxy.set(Conduct::Pass);
        stack.wait_for_roles(ADA, roles, RECOVERED).await.unwrap();
    }
    assert_caught_up(&stack, roles).await;
    assert!(proxy.resets() > 5, "only {} connections were cut", proxy.resets());
    let changes = rolecall_e2e::chaos::acts::changes(&stack.discord.audit_log());
    let debtor = (ADA, demo::DEBTOR_ROLE);
    assert_eq!(
        (changes.given[&debtor], changes.taken[&debtor]),
        (5, 4),
        "one change for each cause"
    );
    worker.stop().await.unwrap();
    stack.stop().await.unwrap();
}

async fn worker_behind_a_proxy(stack: &Stack) -> (Process, Proxy) {
    let mut url: Url = stack.environment()["DATABASE_URL"].parse().unwrap();
    let target = url.socket_addrs(|| Some(5432)).unwrap()[0];
    let proxy = Proxy::start(target).await.unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.addr().port())).unwrap();
    let mut worker = stack
        .start_with("worker", "worker-proxied", &[("DATABASE_URL", url.as_str())])
        .unwrap();
    worker.wait_ready(&stack.client).await.unwrap();
    (worker, proxy)
}

async fn own_postgres(name: &str) -> (Postgres, Machine) {
    let folder = Arc::new(Folder::create(name).unwrap());
    let postgres = Postgres::start(&folder).await.unwrap();
    let machine = Machine {
        postgres: postgres.url().unwrap(),
        ..Machine::find().unwrap()
    };
    (postgres, machine)
}
