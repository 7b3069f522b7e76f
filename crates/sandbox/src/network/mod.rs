//! A network that misbehaves on demand: a TCP proxy before any server.

mod conduct;
mod link;
mod proxy;

pub use conduct::Conduct;
pub use proxy::Proxy;
