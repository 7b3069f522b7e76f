//! Whether Discord takes the bot's token. Once it has refused it, every further call would fail alike and count
//! towards a ban.

use tokio::sync::watch;

/// Whether Discord has refused the bot's token, as its answers tell or somebody else has heard.
#[derive(Debug)]
pub struct TokenStanding {
    refused: watch::Sender<bool>,
}

impl TokenStanding {
    pub(crate) fn new() -> Self {
        Self {
            refused: watch::Sender::new(false),
        }
    }

    /// Whether it was refused: then calls fail without being sent.
    pub fn is_refused(&self) -> bool {
        *self.refused.borrow()
    }

    /// Waits until it is refused.
    pub async fn refused(&self) {
        self.turned(true).await;
    }

    /// Waits until it is taken again; at once if it was not refused.
    pub async fn accepted(&self) {
        self.turned(false).await;
    }

    /// Notes a refusal that was heard elsewhere, such as at the gateway. Whether that is news.
    pub fn refuse(&self) -> bool {
        !self.refused.send_replace(true)
    }

    pub(crate) fn accept(&self) {
        self.refused.send_replace(false);
    }

    async fn turned(&self, refused: bool) {
        let mut watch = self.refused.subscribe();
        // The sender lives in `self`.
        let _ = watch.wait_for(|state| *state == refused).await;
    }
}
