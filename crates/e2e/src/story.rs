//! The main story: somebody pays, fails, pays again and leaves, and has the right roles all along.

use std::time::Duration;

use anyhow::{Context, bail};
use rolecall_sandbox::discord::demo;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    person::Person,
    stack::Stack,
    timeline::{Step, Timeline},
    until::until,
};

/// Ada, who exists in the simulated Discord from the start and is not in the server.
pub const ADA: u64 = demo::OWNER + 1;
/// The address on her Discord account.
pub const ADA_EMAIL: &str = "ada@example.test";

/// Within this a person sees what they paid for.
const SOON: Duration = Duration::from_secs(10);

/// Walks the story and tells how it went. Ends with the first step that goes wrong.
pub async fn walk(stack: &Stack) -> anyhow::Result<Timeline> {
    let mut telling = Telling {
        stack,
        person: Person::new()?,
        timeline: Timeline::default(),
    };
    let public_url = stack.public_url();
    let told: anyhow::Result<()> = async {
        let since = Instant::now();
        telling.person.sign_in(public_url, ADA, "/dashboard").await?;
        telling.step("signs in with Discord", since, None, "").await?;

        let since = Instant::now();
        telling.person.buy(public_url, "council", ADA_EMAIL).await?;
        telling
            .step(
                "buys a plan at Stripe, and is in the server",
                since,
                Some(&["Council"]),
                "active",
            )
            .await?;
        let subscription = subscription(stack)?;

        let since = Instant::now();
        stack.stripe.fail_payment(&subscription)?;
        telling
            .step(
                "the card fails: Debtor, access stays",
                since,
                Some(&["Council", "Debtor"]),
                "grace",
            )
            .await?;

        let since = Instant::now();
        stack.stripe.pay_open_invoice(&subscription)?;
        telling
            .step("pays: Debtor goes", since, Some(&["Council"]), "active")
            .await?;

        let since = Instant::now();
        stack.stripe.cancel(&subscription)?;
        telling
            .step("cancels: access goes", since, Some(&[]), "ended")
            .await
    }
    .await;
    if let Err(error) = told {
        telling.fail(&error);
    }
    Ok(telling.timeline)
}

/// The subscription that was bought last.
pub fn subscription(stack: &Stack) -> anyhow::Result<String> {
    let newest = stack
        .stripe
        .read(|world| world.subscriptions.rows().last().map(|row| row.id.clone()));
    newest.context("the simulated Stripe has no subscription")
}

struct Telling<'a> {
    stack: &'a Stack,
    person: Person,
    timeline: Timeline,
}

impl Telling<'_> {
    /// Waits until server, command line and dashboard say what they should, and notes how long it took.
    async fn step(
        &mut self,
        title: &str,
        since: Instant,
        roles: Option<&[&str]>,
        standing: &str,
    ) -> anyhow::Result<()> {
        let mut step = Step {
            title: title.to_owned(),
            took: Duration::ZERO,
            roles: Vec::new(),
            fault: None,
        };
        let checked = self.check(roles, standing, since, &mut step).await;
        if let Err(error) = &checked {
            step.fault = Some(format!("{error:#}"));
        }
        self.timeline.steps.push(step);
        checked
    }

    async fn check(
        &self,
        roles: Option<&[&str]>,
        standing: &str,
        since: Instant,
        step: &mut Step,
    ) -> anyhow::Result<()> {
        if let Some(roles) = roles {
            self.stack.wait_for_roles(ADA, roles, SOON).await?;
            step.took = since.elapsed();
            step.roles = roles.iter().map(|role| (*role).to_owned()).collect();
            let why = until("the record says the same", SOON, async || {
                let why = self.stack.rolecall(&["why", &ADA.to_string()]).await?;
                let state = why.pointer("/guilds/0/state").and_then(Value::as_str);
                Ok((state == Some("in_sync")).then_some(why))
            });
            agree(&why.await?, roles, standing)?;
        }
        let dashboard = until("the dashboard says the same", SOON, async || {
            let page = self
                .person
                .open(&format!("{}/dashboard", self.stack.public_url()))
                .await?;
            let text = page.text();
            let shown = roles.unwrap_or_default().iter().all(|role| text.contains(role));
            Ok((page.status.is_success() && shown).then_some(()))
        });
        dashboard.await?;
        if roles.is_none() {
            step.took = since.elapsed();
        }
        Ok(())
    }

    /// Notes a step that went wrong before it could be checked.
    fn fail(&mut self, error: &anyhow::Error) {
        if self.timeline.is_good() || self.timeline.steps.is_empty() {
            let fault = Some(format!("{error:#}"));
            let title = "could not go on".to_owned();
            self.timeline.steps.push(Step {
                title,
                took: Duration::ZERO,
                roles: Vec::new(),
                fault,
            });
        }
    }
}

/// Errs unless the record has the standing and exactly these roles, desired and seen.
fn agree(why: &Value, roles: &[&str], standing: &str) -> anyhow::Result<()> {
    let said = why.get("standing").and_then(Value::as_str).unwrap_or("none");
    if said != standing {
        bail!("the standing is {said}, expected {standing}");
    }
    let entries = why.pointer("/guilds/0/roles").and_then(Value::as_array);
    let is = |role: &Value, what: &str| role.get(what) == Some(&Value::Bool(true));
    let desired = entries
        .into_iter()
        .flatten()
        .filter(|role| is(role, "desired") && is(role, "observed"))
        .count();
    if desired != roles.len() {
        bail!(
            "the record has {desired} roles, the server {}: {why}",
            roles.len()
        );
    }
    Ok(())
}
