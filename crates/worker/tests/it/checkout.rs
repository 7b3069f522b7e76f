//! A purchase finds its buyer: by metadata, by the session that we opened, whoever is first to know.

use std::sync::Arc;

use rolecall_sandbox::stripe::world::{Metadata, customer::Card};
use rolecall_stripe::client::checkout::Buyer;
use rolecall_worker::sync::{Hint, sync_subscription};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{
    World,
    plans::{COUNCIL, PATRON, member_role, patron_role},
    soon,
};

#[tokio::test]
async fn a_stranger_s_subscription_is_kept_and_linked_once_its_metadata_tells() {
    let world = World::start().await;
    let (person, stranger) = (world.person().await, world.unlinked().await);
    let bought = world
        .stripe
        .seed_subscription(&stranger.email, Card::Works, COUNCIL, 1, Metadata::new())
        .unwrap();
    world.follow().await;
    let stored = world.rows("SELECT to_jsonb(t) FROM subscriptions t").await;
    assert_eq!((stored.len(), &stored[0]["member_id"]), (1, &json!(null)));
    assert!(world.notifications().await.is_empty());

    let named = |row: &mut rolecall_sandbox::stripe::world::subscription::Subscription| {
        row.metadata
            .insert("rolecall_member_id".to_owned(), person.id.to_string());
    };
    world
        .stripe
        .with(|stripe| stripe.change_subscription(&bought, named))
        .unwrap();
    world.follow().await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.mail.messages().len(), 1);
}

#[tokio::test]
async fn metadata_that_names_nobody_links_nobody() {
    let world = World::start().await;
    for (n, name) in ["0191e3a0-0000-7000-8000-000000000001", "me", ""]
        .into_iter()
        .enumerate()
    {
        let metadata = Metadata::from([("rolecall_member_id".to_owned(), name.to_owned())]);
        let email = format!("nobody{n}@example.com");
        world
            .stripe
            .seed_subscription(&email, Card::Works, COUNCIL, 1, metadata)
            .unwrap();
    }
    world.follow().await;
    let stored = world
        .rows("SELECT to_jsonb(t) FROM subscriptions t WHERE member_id IS NULL")
        .await;
    assert_eq!(stored.len(), 3);
}

#[tokio::test]
async fn a_checkout_also_links_what_its_customer_bought_before_anybody_knew_whose_it_is() {
    let world = World::start().await;
    let person = world.person().await;
    let before = world
        .stripe
        .seed_subscription(&person.email, Card::Works, COUNCIL, 1, Metadata::new())
        .unwrap();
    world.follow().await;
    assert!(world.subscriptions(&person).await.is_empty());

    let customer = world
        .stripe
        .read(|stripe| stripe.subscription(&before).unwrap().customer.clone());
    let session = world
        .open_checkout(&person, Buyer::Customer(customer.parse().unwrap()))
        .await;
    world.pay(&person, &session);
    world.come_back(&session).await;
    world.settle().await;
    let ids: Vec<String> = world
        .subscriptions(&person)
        .await
        .iter()
        .map(|row| row.facts.id.to_string())
        .collect();
    assert!(ids.len() == 2 && ids.contains(&before), "{ids:?}");
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(
        world.mail.messages().len(),
        2,
        "one welcome for each subscription"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_landing_page_and_every_event_at_once_fulfil_a_purchase_once() {
    let world = Arc::new(World::start().await);
    for round in 0..5 {
        let person = world.person().await;
        let session = world
            .open_checkout(&person, Buyer::Email(person.email.clone()))
            .await;
        world.pay(&person, &session);
        let mut set = JoinSet::new();
        for event in world.new_events() {
            let world = Arc::clone(&world);
            set.spawn(async move { world.deliver(&event).await });
        }
        let page = Arc::clone(&world);
        set.spawn(async move {
            page.come_back(&session).await;
            Ok(())
        });
        for result in soon(set.join_all()).await {
            result.unwrap();
        }
        world.settle().await;
        assert_eq!(world.roles(&person), [member_role()].into());
        assert_eq!(world.mail.messages().len(), round + 1);
    }
}

#[tokio::test]
async fn it_makes_no_difference_which_of_a_customer_s_subscriptions_names_somebody() {
    let world = World::start().await;
    for is_named_first in [true, false] {
        let person = world.person().await;
        let (named, nameless) = (world.buy(&person, COUNCIL), world.buy(&person, PATRON));
        world.same_customer(&named, &nameless);
        world.forget_name(&nameless);
        world.new_events();
        let order = if is_named_first {
            [&named, &nameless]
        } else {
            [&nameless, &named]
        };
        for subscription in order {
            let id = subscription.parse().unwrap();
            let hint = Hint::seen(chrono::DateTime::<chrono::Utc>::MAX_UTC);
            sync_subscription(&world.worker, &id, hint).await.unwrap();
        }
        world.settle().await;
        assert_eq!(
            world.roles(&person),
            [member_role(), patron_role()].into(),
            "the one with a name first: {is_named_first}"
        );
    }
}
