//! `rolecall members ...` and `rolecall messages ...`

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Members {
    /// The members whom a text may mean, the newest first.
    List {
        /// A member id, a Discord user id, a part of a name, or the beginning of an address; nothing: everybody.
        query: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
        limit: u16,
    },
    /// What happened to a member: audit log, Stripe's events and messages, the newest first.
    Timeline(OfMember),
}

/// Of whom, and how much.
#[derive(Debug, Args)]
pub(crate) struct OfMember {
    /// A member id, a Discord user id or an e-mail address.
    pub(crate) who: String,
    /// At most so many.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) limit: u16,
}
