//! A server that answers as told, and remembers what it was asked.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rolecall_domain::clock::Rng;
use rolecall_stripe::client::{Client, config::StripeClientConfig, retry::RetryPolicy};

pub(crate) const KEY: &str = "sk_test_51SecretOfTheTest";

/// How the server treats one request.
#[derive(Clone)]
pub(crate) enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// Never answers.
    Hang,
    /// Begins a success, and never ends it.
    Stall,
    /// Closes the connection.
    Drop,
}

impl Reply {
    pub(crate) fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
        }
    }

    pub(crate) fn with(self, name: &'static str, value: &str) -> Self {
        match self {
            Self::Answer {
                status,
                mut headers,
                body,
            } => {
                headers.push((name, value.to_owned()));
                Self::Answer {
                    status,
                    headers,
                    body,
                }
            }
            other => other,
        }
    }
}

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method, path and query.
    pub(crate) line: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The parameters of the query and of the form, decoded, in order of name.
    pub(crate) fn params(&self) -> Vec<(String, String)> {
        let query = self
            .line
            .split_once('?')
            .map(|(_, rest)| rest.split(' ').next().unwrap());
        let text = format!("{}&{}", query.unwrap_or_default(), self.body);
        let mut params: Vec<_> = url::form_urlencoded::parse(text.as_bytes())
            .into_owned()
            .filter(|(key, _)| !key.is_empty())
            .collect();
        params.sort();
        params
    }
}

#[derive(Default)]
struct State {
    connections: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
}

pub(crate) struct FakeStripe {
    port: u16,
    state: Arc<State>,
}

impl FakeStripe {
    /// Answers with `replies` one after the other, and with the last of them for ever.
    pub(crate) fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                serving.connections.fetch_add(1, Ordering::SeqCst);
                let (state, replies) = (Arc::clone(&serving), replies.clone());
                thread::spawn(move || serve(&stream.unwrap(), &state, &replies));
            }
        });
        Self { port, state }
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().unwrap().clone()
    }

    /// A configuration with short waits.
    pub(crate) fn config(&self) -> StripeClientConfig {
        config(&format!("http://127.0.0.1:{}", self.port))
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }
}

pub(crate) fn config(base: &str) -> StripeClientConfig {
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    let mut config = StripeClientConfig::new(base.parse().unwrap(), KEY.into(), Arc::new(Counter::default()));
    config.retry = RetryPolicy {
        first_wait: Duration::from_millis(2),
        ..RetryPolicy::default()
    };
    config.first_quiet = Duration::from_millis(20);
    config
}

/// A new byte each time.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU8);

impl Rng for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn serve(mut stream: &TcpStream, state: &State, replies: &[Reply]) {
    let mut reader = BufReader::new(stream);
    while let Some(asked) = read_request(&mut reader) {
        let count = {
            let mut log = state.asked.lock().unwrap();
            log.push(asked);
            log.len()
        };
        match &replies[(count - 1).min(replies.len() - 1)] {
            Reply::Answer {
                status,
                headers,
                body,
            } => {
                let mut head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    head.extend([name, ": ", value, "\r\n"]);
                }
                head.push_str("\r\n");
                // In one piece: two would wait for the client's delayed acknowledgement.
                if stream.write_all(&[head.as_bytes(), body].concat()).is_err() {
                    return;
                }
            }
            Reply::Stall => {
                if stream
                    .write_all(b"HTTP/1.1 200 X\r\ncontent-length: 99\r\n\r\n{\"id\":")
                    .is_err()
                {
                    return;
                }
                drop(reader.read(&mut [0]));
            }
            // Until the client goes away.
            Reply::Hang => drop(reader.read(&mut [0])),
            Reply::Drop => return,
        }
    }
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Asked> {
    let line = read_line(reader).filter(|line| !line.is_empty())?;
    let mut headers = Vec::new();
    while let Some(header) = read_line(reader).filter(|line| !line.is_empty()) {
        let (name, value) = header.split_once(": ").unwrap();
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let mut asked = Asked {
        line,
        headers,
        body: String::new(),
    };
    let length = asked
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    asked.body = String::from_utf8(body).unwrap();
    Some(asked)
}

fn read_line(reader: &mut BufReader<&TcpStream>) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    Some(line.trim_end().to_owned())
}
