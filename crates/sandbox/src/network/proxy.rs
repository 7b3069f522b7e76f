//! The proxy: listens, connects on, and keeps a list of what is open.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::network::conduct::{Conduct, Rule};
use crate::network::link;
use crate::tasks;

/// A proxy before one server. Dropping it resets its connections and ends its tasks.
#[derive(Debug)]
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _stop: DropGuard,
}

#[derive(Debug, Default)]
struct Shared {
    rule: watch::Sender<Rule>,
    /// The open connections by number, each with what cuts it.
    open: watch::Sender<BTreeMap<u64, CancellationToken>>,
    /// How many bytes were swallowed in silence.
    lost: watch::Sender<usize>,
    /// How many connections were reset.
    resets: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port of the loopback, for `target`; that need not be there yet.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let stop = CancellationToken::new();
        tasks::spawn(
            "network.proxy",
            accept(listener, target, Arc::clone(&shared), stop.clone()),
        );
        Ok(Self {
            addr,
            shared,
            _stop: stop.drop_guard(),
        })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Treats all connections so from now on, open ones too.
    pub fn set(&self, conduct: Conduct) {
        self.shared.rule.send_modify(|rule| {
            rule.conduct = conduct;
            rule.edition = rule.edition.wrapping_add(1);
        });
    }

    /// Resets all open connections now; new ones are served.
    pub fn cut(&self) {
        self.shared.open.send_modify(|open| {
            for (_, cut) in std::mem::take(open) {
                cut.cancel();
            }
        });
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.open.borrow().len()
    }

    /// Waits until at least so many connections are open. Put a timeout around it.
    pub async fn wait_for_connections(&self, count: usize) {
        let mut open = self.shared.open.subscribe();
        // The sender lives as long as `self`, so this cannot fail while we wait.
        let _ = open.wait_for(|open| open.len() >= count).await;
    }

    /// How many connections were reset so far, by whatever cause; none that was refused.
    pub fn resets(&self) -> usize {
        self.shared.resets.load(Ordering::SeqCst)
    }

    /// Waits until at least so many bytes have been swallowed in silence, such as a request that will
    /// never be answered. Put a timeout around it.
    pub async fn wait_for_swallowed(&self, bytes: usize) {
        let mut lost = self.shared.lost.subscribe();
        let _ = lost.wait_for(|lost| *lost >= bytes).await;
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, shared: Arc<Shared>, stop: CancellationToken) {
    for number in 0_u64.. {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((client, _)) if shared.rule.borrow().conduct == Conduct::Refuse => reset(client),
            Ok((client, _)) => {
                let cut = stop.child_token();
                shared.open.send_modify(|open| {
                    open.insert(number, cut.clone());
                });
                let shared = Arc::clone(&shared);
                tasks::spawn("network.connection", async move {
                    serve(client, target, &shared, &cut).await;
                    shared
                        .open
                        .send_if_modified(|open| open.remove(&number).is_some());
                });
            }
            // Out of file descriptors, or the client has gone already: the next one may do better.
            Err(error) => {
                tracing::debug!(%error, "the proxy could not accept a connection");
                tokio::task::yield_now().await;
            }
        }
    }
}

async fn serve(mut client: TcpStream, target: SocketAddr, shared: &Shared, cut: &CancellationToken) {
    let mut rules = shared.rule.subscribe();
    let connect = async {
        if !link::wait_out_silence(&mut client, &mut rules, &shared.lost).await {
            return None;
        }
        TcpStream::connect(target).await.ok()
    };
    let server = tokio::select! {
        () = cut.cancelled() => None,
        server = connect => server,
    };
    let Some(mut server) = server else {
        shared.resets.fetch_add(1, Ordering::SeqCst);
        return reset(client);
    };
    // Small messages must not wait for each other: the proxy adds only the delay it is told to.
    let quick = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let carried = tokio::select! {
        () = cut.cancelled() => false,
        closed = link::carry(&mut client, &mut server, &rules, &shared.lost), if quick.is_ok() => closed,
    };
    if !carried {
        shared.resets.fetch_add(1, Ordering::SeqCst);
        reset(client);
        reset(server);
    }
}

/// Ends a connection with a reset instead of a farewell.
fn reset(stream: TcpStream) {
    // An error means that the connection has ended already.
    let _ = stream.set_zero_linger();
    drop(stream);
}
