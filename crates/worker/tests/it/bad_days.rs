//! Days on which something that the worker needs is ill: the whole service, with its own clock and
//! queues, behind a network that misbehaves. It says what is wrong, loses nothing, storms nobody, and
//! goes on by itself.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use rolecall_domain::{clock::Clock, ids::uuid_v7, standing::Standing};
use rolecall_queue::{JobError, Producer, Push, jobs::SendNotification};
use rolecall_runtime::{
    clock::{SystemClock, SystemRng},
    env::Env,
    shutdown::Shutdown,
};
use rolecall_sandbox::{
    network::{Conduct, Proxy},
    stripe::faults::{FaultKind, RequestFault},
};
use rolecall_worker::{config::WorkerConfig, handlers::send_notification};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use url::Url;

use crate::support::{Person, World, plans::COUNCIL, redis::redis_url, soon, until};

/// The service in a world, each of its ways out through a proxy.
struct Worker {
    world: World,
    postgres: Proxy,
    redis: Proxy,
    stripe: Proxy,
    health: SocketAddr,
    shutdown: Shutdown,
    run: JoinSet<anyhow::Result<()>>,
}

/// A proxy before the server of a URL, and the URL through it.
async fn before(url: &str) -> (Proxy, String) {
    let mut url = Url::parse(url).unwrap();
    let default = if url.scheme() == "redis" { 6379 } else { 5432 };
    let host = (url.host_str().unwrap(), url.port().unwrap_or(default));
    let target = tokio::net::lookup_host(host).await.unwrap().next().unwrap();
    let proxy = Proxy::start(target).await.unwrap();
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(proxy.addr().port())).unwrap();
    (proxy, url.into())
}

impl Worker {
    async fn start() -> Self {
        let world = World::start().await;
        let (postgres, database_url) = before(world.postgres.url().expose_secret()).await;
        let (redis, redis_url) = before(&redis_url()).await;
        let (stripe, stripe_url) = before(&world.stripe.origin()).await;
        let config = Env::from_pairs([
            ("DATABASE_URL", database_url),
            ("REDIS_URL", redis_url),
            ("REDIS_NAMESPACE", world.redis.link.namespace().to_owned()),
            ("STRIPE_SECRET_KEY", "sk_test_worker".to_owned()),
            ("STRIPE_API_BASE", stripe_url.trim_end_matches('/').to_owned()),
            ("SMTP_URL", world.mail.smtp_url()),
            ("MAIL_FROM", "Council <hello@council.example>".to_owned()),
            ("JOB_RETRY_SCHEDULE", "200ms,500ms,1s".to_owned()),
            ("ENABLE_CRON_JOBS", "false".to_owned()),
            ("DRAIN_DELAY", "0s".to_owned()),
        ]);
        let config = WorkerConfig::from_env(&config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let health = listener.local_addr().unwrap();
        let shutdown = Shutdown::new();
        let mut run = JoinSet::new();
        run.spawn(rolecall_worker::run(config, listener, shutdown.clone()));
        let worker = Self {
            world,
            postgres,
            redis,
            stripe,
            health,
            shutdown,
            run,
        };
        for part in ["postgres", "redis", "stripe", "mail", "jobs"] {
            worker.told(part, Ok(())).await;
        }
        worker
    }

    /// What `/ready` says.
    async fn ready(&self) -> Value {
        let mut stream = TcpStream::connect(self.health).await.unwrap();
        let request = "GET /ready HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }

    /// Waits until a part is told to be well, or ill with these words.
    #[track_caller]
    fn told(&self, part: &str, expected: Result<(), &str>) -> impl Future<Output = ()> {
        until(async move || {
            let report = self.ready().await;
            let part = &report["parts"][part];
            let detail = part["detail"].as_str().unwrap();
            match expected {
                Ok(()) => part["ok"] == true,
                Err(words) => {
                    part["ok"] == false
                        && report["status"] != "ready"
                        && detail.contains(words)
                        && detail.contains("; since 20")
                        && detail.contains("; meanwhile ")
                }
            }
        })
    }

    /// Somebody buys, and Stripe tells it.
    async fn purchase(&self) -> Person {
        let person = self.world.person().await;
        self.world.buy(&person, COUNCIL);
        let producer = Producer::new(&self.world.redis.link);
        for event in self.world.new_events() {
            let now = SystemClock.now();
            producer
                .push(&event, Push::new(now, uuid_v7(now, &SystemRng)))
                .await
                .unwrap();
        }
        person
    }

    /// Waits until everybody has what they bought, and every event has been taken in and is done.
    async fn all_is_done(&self, people: &[Person]) {
        until(async || {
            for person in people {
                let subscriptions = self.world.subscriptions(person).await;
                if !matches!(subscriptions.as_slice(), [only] if only.standing == Standing::Active) {
                    return false;
                }
            }
            let inbox = self.world.rows("SELECT to_jsonb(state) FROM inbox").await;
            inbox.len() == self.world.events().len() && self.open_events().await.is_empty()
        })
        .await;
    }

    /// The events that have not taken effect.
    async fn open_events(&self) -> Vec<Value> {
        let sql = "SELECT to_jsonb(t) - 'payload' FROM inbox t WHERE state NOT IN ('done', 'ignored')";
        self.world.rows(sql).await
    }

    /// From now on Stripe's API goes wrong in this way.
    fn fault(&self, fault: FaultKind) {
        self.world.stripe.add_request_fault(RequestFault {
            path_contains: None,
            times: None,
            fault,
        });
    }

    fn requests(&self) -> usize {
        self.world.stripe.requests().len()
    }

    /// Watches for a while that hardly anything is asked of Stripe.
    async fn is_left_alone(&self, most: usize, watched: Duration) {
        let before = self.requests();
        let stormed = until(async || self.requests() > before + most);
        let stormed = tokio::time::timeout(watched, stormed).await;
        assert!(
            stormed.is_err(),
            "{} requests within {watched:?}",
            self.requests() - before
        );
    }

    async fn stop(mut self) {
        self.shutdown.drain();
        soon(self.run.join_next()).await.unwrap().unwrap().unwrap();
    }
}

const SLOW: Conduct = Conduct::Slow {
    delay: Duration::from_secs(8),
};

const fn status(status: u16, retry_after: Option<u64>) -> FaultKind {
    FaultKind::Status {
        status,
        retry_after,
        applied: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_redis_out_of_reach_nothing_is_lost() {
    let worker = Worker::start().await;
    let mut people = Vec::new();
    for (conduct, words) in [
        (Conduct::Refuse, "cannot be reached"),
        (Conduct::Silent, "no answer within 1 s"),
        (SLOW, "no answer within 1 s"),
    ] {
        worker.redis.set(conduct);
        worker.told("redis", Err(words)).await;
        people.push(worker.purchase().await);
        worker.redis.set(Conduct::Pass);
        worker.told("redis", Ok(())).await;
        worker.all_is_done(&people).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_postgres_out_of_reach_nothing_is_lost() {
    let worker = Worker::start().await;
    let mut people = Vec::new();
    for (conduct, words) in [
        (Conduct::Refuse, "cannot be reached"),
        (Conduct::Silent, "no answer within 1 s"),
        (SLOW, "no answer within 1 s"),
    ] {
        worker.postgres.set(conduct);
        people.push(worker.purchase().await);
        worker.told("postgres", Err(words)).await;
        worker.postgres.set(Conduct::Pass);
        worker.told("postgres", Ok(())).await;
        worker.all_is_done(&people).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_takes_no_writes_is_waited_for() {
    let worker = Worker::start().await;
    let tamper = async |sql: &'static str| worker.world.postgres.tamper(sql).await.unwrap();
    tamper(
        "DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
         END $$",
    )
    .await;
    worker.postgres.cut();
    worker
        .told("postgres", Err("takes no writes because it is read-only"))
        .await;
    tamper(
        "BEGIN READ WRITE;
         DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database());
         END $$;
         COMMIT",
    )
    .await;
    worker.postgres.cut();
    worker.told("postgres", Ok(())).await;

    // A full disk: what is read goes on, what is written does not.
    tamper(
        "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER disk_is_full BEFORE INSERT ON inbox EXECUTE FUNCTION disk_is_full()",
    )
    .await;
    let person = worker.purchase().await;
    worker.told("jobs", Err("stripe_event failed")).await;
    let report = worker.ready().await;
    let detail = report["parts"]["jobs"]["detail"].as_str().unwrap();
    assert!(detail.contains("could not extend file"), "{detail}");
    tamper("DROP TRIGGER disk_is_full ON inbox").await;
    worker.all_is_done(&[person]).await;
    worker.told("jobs", Ok(())).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stripe_that_is_ill_is_named_and_not_stormed_and_nothing_is_lost() {
    for (fault, words) in [
        (status(500, None), "HTTP 500"),
        (FaultKind::Garbage, "gives answers that Stripe does not give"),
        (status(403, None), "(403)"),
    ] {
        let worker = Worker::start().await;
        worker.fault(fault);
        let mut people = Vec::new();
        for _ in 0..10 {
            people.push(worker.purchase().await);
        }
        worker.told("stripe", Err(words)).await;
        assert_eq!(worker.ready().await["status"], "degraded");
        worker.is_left_alone(20, Duration::from_secs(2)).await;
        worker.world.stripe.clear_request_faults();
        worker.all_is_done(&people).await;
        worker.told("stripe", Ok(())).await;
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stripe_whose_connections_break_is_waited_for() {
    for conduct in [Conduct::Refuse, Conduct::CutAfter { bytes: 600 }] {
        let worker = Worker::start().await;
        worker.stripe.set(conduct);
        let people = [worker.purchase().await, worker.purchase().await];
        worker.told("stripe", Err("cannot be reached")).await;
        worker.stripe.set(Conduct::Pass);
        worker.all_is_done(&people).await;
        worker.told("stripe", Ok(())).await;
        worker.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_stripe_says_when_to_come_back_nobody_comes_earlier() {
    let worker = Worker::start().await;
    worker.fault(status(429, Some(3)));
    let people = [worker.purchase().await, worker.purchase().await];
    worker.told("stripe", Err("(429)")).await;
    worker.is_left_alone(0, Duration::from_millis(1_500)).await;
    worker.world.stripe.clear_request_faults();
    worker.all_is_done(&people).await;
    worker.told("stripe", Ok(())).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_is_named_and_events_wait_for_another_one() {
    let worker = Worker::start().await;
    worker.fault(status(401, None));
    for _ in 0..10 {
        worker.purchase().await;
    }
    worker
        .told("stripe", Err("the key is refused (401): check STRIPE_SECRET_KEY"))
        .await;
    worker.is_left_alone(1, Duration::from_secs(3)).await;
    assert!(worker.requests() <= 32, "{} requests", worker.requests());
    let open = worker.open_events().await;
    assert!(
        !open.is_empty() && open.iter().all(|event| event["state"] == "pending"),
        "{open:?}"
    );
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_is_ill_is_named() {
    let worker = Worker::start().await;
    for (code, words) in [
        (451, "takes no messages for now (answer 451)"),
        (535, "refuses the user or password in SMTP_URL"),
    ] {
        worker.world.mail.refuse_next(1, code);
        let person = worker.purchase().await;
        worker.all_is_done(&[person]).await;
        worker.told("mail", Err(words)).await;
        let sent = worker.world.mail.messages().len();
        worker.purchase().await;
        worker.told("mail", Ok(())).await;
        assert_eq!(worker.world.mail.messages().len(), sent + 1);
    }
    let owed = worker
        .world
        .rows("SELECT to_jsonb(t) FROM notifications t WHERE state = 'due'")
        .await;
    assert_eq!(owed.len(), 2, "what was refused stays due: {owed:?}");
    worker.stop().await;
}

#[tokio::test]
async fn mail_that_was_owed_while_our_password_was_refused_leaves_once_after() {
    let world = World::start().await;
    let person = world.person().await;
    world.buy(&person, COUNCIL);
    world.deliver_new().await;
    let row = world.notifications().await.remove(0);
    let notification_id = row["id"].as_str().unwrap().parse().unwrap();
    world.mail.refuse_next(1, 535);
    let job = SendNotification { notification_id };
    let result: Result<(), JobError> =
        send_notification::run(Arc::clone(&world.worker), job, world.attempt()).await;
    result.unwrap();
    let row = world.notifications().await.remove(0);
    assert_eq!((&row["state"], &row["attempts"]), (&json!("due"), &json!(1)));
    for _ in 0..3 {
        world.sweep().await;
        assert_eq!(world.mail.messages().len(), 1);
    }
}
