//! The way out by SMTP.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    message::{Mailbox, MultiPart},
    transport::smtp,
};
use rolecall_db::notifications::Notification;
use secrecy::{ExposeSecret, SecretString};

use crate::mail::Letter;

/// How long the mail server may take for each step.
const TIMEOUT: Duration = Duration::from_secs(15);

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
    /// The configuration of the mail server.
    #[error("{0}")]
    Config(&'static str),
}

impl MailError {
    /// Whether the same message may leave later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Smtp(error) => !error.is_permanent() || refuses_us(error).is_some(),
            _ => false,
        }
    }
}

/// Sends letters.
#[derive(Clone)]
pub struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    /// What was wrong the last time.
    complaint: Arc<Mutex<Option<String>>>,
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
            .timeout(Some(TIMEOUT))
            // A connection for each message: a sending that is cut off leaves one in the middle of its
            // conversation, and the next message would be refused in its place.
            .pool_config(smtp::PoolConfig::new().max_size(0))
            .build();
        Ok(Self {
            transport,
            from,
            complaint: Arc::default(),
        })
    }

    /// Sends a letter under the id of its notification, so that a second sending is known for the same.
    pub async fn send(
        &self,
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
        let sent = self.transport.send(message).await;
        *self.complaint.lock().unwrap_or_else(PoisonError::into_inner) =
            sent.as_ref().err().and_then(complaint);
        sent?;
        Ok(())
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
        None if error.is_timeout() => Some("does not answer in time".to_owned()),
        None => Some("cannot be reached: check SMTP_URL and whether it is running".to_owned()),
    }
}
