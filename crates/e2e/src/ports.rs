//! Free ports of the loopback.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;

/// A port that is free now; `wanted` if that one is.
pub fn free_port(wanted: Option<u16>) -> anyhow::Result<u16> {
    let try_port = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = wanted
        .and_then(|port| try_port(port).ok())
        .map_or_else(|| try_port(0), Ok);
    Ok(listener.context("find a free port")?.local_addr()?.port())
}
