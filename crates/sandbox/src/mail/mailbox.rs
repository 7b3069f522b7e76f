//! The messages that were taken, and the refusals that are asked for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::mail::message::Message;
use crate::mail::mime;

/// The mailbox behind its lock.
#[derive(Debug)]
pub(crate) struct Mailbox {
    contents: Mutex<Contents>,
    count: watch::Sender<usize>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Contents {
    messages: Vec<Message>,
    /// Ids are not used again after `clear`.
    last_id: u64,
    refusal: Option<Refusal>,
    /// How many of the next messages are taken without a word.
    silent: u32,
}

/// What is said when a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was taken, and is called this.
    Taken(u64),
    /// It was taken, and nothing is said.
    Silence,
    /// It was refused with this code.
    Refused(u16),
}

/// An answer for the next messages, instead of taking them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    /// 400 to 599: 4xx asks the sender to try again, 5xx not to.
    pub(crate) code: u16,
    /// How many messages.
    pub(crate) times: u32,
}

/// A message on its way in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Envelope {
    /// `MAIL FROM`.
    pub(crate) from: String,
    /// `RCPT TO`.
    pub(crate) to: Vec<String>,
}

impl Mailbox {
    /// An empty mailbox.
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            contents: Mutex::default(),
            count: watch::Sender::new(0),
            clock,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All messages, oldest first.
    pub(crate) fn messages(&self) -> Vec<Message> {
        self.lock().messages.clone()
    }

    /// One message.
    pub(crate) fn message(&self, id: u64) -> Option<Message> {
        self.lock()
            .messages
            .iter()
            .find(|message| message.id == id)
            .cloned()
    }

    /// Follows the number of messages.
    pub(crate) fn count(&self) -> watch::Receiver<usize> {
        self.count.subscribe()
    }

    /// Refuses the next messages.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        self.lock().refusal = Some(refusal);
    }

    /// Says nothing to the senders of the next messages.
    pub(crate) fn be_silent(&self, times: u32) {
        self.lock().silent = times;
    }

    /// Throws all messages away.
    pub(crate) fn clear(&self) {
        self.lock().messages.clear();
        self.count.send_replace(0);
    }

    /// Keeps a message, unless the next one is to be refused.
    pub(crate) fn take(&self, envelope: Envelope, raw: String) -> Verdict {
        let mut contents = self.lock();
        if let Some(refusal) = contents.refusal.as_mut().filter(|refusal| refusal.times > 0) {
            refusal.times -= 1;
            return Verdict::Refused(refusal.code);
        }
        let parsed = mime::parse(&raw);
        contents.last_id += 1;
        let id = contents.last_id;
        contents.messages.push(Message {
            id,
            received_at: self.clock.wall().timestamp(),
            envelope_from: envelope.from,
            envelope_to: envelope.to,
            from: parsed.header("From"),
            to: parsed.header("To"),
            subject: parsed.header("Subject"),
            headers: parsed.headers,
            text: parsed.text,
            html: parsed.html,
            raw,
        });
        let verdict = match contents.silent.checked_sub(1) {
            Some(left) => {
                contents.silent = left;
                Verdict::Silence
            }
            None => Verdict::Taken(id),
        };
        let count = contents.messages.len();
        drop(contents);
        self.count.send_replace(count);
        verdict
    }
}
