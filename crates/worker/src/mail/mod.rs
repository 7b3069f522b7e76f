//! Messages: what they say, and how mail leaves.

mod letter;
mod sender;
mod words;

pub use crate::mail::{
    letter::{Letter, compose, words_of},
    sender::{MailError, Mailer, Turn},
    words::{Button, MessageArgs, Words, words},
};
