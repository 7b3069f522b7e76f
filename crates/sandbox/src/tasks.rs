//! The one place where the sandbox starts tasks and builds its HTTP client.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Starts a named task.
#[expect(clippy::disallowed_methods, reason = "the one place where the sandbox spawns")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::info_span!("task", task.name = name)))
}

/// A client for webhooks: no proxy, no redirects, and a deadline, as the platforms deliver.
pub fn http_client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    // An `Err` means that the process has chosen its provider already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .build()
}
