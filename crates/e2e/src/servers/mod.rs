//! Servers of one's own that can be killed and started again: what no test may do to the ones that others share.

mod account;
mod folder;
mod postgres;
mod redis;

pub use crate::servers::{folder::Folder, postgres::Postgres, redis::Redis};

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// How long a server may take to answer after a start, with a recovery from a crash before it.
const READY_WITHIN: Duration = Duration::from_mins(1);

/// How long a server may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
