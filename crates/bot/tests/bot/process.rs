//! The program itself: its arguments, its start, its signals.

use std::{
    net::TcpListener,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rolecall_sandbox::discord::demo::{BOT_TOKEN, COUNCIL_ROLE, GUILD};
use tokio::process::{Child, Command};

use crate::support::{KEYS, Rig, command, soon, until};

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_rolecall-bot"));
    program
        .env_clear()
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    program
}

/// A bot in a process of its own, and the port of its health.
fn start(rig: &Rig) -> (Child, u16) {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let child = program()
        .env("REDIS_URL", rig.redis.url())
        .env("REDIS_NAMESPACE", "test")
        .env("DISCORD_BOT_TOKEN", BOT_TOKEN)
        .env("DISCORD_GUILD_ID", GUILD.to_string())
        .env("DISCORD_API_BASE", rig.discord.origin())
        .env("ENCRYPTION_KEYS", KEYS)
        .env("LEASE_TTL", "1s")
        .env("HEALTH_PORT", port.to_string())
        .spawn()
        .unwrap();
    (child, port)
}

async fn signal(child: &Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
}

async fn ready(port: u16) -> Option<serde_json::Value> {
    reqwest::get(format!("http://127.0.0.1:{port}/ready"))
        .await
        .ok()?
        .json()
        .await
        .ok()
}

async fn role(port: u16) -> String {
    ready(port)
        .await
        .map(|ready| ready["role"].as_str().unwrap_or_default().to_owned())
        .unwrap_or_default()
}

async fn ended(child: &mut Child) -> ExitStatus {
    soon(child.wait()).await.unwrap()
}

#[tokio::test]
async fn every_fault_of_the_configuration_is_named_at_once_and_no_secret_is() {
    let output = program()
        .arg("--check-config")
        .env("DISCORD_BOT_TOKEN", "se cret")
        .output();
    let output = soon(output).await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    for name in [
        "REDIS_URL",
        "DISCORD_BOT_TOKEN",
        "DISCORD_GUILD_ID",
        "ENCRYPTION_KEYS",
    ] {
        assert!(told.contains(&format!("{name}: ")), "{told}");
    }
    assert!(!told.contains("se cret"), "{told}");
}

#[tokio::test]
async fn a_good_configuration_passes_without_any_network() {
    let status = program()
        .arg("--check-config")
        .env("REDIS_URL", "redis://nowhere.invalid")
        .env("DISCORD_BOT_TOKEN", BOT_TOKEN)
        .env("DISCORD_GUILD_ID", "1")
        .env("ENCRYPTION_KEYS", KEYS)
        .status();
    assert!(soon(status).await.unwrap().success());
}

#[tokio::test]
async fn it_is_ready_soon_and_ends_well_when_told_to() {
    let rig = Rig::start().await;
    let begun = Instant::now();
    let (mut child, port) = start(&rig);
    until(async || ready(port).await.is_some()).await;
    // The aim is 150 ms on a quiet machine; tests run beside each other.
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "ready after {:?}",
        begun.elapsed()
    );
    until(async || rig.identified() == 1).await;
    signal(&child, "TERM").await;
    assert!(ended(&mut child).await.success());
    assert_eq!(rig.redis.run::<u64>(&["EXISTS", "test:bot:session"]).await, 1);
}

#[tokio::test]
async fn a_process_that_was_stopped_while_its_lease_ran_out_writes_nothing_when_it_goes_on() {
    let rig = Rig::start().await;
    let (ben, eve) = (rig.member("Ben B"), rig.member("Eve E"));
    let (mut child, port) = start(&rig);
    rig.discord.set_limit("member-roles", 1, 3_000).unwrap();
    rig.worker.push(&command(ben, 1, &[COUNCIL_ROLE], &[])).await;
    rig.worker.outcome().await;
    // The next write waits at the limiter, where the process is stopped.
    rig.worker.push(&command(eve, 1, &[COUNCIL_ROLE], &[])).await;
    soon(
        rig.discord
            .wait_until(|_| rig.requests("GET", &format!("/members/{eve}")) == 1),
    )
    .await;
    signal(&child, "STOP").await;
    // Another bot leads until the limiter would long have let the write go; and then for good.
    let lease = ["SET", "test:bot:lease", "somebody else"];
    let _: String = rig.redis.run(&[&lease[..], &["PX", "3500"]].concat()).await;
    until(async || rig.redis.run::<u64>(&["EXISTS", "test:bot:lease"]).await == 0).await;
    let _: String = rig.redis.run(&lease).await;
    signal(&child, "CONT").await;
    until(async || role(port).await == "standby").await;
    assert_eq!(rig.writes(eve), 0);
    assert_eq!(rig.discord.gateway().connections, 0);
    signal(&child, "TERM").await;
    assert!(ended(&mut child).await.success());
}
