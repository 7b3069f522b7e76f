//! Money that goes back, and money that is fought over.

use rolecall_sandbox::stripe::{
    story::Action,
    world::dispute::{DisputeReason, DisputeStatus},
};

use crate::stories::{Plans, Story};

#[tokio::test]
async fn a_part_of_the_money_back_changes_nothing_and_all_of_it_ends_what_it_paid_for() {
    let story = Story::begin("refund", 8, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    story.happens(&subscription, &Action::RefundPart { amount: 900 });
    story.comes_to("active", &["Council"]).await;
    story.happens(&subscription, &Action::RefundLatest);
    story.comes_to("ended", &[]).await;
    // Periods are told apart by when they end.
    story.another_second().await;
    story.happens(&subscription, &Action::Renew);
    story.comes_to("active", &["Council"]).await;
    story.ends().await;
}

#[tokio::test]
async fn a_dispute_holds_what_it_is_about_a_won_one_restores_it_and_a_lost_one_ends_it() {
    let story = Story::begin("dispute", 9, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    for (to, standing, roles) in [
        (DisputeStatus::Won, "active", ["Council"].as_slice()),
        (DisputeStatus::Lost, "ended", &[]),
    ] {
        // Each period is paid for, and fought over, on its own.
        story.another_second().await;
        story.happens(&subscription, &Action::Renew);
        let dispute = Action::Dispute {
            reason: DisputeReason::default(),
            inquiry: false,
        };
        story.happens(&subscription, &dispute);
        story.comes_to("grace", &["Council", "Debtor"]).await;
        story.happens(&subscription, &Action::SubmitEvidence);
        story.happens(&subscription, &Action::MoveDispute { to });
        story.comes_to(standing, roles).await;
    }
    story.ends().await;
}
