//! The account that the API key belongs to.

use serde::Deserialize;

/// A Stripe account.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Account {
    /// `acct_...`
    pub id: String,
    /// Two letters.
    #[serde(default)]
    pub country: Option<String>,
    /// Three lower-case letters.
    #[serde(default)]
    pub default_currency: Option<String>,
    /// Whether it can take money.
    #[serde(default)]
    pub charges_enabled: Option<bool>,
}
