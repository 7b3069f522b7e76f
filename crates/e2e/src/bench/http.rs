//! A load generator that costs little, since it shares the machine with what it measures: requests are
//! bytes made beforehand, sent on connections that stay open.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Requests to be sent as they are.
pub(crate) type Requests = Arc<[Vec<u8>]>;

/// A connection that stays open.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            answer: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and reads the answer to its end; returns the status.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                bail!("the connection was closed before the answer ended");
            }
            if let Some(end) = end_of_head(&self.answer) {
                let head = self.answer.get(..end).unwrap_or_default();
                let (status, length) = read_head(head)?;
                while self.answer.len() < end + length {
                    if self.stream.read_buf(&mut self.answer).await? == 0 {
                        bail!("the connection was closed within the answer");
                    }
                }
                return Ok(status);
            }
        }
    }
}

fn end_of_head(answer: &[u8]) -> Option<usize> {
    let at = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(at + 4)
}

/// The status and the length of the body.
fn read_head(head: &[u8]) -> anyhow::Result<(u16, usize)> {
    let text = std::str::from_utf8(head).context("an answer that is not text")?;
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok((status, length)),
        _ => bail!("an answer without status or length: {text}"),
    }
}

/// Sends all requests as fast as they are answered; returns how long that took.
pub(crate) async fn blast(
    address: SocketAddr,
    requests: &Requests,
    connections: usize,
) -> anyhow::Result<Duration> {
    let requests = Arc::clone(requests);
    on_a_thread_of_its_own(async move {
        let next = Arc::new(AtomicUsize::new(0));
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(Connection::open(address).await?);
        }
        let started = Instant::now();
        let mut senders = JoinSet::new();
        for mut connection in open {
            let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
            senders.spawn(async move {
                while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                    taken(connection.exchange(request).await?)?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended??;
        }
        Ok(started.elapsed())
    })
    .await
}

/// Sends the requests at an even pace, whatever the answers do; returns how long each was waited for.
pub(crate) async fn pace(
    address: SocketAddr,
    requests: &Requests,
    per_second: u32,
    connections: usize,
) -> anyhow::Result<Vec<Duration>> {
    let requests = Arc::clone(requests);
    on_a_thread_of_its_own(async move {
        let between = Duration::from_secs(1) / per_second;
        let started = Instant::now() + Duration::from_millis(50);
        let mut senders = JoinSet::new();
        for first in 0..connections {
            let requests = Arc::clone(&requests);
            let mut connection = Connection::open(address).await?;
            senders.spawn(async move {
                let mut waited = Vec::new();
                for (number, request) in requests.iter().enumerate().skip(first).step_by(connections) {
                    sleep_until(started + between * u32::try_from(number)?).await;
                    let sent = Instant::now();
                    taken(connection.exchange(request).await?)?;
                    waited.push(sent.elapsed());
                }
                anyhow::Ok(waited)
            });
        }
        let mut waited = Vec::new();
        while let Some(ended) = senders.join_next().await {
            waited.extend(ended??);
        }
        Ok(waited)
    })
    .await
}

fn taken(status: u16) -> anyhow::Result<()> {
    if status == 200 {
        Ok(())
    } else {
        bail!("answered {status}, expected 200")
    }
}

/// One thread for all connections: the simulators must not get in between.
async fn on_a_thread_of_its_own<T: Send + 'static>(
    work: impl Future<Output = anyhow::Result<T>> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(move || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(work)
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_an_answer_tells_status_and_length() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\ndate: x\r\n\r\nabc";
        let end = end_of_head(answer).unwrap();
        assert_eq!(&answer[end..], b"abc");
        assert_eq!(read_head(&answer[..end]).unwrap(), (200, 3));
        assert_eq!(end_of_head(b"HTTP/1.1 200 OK\r\n"), None);
        assert!(read_head(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
