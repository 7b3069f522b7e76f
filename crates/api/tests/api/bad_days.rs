//! Days on which something that the service needs is ill: it says what, keeps what it can, charges
//! nobody twice, and mends itself.

use std::time::{Duration, Instant};

use reqwest::Method;
use rolecall_sandbox::{
    network::{Conduct, Proxy},
    stripe::{
        self, PriceSeed,
        faults::{FaultKind, RequestFault},
        world::catalog::Interval,
    },
};
use rolecall_stripe::signature::sign;
use serde_json::{Value, json};

use crate::support::{
    Answer, Browser, TestApp,
    app::{STRIPE_KEY, WEBHOOK_SECRET, required},
    ill::{Gate, PrivateRedis, address, proxy_before, through, until},
};

impl TestApp {
    async fn deliver(&self, event: &str) -> Answer {
        let body = json!({"id": event, "type": "invoice.paid", "created": 1_790_000_000, "livemode": false});
        let body = body.to_string();
        let header = sign(&WEBHOOK_SECRET.into(), self.now().timestamp(), body.as_bytes());
        let mut browser = self.browser();
        let request = browser
            .request(Method::POST, "/webhooks/stripe")
            .header("stripe-signature", header)
            .body(body);
        browser.send(request).await
    }

    async fn ready(&self) -> Answer {
        Browser::new(&format!("http://{}", self.health))
            .get("/ready")
            .await
    }

    /// Waits until a part is told to be well, or ill with these words.
    async fn told(&self, part: &str, expected: Result<(), &str>) {
        until(async || {
            let report = self.ready().await.json();
            let (part, status) = (&report["parts"][part], &report["status"]);
            let detail = part["detail"].as_str().unwrap();
            match expected {
                Ok(()) => part["ok"] == true && status == "ready",
                Err(words) => {
                    part["ok"] == false
                        && status != "ready"
                        && detail.contains(words)
                        && detail.contains("; since 20")
                        && detail.contains("; meanwhile ")
                }
            }
        })
        .await;
    }
}

fn names(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|job| job["args"]["event_id"].as_str().unwrap())
        .collect()
}

/// A webhook is refused quickly, in a way that Stripe takes for "again later".
async fn refuses_webhooks(app: &TestApp, event: &str) {
    let asked = Instant::now();
    let answer = app.deliver(event).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "queue_unavailable")
    );
    assert!(
        answer.header("retry-after").parse::<u32>().unwrap() > 0,
        "{answer:?}"
    );
    assert!(
        asked.elapsed() < Duration::from_secs(3),
        "took {:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn with_redis_out_of_reach_stripe_is_told_to_come_again_and_nothing_is_lost() {
    let url = required("REDIS_URL");
    let network = proxy_before(&url).await;
    let app = TestApp::builder()
        .env("REDIS_URL", through(&url, network.addr()))
        .start()
        .await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    app.told("redis", Ok(())).await;
    let slow = Conduct::Slow {
        delay: Duration::from_secs(5),
    };
    for (n, (conduct, words)) in [
        (Conduct::Refuse, "cannot be reached"),
        (Conduct::Silent, "no answer within 1 s"),
        (slow, "no answer within 1 s"),
    ]
    .into_iter()
    .enumerate()
    {
        network.set(conduct);
        let event = format!("evt_{n}");
        refuses_webhooks(&app, &event).await;
        app.told("redis", Err(words)).await;
        assert_eq!(app.ready().await.status, 503);
        assert_eq!(
            browser.page("/dashboard").await.status,
            200,
            "{conduct:?}: pages need no Redis"
        );
        let fix = browser.post("/api/v1/me/fix-roles", &Value::Null).await;
        assert!(fix.status.is_success(), "the sweeper finds what is owed: {fix:?}");
        network.set(Conduct::Pass);
        until(async || app.deliver(&event).await.status == 200).await;
        app.told("redis", Ok(())).await;
    }
    assert_eq!(
        names(&app.jobs("stripe-events").await),
        ["evt_0", "evt_1", "evt_2"]
    );

    // Slow is not ill.
    network.set(Conduct::Slow {
        delay: Duration::from_millis(50),
    });
    assert_eq!(app.deliver("evt_slow").await.status, 200);
}

#[tokio::test]
async fn a_redis_that_takes_nothing_is_named_with_its_illness() {
    let mut redis = PrivateRedis::start().await;
    let app = TestApp::builder().env("REDIS_URL", redis.url()).start().await;
    app.told("redis", Ok(())).await;
    let illnesses: [(&[&str], &[&str], &str); 3] = [
        (
            &["CONFIG", "SET", "maxmemory", "1"],
            &["CONFIG", "SET", "maxmemory", "0"],
            "is full",
        ),
        (
            &["REPLICAOF", "127.0.0.1", "1"],
            &["REPLICAOF", "NO", "ONE"],
            "a failover is going on",
        ),
        (
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
            "replicas are connected",
        ),
    ];
    for (n, (ill, well, words)) in illnesses.into_iter().enumerate() {
        redis.run(ill).await;
        let event = format!("evt_{n}");
        refuses_webhooks(&app, &event).await;
        app.told("redis", Err(words)).await;
        redis.run(well).await;
        assert_eq!(app.deliver(&event).await.status, 200);
        app.told("redis", Ok(())).await;
    }
    redis.restart_slowly().await;
    app.told("redis", Err("still reading its data")).await;
    refuses_webhooks(&app, "evt_3").await;
    until(async || app.deliver("evt_3").await.status == 200).await;
    let stream = format!("{{{}:stripe-events}}:stream", app.namespace);
    assert_eq!(redis.run(&["XLEN", &stream]).await, redis::Value::Int(4));
}

/// What a visitor sees while Postgres is ill.
async fn says_that_the_database_is_away(app: &TestApp, browser: &mut Browser) {
    let page = browser.page("/dashboard").await;
    assert_eq!(page.status, 503, "{page:?}");
    assert!(
        page.text.contains("We are back in a moment. Nothing is lost."),
        "{page:?}"
    );
    assert!(page.header("retry-after").parse::<u32>().unwrap() > 0, "{page:?}");
    let answer = browser.get("/api/v1/me").await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (503, "database_unavailable")
    );
    assert_eq!(answer.json()["title"], "The database is not available");
    let mut visitor = app.browser();
    let back = app.sign_in(&mut visitor).await;
    assert_eq!(back.status, 503, "{back:?}");
    assert!(
        visitor
            .cookies
            .keys()
            .all(|name| !name.ends_with("rolecall_access")),
        "nobody is half signed in"
    );
}

async fn is_back(app: &TestApp, browser: &mut Browser) {
    app.told("postgres", Ok(())).await;
    let mut page = browser.page("/dashboard").await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut every = tokio::time::interval(Duration::from_millis(50));
    while page.status != 200 && Instant::now() < deadline {
        every.tick().await;
        page = browser.page("/dashboard").await;
    }
    assert_eq!(page.status, 200, "{page:?}");
}

/// A service whose way to Postgres can be disturbed, and somebody who is signed in.
async fn with_postgres_through(network: &Proxy) -> (TestApp, Browser) {
    let app = TestApp::builder().postgres_at(network.addr()).start().await;
    app.seed_plans().await;
    app.told("postgres", Ok(())).await;
    let browser = app.signed_in().await;
    (app, browser)
}

#[tokio::test]
async fn with_postgres_out_of_reach_pages_say_so_and_webhooks_are_taken() {
    let network = proxy_before(&required("DATABASE_URL")).await;
    let (app, mut browser) = with_postgres_through(&network).await;
    let slow = Conduct::Slow {
        delay: Duration::from_secs(8),
    };
    for (n, (conduct, words)) in [
        (Conduct::Refuse, "cannot be reached"),
        (Conduct::Silent, "no answer within 1 s"),
        (slow, "no answer within 1 s"),
    ]
    .into_iter()
    .enumerate()
    {
        network.set(conduct);
        says_that_the_database_is_away(&app, &mut browser).await;
        app.told("postgres", Err(words)).await;
        assert_eq!(app.deliver(&format!("evt_{n}")).await.status, 200, "{conduct:?}");
        network.set(Conduct::Pass);
        is_back(&app, &mut browser).await;
    }
    assert_eq!(app.jobs("stripe-events").await.len(), 3);
}

#[tokio::test]
async fn a_postgres_that_turns_us_away_is_named_with_its_illness() {
    let gate = Gate::before(address(&required("DATABASE_URL")).await).await;
    let network = Proxy::start(gate.address).await.unwrap();
    let (app, mut browser) = with_postgres_through(&network).await;
    for (code, words) in [
        ("53300", "no connection left for us"),
        ("57P03", "starting up or shutting down"),
        ("28P01", "refuses the user or password in DATABASE_URL"),
    ] {
        gate.set(Some(code));
        network.cut();
        says_that_the_database_is_away(&app, &mut browser).await;
        app.told("postgres", Err(words)).await;
        assert_eq!(app.deliver(&format!("evt_{code}")).await.status, 200, "{code}");
        gate.set(None);
        is_back(&app, &mut browser).await;
    }
}

#[tokio::test]
async fn a_postgres_that_takes_no_writes_lets_nobody_be_half_signed_in() {
    let network = proxy_before(&required("DATABASE_URL")).await;
    let (app, mut browser) = with_postgres_through(&network).await;
    app.tamper(
        "DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = on', current_database());
         END $$",
    )
    .await;
    network.cut();
    app.told("postgres", Err("takes no writes because it is read-only"))
        .await;
    let mut visitor = app.browser();
    let back = app.sign_in(&mut visitor).await;
    assert_eq!(back.status, 503, "{back:?}");
    assert!(back.text.contains("We are back in a moment"), "{back:?}");
    app.tamper(
        "BEGIN READ WRITE;
         DO $$ BEGIN
           EXECUTE format('ALTER DATABASE %I RESET default_transaction_read_only', current_database());
         END $$;
         COMMIT",
    )
    .await;
    network.cut();
    is_back(&app, &mut browser).await;

    // A full disk: reading goes on.
    app.tamper(
        "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$;
         CREATE TRIGGER disk_is_full BEFORE INSERT ON sessions EXECUTE FUNCTION disk_is_full()",
    )
    .await;
    assert_eq!(browser.page("/dashboard").await.status, 200);
    let mut visitor = app.browser();
    let back = app.sign_in(&mut visitor).await;
    assert_eq!(back.status, 503, "{back:?}");
    assert!(back.text.contains("We are back in a moment"), "{back:?}");
    app.tamper("DROP TRIGGER disk_is_full ON sessions").await;
    assert_eq!(app.sign_in(&mut app.browser()).await.status, 303);
}

/// A simulated Stripe that sells what is on sale here.
async fn stripe_simulator() -> stripe::Simulator {
    let stripe = stripe::Simulator::start(stripe::Config::new(STRIPE_KEY))
        .await
        .unwrap();
    for price in ["price_month", "price_year", "price_inner"] {
        stripe.seed_price(&PriceSeed::usd(price, "Council", 4_900, Some(Interval::Month)));
    }
    stripe
}

fn sessions(stripe: &stripe::Simulator) -> usize {
    stripe.read(|world| world.checkouts.rows().len())
}

async fn buy(browser: &mut Browser) -> Answer {
    browser
        .post("/api/v1/checkout", &json!({"plan": "council"}))
        .await
}

/// Nothing is sold while Stripe is ill, and one thing once it is well.
async fn sells_once_it_is_well(
    app: &TestApp,
    name: &str,
    code: (u16, &str),
    words: &str,
    heal: impl FnOnce(),
) {
    let mut browser = app.signed_in().await;
    let asked = Instant::now();
    let answer = buy(&mut browser).await;
    assert!(
        asked.elapsed() < Duration::from_secs(10),
        "{name}: took {:?}",
        asked.elapsed()
    );
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        code,
        "{name}: {answer:?}"
    );
    let page = browser.submit("/checkout", &[("plan", "council")]).await;
    assert_eq!(page.status.as_u16(), code.0, "{name}: {page:?}");
    assert!(page.text.contains("Nothing was charged"), "{name}: {page:?}");
    app.told("stripe", Err(words)).await;
    assert_eq!(app.ready().await.status, 200, "{name}: ready, but degraded");
    heal();
    let mut bought = buy(&mut browser).await;
    let mut every = tokio::time::interval(Duration::from_millis(100));
    while bought.status != 201 && asked.elapsed() < Duration::from_secs(30) {
        every.tick().await;
        app.advance(1);
        bought = buy(&mut browser).await;
    }
    assert_eq!(bought.status, 201, "{name}: {bought:?}");
    let ours = app.rows("SELECT to_jsonb(id) FROM checkout_sessions").await;
    assert_eq!(ours.len(), 1, "{name}: bought twice");
    app.told("stripe", Ok(())).await;
}

fn fault(stripe: &stripe::Simulator, fault: FaultKind) {
    stripe.add_request_fault(RequestFault {
        path_contains: None,
        times: None,
        fault,
    });
}

const fn status(status: u16, retry_after: Option<u64>, applied: bool) -> FaultKind {
    FaultKind::Status {
        status,
        retry_after,
        applied,
    }
}

#[tokio::test]
async fn while_stripe_is_ill_nothing_is_charged_and_nothing_is_bought_twice() {
    for (name, kind, code, words) in [
        (
            "fault",
            status(500, None, false),
            (503, "stripe_unavailable"),
            "HTTP 500",
        ),
        // It did happen, and nobody heard of it.
        (
            "fault after the fact",
            status(502, None, true),
            (503, "stripe_unavailable"),
            "HTTP 502",
        ),
        (
            "garbage",
            FaultKind::Garbage,
            (502, "stripe_refused"),
            "gives answers that Stripe does not give",
        ),
        (
            "forbidden",
            status(403, None, false),
            (502, "stripe_refused"),
            "(403)",
        ),
    ] {
        let stripe = stripe_simulator().await;
        let app = TestApp::builder()
            .env("STRIPE_API_BASE", stripe.origin())
            .start()
            .await;
        app.seed_plans().await;
        // What did happen, Stripe will never tell: it says the same again to the same, so another one is asked for.
        let lost = usize::from(matches!(kind, FaultKind::Status { applied: true, .. }));
        fault(&stripe, kind);
        sells_once_it_is_well(&app, name, code, words, || stripe.clear_request_faults()).await;
        assert_eq!(sessions(&stripe), 1 + lost, "{name}: asked for twice");
    }
}

#[tokio::test]
async fn a_stripe_that_hangs_keeps_nobody_waiting_for_long() {
    let stripe = stripe_simulator().await;
    let app = TestApp::builder()
        .env("STRIPE_API_BASE", stripe.origin())
        .start()
        .await;
    app.seed_plans().await;
    fault(&stripe, FaultKind::Hang { applied: true });
    let unavailable = (503, "stripe_unavailable");
    let heal = || stripe.clear_request_faults();
    sells_once_it_is_well(&app, "hang", unavailable, "does not answer in time", heal).await;
    assert_eq!(sessions(&stripe), 1, "asked for twice");
}

#[tokio::test]
async fn a_stripe_whose_connections_break_is_one_that_cannot_be_reached() {
    for conduct in [Conduct::Refuse, Conduct::CutAfter { bytes: 900 }] {
        let stripe = stripe_simulator().await;
        let network = proxy_before(&stripe.origin()).await;
        let app = TestApp::builder()
            .env("STRIPE_API_BASE", format!("http://{}", network.addr()))
            .start()
            .await;
        app.seed_plans().await;
        network.set(conduct);
        let name = format!("{conduct:?}");
        let unavailable = (503, "stripe_unavailable");
        let heal = || network.set(Conduct::Pass);
        sells_once_it_is_well(&app, &name, unavailable, "cannot be reached", heal).await;
        assert_eq!(sessions(&stripe), 1, "{name}: asked for twice");
    }
}

#[tokio::test]
async fn when_stripe_says_when_to_come_back_the_buyer_is_told_and_stripe_is_left_alone() {
    let stripe = stripe_simulator().await;
    let app = TestApp::builder()
        .env("STRIPE_API_BASE", stripe.origin())
        .start()
        .await;
    app.seed_plans().await;
    fault(&stripe, status(429, Some(30), false));
    let mut browser = app.signed_in().await;
    for _ in 0..5 {
        let answer = buy(&mut browser).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (503, "stripe_unavailable")
        );
        let wait: u32 = answer.header("retry-after").parse().unwrap();
        assert!((20..=30).contains(&wait), "{wait}");
    }
    assert_eq!(
        stripe.requests().len(),
        1,
        "Stripe was asked although it had said no"
    );
    app.told("stripe", Err("(429)")).await;
}

#[tokio::test]
async fn a_refused_key_is_named_and_not_tried_with_every_click() {
    let stripe = stripe_simulator().await;
    let app = TestApp::builder()
        .env("STRIPE_API_BASE", stripe.origin())
        .start()
        .await;
    app.seed_plans().await;
    fault(&stripe, status(401, None, false));
    let mut browser = app.signed_in().await;
    for _ in 0..5 {
        let answer = buy(&mut browser).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (502, "stripe_refused")
        );
    }
    let page = browser.submit("/checkout", &[("plan", "council")]).await;
    assert!(
        page.text
            .contains("Nothing was charged. This is a fault of this site"),
        "{page:?}"
    );
    assert_eq!(stripe.requests().len(), 1);
    app.told("stripe", Err("the key is refused (401): check STRIPE_SECRET_KEY"))
        .await;
}

#[tokio::test]
async fn a_price_that_stripe_does_not_have_is_told_to_the_buyer_and_is_no_fault_of_stripe() {
    let stripe = stripe::Simulator::start(stripe::Config::new(STRIPE_KEY))
        .await
        .unwrap();
    let app = TestApp::builder()
        .env("STRIPE_API_BASE", stripe.origin())
        .start()
        .await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let answer = buy(&mut browser).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code().as_str()),
        (422, "price_gone")
    );
    app.told("stripe", Ok(())).await;
}
