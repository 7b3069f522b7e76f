//! People to measure with: linked members with a paid subscription, known to the record and in step with it.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, ensure};
use rolecall_sandbox::{
    discord::demo::GUILD,
    stripe::{
        story::Action,
        world::{Metadata, customer::Card},
    },
};

use crate::bench::{
    ground::{Ground, PRICES},
    http::{blast, pace},
    sql,
    webhooks::{Event, requests},
};

/// The Discord ids of people who exist in the record only; those of the simulator are far below.
const ABSENT: u64 = 1_900_000_000_000_000_000;

const UPDATED: &str = "customer.subscription.updated";

/// One person.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// Their Discord account.
    pub(crate) user: u64,
    /// Their subscription.
    pub(crate) subscription: String,
    /// Which of the two prices it has now.
    price: usize,
}

/// What a group of people is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the simulated server.
    Server,
    /// In the record only: for what the worker does alone.
    Record,
}

impl Person {
    /// Buys the other plan; Stripe's state changes, and nobody is told. One role comes or goes by it.
    pub(crate) fn change_plan(&mut self, ground: &Ground) -> anyhow::Result<()> {
        self.price = 1 - self.price.min(1);
        let price = PRICES.get(self.price).context("there are two prices")?;
        let action = Action::SetPrice {
            price: (*price).to_owned(),
        };
        let changed = ground.stack.stripe.act(&self.subscription, &action);
        changed.map_err(|refusal| anyhow::anyhow!("change the plan of {}: {refusal}", self.subscription))
    }

    /// How many roles they should have.
    pub(crate) fn roles(&self) -> usize {
        self.price + 1
    }

    /// The event that tells of a change.
    pub(crate) fn event(&self, ground: &Ground) -> anyhow::Result<Event> {
        Event::about(&ground.stack, &self.subscription, UPDATED)
    }
}

/// Makes people who have linked their accounts and paid, of whom the record knows nothing but the link.
pub(crate) async fn make(
    ground: &Ground,
    name: &str,
    count: usize,
    place: Place,
) -> anyhow::Result<Vec<Person>> {
    let stack = &ground.stack;
    let mut users = Vec::new();
    for number in 0..count {
        users.push(match place {
            Place::Record => ABSENT + offset(name) + u64::try_from(number)?,
            Place::Server => {
                let user = stack.discord.add_user(&format!("{name}{number}"), None, false)?;
                stack.discord.join(GUILD, user)?;
                user
            }
        });
    }
    if place == Place::Server {
        // The bot tells of everybody who joins.
        settle(ground).await?;
    }
    link(ground, name, &users).await?;
    let people = users.iter().enumerate().map(|(number, user)| {
        let metadata = Metadata::from([("rolecall_member_id".to_owned(), member_id(name, number))]);
        let email = address(name, number);
        let subscription = stack
            .stripe
            .seed_subscription(&email, Card::Works, PRICES[0], 1, metadata)
            .map_err(|refusal| anyhow::anyhow!("seed a subscription: {refusal}"))?;
        Ok(Person {
            user: *user,
            subscription,
            price: 0,
        })
    });
    people.collect()
}

/// Sends the first event of everybody, and waits until the worker has taken them in.
pub(crate) async fn take_in(ground: &Ground, name: &str, people: &[Person]) -> anyhow::Result<()> {
    send(ground, &format!("{name}New"), people).await?;
    ground.drained(&["stripe-events", "jobs"]).await
}

/// Puts one event about each person into the queue, through the api.
pub(crate) async fn send(ground: &Ground, prefix: &str, people: &[Person]) -> anyhow::Result<()> {
    let events = people
        .iter()
        .map(|person| person.event(ground))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let requests = requests(prefix, &events);
    blast(ground.api()?, &requests, 16).await?;
    Ok(())
}

/// The same, so many a second.
pub(crate) async fn send_slowly(
    ground: &Ground,
    prefix: &str,
    people: &[Person],
    per_second: u32,
) -> anyhow::Result<()> {
    let events = people
        .iter()
        .map(|person| person.event(ground))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let requests = requests(prefix, &events);
    pace(ground.api()?, &requests, per_second, 1).await?;
    Ok(())
}

/// Declares the roles of people who are in the record only to be as they should: no bot can see to it.
pub(crate) async fn pretend_in_step(ground: &Ground) -> anyhow::Result<()> {
    let sql = format!(
        "UPDATE member_roles SET observed = desired, provenance = 'ours' WHERE user_id >= {ABSENT};
         UPDATE member_guilds SET state = 'in_sync', applied_revision = revision, send_at = NULL
         WHERE user_id >= {ABSENT}"
    );
    sql::ask(&ground.database(), &sql).await?;
    for queue in ["role-commands-now", "role-commands-bulk"] {
        ground.forget(queue).await?;
    }
    Ok(())
}

/// Waits until nothing is on its way between the services.
pub(crate) async fn settle(ground: &Ground) -> anyhow::Result<()> {
    let queues = [
        "stripe-events",
        "account-events",
        "discord-events",
        "role-commands-now",
        "role-commands-bulk",
        "role-outcomes",
        "jobs",
    ];
    // Each may feed another: what is empty twice in a row is still.
    for _ in 0..2 {
        ground.drained(&queues).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

async fn link(ground: &Ground, name: &str, users: &[u64]) -> anyhow::Result<()> {
    ensure!(!users.is_empty(), "nobody to link");
    let (mut members, mut accounts) = (String::new(), String::new());
    for (number, user) in users.iter().enumerate() {
        let (id, comma) = (member_id(name, number), if number == 0 { "" } else { "," });
        // Writing to a String cannot fail.
        let _ = write!(
            members,
            "{comma}('{id}','{name}{number}','{}',clock_timestamp())",
            address(name, number)
        );
        let _ = write!(
            accounts,
            "{comma}({user},'{id}','{name}{number}',clock_timestamp())"
        );
    }
    // A file, because a command line is not as long as this.
    let path = ground.stack.folder().join("people.sql");
    let sql = format!(
        "INSERT INTO members (id, display_name, email, created_at) VALUES {members};\n\
         INSERT INTO discord_accounts (user_id, member_id, username, linked_at) VALUES {accounts};\n"
    );
    std::fs::write(&path, sql)?;
    let database = ground.database();
    sql::run_file(&database, &path).await
}

/// Ids of one group differ from those of another by a number made of its name.
fn member_id(name: &str, number: usize) -> String {
    format!("00000000-0000-7000-8000-{:012x}", offset(name) + count(number))
}

/// They are welcomed by mail, as everybody is.
fn address(name: &str, number: usize) -> String {
    format!("{name}{number}@example.test")
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Room for a million people under each initial.
fn offset(name: &str) -> u64 {
    u64::from(name.bytes().next().unwrap_or_default()) * 1_000_000
}
