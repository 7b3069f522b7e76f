//! A day: people and faults by the plan, then calm, then the reckoning.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use rolecall_sandbox::{
    discord::{demo, gateway::GatewaySwitches},
    stripe::{faults::DeliveryFaults, world::event::DeliveryState},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use crate::{
    chaos::{
        fault::Instance,
        installation::Installation,
        journal::Journal,
        ledger::Ledger,
        mischief, money,
        oracle::{Oracle, Reckoning},
        people::Somebody,
        plan::{Deed, Plan, Size},
    },
    until::until,
};

/// How long after the last fault everything may take to be as it should.
const SETTLED_WITHIN: Duration = Duration::from_secs(90);

/// How long what was begun may take to end once nothing is wrong any more.
const WOUND_UP_WITHIN: Duration = Duration::from_mins(2);

/// How many people sign in and buy at a time, before anything goes wrong.
const AT_A_TIME: usize = 4;

/// What goes wrong with webhooks all day.
const WEBHOOKS: DeliveryFaults = DeliveryFaults {
    drop_percent: 10,
    duplicate_percent: 20,
    copies: 2,
    shuffle_window: 4,
    max_delay_ms: 400,
    lose_event_percent: 0,
};

/// A day under way.
#[derive(Debug)]
pub struct Day {
    installation: Installation,
    people: Vec<Arc<Somebody>>,
    shoppers: JoinSet<anyhow::Result<()>>,
    ledger: Ledger,
    journal: Journal,
}

/// How a day went.
#[derive(Debug)]
pub struct Report {
    /// What was found in the end.
    pub reckoning: Reckoning,
    /// What was done when.
    pub journal: String,
}

impl Day {
    /// Starts an installation and brings in those who pay from the beginning.
    pub async fn begin(name: &str, binaries: &Path, size: Size) -> anyhow::Result<Self> {
        let installation = Installation::start(name, binaries).await?;
        let discord = &installation.stack.discord;
        let everybody = 0..size.residents + size.newcomers;
        let people: anyhow::Result<Vec<_>> = everybody
            .map(|number| Ok(Arc::new(Somebody::arrive(number, discord)?)))
            .collect();
        let mut day = Self {
            people: people?,
            installation,
            shoppers: JoinSet::new(),
            ledger: Ledger::default(),
            journal: Journal::begin(),
        };
        day.settle_residents(size.residents).await?;
        Ok(day)
    }

    async fn settle_residents(&mut self, residents: usize) -> anyhow::Result<()> {
        let public_url = self.installation.stack.public_url().to_owned();
        let mut buying: JoinSet<anyhow::Result<()>> = JoinSet::new();
        for person in self.people.iter().take(residents) {
            if buying.len() >= AT_A_TIME {
                buying.join_next().await.context("nobody buys")???;
            }
            let public_url = public_url.clone();
            let person = Arc::clone(person);
            buying.spawn(async move { person.shop(&public_url).await });
        }
        while let Some(bought) = buying.join_next().await {
            bought??;
        }
        for person in self.people.iter().take(residents) {
            let stack = &self.installation.stack;
            stack
                .wait_for_roles(person.user, &["Council"], SETTLED_WITHIN)
                .await?;
        }
        for number in 0..self.people.len() {
            self.note_deserts(number);
        }
        self.journal
            .note(format!("{residents} people have paid and have their role"));
        Ok(())
    }

    /// Lets the plan happen.
    pub async fn live(&mut self, plan: &Plan) -> anyhow::Result<()> {
        let stripe = &self.installation.stack.stripe;
        stripe.set_delivery_faults(WEBHOOKS, Some(plan.seed));
        let began = Instant::now();
        for step in &plan.steps {
            sleep_until(began + step.at).await;
            let told = self.carry_out(step.deed).await;
            let told = told.with_context(|| step.deed.to_string())?;
            self.journal.note(format!("{}{told}", step.deed));
        }
        Ok(())
    }

    async fn carry_out(&mut self, deed: Deed) -> anyhow::Result<String> {
        match deed {
            Deed::Begin(fault) => mischief::begin(&mut self.installation, fault).await?,
            Deed::End(fault) => mischief::end(&mut self.installation, fault).await?,
            Deed::Money { person, dice, steps } => {
                self.note_deserts(person);
                let somebody = Arc::clone(self.somebody(person)?);
                let ledger = &mut self.ledger;
                let meanwhile = |deserves: &BTreeSet<u64>| ledger.note(somebody.user, deserves);
                // All steps under one lock: nobody can read what was in between.
                let stripe = &self.installation.stack.stripe;
                let told =
                    stripe.with(|world| money::live_on(world, &somebody.email, dice, steps, meanwhile));
                self.note_deserts(person);
                return Ok(match told {
                    Ok(told) => format!(": {}", told.join(", ")),
                    Err(refusal) => format!(": Stripe refuses: {refusal}"),
                });
            }
            Deed::Shop { person } => {
                let public_url = self.installation.stack.public_url().to_owned();
                let person = Arc::clone(self.somebody(person)?);
                self.shoppers.spawn(person.shop_with_patience(public_url));
            }
            Deed::Move { person } => self.leave_or_return(person)?,
            Deed::Favour { person } => self.favour(person)?,
            Deed::Mistake { person } => {
                let user = self.somebody(person)?.user;
                let discord = &self.installation.stack.discord;
                let roles = discord.member_roles(demo::GUILD, user).unwrap_or_default();
                if roles.contains(&demo::COUNCIL_ROLE) {
                    refused(discord.take_role(demo::GUILD, user, demo::COUNCIL_ROLE))?;
                    self.ledger.lost(user, &[demo::COUNCIL_ROLE]);
                }
            }
        }
        Ok(String::new())
    }

    fn somebody(&self, number: usize) -> anyhow::Result<&Arc<Somebody>> {
        self.people
            .get(number)
            .with_context(|| format!("no person {number}"))
    }

    /// Notes what somebody deserves by what Stripe says now.
    fn note_deserts(&mut self, number: usize) {
        if let Some(person) = self.people.get(number) {
            let stripe = &self.installation.stack.stripe;
            let deserves = stripe.read(|world| money::deserves(world, &person.email));
            self.ledger.note(person.user, &deserves);
        }
    }

    fn leave_or_return(&mut self, number: usize) -> anyhow::Result<()> {
        let user = self.somebody(number)?.user;
        let discord = &self.installation.stack.discord;
        if discord.member_roles(demo::GUILD, user).is_some() {
            refused(discord.leave(demo::GUILD, user))?;
            // Whoever leaves loses everything.
            self.ledger.set_foreign(user, BTreeSet::new());
            self.ledger.lost(user, &[demo::COUNCIL_ROLE, demo::DEBTOR_ROLE]);
        } else {
            refused(discord.join(demo::GUILD, user))?;
        }
        Ok(())
    }

    fn favour(&mut self, number: usize) -> anyhow::Result<()> {
        let user = self.somebody(number)?.user;
        let discord = &self.installation.stack.discord;
        let Some(roles) = discord.member_roles(demo::GUILD, user) else {
            return Ok(());
        };
        if roles.contains(&demo::STAFF_ROLE) {
            refused(discord.take_role(demo::GUILD, user, demo::STAFF_ROLE))?;
            self.ledger.set_foreign(user, BTreeSet::new());
        } else {
            refused(discord.give_role(demo::GUILD, user, demo::STAFF_ROLE))?;
            self.ledger.set_foreign(user, BTreeSet::from([demo::STAFF_ROLE]));
        }
        Ok(())
    }

    /// Ends all faults, lets Stripe repeat and the sweeps run, and reckons up.
    pub async fn end(mut self) -> anyhow::Result<Report> {
        let wound_up = timeout(WOUND_UP_WITHIN, self.wind_up()).await;
        if let Err(error) = wound_up.context("nothing is wrong any more, and still it does not end")? {
            let journal = self.journal.text();
            return Err(error.context(format!("the day so far:\n{journal}")));
        }
        let oracle = Oracle {
            installation: &self.installation,
            people: &self.people,
            ledger: &self.ledger,
        };
        let settled = until("what the simulators say", SETTLED_WITHIN, async || {
            Ok(oracle.unsettled().await?.is_empty().then_some(()))
        });
        let mut reckoning = Reckoning::default();
        if settled.await.is_err() {
            oracle.explain(&mut reckoning).await?;
        }
        self.journal.note("settled");
        oracle.reckon(&mut reckoning).await?;
        let deserters = self.installation.deserters();
        reckoning.fault_if(!deserters.is_empty(), || {
            format!("{deserters:?} ended by themselves")
        });
        if reckoning.faults.is_empty() {
            self.installation.stop().await?;
        }
        Ok(Report {
            reckoning,
            journal: self.journal.text(),
        })
    }

    async fn wind_up(&mut self) -> anyhow::Result<()> {
        self.journal.note("all faults end");
        self.installation.clear_the_ways();
        let stack = &self.installation.stack;
        stack.stripe.clear_request_faults();
        stack.stripe.set_delivery_faults(DeliveryFaults::default(), None);
        stack.discord.clear_faults();
        stack.discord.set_gateway(GatewaySwitches::default());
        self.installation.redis.restart().await?;
        self.installation.postgres.restart().await?;
        for instance in Instance::ALL {
            self.installation.signal(instance, "CONT").await?;
            self.installation.occupy(instance)?;
        }
        self.installation.wait_ready().await?;
        self.journal.note("everything is ready");
        while let Some(shopped) = self.shoppers.join_next().await {
            shopped??;
        }
        for number in 0..self.people.len() {
            self.note_deserts(number);
        }
        self.journal.note("everybody has shopped");
        self.repeat_webhooks().await?;
        self.journal.note("all webhooks are delivered");
        self.sweep().await
    }

    /// Stripe repeats for three days what was not taken, which no test waits for. What was dropped it never repeats.
    async fn repeat_webhooks(&self) -> anyhow::Result<()> {
        let stripe = &self.installation.stack.stripe;
        stripe.deliveries_settled(SETTLED_WITHIN).await?;
        let deliveries = stripe.deliveries();
        let failed = deliveries.iter().filter(|row| row.state == DeliveryState::Failed);
        for delivery in failed {
            stripe.resend(&delivery.event)?;
        }
        stripe.deliveries_settled(SETTLED_WITHIN).await?;
        Ok(())
    }

    /// Lets the time pass after which a hint is taken for lost, and runs the sweeps.
    async fn sweep(&mut self) -> anyhow::Result<()> {
        let stack = &self.installation.stack;
        for statement in [
            "UPDATE member_guilds SET send_at = now() WHERE state = 'due' RETURNING user_id",
            "UPDATE inbox SET next_attempt_at = now() WHERE state = 'pending' RETURNING event_id",
            "UPDATE notifications SET send_at = now() WHERE state IN ('due', 'sending') RETURNING id",
            "UPDATE members SET converge_due_at = now() - interval '1 hour' WHERE converge_due_at IS NOT NULL RETURNING id",
        ] {
            let overdue = stack.rows(statement).await?.len();
            self.journal.note(format!("{overdue} rows: {statement}"));
        }
        for job in ["stripe_events_sweep", "due_sweep"] {
            let run = stack.rolecall(&["jobs", "run", job]).await?;
            self.journal.note(format!("{job}: {run}"));
            ensure!(
                run.get("state").is_some_and(|state| state == "succeeded"),
                "{job}: {run}"
            );
        }
        Ok(())
    }
}

/// The simulator's refusal as an error of ours.
fn refused<T, E: std::fmt::Display>(result: Result<T, E>) -> anyhow::Result<T> {
    result.map_err(|error| anyhow::anyhow!("the simulated Discord refuses: {error}"))
}
