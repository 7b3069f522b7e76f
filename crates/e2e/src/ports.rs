//! Free ports of the loopback.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::Context;

/// Where ports are looked for: below those that systems give to outgoing connections, one of which would otherwise
/// take the port of a server that is being restarted.
const FIRST: u32 = 12_000;
const COUNT: u32 = 20_000;

/// How many were given by this process.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port that is free now; `wanted` if that one is.
pub fn free_port(wanted: Option<u16>) -> anyhow::Result<u16> {
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    let found = wanted.filter(is_free);
    found
        .or_else(|| candidates().find(is_free))
        .context("no port is free")
}

/// Every port once. Processes that run beside each other begin at different places.
fn candidates() -> impl Iterator<Item = u16> {
    let begin = std::process::id().wrapping_mul(197);
    (0..COUNT).filter_map(move |_| {
        let turn = GIVEN.fetch_add(1, Ordering::Relaxed);
        u16::try_from(FIRST + begin.wrapping_add(turn) % COUNT).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_none_of_outgoing_connections() {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free_port(None).unwrap()).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.iter().all(|port| *port < 32_768), "{ports:?}");
    }

    #[test]
    fn a_wanted_port_is_given_unless_it_is_taken() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, free_port(None).unwrap())).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert_ne!(free_port(Some(port)).unwrap(), port);
        drop(taken);
        assert_eq!(free_port(Some(port)).unwrap(), port);
    }
}
