//! A wrong environment is refused with all of its faults, and nothing secret is repeated.

use std::{collections::BTreeMap, process::Output};

use rolecall_e2e::machine::Machine;
use tokio::process::Command;

async fn check(service: &str, variables: &[(&str, &str)]) -> Output {
    let machine = Machine::find().expect("run the tests through `cargo xtask test`");
    let environment: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let mut command = Command::new(machine.binary(&format!("rolecall-{service}")));
    command
        .arg("--check-config")
        .env_clear()
        .envs(environment)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn every_service_names_all_that_it_lacks_at_once() {
    for (service, variables) in [
        (
            "api",
            [
                "DATABASE_URL",
                "REDIS_URL",
                "PUBLIC_URL",
                "STRIPE_SECRET_KEY",
                "JWT_SECRET",
            ]
            .as_slice(),
        ),
        ("worker", &["DATABASE_URL", "REDIS_URL", "STRIPE_SECRET_KEY"]),
        (
            "bot",
            &[
                "REDIS_URL",
                "DISCORD_BOT_TOKEN",
                "DISCORD_GUILD_ID",
                "ENCRYPTION_KEYS",
            ],
        ),
    ] {
        let output = check(service, &[]).await;
        assert_eq!(output.status.code(), Some(2), "{service}");
        let said = String::from_utf8(output.stderr).unwrap();
        for variable in variables {
            let line = said
                .lines()
                .find(|line| line.starts_with(&format!("{variable}: ")));
            assert!(
                line.is_some_and(|line| line.contains("(example: ")),
                "{service} {variable}: {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_live_key_in_test_mode_is_refused_without_being_shown() {
    let variables = [
        ("DATABASE_URL", "postgres://u:hunter2@db/app"),
        ("REDIS_URL", "redis://r"),
        ("STRIPE_MODE", "test"),
        ("STRIPE_SECRET_KEY", "sk_live_do_not_show_me"),
    ];
    let output = check("worker", &variables).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("STRIPE_SECRET_KEY: is a live key, but STRIPE_MODE is test"),
        "{said}"
    );
    assert!(
        !said.contains("do_not_show_me") && !said.contains("hunter2"),
        "{said}"
    );
}

#[tokio::test]
async fn a_good_environment_is_accepted_without_touching_the_network() {
    let variables = [
        ("DATABASE_URL", "postgres://u:p@db.invalid/app"),
        ("REDIS_URL", "redis://redis.invalid"),
        ("STRIPE_SECRET_KEY", "sk_test_1"),
    ];
    let output = check("worker", &variables).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
