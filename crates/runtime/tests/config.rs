//! The configuration as a whole: every fault at once, files, secrets that do not show, examples.

use std::{collections::BTreeSet, fs, path::Path};

use proptest::{prop_assert, proptest};
use rolecall_runtime::{
    config::{
        AppEnv, DatabaseConfig, DiscordApiConfig, DiscordBotConfig, DiscordOauthConfig, DrainConfig,
        EncryptionKeys, HealthConfig, HttpConfig, InviteConfig, JobsConfig, LeaseConfig, MailConfig,
        PolicyConfig, RedisConfig, RetrySchedule, SessionConfig, StripeConfig, StripeWebhookConfig,
        TelemetryConfig,
    },
    env::{
        ConfigError, Env, Read, Reader, Service, check_config_report, env_example,
        registry::{GROUPS, Need, Variable},
    },
};
use secrecy::ExposeSecret;

const SERVICES: [Service; 4] = [Service::Api, Service::Worker, Service::Bot, Service::Cli];

/// Reads every section there is, and drops what was read.
fn read_everything(env: &Env, service: Service) -> Result<(), ConfigError> {
    let mut reader = Reader::new(env, service);
    let sections: [fn(&mut Reader<'_>) -> Read<()>; 20] = [
        |reader| AppEnv::from_env(reader).map(drop),
        |reader| TelemetryConfig::from_env(reader).map(drop),
        |reader| DrainConfig::from_env(reader).map(drop),
        |reader| DatabaseConfig::from_env(reader).map(drop),
        |reader| RedisConfig::from_env(reader).map(drop),
        |reader| HealthConfig::from_env(reader).map(drop),
        |reader| HttpConfig::from_env(reader).map(drop),
        |reader| StripeConfig::from_env(reader).map(drop),
        |reader| StripeWebhookConfig::from_env(reader).map(drop),
        |reader| DiscordApiConfig::from_env(reader).map(drop),
        |reader| DiscordOauthConfig::from_env(reader).map(drop),
        |reader| DiscordBotConfig::from_env(reader).map(drop),
        |reader| SessionConfig::from_env(reader).map(drop),
        |reader| EncryptionKeys::from_env(reader).map(drop),
        |reader| MailConfig::from_env(reader).map(drop),
        |reader| PolicyConfig::from_env(reader).map(drop),
        |reader| InviteConfig::from_env(reader).map(drop),
        |reader| JobsConfig::from_env(reader).map(drop),
        |reader| RetrySchedule::from_env(reader).map(drop),
        |reader| LeaseConfig::from_env(reader).map(drop),
    ];
    for section in sections {
        // The reader keeps the fault.
        let _ = section(&mut reader);
    }
    reader.finish()
}

fn variables() -> impl Iterator<Item = &'static Variable> {
    GROUPS.iter().flat_map(|group| group.variables).copied()
}

/// Every variable at its example.
fn examples() -> Env {
    let env = Env::from_pairs(variables().map(|variable| (variable.name, variable.example)));
    env.with("APP_ENV", "development")
}

fn fault_names(error: &ConfigError) -> BTreeSet<&'static str> {
    error
        .faults()
        .iter()
        .map(rolecall_runtime::env::Fault::name)
        .collect()
}

#[test]
fn the_committed_example_file_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env.example");
    let committed = fs::read_to_string(path).expect(".env.example is missing: run `cargo xtask prepare`");
    assert!(
        committed == env_example(),
        ".env.example is not up to date: run `cargo xtask prepare`"
    );
}

#[test]
fn the_example_file_as_it_stands_is_a_working_development_setup() {
    let text = env_example();
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let env = Env::from_pairs(lines.map(|line| line.split_once('=').expect("NAME=value")));
    for service in SERVICES {
        // The operator's command has no health listener, and so no default for its port.
        let env = env
            .clone()
            .with("HEALTH_PORT", if service == Service::Cli { "3009" } else { "" });
        read_everything(&env, service).unwrap_or_else(|error| panic!("{service}:\n{error}"));
    }
}

#[test]
fn every_example_would_be_accepted() {
    for service in SERVICES {
        read_everything(&examples(), service).unwrap_or_else(|error| panic!("{service}:\n{error}"));
    }
}

#[test]
fn the_examples_of_secrets_are_refused_in_production() {
    let production_file = tempfile::NamedTempFile::new().unwrap();
    fs::write(production_file.path(), "production\n").unwrap();
    let env = examples().with("APP_ENV", "production");
    let error = read_everything(&env, Service::Api).unwrap_err();
    let example_faults: BTreeSet<_> = error
        .faults()
        .iter()
        .filter(|fault| fault.problem().contains("still the example"))
        .map(rolecall_runtime::env::Fault::name)
        .collect();
    let from_file = examples()
        .with("APP_ENV", "")
        .with("APP_ENV_FILE", production_file.path());
    assert_eq!(
        read_everything(&from_file, Service::Api).unwrap_err(),
        error,
        "however it is said"
    );
    let secrets: BTreeSet<_> = variables()
        .filter(|variable| variable.is_secret())
        .map(|variable| variable.name)
        .collect();
    assert_eq!(example_faults, secrets);
}

#[test]
fn an_empty_environment_is_told_everything_that_is_missing_at_once() {
    let error = read_everything(&Env::default(), Service::Api).unwrap_err();
    let required = variables()
        .filter(|variable| variable.need == Need::Required)
        .map(|variable| variable.name);
    let mut missing: BTreeSet<_> = required.collect();
    // The mode is test unless it is said.
    missing.insert("STRIPE_WEBHOOK_SECRET_TEST");
    assert_eq!(fault_names(&error), missing);
    assert_eq!(error.faults().len(), missing.len(), "each is told once:\n{error}");
}

#[test]
fn each_fault_is_one_line_of_name_problem_and_example() {
    let env = examples()
        .with("PORT", "eighty")
        .with("REDIS_URL", "")
        .with("APP_ENV", "prod");
    let error = read_everything(&env, Service::Api).unwrap_err();
    let report = check_config_report(&error);
    assert_eq!(
        report,
        "APP_ENV: is not one of development, staging, production (example: production)\n\
         REDIS_URL: is not set (example: redis://localhost:6379)\n\
         PORT: is not a whole number from 0 to 65535 (example: 3000)\n"
    );
}

#[test]
fn every_variable_is_read_by_some_section() {
    // White space is refused whatever the type, so every variable that is read complains.
    let env = Env::from_pairs(variables().map(|variable| (variable.name, " ")));
    let error = read_everything(&env, Service::Api).unwrap_err();
    assert_eq!(
        fault_names(&error),
        variables().map(|variable| variable.name).collect()
    );
}

#[test]
fn a_value_may_stand_in_a_file_with_a_final_newline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for ending in ["", "\n", "\r\n"] {
        fs::write(&path, format!("{}{ending}", "s".repeat(32))).unwrap();
        let env = examples().with("JWT_SECRET", "").with("JWT_SECRET_FILE", &path);
        let config = env.read(Service::Api, SessionConfig::from_env).unwrap();
        assert_eq!(config.access_secret.expose_secret(), "s".repeat(32));
    }
}

#[test]
fn a_file_that_cannot_be_used_is_a_fault_that_does_not_quote_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("binary");
    fs::write(&binary, [0xff, 0xfe]).unwrap();
    let empty = folder.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    for (path, problem) in [
        (
            folder.path().join("missing"),
            "JWT_SECRET_FILE cannot be read: entity not found",
        ),
        (
            folder.path().to_owned(),
            "JWT_SECRET_FILE cannot be read: is a directory",
        ),
        (binary, "JWT_SECRET_FILE holds something that is not UTF-8"),
        (empty, "is not set"),
    ] {
        let env = examples().with("JWT_SECRET", "").with("JWT_SECRET_FILE", &path);
        let error = env.read(Service::Api, SessionConfig::from_env).unwrap_err();
        assert_eq!(error.faults()[0].name(), "JWT_SECRET");
        assert_eq!(error.faults()[0].problem(), problem);
    }
}

#[test]
fn a_value_and_a_file_for_the_same_variable_are_a_fault() {
    let env = examples().with("REDIS_URL_FILE", "/run/secrets/redis");
    let error = read_everything(&env, Service::Bot).unwrap_err();
    assert_eq!(
        error.to_string(),
        "REDIS_URL: is given twice: remove it or REDIS_URL_FILE (example: redis://localhost:6379)"
    );
}

#[test]
fn white_space_around_a_value_is_a_fault() {
    for value in [" sk_test_1", "sk_test_1 ", "sk_test_1\n"] {
        let error =
            read_everything(&examples().with("STRIPE_SECRET_KEY", value), Service::Worker).unwrap_err();
        assert_eq!(error.faults()[0].problem(), "has white space around it");
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_text_is_a_fault_of_its_variable() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    let env = examples().with("MAIL_FROM", OsStr::from_bytes(&[0xff, 0xfe]));
    let error = read_everything(&env, Service::Worker).unwrap_err();
    assert!(
        error.to_string().contains("MAIL_FROM: is not valid UTF-8"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_value_of_any_variable_shows_in_a_fault(value in "[Q-Zq-z]{12,40}", prefix in "(whsec_|sk_live_|k1:|https://u:|)") {
        let secret = format!("{prefix}{value}");
        let env = Env::from_pairs(variables().map(|variable| (variable.name, secret.clone())));
        for service in SERVICES {
            let error = read_everything(&env, service).unwrap_err();
            prop_assert!(!check_config_report(&error).contains(&value), "{error}");
            prop_assert!(!format!("{error:?}").contains(&value), "{error:?}");
        }
    }
}
