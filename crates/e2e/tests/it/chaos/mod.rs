//! Bad days in short, by fixed seeds; and one fault at a time, where a day is too blunt to show what must hold.

mod bots;
mod days;
mod postgres;
mod redis;

use std::time::Duration;

use rolecall_e2e::{
    stack::{Stack, StackOptions},
    story::ADA,
    until::until,
};

use crate::support::{SOON, wait_for_why};

/// Within this everything has been done after an outage that was over: what was said to nobody meanwhile, the sweeper
/// says again.
const RECOVERED: Duration = Duration::from_mins(1);

/// Options under which a failed attempt is soon followed by the next.
fn impatient(name: &str) -> StackOptions {
    StackOptions::named(&format!("rolecall_{name}")).with("JOB_RETRY_SCHEDULE", "200ms,500ms,1s,2s")
}

/// Ada's card fails, or she pays what she owes: whichever is next. Returns the roles that follow.
fn flip(stack: &Stack, subscription: &str) -> &'static [&'static str] {
    let owes = stack
        .stripe
        .read(|world| world.open_invoice(subscription))
        .unwrap();
    if owes.is_some() {
        stack.stripe.pay_open_invoice(subscription).unwrap();
        &["Council"]
    } else {
        stack.stripe.fail_payment(subscription).unwrap();
        &["Council", "Debtor"]
    }
}

/// Waits until the server, the record and the inbox agree with Stripe, and checks that nothing was given up.
async fn assert_caught_up(stack: &Stack, roles: &[&str]) {
    stack.stripe.deliveries_settled(RECOVERED).await.unwrap();
    stack.wait_for_roles(ADA, roles, RECOVERED).await.unwrap();
    wait_for_why(stack, "in sync", RECOVERED, |why| {
        why["guilds"][0]["state"] == "in_sync"
    })
    .await;
    let events = stack.stripe.events().len();
    until("every event done, once", RECOVERED, async || {
        let done = "SELECT event_id FROM inbox WHERE state IN ('done', 'ignored')";
        Ok((stack.rows(done).await?.len() == events).then_some(()))
    })
    .await
    .unwrap();
    let given_up = stack
        .rows("SELECT event_id FROM inbox WHERE state = 'dead'")
        .await;
    assert_eq!(given_up.unwrap(), Vec::<String>::new());
    stack.mail.wait_for(1, SOON).await.expect("the welcome");
    let letters = stack.mail.messages();
    let welcomes = letters
        .iter()
        .filter(|letter| letter.subject.starts_with("Welcome"));
    assert_eq!(welcomes.count(), 1, "one welcome");
}
