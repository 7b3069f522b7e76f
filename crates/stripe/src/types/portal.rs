//! Sessions of the billing portal.

use serde::Deserialize;

/// A session of the billing portal: good for nothing but its address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PortalSession {
    /// Where to send the customer. It lives for some minutes.
    pub url: String,
}
