//! The oracle: knows nothing but what the simulators say in the end, and compares.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context;
use rolecall_sandbox::discord::demo;
use serde_json::Value;

use crate::chaos::{
    acts,
    installation::Installation,
    ledger::{Held, Ledger},
    letters::{Causes, Letter, Letters},
    money,
    people::Somebody,
};

/// The queues, by their names in the contract.
const QUEUES: [&str; 7] = [
    "stripe-events",
    "account-events",
    "discord-events",
    "role-commands-now",
    "role-commands-bulk",
    "role-outcomes",
    "jobs",
];

/// What is owed to the outside, by where it stands in the record.
const DUE: &str = "SELECT 'a role change is due: ' || to_json(t) FROM member_guilds t WHERE state = 'due' \
     UNION ALL SELECT 'an event is pending: ' || event_id FROM inbox WHERE state = 'pending' \
     UNION ALL SELECT 'a message is due: ' || to_json(t) FROM notifications t WHERE state IN ('due', 'sending') \
     UNION ALL SELECT 'a convergence is due: ' || to_json(t) FROM members t WHERE converge_due_at IS NOT NULL";

/// Events that say nothing of what a person has: they are answered, and not kept.
const SAYS_NOTHING: [&str; 1] = ["payment_method.attached"];

/// What was found.
#[derive(Debug, Default)]
pub struct Reckoning {
    /// What is not as it must be.
    pub faults: Vec<String>,
    /// Figures of the day, for people.
    pub figures: Vec<(&'static str, String)>,
}

impl Reckoning {
    pub(crate) fn fault_if(&mut self, wrong: bool, what: impl FnOnce() -> String) {
        if wrong {
            self.faults.push(what());
        }
    }

    fn figure(&mut self, name: &'static str, value: impl std::fmt::Display) {
        self.figures.push((name, value.to_string()));
    }
}

/// What it looks at.
#[derive(Debug)]
pub(crate) struct Oracle<'a> {
    pub(crate) installation: &'a Installation,
    pub(crate) people: &'a [Arc<Somebody>],
    pub(crate) ledger: &'a Ledger,
}

impl<'a> Oracle<'a> {
    /// What is still on its way, or will never arrive. What others wait for is looked at first.
    pub(crate) async fn unsettled(&self) -> anyhow::Result<Vec<String>> {
        let wrong: Vec<String> = self.misdressed().into_iter().map(|(_, wrong)| wrong).collect();
        if !wrong.is_empty() {
            return Ok(wrong);
        }
        let due = self.installation.stack.rows(DUE).await?;
        if !due.is_empty() {
            return Ok(due);
        }
        self.left_in_queues().await
    }

    /// Who has other roles in the server than they deserve.
    fn misdressed(&self) -> Vec<(&Somebody, String)> {
        let compare = |person: &'a Arc<Somebody>| {
            let has = self.roles(person)?;
            let mut deserves = self.deserves(person);
            deserves.extend(self.ledger.foreign(person.user));
            let (number, user) = (person.number, person.user);
            let told = format!(
                "person {number} ({user}) has the roles {} and deserves {}",
                names(&has),
                names(&deserves)
            );
            (has != deserves).then_some((person.as_ref(), told))
        };
        self.people.iter().filter_map(compare).collect()
    }

    /// What never arrived, with all that the record has on it.
    pub(crate) async fn explain(&self, reckoning: &mut Reckoning) -> anyhow::Result<()> {
        for (person, _) in self.misdressed() {
            let rows = self.rows_of(person).await?;
            reckoning
                .faults
                .push(format!("the record of person {}: {rows:#?}", person.number));
        }
        reckoning.faults.extend(self.unsettled().await?);
        Ok(())
    }

    /// All that the record has on somebody's roles.
    async fn rows_of(&self, person: &Somebody) -> anyhow::Result<Vec<String>> {
        let mut rows = Vec::new();
        for table in ["member_guilds", "member_roles"] {
            let query = format!("SELECT to_json(t) FROM {table} t WHERE user_id = {}", person.user);
            rows.extend(self.installation.stack.rows(&query).await?);
        }
        let history = format!(
            "SELECT to_json(a) FROM audit_log a JOIN discord_accounts d USING (member_id) WHERE user_id = {} \
             ORDER BY at",
            person.user
        );
        rows.extend(self.installation.stack.rows(&history).await?);
        Ok(rows)
    }

    async fn left_in_queues(&self) -> anyhow::Result<Vec<String>> {
        let namespace = self.installation.stack.environment().get("REDIS_NAMESPACE");
        let namespace = namespace.context("a stack without a namespace")?;
        let mut left = Vec::new();
        for queue in QUEUES {
            for (command, part) in [("XLEN", "stream"), ("ZCARD", "delayed"), ("XLEN", "dead")] {
                let key = format!("{{{namespace}:{queue}}}:{part}");
                let count = self
                    .installation
                    .redis
                    .number(&format!("{command} {key}"))
                    .await?;
                if count > 0 {
                    left.push(format!("{count} jobs in {queue}:{part}"));
                }
            }
        }
        Ok(left)
    }

    fn roles(&self, person: &Somebody) -> Option<BTreeSet<u64>> {
        let roles = self
            .installation
            .stack
            .discord
            .member_roles(demo::GUILD, person.user)?;
        Some(roles.into_iter().collect())
    }

    fn deserves(&self, person: &Somebody) -> BTreeSet<u64> {
        let stripe = &self.installation.stack.stripe;
        stripe.read(|world| money::deserves(world, &person.email))
    }

    /// Compares everything.
    pub(crate) async fn reckon(&self, reckoning: &mut Reckoning) -> anyhow::Result<()> {
        for person in self.people {
            if let Some(fault) = self.record_disagrees(person).await? {
                reckoning.faults.push(fault);
            }
        }
        self.reckon_events(reckoning).await?;
        self.reckon_letters(reckoning).await?;
        self.reckon_changes(reckoning);
        self.reckon_bots(reckoning);
        Ok(())
    }

    /// What the record says otherwise than the simulators about somebody.
    async fn record_disagrees(&self, person: &Somebody) -> anyhow::Result<Option<String>> {
        let output = self
            .installation
            .stack
            .run(&["why", &person.user.to_string(), "--json"])
            .await?;
        let Ok(why) = serde_json::from_slice::<Value>(&output.stdout) else {
            // Somebody who never came to sign in is unknown.
            let deserves = self.deserves(person);
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Ok((!deserves.is_empty()).then(|| format!("person {} is unknown: {said}", person.number)));
        };
        let deserves = self.deserves(person);
        let state = why.pointer("/guilds/0/state").and_then(Value::as_str);
        let (desired, observed) = (recorded(&why, "desired"), recorded(&why, "observed"));
        let agrees = match self.roles(person) {
            _ if state.is_none() => deserves.is_empty(),
            Some(_) => state == Some("in_sync") && desired == deserves && observed == deserves,
            None => matches!(state, Some("waiting_for_member" | "in_sync")) && desired == deserves,
        };
        if agrees {
            return Ok(None);
        }
        let rows = self.rows_of(person).await?;
        Ok(Some(format!(
            "the record of person {} ({}): {why} {rows:#?}",
            person.number, person.user
        )))
    }

    /// Every event that says something of what people have is in the inbox, which has each once by its key.
    async fn reckon_events(&self, reckoning: &mut Reckoning) -> anyhow::Result<()> {
        let inbox = self.installation.stack.rows("SELECT event_id FROM inbox").await?;
        let inbox: BTreeSet<String> = inbox.into_iter().collect();
        let stripe = &self.installation.stack.stripe;
        let deliveries = stripe.deliveries();
        // What was answered with 200 and what was never delivered: the sweep heals both.
        let missing = stripe.read(|world| {
            let events = world
                .events
                .rows()
                .iter()
                .filter(|event| !SAYS_NOTHING.contains(&event.kind) && !inbox.contains(&event.id));
            let told = events.map(|event| {
                let of_it = deliveries.iter().filter(|row| row.event == event.id);
                let attempts: Vec<_> = of_it.map(|row| (row.state, &row.attempts)).collect();
                format!("{} {} at {}: {attempts:?}", event.id, event.kind, event.created)
            });
            told.collect::<Vec<String>>()
        });
        reckoning.fault_if(!missing.is_empty(), || {
            format!("{} events are not in the inbox: {missing:#?}", missing.len())
        });
        let dead = self
            .installation
            .stack
            .rows("SELECT event_id FROM inbox WHERE state = 'dead'")
            .await?;
        reckoning.fault_if(!dead.is_empty(), || format!("events given up: {dead:?}"));
        reckoning.figure("events in the inbox", inbox.len());
        reckoning.figure(
            "deliveries of webhooks",
            deliveries.iter().map(|row| row.attempts.len()).sum::<usize>(),
        );
        Ok(())
    }

    /// Each letter once for its cause, by each way, and nobody without those that they deserve.
    async fn reckon_letters(&self, reckoning: &mut Reckoning) -> anyhow::Result<()> {
        let stack = &self.installation.stack;
        let mails = stack.mail.messages();
        let recorded = stack.rows(Letters::BY_MAIL).await?;
        let letters = Letters::read(&recorded, mails.iter().flat_map(Letter::mailed));
        let messages = self.people.iter().flat_map(|person| {
            let theirs = stack.discord.direct_messages(person.user);
            theirs
                .into_iter()
                .map(|message| Letter::direct(message, person.user))
        });
        let recorded = stack.rows(Letters::BY_DISCORD).await?;
        let messages = Letters::read(&recorded, messages);
        for way in [&letters, &messages] {
            reckoning.faults.extend(way.faults.iter().cloned());
        }
        reckoning.fault_if(letters.refused > 0, || {
            format!("{} letters are undeliverable", letters.refused)
        });
        for person in self.people {
            let causes = stack.stripe.read(|world| Causes {
                subscriptions: money::subscriptions(world, &person.email).len(),
                debts: money::debts(world, &person.email),
                pays: !money::deserves(world, &person.email).is_empty(),
            });
            let too_many = [
                letters.too_many(&person.email, causes),
                messages.too_many(&person.user.to_string(), causes),
            ];
            let wrong = too_many.into_iter().flatten();
            reckoning
                .faults
                .extend(wrong.map(|wrong| format!("person {}: {wrong}", person.number)));
            reckoning.fault_if(causes.pays && !letters.has(&person.email, "welcome"), || {
                format!("person {} was never welcomed", person.number)
            });
        }
        reckoning.figure("letters", letters.different());
        reckoning.figure("letters sent again under their id", letters.repeated);
        reckoning.figure("direct messages", messages.different());
        reckoning.figure("direct messages sent again under their id", messages.repeated);
        reckoning.figure("direct messages that somebody could not get", messages.refused);
        Ok(())
    }

    /// No role came or went more often than there was cause for.
    fn reckon_changes(&self, reckoning: &mut Reckoning) {
        let discord = &self.installation.stack.discord;
        let changes = acts::changes(&discord.audit_log());
        for (held, times) in &changes.given {
            let causes = self.ledger.gains(*held);
            reckoning.fault_if(*times > causes, || {
                self.doubled(*held, "given to", *times, causes)
            });
        }
        for (held, times) in &changes.taken {
            let causes = self.ledger.losses(*held);
            reckoning.fault_if(*times > causes, || {
                self.doubled(*held, "taken from", *times, causes)
            });
        }
        let touched = changes.given.keys().chain(changes.taken.keys());
        let foreign: BTreeSet<u64> = touched
            .map(|(_, role)| *role)
            .filter(|role| *role == demo::STAFF_ROLE)
            .collect();
        reckoning.fault_if(!foreign.is_empty(), || "a role of staff's was touched".to_owned());
        let count = |map: &BTreeMap<_, usize>| map.values().sum::<usize>();
        reckoning.figure("roles given", count(&changes.given));
        reckoning.figure("roles taken", count(&changes.taken));
        let redundant = acts::redundant(&discord.requests(), &changes);
        reckoning.figure("role writes that changed nothing", redundant);
    }

    fn doubled(&self, (user, role): Held, done: &str, times: usize, causes: usize) -> String {
        let number = self
            .people
            .iter()
            .find(|person| person.user == user)
            .map(|person| person.number);
        let role = name(role);
        format!("{role} was {done} person {number:?} ({user}) {times} times, with cause for {causes}")
    }

    fn reckon_bots(&self, reckoning: &mut Reckoning) {
        let log = self.installation.stack.discord.requests();
        reckoning
            .faults
            .extend(acts::two_at_once(&log, &self.installation.bots()));
        let refusals = acts::refusals(&log);
        reckoning.figure("requests to Discord", log.len());
        reckoning.figure("refusals by Discord itself", format!("{refusals:?}"));
    }
}

/// The roles that the record has as desired, or as observed.
fn recorded(why: &Value, what: &str) -> BTreeSet<u64> {
    let roles = why.pointer("/guilds/0/roles").and_then(Value::as_array);
    let is = |role: &&Value| role.get(what) == Some(&Value::Bool(true));
    let id = |role: &Value| role.get("role").and_then(Value::as_str)?.parse().ok();
    roles.into_iter().flatten().filter(is).filter_map(id).collect()
}

fn name(role: u64) -> &'static str {
    match role {
        demo::COUNCIL_ROLE => "Council",
        demo::DEBTOR_ROLE => "Debtor",
        demo::STAFF_ROLE => "Staff",
        _ => "another role",
    }
}

fn names(roles: &BTreeSet<u64>) -> String {
    format!("{:?}", roles.iter().map(|role| name(*role)).collect::<Vec<_>>())
}
