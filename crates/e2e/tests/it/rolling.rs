//! Every service is replaced by a newer one while people come and pay, and nobody notices.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use rolecall_e2e::{
    balancer::{ASK_EVERY, Balancer},
    machine,
    person::Person,
    ports::free_port,
    process::Process,
    stack::{Stack, StackOptions},
    story::ADA,
    until::until,
};
use rolecall_sandbox::{discord::demo, stripe::world::event::DeliveryState};
use tokio::{sync::watch, time::interval};

use crate::{
    load::{self, Answers},
    support::{AFTER_A_SWEEP, SOON, paying_member, start},
};

/// So many apis are replaced, unless `ROLLING_REPLACEMENTS` says otherwise.
const REPLACEMENTS: u32 = 8;

/// So many requests come in a second, unless `ROLLING_RATE` says otherwise: as many as unoptimised services answer
/// with ease on two cores, beside those who ask.
const RATE: u32 = 100;

/// The balancer has noticed by then, even on a machine that is busy with other things.
const DRAIN_DELAY: Duration = ASK_EVERY.saturating_mul(16);

/// The lease of the bot: a role that takes longer had to wait until it ran out.
const LEASE: Duration = Duration::from_secs(10);

/// What runs, the eldest first.
struct Fleet<'a> {
    stack: &'a Stack,
    balancer: Balancer,
    apis: VecDeque<(u16, Process)>,
    worker: Process,
    bot: Process,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_and_nothing_is_lost_while_every_service_is_replaced_under_load() {
    let replacements = machine::number("ROLLING_REPLACEMENTS", REPLACEMENTS).unwrap();
    let rate = machine::number("ROLLING_RATE", RATE).unwrap();
    let (mut stack, mut balancer) = balanced_stack().await;
    let (person, subscription) = paying_member(&stack).await;
    // This is about deploys: whoever waits for Discord's limit waits for it on either side of one.
    stack.discord.set_limit("member-roles", 1_000, 1_000).unwrap();
    let first_port = stack.environment()["PORT"].parse().unwrap();

    let mut apis = VecDeque::new();
    for name in ["api-a", "api-b"] {
        apis.push_back(start_api(&stack, &mut balancer, name).await);
    }
    let mut worker = stack.start_another("worker", "worker-a").unwrap();
    let mut bot = stack.start_another("bot", "bot-a").unwrap();
    worker.wait_ready(&stack.client).await.unwrap();
    bot.wait_ready(&stack.client).await.unwrap();
    let identifies = stack.discord.gateway().identifies_remaining;

    for process in [&mut stack.api, &mut stack.worker, &mut stack.bot] {
        assert!(process.stop().await.unwrap().success());
    }
    balancer.remove(first_port);
    let origin = balancer.origin();
    let mut fleet = Fleet {
        stack: &stack,
        balancer,
        apis,
        worker,
        bot,
    };
    let (stop, stopped) = watch::channel(false);
    let replace = async {
        for number in 1..=replacements {
            fleet.replace_one(number).await;
        }
        stop.send(true).unwrap();
    };
    let ((), answers, changes, streams) = tokio::join!(
        replace,
        load::ask_until(rate, &origin, &subscription, stopped.clone()),
        change_roles_until(&stack, &subscription, stopped.clone()),
        listen_until(&origin, person, stopped.clone()),
    );

    let answers = answers.unwrap();
    let failures = (
        answers.failures.len(),
        answers.failures.iter().take(5).collect::<Vec<_>>(),
    );
    assert_eq!(
        failures,
        (0, Vec::new()),
        "of {} requests; {:?}",
        answers.asked,
        fleet.balancer.failures().last()
    );
    assert_eq!(fleet.balancer.failures(), Vec::<String>::new());
    assert!(streams > 0, "no live page was moved to another api");
    check_inbox(&stack, &answers).await;
    check_once(&stack, changes, identifies).await;
    fleet.stop().await;
    stack.stop().await.unwrap();
}

async fn balanced_stack() -> (Stack, Balancer) {
    let mut balancer = Balancer::start().await.unwrap();
    let port = free_port(None).unwrap();
    balancer.add(port);
    let options = StackOptions::named("rolecall_rolling")
        .with("PORT", &port.to_string())
        .with("PUBLIC_URL", &balancer.origin())
        .with("TRUSTED_PROXIES", "127.0.0.1/32")
        .with("DRAIN_DELAY", &format!("{}ms", DRAIN_DELAY.as_millis()));
    (start(options).await, balancer)
}

async fn start_api(stack: &Stack, balancer: &mut Balancer, name: &str) -> (u16, Process) {
    let port = free_port(None).unwrap();
    let process = stack
        .start_with("api", name, &[("PORT", &port.to_string())])
        .unwrap();
    balancer.add(port);
    balancer.until_serving(port, SOON).await.unwrap();
    (port, process)
}

impl Fleet<'_> {
    /// Replaces the elder api, and then the worker or the bot: the new one first, as an orchestrator does it.
    async fn replace_one(&mut self, number: u32) {
        let fresh = start_api(self.stack, &mut self.balancer, &format!("api-{number}")).await;
        self.apis.push_back(fresh);
        let (port, mut old) = self.apis.pop_front().unwrap();
        assert!(old.stop().await.unwrap().success(), "api on {port}");
        self.balancer.remove(port);

        let (service, old) = if number.is_multiple_of(2) {
            ("worker", &mut self.worker)
        } else {
            ("bot", &mut self.bot)
        };
        let name = format!("{service}-{number}");
        let mut fresh = self.stack.start_another(service, &name).unwrap();
        fresh.wait_ready(&self.stack.client).await.unwrap();
        let status = old.stop().await.unwrap();
        assert!(status.success(), "{service} before {name}: {status}");
        *old = fresh;
    }

    async fn stop(self) {
        let apis = self.apis.into_iter().map(|(_, process)| process);
        for mut process in apis.chain([self.worker, self.bot]) {
            assert!(process.stop().await.unwrap().success());
        }
    }
}

/// Lets the card fail and work again, over and over, and sees to it that the role follows before a lease can run
/// out. How often it did.
async fn change_roles_until(stack: &Stack, subscription: &str, stop: watch::Receiver<bool>) -> usize {
    let mut changes = 0;
    let mut every = interval(Duration::from_millis(300));
    while !*stop.borrow() {
        every.tick().await;
        stack.stripe.fail_payment(subscription).unwrap();
        stack
            .wait_for_roles(ADA, &["Council", "Debtor"], LEASE)
            .await
            .unwrap();
        stack.stripe.pay_open_invoice(subscription).unwrap();
        stack.wait_for_roles(ADA, &["Council"], LEASE).await.unwrap();
        changes += 2;
    }
    changes
}

/// Keeps a live page open, as a browser does: when its stream ends, and it must end well, it opens the next. How
/// many have ended.
async fn listen_until(origin: &str, person: Person, mut stop: watch::Receiver<bool>) -> usize {
    let url = format!("{origin}/events");
    let mut ended = 0;
    loop {
        let stream = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return ended,
            stream = person.open(&url) => stream,
        };
        match stream {
            Ok(page) => {
                assert!(page.status.is_success(), "{}: {}", page.status, page.body);
                ended += 1;
            }
            // Nobody was sent away for so long that the person's own patience ended.
            Err(error) => assert!(is_timeout(&error), "{error:#}"),
        }
    }
}

fn is_timeout(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<reqwest::Error>())
        .any(reqwest::Error::is_timeout)
}

/// Everything that was taken is in the inbox, and done; what the simulated Stripe sent was taken at the first try.
async fn check_inbox(stack: &Stack, answers: &Answers) {
    stack.stripe.deliveries_settled(SOON).await.unwrap();
    let mut taken: BTreeSet<String> = answers.events.iter().cloned().collect();
    assert_eq!(taken.len(), answers.events.len());
    for delivery in stack.stripe.deliveries() {
        assert_eq!(
            (delivery.state, delivery.attempts.len()),
            (DeliveryState::Delivered, 1),
            "{delivery:?}"
        );
        taken.insert(delivery.event);
    }
    let rows = until("an end to the events", AFTER_A_SWEEP, async || {
        let rows = stack
            .rows("SELECT event_id FROM inbox WHERE state IN ('done', 'ignored')")
            .await?;
        Ok((rows.len() >= taken.len()).then_some(rows))
    });
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), taken.len());
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), taken);
}

/// Each mail that was owed, one request for each change of a role, no job given up, and no session begun anew.
async fn check_once(stack: &Stack, changes: usize, identifies: u32) {
    let count = "SELECT count(*) FROM notifications WHERE channel = 'mail' AND state";
    let mails = until("an end to the mails", AFTER_A_SWEEP, async || {
        let owed = stack.rows(&format!("{count} IN ('due', 'sending')")).await?;
        let sent = stack.rows(&format!("{count} = 'sent'")).await?;
        Ok((owed == ["0"]).then_some(sent))
    });
    let mails: usize = mails.await.unwrap().concat().parse().unwrap();
    assert!(mails > 0, "not even a welcome");
    assert_eq!(stack.mail.messages().len(), mails, "each mail once");
    let debtor = format!("/members/{ADA}/roles/{}", demo::DEBTOR_ROLE);
    let requests = stack.discord.requests();
    let writes = requests.iter().filter(|request| request.path.ends_with(&debtor));
    assert_eq!(writes.count(), changes);
    assert_eq!(stack.discord.gateway().identifies_remaining, identifies);
    let namespace = &stack.environment()["REDIS_NAMESPACE"];
    let redis = redis::Client::open(stack.environment()["REDIS_URL"].as_str()).unwrap();
    let mut connection = redis.get_multiplexed_async_connection().await.unwrap();
    for queue in [
        "stripe-events",
        "account-events",
        "discord-events",
        "role-outcomes",
        "jobs",
    ] {
        let key = format!("{{{namespace}:{queue}}}:dead");
        let dead: usize = redis::cmd("XLEN")
            .arg(key)
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(dead, 0, "{queue}");
    }
}
