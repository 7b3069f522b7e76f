//! People and the bot.

use crate::discord::config::UserSeed;

/// An account.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: u64,
    pub(crate) username: String,
    pub(crate) global_name: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) verified: bool,
    pub(crate) bot: bool,
    pub(crate) dms_closed: bool,
}

impl User {
    pub(crate) fn from_seed(seed: &UserSeed) -> Self {
        Self {
            id: seed.id,
            username: seed.username.clone(),
            global_name: seed.global_name.clone(),
            email: seed.email.clone(),
            verified: seed.verified,
            bot: false,
            dms_closed: false,
        }
    }

    pub(crate) fn bot(id: u64, name: &str) -> Self {
        Self {
            id,
            username: name.to_owned(),
            global_name: None,
            email: None,
            verified: true,
            bot: true,
            dms_closed: false,
        }
    }

    /// The name shown to people.
    pub(crate) fn display_name(&self) -> &str {
        self.global_name.as_deref().unwrap_or(&self.username)
    }
}
