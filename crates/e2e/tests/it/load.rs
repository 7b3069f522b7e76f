//! What a busy evening looks like: Stripe's webhooks, people who look at the plans, people who sign in. So many
//! requests a second, whether or not the ones before have been answered.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, redirect::Policy, retry};
use rolecall_e2e::stack::WEBHOOK_SECRET;
use rolecall_sandbox::{clock::Clock, stripe::webhook::sign};
use serde_json::json;
use tokio::{sync::watch, task::JoinSet, time::interval};

/// So many people with an address each.
const PEOPLE: u8 = 20;

/// Of what is asked for, one after the other.
const MIX: [Ask; 10] = [
    Ask::Webhook,
    Ask::Plans,
    Ask::Page,
    Ask::Webhook,
    Ask::SignIn,
    Ask::Plans,
    Ask::Webhook,
    Ask::Page,
    Ask::Webhook,
    Ask::Plans,
];

#[derive(Debug, Clone, Copy)]
enum Ask {
    Webhook,
    Plans,
    Page,
    SignIn,
}

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    /// How many there were.
    pub(crate) asked: usize,
    /// The events of the webhooks that were taken.
    pub(crate) events: Vec<String>,
    /// The requests that were not answered as they should.
    pub(crate) failures: Vec<String>,
}

/// Who asks, for what.
struct Crowd {
    origin: String,
    subscription: String,
    people: Vec<Client>,
    clock: Clock,
}

/// Asks so often in a second until `stop` is set, and waits for every answer.
pub(crate) async fn ask_until(
    per_second: u32,
    origin: &str,
    subscription: &str,
    mut stop: watch::Receiver<bool>,
) -> reqwest::Result<Answers> {
    let crowd = Arc::new(Crowd {
        origin: origin.to_owned(),
        subscription: subscription.to_owned(),
        people: (1..=PEOPLE).map(person).collect::<Result<_, _>>()?,
        clock: Clock::system(),
    });
    let mut every = interval(Duration::from_secs(1) / per_second);
    let mut asking = JoinSet::new();
    let mut answers = Answers::default();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            _ = every.tick() => {}
        }
        let (crowd, number) = (Arc::clone(&crowd), answers.asked);
        asking.spawn(async move { crowd.ask(number).await });
        answers.asked += 1;
        while let Some(answer) = asking.try_join_next() {
            answers.note(answer.unwrap());
        }
    }
    for answer in asking.join_all().await {
        answers.note(answer);
    }
    Ok(answers)
}

impl Answers {
    fn note(&mut self, answer: Result<Option<String>, String>) {
        match answer {
            Ok(event) => self.events.extend(event),
            Err(failure) => self.failures.push(failure),
        }
    }
}

impl Crowd {
    /// Asks once. The event, if it was a webhook, or what was wrong with the answer.
    async fn ask(&self, number: usize) -> Result<Option<String>, String> {
        let person = &self.people[number % self.people.len()];
        let what = MIX[number % MIX.len()];
        let get = |path: &str| person.get(format!("{}{path}", self.origin));
        let (request, expected, event) = match what {
            Ask::Plans => (get("/api/v1/plans"), 200, None),
            Ask::Page => (get("/plans"), 200, None),
            Ask::SignIn => (get("/auth/discord/login"), 303, None),
            Ask::Webhook => {
                let event = format!("evt_load_{number}");
                (self.webhook(person, &event), 200, Some(event))
            }
        };
        let answer = request
            .send()
            .await
            .map_err(|error| format!("{what:?}: {error:?}"))?;
        let status = answer.status().as_u16();
        let body = answer
            .text()
            .await
            .map_err(|error| format!("{what:?}: {error:?}"))?;
        if status == expected {
            Ok(event)
        } else {
            Err(format!("{what:?}: {status}: {body}"))
        }
    }

    fn webhook(&self, stripe: &Client, event: &str) -> reqwest::RequestBuilder {
        let now = self.clock.wall().timestamp();
        let body = json!({
            "id": event,
            "object": "event",
            "type": "customer.subscription.updated",
            "created": now,
            "livemode": false,
            "data": {"object": {"id": self.subscription, "object": "subscription"}},
        });
        let body = body.to_string();
        let signature = sign::header(now, body.as_bytes(), &[WEBHOOK_SECRET.to_owned()]);
        stripe
            .post(format!("{}/webhooks/stripe", self.origin))
            .header("stripe-signature", signature)
            .body(body)
    }
}

/// Somebody who asks once: what fails has failed.
fn person(number: u8) -> reqwest::Result<Client> {
    Client::builder()
        .no_proxy()
        .local_address(IpAddr::from(Ipv4Addr::new(127, 0, 1, number)))
        .redirect(Policy::none())
        .retry(retry::never())
        .timeout(Duration::from_secs(20))
        .build()
}
