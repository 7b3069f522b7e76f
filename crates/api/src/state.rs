//! What every handler may use: one value, made once, shared by all workers.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use chrono::{DateTime, TimeDelta, Utc};
use rolecall_db::Database;
use rolecall_discord::oauth::OauthClient;
use rolecall_domain::clock::{Clock, Rng};
use rolecall_queue::{Link, Producer};
use rolecall_runtime::seal::Sealer;
use rolecall_stripe::client::Client as StripeClient;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    assets::Assets,
    http::{client_address::TrustedProxies, rate_limit::RateLimits},
    live::Hub,
    metrics::Metrics,
    session::keys::SessionKeys,
    shop::ShopWindow,
    site::Site,
};

/// What the pages call the community until they know better.
const UNNAMED: &str = "Rolecall";

/// What every handler may use.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) database: Database,
    pub(crate) redis: Link,
    pub(crate) producer: Producer,
    pub(crate) stripe: StripeClient,
    pub(crate) discord: OauthClient,
    /// How long access lasts after a failed payment where the plan does not say.
    pub(crate) default_grace: TimeDelta,
    /// Where Discord sends people back to, as it was registered there.
    pub(crate) redirect_uri: Url,
    pub(crate) sealer: Sealer,
    pub(crate) keys: SessionKeys,
    pub(crate) site: Site,
    pub(crate) assets: Assets,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) rate_limits: RateLimits,
    /// How long the body of a request may take to arrive.
    pub(crate) body_timeout: Duration,
    pub(crate) metrics: Metrics,
    pub(crate) live: Hub,
    pub(crate) shop: ShopWindow,
    pub(crate) community: Community,
    /// No new streams and no kept connections any more.
    pub(crate) draining: CancellationToken,
}

impl State {
    /// The time now.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// What the community is called: the name of its first server, kept from the last page that read it.
#[derive(Debug)]
pub(crate) struct Community(RwLock<Arc<str>>);

impl Default for Community {
    fn default() -> Self {
        Self(RwLock::new(UNNAMED.into()))
    }
}

impl Community {
    /// The name.
    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes a name over.
    pub(crate) fn set(&self, name: &str) {
        if *self.name() != *name {
            *self.0.write().unwrap_or_else(PoisonError::into_inner) = name.into();
        }
    }
}
