//! `rolecall reconcile`

use clap::{Args, ValueEnum};

/// What to compare, and what may be done about it.
#[derive(Debug, Args)]
pub(crate) struct Reconcile {
    /// Only print what differs, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// What to compare with what is kept.
    #[arg(long, value_enum, default_value_t = Scope::Stripe)]
    pub(crate) scope: Scope,
    /// Go on even if many people would lose access or Stripe's list is short.
    #[arg(long)]
    pub(crate) yes: bool,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    /// Subscriptions at Stripe.
    Stripe,
    /// Roles in Discord.
    Discord,
    /// Both.
    All,
}
