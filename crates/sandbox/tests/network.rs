//! The proxy: what passes, what is held back, and how connections end.
#![cfg(test)]

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use rolecall_sandbox::network::{Conduct, Proxy};
use rolecall_sandbox::tasks;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const LIMIT: Duration = Duration::from_secs(10);
const DELAY: Duration = Duration::from_millis(50);

/// A server that sends back what it gets.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tasks::spawn("echo", async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tasks::spawn("echo.connection", async move {
                let (mut from, mut to) = stream.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    addr
}

/// A proxy before an echo, and a connection through it that has passed a word.
async fn connected() -> (Proxy, TcpStream) {
    let proxy = Proxy::start(echo().await).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
    (proxy, stream)
}

/// Sends some bytes and reads as many.
async fn say(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    stream.write_all(bytes).await?;
    let mut answer = vec![0; bytes.len()];
    let read = timeout(LIMIT, stream.read_exact(&mut answer)).await;
    read.expect("an answer or an end in time")?;
    Ok(answer)
}

async fn assert_reset(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    let ended = timeout(LIMIT, stream.read_to_end(&mut rest))
        .await
        .expect("an end in time");
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn bytes_pass_both_ways_and_closing_one_way_leaves_the_other() {
    let (proxy, mut stream) = connected().await;
    assert_eq!(proxy.connections(), 1);
    stream.write_all(b"the last words").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut rest = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(rest, b"the last words");
}

#[tokio::test]
async fn a_cut_resets_what_is_open_and_serves_who_comes_next() {
    let (proxy, mut stream) = connected().await;
    proxy.cut();
    assert_eq!(proxy.connections(), 0);
    assert_reset(&mut stream).await;
    let mut again = TcpStream::connect(proxy.addr()).await.unwrap();
    timeout(LIMIT, proxy.wait_for_connections(1)).await.unwrap();
    assert_eq!(say(&mut again, b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn a_refusing_proxy_resets_open_connections_and_new_ones() {
    let (proxy, mut stream) = connected().await;
    proxy.set(Conduct::Refuse);
    assert_reset(&mut stream).await;
    if let Ok(mut new) = TcpStream::connect(proxy.addr()).await {
        assert_reset(&mut new).await;
    }
    proxy.set(Conduct::Pass);
    let mut again = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(say(&mut again, b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn a_silent_proxy_swallows_and_resets_what_has_lost_bytes_when_it_speaks_again() {
    let (proxy, mut wounded) = connected().await;
    let mut unhurt = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(say(&mut unhurt, b"hello").await.unwrap(), b"hello");
    proxy.set(Conduct::Silent);
    let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
    timeout(LIMIT, proxy.wait_for_connections(3)).await.unwrap();
    wounded.write_all(b"lost").await.unwrap();
    new.write_all(b"lost").await.unwrap();
    timeout(LIMIT, proxy.wait_for_swallowed(8)).await.unwrap();
    let mut byte = [0];
    assert!(
        timeout(DELAY, wounded.read(&mut byte)).await.is_err(),
        "a silent proxy answered"
    );
    proxy.set(Conduct::Pass);
    assert_reset(&mut wounded).await;
    assert_reset(&mut new).await;
    assert_eq!(say(&mut unhurt, b"still here").await.unwrap(), b"still here");
}

#[tokio::test]
async fn a_connection_that_came_in_silence_and_said_nothing_is_served_afterwards() {
    let proxy = Proxy::start(echo().await).await.unwrap();
    proxy.set(Conduct::Silent);
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    timeout(LIMIT, proxy.wait_for_connections(1)).await.unwrap();
    proxy.set(Conduct::Pass);
    assert_eq!(say(&mut stream, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_slow_proxy_delays_each_way_and_only_until_it_is_told_otherwise() {
    let (proxy, mut stream) = connected().await;
    proxy.set(Conduct::Slow { delay: DELAY });
    let before = Instant::now();
    assert_eq!(say(&mut stream, b"slow").await.unwrap(), b"slow");
    assert!(before.elapsed() >= DELAY * 2, "{:?}", before.elapsed());
    proxy.set(Conduct::Slow { delay: LIMIT * 6 });
    stream.write_all(b"patience").await.unwrap();
    proxy.set(Conduct::Pass);
    let mut answer = [0; 8];
    timeout(LIMIT, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&answer, b"patience");
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes_and_not_before() {
    let (proxy, mut stream) = connected().await;
    proxy.set(Conduct::CutAfter { bytes: 10 });
    assert_eq!(say(&mut stream, b"four").await.unwrap(), b"four");
    assert_eq!(proxy.resets(), 0);
    stream.write_all(b"four").await.unwrap();
    assert_reset(&mut stream).await;
    assert_eq!(proxy.resets(), 1);
    let mut new = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(
        say(&mut new, b"four").await.unwrap(),
        b"four",
        "each is counted by itself"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_connection_that_is_reset() {
    let nobody = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let proxy = Proxy::start(nobody).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_reset(&mut stream).await;
}

#[tokio::test]
async fn dropping_a_proxy_resets_its_connections_and_frees_its_port() {
    let (proxy, mut stream) = connected().await;
    let addr = proxy.addr();
    drop(proxy);
    assert_reset(&mut stream).await;
    let freed = async { while TcpStream::connect(addr).await.is_ok() {} };
    timeout(LIMIT, freed).await.expect("the port is free");
}
