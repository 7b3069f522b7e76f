//! A stack per test, and a paying member.

use std::time::Duration;

use rolecall_e2e::{
    machine::Machine,
    person::Person,
    stack::{Stack, StackOptions},
    story::{ADA, ADA_EMAIL, subscription},
    until::until,
};
use rolecall_sandbox::mail::message::Message;
use serde_json::Value;

/// Within this everything that needs no sweep has happened.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// Within this a sweep has run, and what it gave cause to has happened.
pub(crate) const AFTER_A_SWEEP: Duration = Duration::from_mins(1);

/// The subject of the first mail.
pub(crate) const WELCOME: &str = "Welcome: your membership has begun";

/// A stack of its own for the test with this name.
pub(crate) async fn stack(name: &str) -> Stack {
    start(StackOptions::named(&format!("rolecall_{name}"))).await
}

/// A stack with options.
pub(crate) async fn start(options: StackOptions) -> Stack {
    let machine = Machine::find().expect("run the tests through `cargo xtask test`");
    Stack::start(&machine, options).await.expect("the stack starts")
}

/// Ada, signed in and paying, with her role; and her subscription.
pub(crate) async fn paying_member(stack: &Stack) -> (Person, String) {
    let person = Person::new().unwrap();
    person
        .sign_in(stack.public_url(), ADA, "/dashboard")
        .await
        .unwrap();
    person
        .buy(stack.public_url(), "council", ADA_EMAIL)
        .await
        .unwrap();
    stack.wait_for_roles(ADA, &["Council"], SOON).await.unwrap();
    let subscription = subscription(stack).unwrap();
    (person, subscription)
}

/// The mails with this subject.
pub(crate) fn mails(stack: &Stack, subject: &str) -> Vec<Message> {
    let messages = stack.mail.messages();
    messages
        .into_iter()
        .filter(|message| message.subject == subject)
        .collect()
}

/// Waits for a mail with this subject, and returns all of them.
pub(crate) async fn wait_for_mail(stack: &Stack, subject: &str) -> Vec<Message> {
    until("a mail", AFTER_A_SWEEP, async || {
        let found = mails(stack, subject);
        Ok((!found.is_empty()).then_some(found))
    })
    .await
    .unwrap()
}

/// Waits until `rolecall why` says something about Ada.
pub(crate) async fn wait_for_why(
    stack: &Stack,
    what: &str,
    limit: Duration,
    says: impl Fn(&Value) -> bool,
) -> Value {
    let found = until(what, limit, async || {
        let why = stack.rolecall(&["why", &ADA.to_string()]).await?;
        Ok(says(&why).then_some(why))
    });
    match found.await {
        Ok(why) => why,
        Err(error) => panic!(
            "{error:#}; the record says {:#}",
            stack.rolecall(&["why", &ADA.to_string()]).await.unwrap()
        ),
    }
}

/// Waits until Ada's roles in the record are what they are in the server.
pub(crate) async fn wait_in_sync(stack: &Stack) -> Value {
    wait_for_why(stack, "in sync", SOON, |why| {
        why["guilds"][0]["state"] == "in_sync"
    })
    .await
}
