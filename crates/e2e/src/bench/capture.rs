//! What the worker really says to Postgres, read back from the server's log and made into a script for pgbench:
//! the same statements with the same values, in the same sessions and transactions.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use anyhow::{Context, ensure};
use serde_json::Value;

/// One statement as it was executed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Statement {
    sql: String,
    /// As literals of SQL, in the order of their numbers.
    values: Vec<String>,
}

/// The statements of each session, by the process that served it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Capture {
    sessions: BTreeMap<i64, Vec<Statement>>,
}

/// How a script runs the statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Prepared once a session, as over a connection of one's own.
    Prepared,
    /// Parsed each time, as behind a transaction pooler.
    Plain,
}

impl Capture {
    /// Reads a log in the format `jsonlog`, as far as it is about `database`.
    pub(crate) fn read(log: &str, database: &str) -> anyhow::Result<Self> {
        let mut capture = Self::default();
        for line in log.lines().filter(|line| !line.is_empty()) {
            let entry: Value = serde_json::from_str(line).context("read a line of the log of Postgres")?;
            let text = |key: &str| entry.get(key).and_then(Value::as_str);
            if text("dbname") != Some(database) {
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
            let session = capture.sessions.entry(pid).or_default();
            session.push(Statement { sql, values });
        }
        ensure!(
            !capture.sessions.is_empty(),
            "the log holds no statement on {database}"
        );
        Ok(capture)
    }

    /// How many statements there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.values().map(Vec::len).sum()
    }

    /// A script in which each of `clients` clients runs its share of the sessions.
    pub(crate) fn script(&self, clients: usize, style: Style) -> String {
        let mut script = String::new();
        for client in 0..clients {
            let word = if client == 0 { "if" } else { "elif" };
            // Writing to a String cannot fail.
            let _ = writeln!(script, "\\{word} :client_id = {client}");
            let sessions = self.sessions.values().skip(client).step_by(clients);
            let statements: Vec<&Statement> = sessions.flatten().collect();
            match style {
                Style::Prepared => prepared(&mut script, &statements),
                Style::Plain => plain(&mut script, &statements),
            }
        }
        script.push_str("\\endif\n");
        script
    }
}

fn prepared(script: &mut String, statements: &[&Statement]) {
    let texts: BTreeSet<&str> = statements
        .iter()
        .filter(|statement| is_preparable(statement))
        .map(|statement| statement.sql.as_str())
        .collect();
    let names: BTreeMap<&str, usize> = texts.into_iter().zip(0..).collect();
    for (sql, name) in &names {
        let _ = writeln!(script, "PREPARE s{name} AS {sql};");
    }
    for statement in statements {
        let _ = match names.get(statement.sql.as_str()) {
            Some(name) if statement.values.is_empty() => writeln!(script, "EXECUTE s{name};"),
            Some(name) => writeln!(script, "EXECUTE s{name}({});", statement.values.join(", ")),
            // A prepared statement of ours would be gone after it, and sessions of one's own have no need for it.
            None => writeln!(script, "{};", statement.sql.replace("; DEALLOCATE ALL", "")),
        };
    }
}

/// `BEGIN`, `COMMIT` and the like cannot be prepared.
fn is_preparable(statement: &Statement) -> bool {
    let first = statement.sql.split_whitespace().next().unwrap_or_default();
    ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word))
}

fn plain(script: &mut String, statements: &[&Statement]) {
    for statement in statements {
        let _ = writeln!(script, "{};", filled_in(statement));
    }
}

/// The statement with its values in the places of `$1`, `$2` ...
fn filled_in(statement: &Statement) -> String {
    let mut text = String::new();
    let mut parts = statement.sql.split('$');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(part.len());
        let (number, rest) = part.split_at(end);
        let place = number
            .parse::<usize>()
            .ok()
            .and_then(|number| number.checked_sub(1));
        if let Some(value) = place.and_then(|place| statement.values.get(place)) {
            text.push_str(value);
        } else {
            text.push('$');
            text.push_str(number);
        }
        text.push_str(rest);
    }
    text
}

/// The SQL of a log message: `statement: ...`, or `execute <name>: ...`.
fn statement(message: &str) -> Option<&str> {
    if let Some(sql) = message.strip_prefix("statement: ") {
        return Some(sql);
    }
    let (_, sql) = message.strip_prefix("execute ")?.split_once(": ")?;
    Some(sql)
}

/// The literals of `parameters: $1 = 'text', $2 = NULL`.
fn parameters(detail: &str) -> anyhow::Result<Vec<String>> {
    let mut rest = detail
        .split_once(": ")
        .map(|(_, rest)| rest)
        .with_context(|| format!("read the parameters {detail}"))?;
    let mut values = Vec::new();
    while let Some((_, value)) = rest.split_once(" = ") {
        let end = literal_end(value);
        let (literal, after) = value.split_at(end);
        values.push(literal.to_owned());
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
        r#"{"pid":7,"dbname":"d","message":"connection received"}"#
    );

    #[test]
    fn sessions_and_values_are_read_back_from_the_log() {
        let capture = Capture::read(LOG, "d").unwrap();
        assert_eq!(capture.len(), 4);
        assert_eq!(capture.sessions[&7][1].values, ["'it''s, $2 = x'", "NULL"]);
        assert!(Capture::read(LOG, "nowhere").is_err());
    }

    #[test]
    fn a_prepared_script_parses_each_statement_once_and_gives_each_client_its_session() {
        let script = Capture::read(LOG, "d").unwrap().script(2, Style::Prepared);
        let expected = "\\if :client_id = 0\nPREPARE s0 AS UPDATE t SET a = $1 WHERE b = $2;\nBEGIN;\n\
                        EXECUTE s0('it''s, $2 = x', NULL);\nCOMMIT;\n\\elif :client_id = 1\n\
                        PREPARE s0 AS SELECT $10, $1;\n\
                        EXECUTE s0('', 'b', '', '', '', '', '', '', '', '10');\n\\endif\n";
        assert_eq!(script, expected);
    }

    #[test]
    fn a_plain_script_has_the_values_in_place() {
        let script = Capture::read(LOG, "d").unwrap().script(1, Style::Plain);
        assert!(
            script.contains("UPDATE t SET a = 'it''s, $2 = x' WHERE b = NULL;\n"),
            "{script}"
        );
        assert!(script.contains("SELECT '10', '';\n"), "{script}");
    }
}
