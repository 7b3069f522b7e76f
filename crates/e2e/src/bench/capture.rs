//! What the worker really says to Postgres, read back from the server's log to be said again: the same statements
//! with the same values in the same transactions.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::task::JoinSet;
use url::Url;

use crate::bench::postgres::{Parameter, Session};

/// One statement as it was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    sql: String,
    values: Vec<Parameter>,
}

/// What one session did from `BEGIN` to the end of it, or one statement outside of a transaction.
type Transaction = Vec<Statement>;

/// The transactions in the order of their ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Capture {
    transactions: Vec<Transaction>,
}

impl Capture {
    /// Reads a log in the format `jsonlog`, as far as it is about `database`.
    pub(crate) fn read(log: &str, database: &str) -> anyhow::Result<Self> {
        let mut capture = Self::default();
        let mut open: BTreeMap<i64, Transaction> = BTreeMap::new();
        for line in log.lines().filter(|line| !line.is_empty()) {
            let entry: Value = serde_json::from_str(line).context("read a line of the log of Postgres")?;
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            // What is asked for the measure itself is no part of it.
            if text("dbname") != Some(database) || text("application_name") == Some("psql") {
                continue;
            }
            let (Some(pid), Some(message)) = (entry.get("pid").and_then(Value::as_i64), text("message"))
            else {
                continue;
            };
            let Some(sql) = statement(message) else {
                continue;
            };
            let values = text("detail").map(parameters).transpose()?.unwrap_or_default();
            let sql = sql.trim().trim_end_matches(';').to_owned();
            let session = open.entry(pid).or_default();
            let ends = ends_transaction(&sql) || (session.is_empty() && !begins_transaction(&sql));
            session.push(Statement { sql, values });
            if ends {
                capture.transactions.push(std::mem::take(session));
            }
        }
        ensure!(
            !capture.transactions.is_empty(),
            "the log holds no statement on {database}"
        );
        Ok(capture)
    }

    /// How many statements there are.
    pub(crate) fn len(&self) -> usize {
        self.transactions.iter().map(Vec::len).sum()
    }

    /// Says it all again over `clients` sessions, and returns how long that took. What keeps events, many at a
    /// time, is said first, because what follows finishes them; then what is about one event, subscription or person
    /// is said in one session, in the order in which it was said.
    pub(crate) async fn repeat(
        &self,
        database: &Url,
        clients: usize,
        prepares: bool,
    ) -> anyhow::Result<Duration> {
        let mut sessions = Vec::new();
        for _ in 0..clients {
            sessions.push(Session::open(database, prepares).await?);
        }
        let started = Instant::now();
        for keeping in [true, false] {
            let mut running = JoinSet::new();
            for (mut session, share) in sessions.drain(..).zip(self.shares(clients, keeping)) {
                running.spawn(async move {
                    for statement in &share {
                        session.run(&statement.sql, &statement.values).await?;
                    }
                    anyhow::Ok(session)
                });
            }
            while let Some(ended) = running.join_next().await {
                sessions.push(ended??);
            }
        }
        Ok(started.elapsed())
    }

    /// The statements for each of `clients` sessions that keep events, or those that do not.
    fn shares(&self, clients: usize, keeping: bool) -> Vec<Vec<Statement>> {
        let mut shares = vec![Vec::new(); clients];
        let subjects = self.transactions.iter().zip(self.subjects());
        for (transaction, subject) in subjects.filter(|(transaction, _)| keeps_events(transaction) == keeping)
        {
            if let Some(share) = shares.get_mut(subject % clients.max(1)) {
                share.extend_from_slice(transaction);
            }
        }
        shares
    }

    /// For each transaction the number of its subject: transactions that name the same id have the same.
    fn subjects(&self) -> Vec<usize> {
        let mut first: BTreeMap<&str, usize> = BTreeMap::new();
        let mut parents: Vec<usize> = (0..self.transactions.len()).collect();
        for (number, transaction) in self.transactions.iter().enumerate() {
            let values = transaction.iter().flat_map(|statement| &statement.values);
            for id in values.flatten().filter(|value| is_id(value)) {
                let earlier = *first.entry(id).or_insert(number);
                let (one, other) = (root(&parents, earlier), root(&parents, number));
                if let Some(parent) = parents.get_mut(one.max(other)) {
                    *parent = one.min(other);
                }
            }
        }
        let roots: Vec<usize> = (0..parents.len()).map(|number| root(&parents, number)).collect();
        let distinct: BTreeSet<usize> = roots.iter().copied().collect();
        let numbers: BTreeMap<usize, usize> = distinct.into_iter().zip(0..).collect();
        roots
            .iter()
            .map(|root| numbers.get(root).copied().unwrap_or_default())
            .collect()
    }
}

/// Whether a transaction takes events into the inbox.
fn keeps_events(transaction: &Transaction) -> bool {
    transaction
        .iter()
        .any(|statement| statement.sql.starts_with("INSERT INTO inbox"))
}

fn root(parents: &[usize], mut number: usize) -> usize {
    while let Some(parent) = parents.get(number).filter(|parent| **parent != number) {
        number = *parent;
    }
    number
}

/// Whether a value is the id of something that belongs to one person.
fn is_id(text: &str) -> bool {
    let is_uuid = text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
    is_uuid || text.starts_with("evt_") || text.starts_with("sub_")
}

fn begins_transaction(sql: &str) -> bool {
    starts_with_word(sql, "BEGIN")
}

fn ends_transaction(sql: &str) -> bool {
    starts_with_word(sql, "COMMIT") || starts_with_word(sql, "ROLLBACK")
}

fn starts_with_word(sql: &str, word: &str) -> bool {
    let first = sql.split(|letter: char| !letter.is_ascii_alphabetic()).next();
    first.is_some_and(|first| first.eq_ignore_ascii_case(word))
}

/// The SQL of a log message: `statement: ...`, or `execute <name>: ...`.
fn statement(message: &str) -> Option<&str> {
    if let Some(sql) = message.strip_prefix("statement: ") {
        return Some(sql);
    }
    let (_, sql) = message.strip_prefix("execute ")?.split_once(": ")?;
    Some(sql)
}

/// The values of `parameters: $1 = 'text', $2 = NULL`.
fn parameters(detail: &str) -> anyhow::Result<Vec<Parameter>> {
    let mut rest = detail
        .split_once(": ")
        .map(|(_, rest)| rest)
        .with_context(|| format!("read the parameters {detail}"))?;
    let mut values = Vec::new();
    while let Some((_, value)) = rest.split_once(" = ") {
        let end = literal_end(value);
        let (literal, after) = value.split_at(end);
        let quoted = literal
            .strip_prefix('\'')
            .and_then(|literal| literal.strip_suffix('\''));
        values.push(quoted.map(|text| text.replace("''", "'")));
        rest = after;
    }
    Ok(values)
}

/// Where the literal at the beginning of `text` ends. A quote within it is doubled.
fn literal_end(text: &str) -> usize {
    if !text.starts_with('\'') {
        return text.find(',').unwrap_or(text.len());
    }
    let mut quotes = text.match_indices('\'').skip(1).peekable();
    while let Some((at, _)) = quotes.next() {
        if quotes.peek().is_some_and(|(next, _)| *next == at + 1) {
            quotes.next();
        } else {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = concat!(
        r#"{"pid":7,"dbname":"d","message":"statement: BEGIN"}"#,
        "\n",
        r#"{"pid":7,"dbname":"d","message":"execute sqlx_s_1: UPDATE t SET a = $1 WHERE b = $2","#,
        r#""detail":"parameters: $1 = 'it''s, $2 = x', $2 = NULL"}"#,
        "\n",
        r#"{"pid":7,"dbname":"d","message":"statement: COMMIT"}"#,
        "\n",
        r#"{"pid":9,"dbname":"d","message":"execute <unnamed>: SELECT $10, $1","#,
        r#""detail":"parameters: $1 = '', $2 = 'b', $3 = '', $4 = '', $5 = '', $6 = '', $7 = '', $8 = '', $9 = '', $10 = '10'"}"#,
        "\n",
        r#"{"pid":8,"dbname":"other","message":"statement: SELECT 1"}"#,
        "\n",
        r#"{"pid":6,"dbname":"d","application_name":"psql","message":"statement: SELECT 1"}"#,
        "\n",
        r#"{"pid":7,"dbname":"d","message":"connection received"}"#
    );

    #[test]
    fn transactions_and_values_are_read_back_from_the_log() {
        let capture = Capture::read(LOG, "d").unwrap();
        assert_eq!((capture.transactions.len(), capture.len()), (2, 4));
        let [transaction, single] = &capture.transactions[..] else {
            panic!("two transactions");
        };
        assert_eq!(single[0].sql, "SELECT $10, $1");
        assert_eq!(single[0].values.len(), 10);
        assert_eq!(single[0].values[0].as_deref(), Some(""));
        assert_eq!(transaction[1].values, [Some("it's, $2 = x".to_owned()), None]);
        assert!(Capture::read(LOG, "nowhere").is_err());
    }

    #[test]
    fn what_is_about_one_subject_is_said_in_one_session() {
        let transaction = |values: &[&str]| {
            vec![Statement {
                sql: "SELECT 1".to_owned(),
                values: values.iter().map(|value| Some((*value).to_owned())).collect(),
            }]
        };
        let capture = Capture {
            transactions: vec![
                transaction(&["evt_1", "same"]),
                transaction(&["evt_2", "same"]),
                transaction(&["sub_1", "00000000-0000-7000-8000-000000000001"]),
                transaction(&["evt_1", "sub_1"]),
                transaction(&["00000000-0000-7000-8000-000000000001"]),
            ],
        };
        assert_eq!(capture.subjects(), [0, 1, 0, 0, 0]);
        let lengths = |keeping| -> Vec<usize> { capture.shares(2, keeping).iter().map(Vec::len).collect() };
        assert_eq!((lengths(false), lengths(true)), (vec![4, 1], vec![0, 0]));
    }

    #[test]
    fn what_keeps_events_is_said_before_what_finishes_them() {
        let transaction = |sql: &str| {
            vec![Statement {
                sql: sql.to_owned(),
                values: Vec::new(),
            }]
        };
        let capture = Capture {
            transactions: vec![
                transaction("UPDATE inbox SET state = $1"),
                transaction("INSERT INTO inbox (event_id) VALUES ($1)"),
            ],
        };
        let said = |keeping| capture.shares(1, keeping).concat();
        assert_eq!(said(true), capture.transactions[1]);
        assert_eq!(said(false), capture.transactions[0]);
    }
}
