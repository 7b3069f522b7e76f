//! How calls travel: connections, retries, limits, errors. S10.

use std::{error::Error, time::Duration};

use crate::support::{FakeStripe, KEY, Reply, config};
use rolecall_domain::ids::StripeSubscriptionId;
use rolecall_stripe::{
    client::{
        Client,
        config::{BuildError, StripeClientConfig},
        pace::RateLimit,
    },
    error::StripeError,
    types::subscription::Subscription,
};
use tokio::time::{Instant, timeout};

const SUBSCRIPTION: &str = r#"{"id":"sub_1","status":"active"}"#;

async fn get(client: &Client) -> Result<Subscription, StripeError> {
    let id: StripeSubscriptionId = "sub_1".parse().unwrap();
    timeout(Duration::from_secs(20), client.get_subscription(&id))
        .await
        .expect("the call hangs")
}

async fn error_of(replies: Vec<Reply>) -> StripeError {
    get(&FakeStripe::start(replies).client()).await.unwrap_err()
}

fn refusal(code: &str, message: &str) -> String {
    format!(r#"{{"error":{{"type":"invalid_request_error","code":"{code}","message":"{message}"}}}}"#)
}

#[tokio::test]
async fn twenty_calls_use_one_connection() {
    let stripe = FakeStripe::start(vec![Reply::ok(SUBSCRIPTION)]);
    let client = stripe.client();
    for _ in 0..20 {
        get(&client.clone()).await.unwrap();
    }
    assert_eq!((stripe.asked().len(), stripe.connections()), (20, 1));
}

#[tokio::test]
async fn an_error_does_not_cost_the_connection() {
    let stripe = FakeStripe::start(vec![
        Reply::status(500, "{}"),
        Reply::status(429, "{}"),
        Reply::ok(SUBSCRIPTION),
    ]);
    get(&stripe.client()).await.unwrap();
    assert_eq!((stripe.asked().len(), stripe.connections()), (3, 1));
}

#[tokio::test]
async fn a_call_says_who_calls_and_in_which_version() {
    let stripe = FakeStripe::start(vec![Reply::ok(SUBSCRIPTION)]);
    get(&stripe.client()).await.unwrap();
    let asked = &stripe.asked()[0];
    assert!(
        asked.line.starts_with("GET /v1/subscriptions/sub_1?"),
        "{}",
        asked.line
    );
    assert_eq!(
        asked.header("authorization"),
        Some(format!("Bearer {KEY}").as_str())
    );
    assert_eq!(
        asked.header("stripe-version"),
        Some(Client::api_version().as_str())
    );
    assert_eq!(
        asked.header("user-agent"),
        Some(concat!("rolecall/", env!("CARGO_PKG_VERSION")))
    );
    assert_eq!(asked.header("idempotency-key"), None);
}

#[tokio::test]
async fn a_base_with_a_path_keeps_it() {
    let stripe = FakeStripe::start(vec![Reply::ok(SUBSCRIPTION)]);
    let mut config = stripe.config();
    config.api_base.set_path("/stripe/");
    get(&Client::new(config).unwrap()).await.unwrap();
    assert!(
        stripe.asked()[0]
            .line
            .starts_with("GET /stripe/v1/subscriptions/sub_1?")
    );
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for() {
    let stripe = FakeStripe::start(vec![
        Reply::status(429, "{}").with("retry-after", "1"),
        Reply::ok(SUBSCRIPTION),
    ]);
    let begin = Instant::now();
    get(&stripe.client()).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(stripe.asked().len(), 2);
}

#[tokio::test]
async fn a_long_retry_after_is_left_to_the_caller_and_keeps_the_others_quiet() {
    let stripe = FakeStripe::start(vec![
        Reply::status(429, "{}").with("retry-after", "60"),
        Reply::ok(SUBSCRIPTION),
    ]);
    let client = stripe.client();
    let begin = Instant::now();
    let error = get(&client).await.unwrap_err();
    assert!(matches!(error, StripeError::RateLimited { retry_after: Some(wait) } if wait.as_secs() == 60));
    let error = get(&client).await.unwrap_err();
    assert!(error.retry_after().unwrap() > Duration::from_secs(50), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10), "the worker waited");
    assert_eq!(
        stripe.asked().len(),
        1,
        "Stripe was asked although it had said no"
    );
}

/// Stripe's own documents speak of exponential backoff, and most of its 429s name no time.
#[tokio::test]
async fn a_429_that_names_no_time_keeps_all_calls_quiet_for_longer_each_time() {
    let many = Reply::status(429, &refusal("rate_limit", "too many"));
    let stripe = FakeStripe::start(vec![many.clone(), many, Reply::ok(SUBSCRIPTION)]);
    let mut config = stripe.config();
    config.retry.retries = 0;
    config.first_quiet = Duration::from_millis(400);
    let client = Client::new(config).unwrap();
    let begin = Instant::now();
    // Half of it is up to chance.
    for least in [0, 200] {
        let error = get(&client).await.unwrap_err();
        assert!(
            matches!(error, StripeError::RateLimited { retry_after: None }),
            "{error:?}"
        );
        assert!(
            begin.elapsed() >= Duration::from_millis(least),
            "{:?}",
            begin.elapsed()
        );
    }
    get(&client).await.unwrap();
    assert!(
        begin.elapsed() >= Duration::from_millis(600),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn nobody_waits_long_after_a_429_that_names_no_time_and_nobody_makes_one_up() {
    let many = Reply::status(429, &refusal("rate_limit", "too many"));
    let stripe = FakeStripe::start(vec![many]);
    let mut config = stripe.config();
    config.first_quiet = Duration::from_mins(1);
    let client = Client::new(config).unwrap();
    let begin = Instant::now();
    for _ in 0..3 {
        let error = get(&client).await.unwrap_err();
        assert!(
            matches!(error, StripeError::RateLimited { retry_after: None }),
            "{error:?}"
        );
    }
    assert!(begin.elapsed() < Duration::from_secs(10), "the worker waited");
    assert_eq!(stripe.asked().len(), 1);
}

#[tokio::test]
async fn a_lock_on_one_object_does_not_keep_the_others_quiet() {
    let locked = Reply::status(429, &refusal("lock_timeout", "locked"));
    for locked in [locked.clone().with("retry-after", "60"), locked] {
        let stripe = FakeStripe::start(vec![locked, Reply::ok(SUBSCRIPTION)]);
        let mut config = stripe.config();
        config.retry.retries = 0;
        config.first_quiet = Duration::from_mins(1);
        let client = Client::new(config).unwrap();
        assert!(matches!(get(&client).await, Err(StripeError::RateLimited { .. })));
        get(&client).await.unwrap();
    }
}

#[tokio::test]
async fn what_passes_is_tried_three_times_more() {
    for reply in [
        Reply::status(500, ""),
        Reply::status(503, "<html>"),
        Reply::status(409, &refusal("lock_timeout", "locked")),
        Reply::status(429, "{}"),
        Reply::Drop,
    ] {
        let stripe = FakeStripe::start(vec![reply]);
        let error = get(&stripe.client()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(stripe.asked().len(), 4, "{error}");
    }
}

#[tokio::test]
async fn a_stripe_that_is_ill_is_not_stormed() {
    let stripe = FakeStripe::start(vec![Reply::status(503, "{}")]);
    let client = stripe.client();
    for _ in 0..10 {
        get(&client).await.unwrap_err();
    }
    assert_eq!(
        stripe.asked().len(),
        3 * 4 + 7,
        "each call is a single one after a while"
    );
}

#[tokio::test]
async fn a_refused_key_is_not_tried_with_every_call() {
    let refused = Reply::status(401, &refusal("", "Invalid API Key provided"));
    let stripe = FakeStripe::start(vec![refused, Reply::ok(SUBSCRIPTION)]);
    let client = Client::new(StripeClientConfig {
        refused_key: Duration::from_secs(1),
        ..stripe.config()
    })
    .unwrap();
    for _ in 0..20 {
        assert!(matches!(get(&client).await, Err(StripeError::Unauthorized)));
    }
    assert_eq!(stripe.asked().len(), 1);
    let complaint = client.complaint().unwrap();
    assert!(
        complaint.starts_with("the key is refused (401): check STRIPE_SECRET_KEY"),
        "{complaint}"
    );
    // One call looks now and then.
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while get(&client).await.is_err() {
        ticks.tick().await;
    }
    assert_eq!((client.complaint(), stripe.asked().len()), (None, 2));
}

#[tokio::test]
async fn what_is_wrong_with_stripe_is_told_until_a_call_works() {
    for (reply, expected) in [
        (Reply::status(503, "{}"), "HTTP 503"),
        (Reply::status(429, "{}"), "429"),
        (Reply::status(403, &refusal("", "no")), "(403)"),
        (Reply::ok("<html>no JSON</html>"), "STRIPE_API_BASE"),
        (Reply::status(404, "<html>a proxy</html>"), "STRIPE_API_BASE"),
        (Reply::Drop, "cannot be reached"),
    ] {
        // Each attempt of the first call is answered so.
        let mut replies: Vec<Reply> = (0..4).map(|_| reply.clone()).collect();
        replies.push(Reply::ok(SUBSCRIPTION));
        let stripe = FakeStripe::start(replies);
        let client = stripe.client();
        get(&client).await.unwrap_err();
        let complaint = client.complaint().unwrap();
        assert!(complaint.contains(expected), "{complaint}");
        while get(&client).await.is_err() {}
        assert_eq!(client.complaint(), None, "{expected}");
    }
}

/// S10.
#[tokio::test]
async fn what_stripe_says_again_to_the_same_key_is_told_from_what_may_have_happened() {
    for (reply, is_saved) in [
        (Reply::status(400, &refusal("", "no")), true),
        (Reply::status(402, &refusal("card_declined", "no")), true),
        (Reply::status(404, &refusal("resource_missing", "none")), true),
        (Reply::status(500, "{}"), true),
        (Reply::status(503, "{}"), true),
        (Reply::status(401, "{}"), false),
        (
            Reply::status(409, &refusal("idempotency_key_in_use", "busy")),
            false,
        ),
        (Reply::status(429, "{}"), false),
        (Reply::ok("<html>"), false),
        (Reply::Drop, false),
        (Reply::Hang, false),
    ] {
        let stripe = FakeStripe::start(vec![reply]);
        let mut config = stripe.config();
        config.retry.retries = 0;
        config.request_timeout = Duration::from_millis(300);
        let error = get(&Client::new(config).unwrap()).await.unwrap_err();
        assert_eq!(error.is_saved(), is_saved, "{error}");
    }
}

#[tokio::test]
async fn a_failure_that_stripe_has_saved_is_not_asked_for_again() {
    let saved = Reply::status(500, "{}").with("idempotent-replayed", "true");
    let stripe = FakeStripe::start(vec![Reply::status(500, "{}"), saved, Reply::ok(SUBSCRIPTION)]);
    let error = get(&stripe.client()).await.unwrap_err();
    assert!(error.is_transient() && error.is_saved(), "{error}");
    assert_eq!(stripe.asked().len(), 2);
}

#[tokio::test]
async fn stripe_knows_best_whether_to_try_again() {
    let stripe = FakeStripe::start(vec![Reply::status(500, "").with("stripe-should-retry", "false")]);
    assert!(matches!(
        get(&stripe.client()).await,
        Err(StripeError::Unavailable { status: 500, .. })
    ));
    assert_eq!(stripe.asked().len(), 1);
    let stripe = FakeStripe::start(vec![
        Reply::status(400, "{}").with("stripe-should-retry", "true"),
        Reply::ok(SUBSCRIPTION),
    ]);
    get(&stripe.client()).await.unwrap();
}

#[tokio::test]
async fn a_server_that_hangs_is_left_after_the_timeout() {
    let stripe = FakeStripe::start(vec![Reply::Hang]);
    let mut config = stripe.config();
    config.request_timeout = Duration::from_millis(50);
    let error = get(&Client::new(config).unwrap()).await.unwrap_err();
    assert!(matches!(error, StripeError::Timeout { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "no answer from Stripe to GET /v1/subscriptions/{id} within 50 ms"
    );
    assert_eq!(stripe.asked().len(), 4);
}

#[tokio::test]
async fn an_answer_that_stops_in_the_middle_is_left_after_the_timeout() {
    let stripe = FakeStripe::start(vec![Reply::Stall, Reply::ok(SUBSCRIPTION)]);
    let mut config = stripe.config();
    // Long enough for the good answer on a busy machine.
    config.request_timeout = Duration::from_secs(1);
    get(&Client::new(config).unwrap()).await.unwrap();
    assert_eq!(stripe.asked().len(), 2);
}

#[tokio::test]
async fn with_the_defaults_a_call_ends_within_half_a_minute_whatever_stripe_does() {
    let config = config("https://api.stripe.com");
    // The last attempt begins within the budget and takes no longer than its timeout.
    assert!(config.retry.budget + config.request_timeout <= Duration::from_secs(30));
    assert!(config.connect_timeout <= config.request_timeout);
}

#[tokio::test]
async fn no_retry_begins_after_the_budget() {
    let stripe = FakeStripe::start(vec![Reply::Hang]);
    let mut config = stripe.config();
    config.request_timeout = Duration::from_millis(50);
    config.retry.budget = Duration::from_millis(60);
    assert!(get(&Client::new(config).unwrap()).await.is_err());
    assert!(stripe.asked().len() <= 2, "{}", stripe.asked().len());
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = Client::new(config(&format!("http://127.0.0.1:{port}"))).unwrap();
    let error = get(&client).await.unwrap_err();
    assert!(matches!(error, StripeError::Unreachable { .. }), "{error:?}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_says_what_it_was_about() {
    for body in [
        r#"{"object":"subscription"}"#,
        r#"{"object":"subscription","id":"sub_1","cancel_at":9223372036854775807}"#,
        r#"{"object":"list","data":[]}"#,
    ] {
        let error = error_of(vec![Reply::ok(body)]).await;
        assert!(matches!(error, StripeError::Decode { .. }), "{body}: {error:?}");
        assert_eq!(
            error.to_string(),
            "could not read Stripe's answer about subscription sub_1"
        );
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn an_answer_that_is_none_of_stripe_s_objects_is_not_stripe_s() {
    for body in [
        "<html>busy</html>",
        "",
        "{\"id\":",
        "{\"object\":\"subscription\"",
        "[]",
        r#"{"status":"active"}"#,
    ] {
        let error = error_of(vec![Reply::ok(body)]).await;
        assert!(
            matches!(error, StripeError::NotStripe { status: 200, .. }),
            "{body}: {error:?}"
        );
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_success_that_lacks_fields_is_a_success() {
    let stripe = FakeStripe::start(vec![Reply::ok(r#"{"id":"sub_1","new_field":{"a":[1]}}"#)]);
    assert_eq!(get(&stripe.client()).await.unwrap().livemode, None);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let error = error_of(vec![Reply::status(401, &refusal("", "Invalid API Key provided"))]).await;
    assert!(matches!(error, StripeError::Unauthorized) && error.to_string().contains("STRIPE_SECRET_KEY"));
    let error = error_of(vec![Reply::status(403, &refusal("", "no permission"))]).await;
    assert!(matches!(error, StripeError::Forbidden { .. }));
    let error = error_of(vec![Reply::status(
        404,
        &refusal("resource_missing", "No such subscription"),
    )])
    .await;
    assert!(matches!(&error, StripeError::NotFound { subject } if subject == "subscription sub_1"));
    let error = error_of(vec![Reply::status(
        400,
        &refusal("parameter_unknown", "Received unknown"),
    )])
    .await;
    assert_eq!(
        error.to_string(),
        "Stripe refused the request about subscription sub_1: Received unknown (code parameter_unknown)"
    );
}

#[tokio::test]
async fn a_404_that_stripe_did_not_write_is_not_the_end_of_a_subscription() {
    for reply in [
        Reply::status(404, "<html>not found</html>"),
        Reply::status(
            404,
            &refusal("", "Unrecognized request URL (GET: /v1/v1/subscriptions)"),
        ),
        Reply::status(302, "").with("location", "https://example.com/"),
        Reply::status(418, "{}"),
    ] {
        let error = error_of(vec![reply]).await;
        assert!(
            matches!(error, StripeError::NotStripe { .. } | StripeError::Invalid { .. }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_the_end() {
    let body = format!("{{\"id\":\"{}\"}}", "x".repeat(16 * 1024 * 1024));
    let error = error_of(vec![Reply::ok(&body)]).await;
    assert!(matches!(error, StripeError::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn calls_keep_to_the_pace() {
    let stripe = FakeStripe::start(vec![Reply::ok(SUBSCRIPTION)]);
    let mut config = stripe.config();
    config.rate_limit = Some(RateLimit {
        per_second: 50,
        per_endpoint: 50,
    });
    let client = Client::new(config).unwrap();
    let begin = Instant::now();
    for _ in 0..30 {
        get(&client).await.unwrap();
    }
    // Ten at once and twenty more at forty a second.
    assert!(
        begin.elapsed() >= Duration::from_millis(490),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn calls_at_once_are_spread_so_that_stripe_never_sees_more_than_the_limit() {
    let stripe = FakeStripe::start(vec![Reply::ok(SUBSCRIPTION)]);
    let mut config = stripe.config();
    config.rate_limit = Some(RateLimit {
        per_second: 25,
        per_endpoint: 25,
    });
    let client = Client::new(config).unwrap();
    let begin = Instant::now();
    let calls = (0..30).map(|_| {
        let client = client.clone();
        async move {
            get(&client).await.unwrap();
            begin.elapsed()
        }
    });
    let mut ends = futures::future::join_all(calls).await;
    ends.sort();
    // An answer comes after its request went out: the 26th request of any second is a second late.
    assert!(ends[25] >= Duration::from_secs(1), "{ends:?}");
    assert_eq!(stripe.asked().len(), 30);
}

#[test]
fn only_stripe_itself_is_paced_by_default() {
    assert_eq!(config("http://127.0.0.1:1").rate_limit, None);
    assert_eq!(config("https://stripe.com.example.com").rate_limit, None);
    let test = RateLimit {
        per_second: 25,
        per_endpoint: 25,
    };
    assert_eq!(config("https://api.stripe.com").rate_limit, Some(test));
    let live = RateLimit {
        per_second: 100,
        per_endpoint: 25,
    };
    let base = config("https://api.stripe.com");
    for key in ["sk_live_1", "rk_live_1"] {
        let config = StripeClientConfig::new(base.api_base.clone(), key.into(), base.rng.clone());
        assert_eq!(config.rate_limit, Some(live), "{key}");
    }
}

#[tokio::test]
async fn the_key_shows_nowhere() {
    let echo = refusal("odd", &format!("Invalid key: {KEY}"));
    let mut texts = Vec::new();
    for reply in [
        Reply::status(400, &echo),
        Reply::status(401, &echo),
        Reply::status(403, &echo),
        Reply::status(404, &echo),
        Reply::status(500, &echo).with("stripe-should-retry", "false"),
        Reply::ok(&echo),
        Reply::Drop,
    ] {
        let stripe = FakeStripe::start(vec![reply]);
        let client = stripe.client();
        let error = get(&client).await.unwrap_err();
        texts.extend([error.to_string(), format!("{error:?}"), format!("{client:?}")]);
        texts.push(format!("{:?}", stripe.config()));
        let mut source = error.source();
        while let Some(cause) = source {
            texts.push(cause.to_string());
            source = cause.source();
        }
    }
    for text in texts {
        assert!(!text.contains("SecretOfTheTest"), "{text}");
    }
}

#[test]
fn a_client_is_not_built_from_what_cannot_work() {
    let mut bad_key = config("http://127.0.0.1:1");
    bad_key.secret_key = "sk_test_1\n".into();
    assert!(matches!(Client::new(bad_key), Err(BuildError::SecretKey)));
    let mut no_key = config("http://127.0.0.1:1");
    no_key.secret_key = "".into();
    assert!(matches!(Client::new(no_key), Err(BuildError::SecretKey)));
    for base in [
        "ftp://api.stripe.com",
        "mailto:a@example.com",
        "https://user@example.com",
    ] {
        assert!(
            matches!(Client::new(config(base)), Err(BuildError::ApiBase)),
            "{base}"
        );
    }
}
