//! Buying: once for life, on trial, a second time, and another plan than before.

use rolecall_e2e::{person::Person, story::ADA, until::until};
use rolecall_sandbox::stripe::story::Action;

use crate::{
    stories::{BEN, FOR_LIFE, PATRON, Plans, Story},
    support::{AFTER_A_SWEEP, wait_for_mail},
};

impl Story {
    /// How the newest subscription at Stripe stands.
    fn status(&self) -> String {
        let id = rolecall_e2e::story::subscription(&self.stack).unwrap();
        self.stack.stripe.object(&id).unwrap()["status"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}

#[tokio::test]
async fn what_is_paid_once_for_life_stays_until_its_money_goes_back() {
    let story = Story::begin("for_life", 10, &Plans::USUAL).await;
    let page = story.pays(&story.ada, "council", FOR_LIFE, "4242").await;
    page.expect(&format!("{}/checkout/success", story.stack.public_url()))
        .unwrap();
    story.comes_to("active", &["Council"]).await;
    // A subscription beside it comes and goes.
    story.pays(&story.ada, "patron", PATRON, "4242").await;
    story.comes_to("active", &["Council", "Introduced"]).await;
    let patron = rolecall_e2e::story::subscription(&story.stack).unwrap();
    story.happens(&patron, &Action::Cancel);
    story.comes_to("active", &["Council"]).await;
    let charge = story.stack.stripe.read(|world| {
        let mut paid = world.charges.rows().iter();
        paid.rfind(|charge| charge.amount == 99_000).unwrap().id.clone()
    });
    story.stack.stripe.refund(&charge, None).unwrap();
    story.comes_to("ended", &[]).await;
    story.ends().await;
}

#[tokio::test]
async fn free_days_come_once_for_each_account_and_once_for_each_card() {
    let story = Story::begin(
        "trials",
        11,
        &Plans {
            trial_days: 7,
            ..Plans::USUAL
        },
    )
    .await;
    story.pays(&story.ada, "patron", PATRON, "4444").await;
    story.comes_to("trial", &["Council", "Introduced"]).await;
    let first = rolecall_e2e::story::subscription(&story.stack).unwrap();
    story.happens(&first, &Action::Cancel);
    story.comes_to("ended", &[]).await;
    story.pays(&story.ada, "patron", PATRON, "4444").await;
    story.comes_to("active", &["Council", "Introduced"]).await;
    assert_eq!(
        story.status(),
        "active",
        "the same account pays from the first day"
    );

    // Somebody else with the same card: nobody can know before they have paid.
    let ben = Person::new().unwrap();
    ben.sign_in(story.stack.public_url(), BEN, "/dashboard")
        .await
        .unwrap();
    story.pays(&ben, "patron", PATRON, "4444").await;
    until("the end of the second trial", AFTER_A_SWEEP, async || {
        Ok((story.status() == "active").then_some(()))
    })
    .await
    .unwrap();
    wait_for_mail(&story.stack, "Your free days had been used before").await;
    story
        .stack
        .wait_for_roles(BEN, &["Council", "Introduced"], AFTER_A_SWEEP)
        .await
        .unwrap();
    story.ends().await;
}

#[tokio::test]
async fn a_second_purchase_of_the_same_warns_first_and_is_made_all_the_same() {
    let story = Story::begin("twice", 12, &Plans::USUAL).await;
    let first = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    let plans = story
        .ada
        .open(&format!("{}/plans", story.stack.public_url()))
        .await
        .unwrap();
    let form = plans.form_where("plan", "council").unwrap();
    let warning = story.ada.submit(&plans, &form).await.unwrap();
    assert!(
        warning.text().contains("You already have Council member"),
        "{}",
        warning.text()
    );
    let again = warning.form_with("again").unwrap();
    let checkout = story.ada.submit(&warning, &again).await.unwrap();
    story.fills_in(&story.ada, &checkout, "4242").await;
    story.comes_to("active", &["Council"]).await;
    let second = rolecall_e2e::story::subscription(&story.stack).unwrap();
    assert_ne!(first, second);
    story.happens(&first, &Action::Cancel);
    story.comes_to("active", &["Council"]).await;
    story.ends().await;
}

#[tokio::test]
async fn a_plan_is_changed_on_the_pages_for_the_sum_that_was_shown() {
    let story = Story::begin("change", 13, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    let url = format!(
        "{}/billing/change?subscription={subscription}",
        story.stack.public_url()
    );
    let choice = story.ada.open(&url).await.unwrap();
    let form = choice
        .form_with("choice")
        .unwrap()
        .with("choice", &format!("patron/{PATRON}"));
    let preview = story.ada.submit(&choice, &form).await.unwrap();
    let words = preview.text();
    assert!(
        words.contains("Change to Patron?") && words.contains("Nothing has been changed or charged yet"),
        "{words}"
    );
    let confirm = preview.form_with("amount_due").unwrap();
    story.ada.submit(&preview, &confirm).await.unwrap();
    story.comes_to("active", &["Council", "Introduced"]).await;
    let bought = rolecall_e2e::story::subscription(&story.stack).unwrap();
    assert_eq!(bought, subscription, "it is the same subscription");
    let why = story.stack.rolecall(&["why", &ADA.to_string()]).await.unwrap();
    assert!(why.to_string().contains("patron"), "{why:#}");
    story.ends().await;
}
