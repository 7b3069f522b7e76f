//! The way out by SMTP.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp,
};
use rolecall_db::notifications::Notification;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::mail::Letter;

/// How long the mail server may take to be reached.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long the mail server may take for a letter. Between servers ten minutes are asked for after the
/// last dot alone (RFC 5321, 4.5.3.2.6), lest a letter that was taken be sent again; the one that takes
/// letters from us has but to queue them, and other work waits behind each letter.
const PATIENCE: Duration = Duration::from_mins(3);

/// What is said of a server that keeps us waiting.
const NO_ANSWER: &str = "does not answer in time";

/// Why a message was not sent. No variant holds an address or the text.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No mail server is configured.
    #[error("mail is off: set SMTP_URL and MAIL_FROM")]
    Off,
    /// The person has no verified address.
    #[error("the person has no verified e-mail address")]
    NoAddress,
    /// There is no such message, or its arguments do not fit it.
    #[error("a message of kind {kind:?} cannot be written: {problem}")]
    Unwritable {
        /// The kind.
        kind: String,
        /// What is wrong.
        problem: String,
    },
    /// The person's address cannot stand in a mail.
    #[error("the person's e-mail address cannot be written to")]
    Address,
    /// The mail cannot be put together.
    #[error("the mail cannot be put together")]
    Message(#[from] lettre::error::Error),
    /// The mail server.
    #[error("the mail server did not take it{}", .0.status().map(|code| format!(" (answer {code})")).unwrap_or_default())]
    Smtp(#[from] smtp::Error),
    /// It may have taken the message all the same: lettre limits only how long the connecting takes.
    #[error("the mail server did not answer within {} s", .0.as_secs())]
    Slow(Duration),
    /// The configuration of the mail server.
    #[error("{0}")]
    Config(&'static str),
}

impl MailError {
    /// Whether the same message may leave later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Smtp(error) => !error.is_permanent() || refuses_us(error).is_some(),
            Self::Slow(_) => true,
            _ => false,
        }
    }
}

/// Sends letters.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    patience: Duration,
    /// What was wrong the last time.
    complaint: Arc<Mutex<Option<String>>>,
    /// Whether the last letter had no answer in time.
    slow: Arc<AtomicBool>,
    /// Whoever finds out whether a slow server answers again.
    probe: Arc<Semaphore>,
}

/// Leave to send a letter.
#[derive(Debug)]
pub struct Turn {
    _probe: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").finish_non_exhaustive()
    }
}

impl Mailer {
    /// A mailer by `SMTP_URL` and `MAIL_FROM`. Touches no network.
    pub fn new(smtp_url: &SecretString, from: &str) -> Result<Self, MailError> {
        let from = from.parse().map_err(|_| {
            MailError::Config("MAIL_FROM is not an address (example: Council <hello@example.com>)")
        })?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(smtp_url.expose_secret())
            .map_err(|_| {
                MailError::Config("SMTP_URL cannot be used (example: smtps://user:password@mail.example.com)")
            })?
            .timeout(Some(CONNECT_TIMEOUT))
            // A connection for each message: a sending that is cut off leaves one in the middle of its
            // conversation, and the next message would be refused in its place.
            .pool_config(smtp::PoolConfig::new().max_size(0))
            .build();
        Ok(Self {
            transport,
            from,
            patience: PATIENCE,
            complaint: Arc::default(),
            slow: Arc::default(),
            probe: Arc::new(Semaphore::new(1)),
        })
    }

    /// With another patience than the usual one.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Leave to send a letter; none while the server is slow and another letter is waiting for it, so
    /// that letters do not take the places of all other work.
    pub fn turn(&self) -> Option<Turn> {
        if !self.slow.load(Ordering::Relaxed) {
            return Some(Turn { _probe: None });
        }
        let probe = Arc::clone(&self.probe).try_acquire_owned().ok()?;
        Some(Turn { _probe: Some(probe) })
    }

    /// Sends a letter under the id of its notification, so that a second sending is known for the same.
    pub async fn send(
        &self,
        _: &Turn,
        notification: &Notification,
        address: &str,
        letter: &Letter,
    ) -> Result<(), MailError> {
        let to = Mailbox::new(None, address.parse().map_err(|_| MailError::Address)?);
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .message_id(Some(format!(
                "<{}@{}>",
                notification.id,
                self.from.email.domain()
            )))
            .subject(letter.subject.as_str())
            .multipart(MultiPart::alternative_plain_html(
                letter.text.clone(),
                letter.html.clone(),
            ))?;
        let sent = match tokio::time::timeout(self.patience, self.transport.send(message)).await {
            Ok(sent) => sent.map(drop).map_err(MailError::Smtp),
            Err(_) => Err(MailError::Slow(self.patience)),
        };
        let complaint = match &sent {
            Err(MailError::Smtp(error)) => complaint(error),
            Err(MailError::Slow(_)) => Some(NO_ANSWER.to_owned()),
            _ => None,
        };
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) = complaint;
        let slow = matches!(sent, Err(MailError::Slow(_)));
        self.slow.store(slow, Ordering::Relaxed);
        sent
    }

    /// What is wrong with the mail server or the way to it, as the last message found it.
    pub fn complaint(&self) -> Option<String> {
        self.complaint
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The answer of a server that does not refuse the message but who we are: whoever mends that wants the
/// messages sent that were owed meanwhile.
fn refuses_us(error: &smtp::Error) -> Option<u16> {
    let code = error.status().map(u16::from)?;
    matches!(code, 530 | 534 | 535).then_some(code)
}

/// What an error says of the server; nothing if it is only about one message.
fn complaint(error: &smtp::Error) -> Option<String> {
    if let Some(code) = refuses_us(error) {
        return Some(format!(
            "refuses the user or password in SMTP_URL (answer {code})"
        ));
    }
    match error.status() {
        Some(_) if error.is_permanent() => None,
        Some(code) => Some(format!("takes no messages for now (answer {code})")),
        None if error.is_timeout() => Some(NO_ANSWER.to_owned()),
        None => Some("cannot be reached: check SMTP_URL and whether it is running".to_owned()),
    }
}
