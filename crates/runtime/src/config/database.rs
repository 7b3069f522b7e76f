//! How to reach Postgres, and through which kind of pooler.

use std::fmt;

use secrecy::SecretString;
use url::Url;

use crate::{
    config::{
        AppEnv,
        network::{host_of, is_near},
    },
    env::{Read, Reader, parse, registry},
};

/// Supabase's port for transaction mode.
const TRANSACTION_POOLER_PORT: u16 = 6543;

/// A Prisma convention, not a Postgres one: drivers warn about it, so it is taken off.
const POOLER_PARAMETER: &str = "pgbouncer";

/// How to reach Postgres.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// `DATABASE_URL` without `pgbouncer=...`.
    pub url: SecretString,
    /// `DIRECT_URL`, else the same as `url`: for migrations.
    pub direct_url: SecretString,
    /// `DATABASE_POOLER`, with `auto` resolved.
    pub pooler: Pooler,
    /// `DATABASE_MAX_CONNECTIONS`.
    pub max_connections: u32,
    /// What should be told at the start: a variable whose server is reached over the internet by whoever answers.
    pub advice: Option<String>,
}

/// What stands between the service and Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// Nothing.
    None,
    /// A pooler that keeps one server connection for each client connection.
    Session,
    /// A pooler that hands every transaction to whichever server connection is free.
    Transaction,
}

impl Pooler {
    /// The name as it stands in the variable and in the log line at the start.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::Transaction => "transaction",
        }
    }
}

impl fmt::Display for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DatabaseConfig {
    /// Reads the section.
    pub fn from_env(reader: &mut Reader<'_>) -> Read<Self> {
        let given_pooler = reader.get(&registry::DATABASE_POOLER, parse_pooler);
        let max_connections = reader.get(&registry::DATABASE_MAX_CONNECTIONS, parse::number(1..=1_000));
        let url = reader.get(&registry::DATABASE_URL, parse_postgres_url);
        let direct_url = reader.find(&registry::DIRECT_URL, parse_postgres_url);

        if let (Ok(None | Some(Pooler::Transaction)), Ok(Some(direct))) = (&given_pooler, &direct_url)
            && direct.pooler == Pooler::Transaction
        {
            // Migrations through a pooler in transaction mode fail, and not always at once.
            let problem = "leads to a pooler in transaction mode; migrations need a session";
            return Err(reader.fault(&registry::DIRECT_URL, problem));
        }
        let app_env = AppEnv::from_env(reader);
        let (url, direct_url) = (url?, direct_url?);
        let advice = app_env
            .is_ok_and(AppEnv::is_production)
            .then(|| advice(&url, direct_url.as_ref()))
            .flatten();
        let direct_url = direct_url.map_or_else(|| url.text.clone(), |direct| direct.text);
        Ok(Self {
            advice,
            pooler: given_pooler?.unwrap_or(url.pooler),
            url: url.text,
            direct_url,
            max_connections: max_connections?,
        })
    }
}

/// Not a fault: many installations run like this, and an update is no time to stop them.
fn advice(url: &PostgresUrl, direct_url: Option<&PostgresUrl>) -> Option<String> {
    let urls = [
        (&registry::DATABASE_URL, Some(url)),
        (&registry::DIRECT_URL, direct_url),
    ];
    let exposed: Vec<&str> = urls
        .into_iter()
        .filter(|(_, url)| url.is_some_and(|url| url.is_exposed))
        .map(|(variable, _)| variable.name)
        .collect();
    (!exposed.is_empty()).then(|| {
        format!(
            "{} may reach Postgres unencrypted, and whoever answers is taken for it: \
             add sslmode=verify-full&sslrootcert=/path/of/the/certificate",
            exposed.join(" and ")
        )
    })
}

/// `auto` is `None`.
fn parse_pooler(text: &str) -> Result<Option<Pooler>, parse::Problem> {
    let named =
        [Pooler::None, Pooler::Session, Pooler::Transaction].map(|pooler| (pooler.name(), Some(pooler)));
    let [none, session, transaction] = named;
    parse::choice(&[("auto", None), none, session, transaction])(text)
}

/// A Postgres URL as the driver takes it, and the pooler that it gives away.
struct PostgresUrl {
    text: SecretString,
    pooler: Pooler,
    /// Over the internet, and not encrypted for sure.
    is_exposed: bool,
}

fn parse_postgres_url(text: &str) -> Result<PostgresUrl, parse::Problem> {
    let mut url = parse::url(&["postgres", "postgresql"])(text)?;
    let has_socket = url.query_pairs().any(|(name, _)| name == "host");
    if url.host_str().unwrap_or_default().is_empty() && !has_socket {
        return Err("names no host".to_owned());
    }
    let says_pgbouncer = url
        .query_pairs()
        .any(|(name, value)| name == POOLER_PARAMETER && value == "true");
    let pooler = if says_pgbouncer || url.port() == Some(TRANSACTION_POOLER_PORT) {
        Pooler::Transaction
    } else {
        Pooler::None
    };
    remove_pooler_parameter(&mut url);
    Ok(PostgresUrl {
        is_exposed: !has_socket && !is_near(host_of(&url)) && !asks_for_tls(&url),
        text: SecretString::from(String::from(url)),
        pooler,
    })
}

/// Without these the driver goes on unencrypted where the server, or who plays it, offers nothing else.
fn asks_for_tls(url: &Url) -> bool {
    url.query_pairs().any(|(name, value)| {
        matches!(&*name, "sslmode" | "ssl-mode") && matches!(&*value, "require" | "verify-ca" | "verify-full")
    })
}

/// Works on the raw text of the query, so that the other parameters keep their encoding.
fn remove_pooler_parameter(url: &mut Url) {
    let Some(query) = url.query() else { return };
    let is_pooler = |pair: &&str| pair.split('=').next() == Some(POOLER_PARAMETER);
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_pooler(pair)).collect();
    let kept = kept.join("&");
    url.set_query(Some(kept.as_str()).filter(|query| !query.is_empty()));
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::env::{ConfigError, Env, Service};

    fn read(pairs: &[(&str, &str)]) -> Result<DatabaseConfig, ConfigError> {
        Env::from_pairs(pairs.iter().copied()).read(Service::Worker, DatabaseConfig::from_env)
    }

    #[test]
    fn in_production_a_database_on_the_internet_should_prove_who_it_is() {
        for (url, told) in [
            ("postgres://u:p@db.example.com/app", true),
            ("postgres://u:p@db.example.com:6543/app?sslmode=prefer", true),
            ("postgres://u:p@203.0.113.7/app?sslmode=disable", true),
            ("postgres://u:p@[2001:db8::7]/app", true),
            ("postgres://u:p@db.example.com/app?sslmode=require", false),
            (
                "postgres://u:p@db.example.com/app?sslmode=verify-full&sslrootcert=/c.crt",
                false,
            ),
            ("postgres://u:p@postgres/app", false),
            ("postgres://u:p@localhost/app", false),
            ("postgres://u:p@10.1.2.3/app", false),
            ("postgres://u:p@[fd00::7]/app", false),
            ("postgres://u:p@db.internal/app", false),
            ("postgres:///app?host=/run/postgresql", false),
        ] {
            let config = read(&[("DATABASE_URL", url), ("APP_ENV", "production")]).unwrap();
            assert_eq!(config.advice.is_some(), told, "{url}");
            assert_eq!(read(&[("DATABASE_URL", url)]).unwrap().advice, None, "{url}");
        }
        let advice = read(&[
            ("DATABASE_URL", "postgres://u:p@postgres/app"),
            ("DIRECT_URL", "postgres://u:hunter2@db.example.com/app"),
            ("APP_ENV", "production"),
        ])
        .unwrap()
        .advice
        .unwrap();
        assert!(
            advice.starts_with("DIRECT_URL ") && advice.contains("sslmode=verify-full&sslrootcert="),
            "{advice}"
        );
        assert!(!advice.contains("hunter2"), "{advice}");
    }

    #[test]
    fn auto_finds_the_transaction_pooler_by_port_or_by_parameter() {
        for (url, pooler) in [
            ("postgres://u:p@db.example/app", Pooler::None),
            ("postgres://u:p@db.example:5432/app?pgbouncer=false", Pooler::None),
            ("postgresql://u:p@db.example:6543/app", Pooler::Transaction),
            (
                "postgres://u:p@db.example:5432/app?pgbouncer=true",
                Pooler::Transaction,
            ),
        ] {
            assert_eq!(read(&[("DATABASE_URL", url)]).unwrap().pooler, pooler, "{url}");
        }
    }

    #[test]
    fn a_named_pooler_wins_over_what_the_url_looks_like() {
        let url = ("DATABASE_URL", "postgres://u:p@db.example:6543/app");
        for (name, pooler) in [
            ("none", Pooler::None),
            ("session", Pooler::Session),
            ("transaction", Pooler::Transaction),
        ] {
            assert_eq!(read(&[url, ("DATABASE_POOLER", name)]).unwrap().pooler, pooler);
        }
    }

    #[test]
    fn the_pgbouncer_parameter_is_taken_off_and_the_rest_of_the_url_kept() {
        for (given, kept) in [
            (
                "postgres://u:p%40w@h/db?pgbouncer=true",
                "postgres://u:p%40w@h/db",
            ),
            (
                "postgres://u:p@h/db?sslmode=require&pgbouncer=true&options=-c%20x%3D1",
                "postgres://u:p@h/db?sslmode=require&options=-c%20x%3D1",
            ),
            (
                "postgres://u:p@h/db?sslmode=require",
                "postgres://u:p@h/db?sslmode=require",
            ),
        ] {
            assert_eq!(
                read(&[("DATABASE_URL", given)]).unwrap().url.expose_secret(),
                kept
            );
        }
    }

    #[test]
    fn migrations_fall_back_to_the_first_url() {
        let first = ("DATABASE_URL", "postgres://u:p@h:6543/db?pgbouncer=true");
        let config = read(&[first]).unwrap();
        assert_eq!(config.direct_url.expose_secret(), "postgres://u:p@h:6543/db");
        let config = read(&[first, ("DIRECT_URL", "postgres://u:p@h:5432/db")]).unwrap();
        assert_eq!(config.direct_url.expose_secret(), "postgres://u:p@h:5432/db");
    }

    #[test]
    fn a_direct_url_through_a_transaction_pooler_is_refused() {
        let first = ("DATABASE_URL", "postgres://u:p@h:6543/db");
        for direct in ["postgres://u:p@h:6543/db", "postgres://u:p@h/db?pgbouncer=true"] {
            let error = read(&[first, ("DIRECT_URL", direct)]).unwrap_err();
            assert!(
                error.to_string().starts_with("DIRECT_URL: leads to a pooler"),
                "{error}"
            );
        }
        assert!(
            read(&[
                first,
                ("DIRECT_URL", "postgres://u:p@h:6543/db"),
                ("DATABASE_POOLER", "none")
            ])
            .is_ok(),
            "a Postgres that listens on that port by itself"
        );
    }

    #[test]
    fn another_database_is_refused() {
        for url in ["mysql://u:p@h/db", "h/db", "postgres:///db", "postgres://"] {
            assert!(read(&[("DATABASE_URL", url)]).is_err(), "{url} was accepted");
        }
        assert!(read(&[("DATABASE_URL", "postgres:///db?host=/var/run/postgresql")]).is_ok());
    }
}
