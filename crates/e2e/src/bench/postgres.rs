//! As little of a Postgres client as can be: sends statements one after the other and waits for each answer. What it
//! does in a second is what the server can do for somebody who does nothing else.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use url::Url;

/// Version 3.0 of the protocol.
const PROTOCOL: i32 = 196_608;

/// A value as text; `None` is NULL.
pub(crate) type Parameter = Option<String>;

/// A session.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    received: Vec<u8>,
    /// The numbers of the statements that the server knows.
    prepared: Option<BTreeMap<String, usize>>,
}

impl Session {
    /// Connects without a password. With `prepares` each statement is parsed once a session, else each time.
    pub(crate) async fn open(database: &Url, prepares: bool) -> anyhow::Result<Self> {
        let port = database.port().context("Postgres has no port")?;
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut session = Self {
            stream,
            received: Vec::new(),
            prepared: prepares.then(BTreeMap::new),
        };
        let name = database.path().trim_start_matches('/');
        let mut body = PROTOCOL.to_be_bytes().to_vec();
        for text in ["user", database.username(), "database", name] {
            put_text(&mut body, text);
        }
        body.push(0);
        session.send(&framed(None, &body)?).await?;
        Ok(session)
    }

    /// Runs a statement and waits for the end of its answer.
    pub(crate) async fn run(&mut self, sql: &str, parameters: &[Parameter]) -> anyhow::Result<()> {
        let messages = if parameters.is_empty() && !is_prepared(sql) {
            let mut body = Vec::new();
            put_text(&mut body, sql);
            framed(Some(b'Q'), &body)?
        } else {
            self.extended(sql, parameters)?
        };
        self.send(&messages).await.with_context(|| format!("run {sql}"))
    }

    /// Parse where needed, bind, execute, sync: in one go.
    fn extended(&mut self, sql: &str, parameters: &[Parameter]) -> anyhow::Result<Vec<u8>> {
        let (name, is_new) = match &mut self.prepared {
            None => (String::new(), true),
            Some(known) => {
                let next = known.len();
                let number = *known.entry(sql.to_owned()).or_insert(next);
                (format!("s{number}"), number == next)
            }
        };
        let mut messages = Vec::new();
        if is_new {
            let mut parse = Vec::new();
            put_text(&mut parse, &name);
            put_text(&mut parse, sql);
            parse.extend(0_i16.to_be_bytes());
            messages.extend(framed(Some(b'P'), &parse)?);
        }
        let mut bind = Vec::new();
        put_text(&mut bind, "");
        put_text(&mut bind, &name);
        bind.extend(0_i16.to_be_bytes());
        bind.extend(i16::try_from(parameters.len())?.to_be_bytes());
        for parameter in parameters {
            match parameter {
                None => bind.extend((-1_i32).to_be_bytes()),
                Some(text) => {
                    bind.extend(i32::try_from(text.len())?.to_be_bytes());
                    bind.extend(text.as_bytes());
                }
            }
        }
        bind.extend(0_i16.to_be_bytes());
        messages.extend(framed(Some(b'B'), &bind)?);
        let mut execute = Vec::new();
        put_text(&mut execute, "");
        execute.extend(0_i32.to_be_bytes());
        messages.extend(framed(Some(b'E'), &execute)?);
        messages.extend(framed(Some(b'S'), &[])?);
        Ok(messages)
    }

    /// Sends, and reads until the server is ready for more.
    async fn send(&mut self, messages: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(messages).await?;
        self.received.clear();
        let mut at = 0;
        loop {
            while let Some((kind, body)) = message(&self.received, at) {
                match kind {
                    b'Z' => return Ok(()),
                    b'E' => bail!("{}", complaint(body)),
                    b'R' => ensure!(body.starts_with(&[0; 4]), "Postgres wants a password"),
                    _ => {}
                }
                at += body.len() + 5;
            }
            ensure!(
                self.stream.read_buf(&mut self.received).await? > 0,
                "Postgres has closed the session"
            );
        }
    }
}

/// What begins and ends transactions is sent as it is.
fn is_prepared(sql: &str) -> bool {
    let first = sql.split(|letter: char| !letter.is_ascii_alphabetic()).next();
    let plain = ["BEGIN", "COMMIT", "ROLLBACK", "DEALLOCATE", "SET"];
    !plain
        .iter()
        .any(|word| first.is_some_and(|first| first.eq_ignore_ascii_case(word)))
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend(text.as_bytes());
    body.push(0);
}

/// A message with its kind, but for the first one, and its length.
fn framed(kind: Option<u8>, body: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut message: Vec<u8> = kind.into_iter().collect();
    message.extend(i32::try_from(body.len() + 4)?.to_be_bytes());
    message.extend(body);
    Ok(message)
}

/// The kind and the body of the message that begins at `at`, if all of it is there.
fn message(received: &[u8], at: usize) -> Option<(u8, &[u8])> {
    let rest = received.get(at..)?;
    let length = i32::from_be_bytes(rest.get(1..5)?.try_into().ok()?);
    let body = rest.get(5..1 + usize::try_from(length).ok()?)?;
    Some((*rest.first()?, body))
}

/// The text in an error: the field `M`.
fn complaint(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let field = text.split('\0').find_map(|field| field.strip_prefix('M'));
    field.unwrap_or("an error without a text").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_once_all_of_it_is_there() {
        let sent = framed(Some(b'Z'), b"I").unwrap();
        assert_eq!(sent, [b'Z', 0, 0, 0, 5, b'I']);
        assert_eq!(message(&sent, 0), Some((b'Z', &b"I"[..])));
        for length in 0..sent.len() {
            assert_eq!(message(&sent[..length], 0), None);
        }
    }

    #[test]
    fn an_error_is_told_by_its_text() {
        assert_eq!(complaint(b"SERROR\0C42P01\0Mno such table\0\0"), "no such table");
    }
}
