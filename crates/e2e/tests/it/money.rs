//! What is paid becomes what a person has, in whatever order and number the news of it comes.

use rolecall_e2e::{
    person::Person,
    story::{self, ADA, ADA_EMAIL},
};
use rolecall_sandbox::stripe::faults::DeliveryFaults;

use crate::support::{SOON, WELCOME, mails, paying_member, stack, wait_for_mail, wait_in_sync};

#[tokio::test]
async fn a_payment_becomes_a_role_and_the_role_follows_every_change() {
    let stack = stack("story").await;
    let timeline = story::walk(&stack).await.unwrap();
    assert!(timeline.is_good(), "\n{}", timeline.text());
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn the_welcome_comes_once_and_links_the_dashboard() {
    let stack = stack("welcome").await;
    let (_, subscription) = paying_member(&stack).await;
    stack.stripe.fail_payment(&subscription).unwrap();
    stack
        .wait_for_roles(ADA, &["Council", "Debtor"], SOON)
        .await
        .unwrap();
    stack.stripe.pay_open_invoice(&subscription).unwrap();
    stack.wait_for_roles(ADA, &["Council"], SOON).await.unwrap();
    // The last letter of this story; each one comes once.
    let thanks = wait_for_mail(&stack, "Thank you: your payment has arrived").await;
    let messages = wait_for_mail(&stack, WELCOME).await;
    assert_eq!((thanks.len(), messages.len()), (1, 1), "{messages:?}");
    let message = format!("{:?}", messages[0]);
    assert!(
        message.contains(ADA_EMAIL) && message.contains("/dashboard"),
        "{message}"
    );
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn events_that_come_shuffled_tripled_and_late_end_in_the_same_roles() {
    let stack = stack("shuffled").await;
    let faults = DeliveryFaults {
        duplicate_percent: 100,
        copies: 3,
        shuffle_window: 6,
        max_delay_ms: 50,
        ..DeliveryFaults::default()
    };
    stack.stripe.set_delivery_faults(faults, Some(7));
    let (_, subscription) = paying_member(&stack).await;
    for _ in 0..3 {
        stack.stripe.fail_payment(&subscription).unwrap();
        stack.stripe.pay_open_invoice(&subscription).unwrap();
    }
    stack.stripe.fail_payment(&subscription).unwrap();
    stack.stripe.deliveries_settled(SOON).await.unwrap();
    stack
        .wait_for_roles(ADA, &["Council", "Debtor"], SOON)
        .await
        .unwrap();
    let why = wait_in_sync(&stack).await;
    assert_eq!(why["standing"], "grace");
    assert_eq!(mails(&stack, WELCOME).len(), 1);
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_purchase_whose_webhooks_are_all_lost_is_given_by_the_landing_page() {
    let stack = stack("lost").await;
    stack.stripe.set_delivery_faults(
        DeliveryFaults {
            drop_percent: 100,
            ..DeliveryFaults::default()
        },
        Some(1),
    );
    paying_member(&stack).await;
    assert_eq!(wait_in_sync(&stack).await["standing"], "active");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_browser_shows_the_same_membership() {
    let stack = stack("browsers").await;
    paying_member(&stack).await;
    let elsewhere = Person::new().unwrap();
    let dashboard = elsewhere
        .sign_in(stack.public_url(), ADA, "/dashboard")
        .await
        .unwrap();
    assert!(dashboard.text().contains("Council"), "{}", dashboard.text());
    stack.stop().await.unwrap();
}
