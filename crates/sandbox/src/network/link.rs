//! One connection through a proxy: two directions that end together.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use crate::network::conduct::{Conduct, Rule};

/// How many bytes are one chunk at most.
const CHUNK: usize = 16 * 1024;

/// What both directions of a connection share.
#[derive(Debug)]
struct Link<'a> {
    /// How many bytes the whole proxy has swallowed.
    lost: &'a watch::Sender<usize>,
    /// Bytes have been lost, so the connection is beyond repair.
    swallowed: AtomicBool,
    /// The edition of the last `CutAfter`, and how many bytes have passed under it.
    passed: Mutex<(u64, u64)>,
}

/// A direction that ends in another way than by the sender's closing.
struct Cut;

/// Carries a connection until it ends: true if both sides have closed it, false if it is to be reset.
pub(crate) async fn carry(
    client: &mut TcpStream,
    server: &mut TcpStream,
    rules: &watch::Receiver<Rule>,
    lost: &watch::Sender<usize>,
) -> bool {
    let link = Link {
        lost,
        swallowed: AtomicBool::new(false),
        passed: Mutex::default(),
    };
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // The first to be cut ends both; whoever closes in good order leaves the other half open.
    let ended = tokio::try_join!(
        link.pump(from_client, to_server, rules.clone()),
        link.pump(from_server, to_client, rules.clone()),
    );
    ended.is_ok()
}

/// Swallows what comes while the proxy is silent. Whether the connection can still be served.
pub(crate) async fn wait_out_silence(
    client: &mut TcpStream,
    rules: &mut watch::Receiver<Rule>,
    lost: &watch::Sender<usize>,
) -> bool {
    let mut buffer = vec![0; CHUNK];
    let mut swallowed = false;
    while rules.borrow_and_update().conduct == Conduct::Silent {
        tokio::select! {
            changed = rules.changed() => if changed.is_err() {
                return false;
            },
            read = client.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return false,
                Ok(size) => {
                    swallowed = true;
                    lost.send_modify(|lost| *lost = lost.saturating_add(size));
                }
            },
        }
    }
    !swallowed
}

impl Link<'_> {
    async fn pump(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        mut rules: watch::Receiver<Rule>,
    ) -> Result<(), Cut> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let rule = *rules.borrow_and_update();
            let beyond_repair = rule.conduct != Conduct::Silent && self.swallowed.load(Ordering::SeqCst);
            if beyond_repair || rule.conduct == Conduct::Refuse {
                return Err(Cut);
            }
            let read: io::Result<usize> = tokio::select! {
                biased;
                changed = rules.changed() => {
                    changed.map_err(|_| Cut)?;
                    continue;
                }
                read = from.read(&mut buffer) => read,
            };
            let chunk = read.ok().and_then(|size| buffer.get(..size)).ok_or(Cut)?;
            if chunk.is_empty() {
                // A silent network does not tell that a side has closed either, but nobody listens any more.
                let silent = rules.borrow().conduct == Conduct::Silent;
                let closed = if silent {
                    Err(Cut)
                } else {
                    to.shutdown().await.map_err(|_| Cut)
                };
                return closed;
            }
            self.pass(chunk, &mut to, &mut rules).await?;
        }
    }

    /// Passes a chunk on, or does not, by the rule in force.
    async fn pass(
        &self,
        chunk: &[u8],
        to: &mut WriteHalf<'_>,
        rules: &mut watch::Receiver<Rule>,
    ) -> Result<(), Cut> {
        loop {
            let rule = *rules.borrow_and_update();
            match rule.conduct {
                Conduct::Pass => break,
                Conduct::Refuse => return Err(Cut),
                Conduct::Silent => {
                    self.swallowed.store(true, Ordering::SeqCst);
                    self.lost
                        .send_modify(|lost| *lost = lost.saturating_add(chunk.len()));
                    return Ok(());
                }
                Conduct::Slow { delay } => tokio::select! {
                    () = tokio::time::sleep(delay) => break,
                    changed = rules.changed() => changed.map_err(|_| Cut)?,
                },
                Conduct::CutAfter { bytes } => {
                    let allowed = self.allowed(rule.edition, bytes, chunk.len());
                    let head = chunk.get(..allowed).ok_or(Cut)?;
                    to.write_all(head).await.map_err(|_| Cut)?;
                    let all = head.len() == chunk.len() && !self.is_spent(bytes);
                    return if all { Ok(()) } else { Err(Cut) };
                }
            }
        }
        to.write_all(chunk).await.map_err(|_| Cut)
    }

    /// How many of `size` bytes may still pass; they are counted as passed.
    fn allowed(&self, edition: u64, limit: u64, size: usize) -> usize {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        if passed.0 != edition {
            *passed = (edition, 0);
        }
        let left = usize::try_from(limit.saturating_sub(passed.1)).unwrap_or(usize::MAX);
        let allowed = left.min(size);
        passed.1 = passed
            .1
            .saturating_add(u64::try_from(allowed).unwrap_or(u64::MAX));
        allowed
    }

    fn is_spent(&self, limit: u64) -> bool {
        self.passed.lock().unwrap_or_else(PoisonError::into_inner).1 >= limit
    }
}
