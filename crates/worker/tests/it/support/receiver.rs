//! A webhook endpoint that keeps the bodies that it is sent.

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
    task::JoinSet,
};

use crate::support::soon;

pub(crate) struct Receiver {
    url: String,
    bodies: Mutex<mpsc::UnboundedReceiver<Value>>,
    /// Ends with this value.
    _serving: JoinSet<()>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, bodies) = mpsc::unbounded_channel();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let body = receive(stream).await;
                tell.send(serde_json::from_slice(&body).unwrap()).unwrap();
            }
        });
        Self {
            url,
            bodies: Mutex::new(bodies),
            _serving: serving,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next bodies, as soon as there are so many.
    pub(crate) async fn bodies(&self, count: usize) -> Vec<Value> {
        let mut bodies = Vec::new();
        let mut receiver = self.bodies.lock().await;
        while bodies.len() < count {
            bodies.push(soon(receiver.recv()).await.unwrap());
        }
        bodies
    }
}

async fn receive(stream: TcpStream) -> Vec<u8> {
    let mut stream = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).await.unwrap();
    body
}
