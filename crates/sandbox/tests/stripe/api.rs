//! Keys, versions, idempotency, lists, expansion.

use reqwest::Method;
use rolecall_sandbox::stripe::PriceSeed;
use rolecall_sandbox::stripe::world::Metadata;
use rolecall_sandbox::stripe::world::catalog::Interval;
use rolecall_sandbox::stripe::world::customer::Card;
use serde_json::Value;

use crate::support::{Fixture, KEY, MONTHLY, answer};

fn ids(list: &Value) -> Vec<String> {
    list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

fn subscribe(fixture: &Fixture, count: usize) -> Vec<String> {
    let one = |number| {
        let email = format!("member{number}@example.com");
        fixture
            .stripe
            .seed_subscription(&email, Card::Works, MONTHLY, 1, Metadata::new())
            .unwrap()
    };
    (0..count).map(one).collect()
}

#[tokio::test]
async fn only_the_accounts_keys_are_let_in() {
    let fixture = Fixture::start().await;
    let url = fixture.url("/v1/account");
    let (status, body) = answer(fixture.client.get(&url)).await;
    assert_eq!(status, 401);
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("You did not provide an API key.")
    );
    let (status, body) = answer(fixture.client.get(&url).bearer_auth("sk_live_1234567890abcd")).await;
    assert_eq!(status, 401);
    assert_eq!(
        body["error"]["message"],
        "Invalid API Key provided: sk_live_**********abcd"
    );
    let (status, body) = answer(fixture.client.get(&url).basic_auth(KEY, None::<&str>)).await;
    assert_eq!((status.as_u16(), &body["object"]), (200, &"account".into()));
}

#[tokio::test]
async fn unknown_urls_and_ids_are_404_in_stripes_shape() {
    let fixture = Fixture::start().await;
    let (status, body) = fixture.get("/v1/subscriptions/sub_none").await;
    assert_eq!(status, 404);
    assert_eq!(body["error"]["code"], "resource_missing");
    assert_eq!(body["error"]["message"], "No such subscription: 'sub_none'");
    let (status, body) = fixture.get("/v1/unicorns").await;
    assert_eq!(status, 404);
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .starts_with("Unrecognized request URL (GET: /v1/unicorns)")
    );
}

#[tokio::test]
async fn answers_name_the_request_and_the_version() {
    let fixture = Fixture::start().await;
    let request = fixture
        .request(Method::GET, "/v1/account")
        .header("stripe-version", "2024-06-20");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["stripe-version"], "2024-06-20");
    assert!(
        response.headers()["request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
    let wrong = fixture
        .request(Method::GET, "/v1/account")
        .header("stripe-version", "newest");
    assert_eq!(answer(wrong).await.0, 400);
}

#[tokio::test]
async fn an_older_version_is_answered_in_its_shape() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, 1).remove(0);
    let path = format!("/v1/subscriptions/{id}?expand[]=latest_invoice");
    let (_, new) = fixture.get(&path).await;
    let old = fixture
        .request(Method::GET, &path)
        .header("stripe-version", "2024-06-20");
    let (_, old) = answer(old).await;
    assert!(new.get("current_period_end").is_none());
    assert_eq!(
        old["current_period_end"],
        new["items"]["data"][0]["current_period_end"]
    );
    assert_eq!(
        new["latest_invoice"]["parent"]["subscription_details"]["subscription"],
        id.as_str()
    );
    assert_eq!(old["latest_invoice"]["subscription"], id.as_str());
}

#[tokio::test]
async fn a_list_is_paged_in_both_directions_without_gap_or_repetition() {
    let fixture = Fixture::start().await;
    let mut newest_first = subscribe(&fixture, 7);
    newest_first.reverse();

    let mut seen = Vec::new();
    let mut path = "/v1/subscriptions?limit=3".to_owned();
    loop {
        let (_, page) = fixture.get(&path).await;
        assert_eq!(
            (&page["object"], &page["url"]),
            (&"list".into(), &"/v1/subscriptions".into())
        );
        seen.extend(ids(&page));
        if page["has_more"] == false {
            break;
        }
        path = format!(
            "/v1/subscriptions?limit=3&starting_after={}",
            seen.last().unwrap()
        );
    }
    assert_eq!(seen, newest_first);

    let (_, newer) = fixture
        .get(&format!(
            "/v1/subscriptions?limit=2&ending_before={}",
            newest_first[4]
        ))
        .await;
    assert_eq!(ids(&newer), newest_first[2..4]);
    assert_eq!(newer["has_more"], true);
    let (_, newest) = fixture
        .get(&format!(
            "/v1/subscriptions?limit=2&ending_before={}",
            newest_first[2]
        ))
        .await;
    assert_eq!(ids(&newest), newest_first[..2]);
    assert_eq!(newest["has_more"], false);
}

#[tokio::test]
async fn wrong_paging_is_refused() {
    let fixture = Fixture::start().await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=x",
        "starting_after=sub_none",
        "page=2",
    ] {
        let (status, body) = fixture.get(&format!("/v1/subscriptions?{query}")).await;
        assert_eq!(status, 400, "{query}: {body}");
    }
}

#[tokio::test]
async fn canceled_subscriptions_are_listed_only_when_asked_for() {
    let fixture = Fixture::start().await;
    let all = subscribe(&fixture, 3);
    fixture.stripe.cancel(&all[1]).unwrap();
    let (_, living) = fixture.get("/v1/subscriptions").await;
    assert_eq!(ids(&living), [all[2].clone(), all[0].clone()]);
    let (_, every) = fixture.get("/v1/subscriptions?status=all").await;
    assert_eq!(ids(&every).len(), 3);
    let (_, canceled) = fixture.get("/v1/subscriptions?status=canceled").await;
    assert_eq!(ids(&canceled), [all[1].clone()]);
    assert_eq!(fixture.get("/v1/subscriptions?status=gone").await.0, 400);
}

#[tokio::test]
async fn expansion_goes_through_lists_and_refuses_what_it_cannot_expand() {
    let fixture = Fixture::start().await;
    subscribe(&fixture, 2);
    let path = "/v1/subscriptions?expand[]=data.latest_invoice&expand[]=data.items.data.price.product&expand[]=data.customer";
    let (status, list) = fixture.get(path).await;
    assert_eq!(status, 200, "{list}");
    let row = &list["data"][0];
    assert_eq!(row["latest_invoice"]["object"], "invoice");
    assert_eq!(
        row["items"]["data"][0]["price"]["product"]["name"],
        "Council member"
    );
    assert_eq!(row["customer"]["object"], "customer");
    for wrong in ["data.status", "data.nothing", "data.a.b.c.d.e"] {
        let (status, body) = fixture.get(&format!("/v1/subscriptions?expand[]={wrong}")).await;
        assert_eq!(status, 400, "{wrong}: {body}");
    }
}

#[tokio::test]
async fn the_same_idempotency_key_answers_the_same_once_more() {
    let fixture = Fixture::start().await;
    let create = |email: &'static str| {
        let request = fixture
            .request(Method::POST, "/v1/customers")
            .header("idempotency-key", "key-1");
        request.form(&[("email", email)])
    };
    let first = create("a@example.com").send().await.unwrap();
    assert!(first.headers().get("idempotent-replayed").is_none());
    let first_body = first.text().await.unwrap();
    let again = create("a@example.com").send().await.unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(again.text().await.unwrap(), first_body);
    let (status, body) = answer(create("b@example.com")).await;
    assert_eq!(status, 400);
    assert_eq!(body["error"]["type"], "idempotency_error");
    assert_eq!(fixture.stripe.read(|world| world.customers.rows().len()), 1);
}

#[tokio::test]
async fn a_refused_call_can_be_corrected_under_the_same_key() {
    let fixture = Fixture::start().await;
    let create = |name: &'static str| {
        let request = fixture
            .request(Method::POST, "/v1/customers")
            .header("idempotency-key", "key-1");
        request.form(&[(name, "Ada")])
    };
    assert_eq!(answer(create("nam")).await.0, 400);
    assert_eq!(answer(create("name")).await.0, 200);
}

#[tokio::test]
async fn what_the_account_refuses_is_refused_for_good_under_the_same_key() {
    let fixture = Fixture::start().await;
    let subscription = subscribe(&fixture, 1).remove(0);
    let item = fixture.stripe.object(&subscription).unwrap()["items"]["data"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = format!("/v1/subscriptions/{subscription}");
    let change = |key: &'static str| {
        let request = fixture
            .request(Method::POST, &path)
            .header("idempotency-key", key);
        request.form(&[("items[0][id]", item.as_str()), ("items[0][price]", "price_late")])
    };
    assert_eq!(answer(change("key-1")).await.0, 400);
    let seed = PriceSeed::usd("price_late", "Late", 900, Some(Interval::Month));
    fixture.stripe.seed_price(&seed);
    let again = change("key-1").send().await.unwrap();
    assert_eq!(again.status(), 400);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(answer(change("key-2")).await.0, 200);
}

#[tokio::test]
async fn events_are_listed_by_type_time_and_delivery() {
    let fixture = Fixture::start().await;
    let id = subscribe(&fixture, 1).remove(0);
    fixture.stripe.cancel(&id).unwrap();
    let (_, some) = fixture
        .get("/v1/events?types[]=customer.subscription.deleted&types[]=invoice.paid")
        .await;
    let types: Vec<&str> = some["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["customer.subscription.deleted", "invoice.paid"]);
    let now = fixture.stripe.clock().wall().timestamp();
    let (_, later) = fixture.get(&format!("/v1/events?created[gt]={now}")).await;
    assert_eq!(later["data"].as_array().unwrap().len(), 0);

    fixture
        .stripe
        .clock()
        .set_wall(fixture.stripe.clock().wall() + chrono::TimeDelta::days(31));
    let (_, old) = fixture.get("/v1/events").await;
    assert_eq!(
        old["data"].as_array().unwrap().len(),
        0,
        "events are kept for 30 days"
    );
}

#[tokio::test]
async fn what_was_asked_is_logged() {
    let fixture = Fixture::start().await;
    fixture.post("/v1/customers", &[("metadata[a]", "b")]).await;
    let log = fixture.stripe.requests();
    assert_eq!(
        (log[0].method.as_str(), log[0].path.as_str()),
        ("POST", "/v1/customers")
    );
    assert_eq!(log[0].param("metadata[a]"), Some("b"));
    assert_eq!(log[0].status, Some(200));
}
