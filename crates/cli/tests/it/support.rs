//! An installation for a test: a database and a corner of Redis of its own.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    process::Output,
    thread,
};

use rolecall_db::testing::TestDatabase;
use rolecall_domain::clock::random_bytes;
use rolecall_queue::{Keys, Queue};
use rolecall_runtime::clock::SystemRng;
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::process::Command;

/// What the command is told, and what it did.
pub(crate) struct Installation {
    pub(crate) postgres: TestDatabase,
    pub(crate) namespace: String,
    pub(crate) redis: redis::aio::MultiplexedConnection,
    env: Vec<(&'static str, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

impl Installation {
    pub(crate) async fn new() -> Self {
        let postgres = TestDatabase::create(&required("DATABASE_URL").into())
            .await
            .unwrap();
        let redis_url = required("REDIS_URL");
        let namespace = format!("test-{:016x}", u64::from_be_bytes(random_bytes(&SystemRng)));
        let redis = redis::Client::open(redis_url.as_str()).unwrap();
        let env = vec![
            ("DATABASE_URL", postgres.url().expose_secret().to_owned()),
            ("REDIS_URL", redis_url),
            ("REDIS_NAMESPACE", namespace.clone()),
        ];
        Self {
            postgres,
            namespace,
            redis: redis.get_multiplexed_async_connection().await.unwrap(),
            env,
        }
    }

    /// With this variable set, or set otherwise.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// With a key, and a Stripe that answers each request with `answer`.
    pub(crate) fn with_stripe(self, answer: &'static str) -> Self {
        self.with("STRIPE_MODE", "test")
            .with("STRIPE_SECRET_KEY", "sk_test_cli")
            .with("STRIPE_API_BASE", stripe(answer))
    }

    /// Runs the command.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        let Output {
            status,
            stdout,
            stderr,
        } = Command::new(env!("CARGO_BIN_EXE_rolecall"))
            .args(arguments)
            .env_clear()
            .envs(self.env.iter().cloned())
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        Ended {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    /// Runs the command for its JSON, and expects it to be good.
    pub(crate) async fn ask(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat()).await;
        assert_eq!(ended.code, 0, "{arguments:?}: {ended:?}");
        ended.json()
    }

    pub(crate) async fn rows(&self, sql: &'static str) -> Vec<Value> {
        self.postgres.rows(sql).await.unwrap()
    }

    pub(crate) async fn tamper(&self, sql: &'static str) {
        self.postgres.tamper(sql).await.unwrap();
    }

    /// The jobs in a stream of a queue.
    pub(crate) async fn jobs(&mut self, queue: Queue) -> Vec<Value> {
        let keys = Keys::new(&self.namespace, queue);
        let found: redis::streams::StreamRangeReply = redis::cmd("XRANGE")
            .arg(keys.stream())
            .arg("-")
            .arg("+")
            .query_async(&mut self.redis)
            .await
            .unwrap();
        found
            .ids
            .iter()
            .map(|entry| serde_json::from_slice(&entry.get::<Vec<u8>>("job").unwrap()).unwrap())
            .collect()
    }

    /// A job dies.
    pub(crate) async fn dead_job(&mut self, queue: Queue, kind: &str, args: &Value) -> String {
        let job = serde_json::json!({
            "v": 1, "id": "0191e3a0-0000-7000-8000-000000000001", "kind": kind,
            "enqueued_at": "2026-11-21T00:00:00Z", "traceparent": null, "args": args,
        });
        let entry: String = redis::cmd("XADD")
            .arg(Keys::new(&self.namespace, queue).dead())
            .arg("*")
            .arg("job")
            .arg(job.to_string())
            .arg("reason")
            .arg("it kept failing")
            .arg("spent")
            .arg(9)
            .arg("died_at")
            .arg(1_763_720_000_000_i64)
            .query_async(&mut self.redis)
            .await
            .unwrap();
        format!("{queue}/{entry}")
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        let clean = || -> redis::RedisResult<()> {
            let mut connection = redis::Client::open(required("REDIS_URL"))?.get_connection()?;
            let pattern = format!("*{}*", self.namespace);
            let keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query(&mut connection)?;
            for key in keys {
                redis::cmd("DEL").arg(key).exec(&mut connection)?;
            }
            Ok(())
        };
        // The next run has a namespace of its own.
        drop(clean());
    }
}

/// A server that gives every request the same answer; its origin.
fn stripe(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            serve(&stream.unwrap(), answer);
        }
    });
    origin
}

fn serve(mut stream: &TcpStream, answer: &str) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while lines.by_ref().take_while(|line| !line.is_empty()).count() > 0 {
        let status = if answer.contains("\"error\"") {
            "404 X"
        } else {
            "200 X"
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "tests have no configuration but this")]
fn required(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests through `cargo xtask test`"))
}
