//! S8: what Stripe could not deliver is found by the sweep.

use rolecall_e2e::story::ADA;
use rolecall_sandbox::stripe::faults::DeliveryFaults;

use crate::support::{SOON, paying_member, stack, wait_in_sync};

#[tokio::test]
async fn an_end_that_no_webhook_told_is_found_by_the_sweep_that_staff_asks_for() {
    let stack = stack("sweep").await;
    let (_, subscription) = paying_member(&stack).await;
    wait_in_sync(&stack).await;
    let lost = DeliveryFaults {
        drop_percent: 100,
        ..DeliveryFaults::default()
    };
    stack.stripe.set_delivery_faults(lost, Some(1));
    stack.stripe.cancel(&subscription).unwrap();
    stack.stripe.deliveries_settled(SOON).await.unwrap();
    let run = stack
        .rolecall(&["jobs", "run", "stripe_events_sweep"])
        .await
        .unwrap();
    assert_eq!(run["state"], "succeeded");
    let outcome = run["outcome"].as_str().unwrap();
    assert!(
        outcome.contains(" taken in") && !outcome.contains(" 0 taken in"),
        "{outcome}"
    );
    stack.wait_for_roles(ADA, &[], SOON).await.unwrap();
    // All that came in took effect.
    let dead = stack
        .rolecall(&["events", "list", "--state", "dead"])
        .await
        .unwrap();
    assert_eq!(dead, serde_json::json!([]));
    let again = stack
        .rolecall(&["jobs", "run", "stripe_events_sweep"])
        .await
        .unwrap();
    assert!(
        again["outcome"].as_str().unwrap().contains(" 0 missing"),
        "{again}"
    );
    stack.stop().await.unwrap();
}
