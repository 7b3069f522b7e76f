//! Statuses, grace and the letters about it.

use std::time::Duration;

use rolecall_e2e::until::until;
use rolecall_sandbox::stripe::story::Action;

use crate::{
    stories::{Plans, Story},
    support::{AFTER_A_SWEEP, WELCOME, wait_for_mail},
};

#[tokio::test]
async fn every_state_of_a_subscription_gives_what_the_table_of_standings_says() {
    let story = Story::begin("statuses", 1, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    let council: &[&str] = &["Council"];
    story.comes_to("active", council).await;
    for (action, standing, roles) in [
        (Action::PauseCollection, "paused", [].as_slice()),
        (Action::ResumeCollection, "active", council),
        (Action::CancelAtPeriodEnd, "active", council),
        (Action::KeepAfterPeriodEnd, "active", council),
        (Action::Pause, "paused", &[]),
        (Action::Resume, "active", council),
        (Action::FailPayment, "grace", &["Council", "Debtor"]),
        (Action::MarkUnpaid, "grace", &["Council", "Debtor"]),
        (Action::PayOpenInvoice, "active", council),
        (Action::Cancel, "ended", &[]),
    ] {
        story.happens(&subscription, &action);
        story.comes_to(standing, roles).await;
    }
    story.ends().await;
}

#[tokio::test]
async fn grace_ends_by_our_own_clock_and_one_payment_brings_everything_back() {
    let story = Story::begin(
        "grace",
        2,
        &Plans {
            grace: "8s",
            ..Plans::USUAL
        },
    )
    .await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    story.happens(&subscription, &Action::FailPayment);
    story.comes_to("grace", &["Council", "Debtor"]).await;
    // Stripe says nothing more: it goes on trying for weeks.
    story.stack.stripe.hold();
    story
        .is("debtor", &["Debtor"], Duration::from_secs(8) + AFTER_A_SWEEP)
        .await;
    story.stack.stripe.release();
    story.happens(&subscription, &Action::PayOpenInvoice);
    story.comes_to("active", &["Council"]).await;
    wait_for_mail(&story.stack, "Thank you: your payment has arrived").await;
    let letters = story.letters(&[
        WELCOME,
        "Your payment did not go through",
        "Your access has been paused",
        "Thank you: your payment has arrived",
    ]);
    assert_eq!(letters, [1, 1, 1, 1], "each letter comes once");
    story.ends().await;
}

#[tokio::test]
async fn a_card_that_fails_and_is_mended_again_and_again_writes_no_letter_twice() {
    let story = Story::begin("letters", 3, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    for times in 1..=2 {
        story.happens(&subscription, &Action::FailPayment);
        story.happens(&subscription, &Action::FailPayment);
        story.comes_to("grace", &["Council", "Debtor"]).await;
        story.happens(&subscription, &Action::PayOpenInvoice);
        story.comes_to("active", &["Council"]).await;
        until("the thanks", AFTER_A_SWEEP, async || {
            let thanks = story.letters(&["Thank you: your payment has arrived"]);
            Ok((thanks == [times]).then_some(()))
        })
        .await
        .unwrap();
        // Debts are told apart by when they began.
        story.another_second().await;
        assert_eq!(story.letters(&["Your payment did not go through"]), [times]);
    }
    assert_eq!(story.letters(&[WELCOME]), [1]);
    story.ends().await;
}
