//! Several subscriptions and purchases of one person, and what stays when one of them ends.

use rolecall_sandbox::stripe::story::Action;

use crate::stories::{PATRON, Plans, Story};

#[tokio::test]
async fn the_end_of_one_subscription_takes_only_what_nothing_else_gives() {
    let story = Story::begin("union", 4, &Plans::USUAL).await;
    let council = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    let patron = story.is_sold(PATRON);
    story.comes_to("active", &["Council", "Introduced"]).await;
    story.happens(&council, &Action::Cancel);
    story.comes_to("active", &["Council", "Introduced"]).await;
    let again = story.is_sold("price_council_yearly");
    story.happens(&patron, &Action::Cancel);
    story.comes_to("active", &["Council"]).await;
    story.happens(&again, &Action::Cancel);
    story.comes_to("ended", &[]).await;
    story.ends().await;
}

#[tokio::test]
async fn a_failed_card_on_one_subscription_does_not_hide_that_another_is_paid() {
    let story = Story::begin("two_cards", 5, &Plans::USUAL).await;
    let council = story.buys("council").await;
    story.is_sold(PATRON);
    story.comes_to("active", &["Council", "Introduced"]).await;
    story.happens(&council, &Action::FailPayment);
    story.happens(&council, &Action::MarkUnpaid);
    story.happens(&council, &Action::Cancel);
    story.comes_to("active", &["Council", "Introduced"]).await;
    story.ends().await;
}

#[tokio::test]
async fn whoever_was_a_member_is_an_alumnus_where_the_plan_says_so_and_a_member_again_after_buying_anew() {
    let story = Story::begin(
        "alumni",
        6,
        &Plans {
            end: "alumni",
            ..Plans::USUAL
        },
    )
    .await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    story.happens(&subscription, &Action::Cancel);
    story.comes_to("ended", &["Introduced"]).await;
    story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    story.ends().await;
}

#[tokio::test]
async fn a_plan_changed_in_stripes_dashboard_is_what_the_person_has() {
    let story = Story::begin("switch", 7, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    let up = Action::SetPrice {
        price: PATRON.to_owned(),
    };
    story.happens(&subscription, &up);
    story.comes_to("active", &["Council", "Introduced"]).await;
    let down = Action::SetPrice {
        price: "price_council_yearly".to_owned(),
    };
    story.happens(&subscription, &down);
    story.happens(&subscription, &Action::SetQuantity { quantity: 3 });
    story.comes_to("active", &["Council"]).await;
    let me = story.stack.rows("SELECT quantity::text FROM subscriptions").await;
    assert_eq!(me.unwrap(), ["3"], "the count follows the dashboard");
    story.ends().await;
}
