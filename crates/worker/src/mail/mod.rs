//! Mail: what is written, and how it leaves.

mod letter;
mod sender;

pub use crate::mail::{
    letter::{Letter, compose},
    sender::{MailError, Mailer},
};
