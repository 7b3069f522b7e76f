//! One SMTP conversation: EHLO, MAIL, RCPT, DATA, RSET, NOOP, QUIT. No TLS and no login are offered.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use crate::mail::mailbox::{Envelope, Mailbox, Verdict};

/// The largest message that is taken.
pub(crate) const MAX_MESSAGE: usize = 10 * 1024 * 1024;
/// The longest command line; RFC 5321 asks for 512, addresses may be longer.
const MAX_LINE: u64 = 4096;
/// How many recipients a message may have.
const MAX_RECIPIENTS: usize = 100;
/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a conversation knows.
struct Conversation<'a> {
    mailbox: &'a Mailbox,
    greeted: bool,
    envelope: Option<Envelope>,
}

/// What follows a command.
enum Next {
    Say(String),
    ReadMessage,
    Quit,
}

/// Serves a client until it leaves.
pub(crate) async fn serve<S>(stream: S, mailbox: &Mailbox) -> std::io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    let mut conversation = Conversation {
        mailbox,
        greeted: false,
        envelope: None,
    };
    say(&mut stream, "220 sandbox.invalid ESMTP simulated").await?;
    loop {
        let line = match read_line(&mut stream, MAX_LINE).await? {
            Line::Text(line) => line,
            Line::TooLong => return say(&mut stream, "500 5.5.2 Line too long").await,
            Line::End => return Ok(()),
        };
        let command = String::from_utf8_lossy(&line).trim_end().to_owned();
        match conversation.command(&command) {
            Next::Say(words) => say(&mut stream, &words).await?,
            Next::Quit => return say(&mut stream, "221 2.0.0 Bye").await,
            Next::ReadMessage => {
                say(&mut stream, "354 End data with <CR><LF>.<CR><LF>").await?;
                let message = read_message(&mut stream).await?;
                match conversation.finish(message) {
                    Some(words) => say(&mut stream, &words).await?,
                    None => return hear_out(&mut stream).await,
                }
            }
        }
    }
}

impl Conversation<'_> {
    fn command(&mut self, line: &str) -> Next {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.greeted = true;
                self.envelope = None;
                Next::Say(format!(
                    "250-sandbox.invalid\r\n250-SIZE {MAX_MESSAGE}\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES"
                ))
            }
            "HELO" => {
                self.greeted = true;
                self.envelope = None;
                Next::Say("250 sandbox.invalid".to_owned())
            }
            "MAIL" => Next::Say(self.mail(rest)),
            "RCPT" => Next::Say(self.recipient(rest)),
            "DATA"
                if self
                    .envelope
                    .as_ref()
                    .is_some_and(|envelope| !envelope.to.is_empty()) =>
            {
                Next::ReadMessage
            }
            "DATA" => Next::Say("503 5.5.1 RCPT first".to_owned()),
            "RSET" => {
                self.envelope = None;
                Next::Say("250 2.0.0 OK".to_owned())
            }
            "NOOP" => Next::Say("250 2.0.0 OK".to_owned()),
            "QUIT" => Next::Quit,
            _ => Next::Say("502 5.5.1 Command not implemented".to_owned()),
        }
    }

    fn mail(&mut self, rest: &str) -> String {
        if !self.greeted {
            return "503 5.5.1 EHLO first".to_owned();
        }
        if self.envelope.is_some() {
            return "503 5.5.1 MAIL was given already".to_owned();
        }
        let Some((from, options)) = address(rest, "FROM:") else {
            return "501 5.5.4 Syntax: MAIL FROM:<address>".to_owned();
        };
        let announced = options
            .split_whitespace()
            .find_map(|option| option.strip_prefix("SIZE="));
        if announced
            .and_then(|size| size.parse::<usize>().ok())
            .is_some_and(|size| size > MAX_MESSAGE)
        {
            return "552 5.3.4 Message too big".to_owned();
        }
        self.envelope = Some(Envelope { from, to: Vec::new() });
        "250 2.1.0 OK".to_owned()
    }

    fn recipient(&mut self, rest: &str) -> String {
        let Some(envelope) = &mut self.envelope else {
            return "503 5.5.1 MAIL first".to_owned();
        };
        match address(rest, "TO:") {
            Some((to, _)) if to.contains('@') && envelope.to.len() < MAX_RECIPIENTS => {
                envelope.to.push(to);
                "250 2.1.5 OK".to_owned()
            }
            Some((to, _)) if to.contains('@') => "452 4.5.3 Too many recipients".to_owned(),
            _ => "501 5.1.3 Syntax: RCPT TO:<address>".to_owned(),
        }
    }

    /// What is said to a message, if anything.
    fn finish(&mut self, message: Option<Vec<u8>>) -> Option<String> {
        let envelope = self.envelope.take().unwrap_or_default();
        let Some(message) = message else {
            return Some("552 5.3.4 Message too big".to_owned());
        };
        let raw = String::from_utf8_lossy(&message).into_owned();
        match self.mailbox.take(envelope, raw) {
            Verdict::Taken(id) => Some(format!("250 2.0.0 OK queued as {id}")),
            Verdict::Silence => None,
            Verdict::Refused(code) => Some(format!("{code} {}.3.0 Refused on demand", code / 100)),
        }
    }
}

/// Says nothing until the client leaves.
async fn hear_out<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<()> {
    tokio::io::copy(stream, &mut tokio::io::sink()).await.map(drop)
}

/// `FROM:<a@b> OPTIONS` without regard to case.
fn address(rest: &str, keyword: &str) -> Option<(String, String)> {
    let head = rest.get(..keyword.len())?;
    let tail = rest.get(keyword.len()..)?.trim_start().strip_prefix('<')?;
    let (address, options) = tail.split_once('>')?;
    head.eq_ignore_ascii_case(keyword)
        .then(|| (address.to_owned(), options.trim().to_ascii_uppercase()))
}

enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>, most: u64) -> std::io::Result<Line> {
    let mut line = Vec::new();
    let mut limited = stream.take(most);
    let read = tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await;
    match read {
        Err(_) | Ok(Ok(0)) => Ok(Line::End),
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) if line.ends_with(b"\n") => Ok(Line::Text(line)),
        Ok(Ok(read)) if u64::try_from(read).is_ok_and(|read| read == most) => Ok(Line::TooLong),
        Ok(Ok(_)) => Ok(Line::End),
    }
}

/// The message up to the lone dot, with dots unstuffed; one that is too big is read to its end all the
/// same, and is `None`.
async fn read_message<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Option<Vec<u8>>> {
    let mut message = Vec::new();
    let mut too_big = false;
    loop {
        let limit = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX);
        let Line::Text(line) = read_line(stream, limit).await? else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        if line == b".\r\n" || line == b".\n" {
            return Ok((!too_big).then_some(message));
        }
        let line = line.strip_prefix(b".").unwrap_or(&line);
        too_big = too_big || message.len() + line.len() > MAX_MESSAGE;
        if !too_big {
            message.extend_from_slice(line);
        }
    }
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufReader<S>,
    words: &str,
) -> std::io::Result<()> {
    stream.write_all(format!("{words}\r\n").as_bytes()).await?;
    stream.flush().await
}
