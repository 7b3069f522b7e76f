//! What every request goes through before and after its handler, from the outside in:
//! `observe` (id, log, metrics, errors), `headers`, `cross_origin`, `rate_limit`.

pub(crate) mod accept;
pub(crate) mod client_address;
pub(crate) mod context;
pub(crate) mod cookie;
pub(crate) mod cross_origin;
pub(crate) mod extract;
pub(crate) mod headers;
pub(crate) mod observe;
pub(crate) mod rate_limit;
