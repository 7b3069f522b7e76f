//! The people of a day: who they are, how they come in, and what of their ways the plan leaves open.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use rolecall_sandbox::discord;
use tokio::time::{Instant, sleep};

use crate::person::Person;

/// How long somebody with patience tries to buy, and how long they wait after a failure.
const PATIENCE: Duration = Duration::from_secs(90);
const ANNOYANCE: Duration = Duration::from_millis(500);

/// Somebody with a Discord account.
#[derive(Debug, Clone)]
pub struct Somebody {
    /// Their number in the plan.
    pub number: usize,
    /// Their Discord account.
    pub user: u64,
    /// Their address.
    pub email: String,
    person: Person,
}

impl Somebody {
    /// Makes an account in the simulated Discord.
    pub fn arrive(number: usize, discord: &discord::Simulator) -> anyhow::Result<Self> {
        let email = format!("person{number}@example.test");
        let made = discord.add_user(&format!("person{number}"), Some(&email), true);
        Ok(Self {
            number,
            user: made.map_err(|error| anyhow::anyhow!("{error}"))?,
            email,
            person: Person::new()?,
        })
    }

    /// Signs in and buys.
    pub async fn shop(&self, public_url: &str) -> anyhow::Result<()> {
        self.person.sign_in(public_url, self.user, "/dashboard").await?;
        self.person.buy(public_url, "council", &self.email).await?;
        Ok(())
    }

    /// Tries to buy until they have come to pay: what follows then is none of theirs to do.
    pub async fn shop_with_patience(self: Arc<Self>, public_url: String) -> anyhow::Result<()> {
        let give_up = Instant::now() + PATIENCE;
        loop {
            match self.try_to_pay(&public_url).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > give_up => {
                    return Err(error).with_context(|| format!("person {} lost patience", self.number));
                }
                Err(_) => sleep(ANNOYANCE).await,
            }
        }
    }

    async fn try_to_pay(&self, public_url: &str) -> anyhow::Result<()> {
        self.person.sign_in(public_url, self.user, "/dashboard").await?;
        let plans = self.person.open(&format!("{public_url}/plans")).await?;
        let checkout = self
            .person
            .submit(&plans, &plans.form_where("plan", "council")?)
            .await?;
        let pay = checkout
            .form_with("card")?
            .with("email", &self.email)
            .with("card", "works");
        // The landing page behind it may fail: the money is on its way all the same.
        let _ = self.person.submit(&checkout, &pay).await;
        Ok(())
    }
}
