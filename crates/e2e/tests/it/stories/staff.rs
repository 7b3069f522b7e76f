//! What staff decides: plans without payment, and what each standing means.

use std::time::Duration;

use rolecall_e2e::{person::Person, story::ADA};
use rolecall_sandbox::stripe::story::Action;

use crate::{
    stories::{BEN, PATRON, Plans, Story},
    support::AFTER_A_SWEEP,
};

#[tokio::test]
async fn what_staff_gives_survives_every_sync_and_ends_by_itself() {
    let story = Story::begin("grant", 14, &Plans::USUAL).await;
    let subscription = story.buys("patron").await;
    story.comes_to("active", &["Council", "Introduced"]).await;
    let (ada, lasting) = (ADA.to_string(), Duration::from_secs(20));
    story
        .stack
        .rolecall(&[
            "grants",
            "add",
            &ada,
            "council",
            "--reason",
            "speaker of the month",
            "--for",
            "20s",
        ])
        .await
        .unwrap();
    story.happens(&subscription, &Action::Cancel);
    story.comes_to("active", &["Council"]).await;
    let again = story.is_sold(PATRON);
    story.comes_to("active", &["Council", "Introduced"]).await;
    story.happens(&again, &Action::Cancel);
    story.is("ended", &[], lasting + AFTER_A_SWEEP).await;
    story.ends().await;
}

#[tokio::test]
async fn a_policy_reaches_everybody_it_concerns_as_soon_as_it_is_in_force() {
    let story = Story::begin("policy", 15, &Plans::USUAL).await;
    let subscription = story.buys("council").await;
    story.comes_to("active", &["Council"]).await;
    story.happens(&subscription, &Action::FailPayment);
    story.comes_to("grace", &["Council", "Debtor"]).await;
    let path = story.stack.folder().join("policy.toml");
    let path = path.to_string_lossy();
    let arguments = ["policy", "set", &path, "--reason", "no more credit"];
    std::fs::write(&*path, "[standings.grace]\naccess = false\n").unwrap();
    // Ada is the only one who has anything to lose.
    let refused = story.stack.run(&arguments).await.unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && words.contains("lock everybody out: of 1"),
        "{words}"
    );
    let ben = Person::new().unwrap();
    ben.sign_in(story.stack.public_url(), BEN, "/dashboard")
        .await
        .unwrap();
    story.pays(&ben, "council", "price_council_monthly", "5555").await;
    story
        .stack
        .wait_for_roles(BEN, &["Council"], AFTER_A_SWEEP)
        .await
        .unwrap();
    let dry = [&arguments[..], &["--dry-run"]].concat();
    story.stack.rolecall(&dry).await.unwrap();
    story.is("grace", &["Council", "Debtor"], AFTER_A_SWEEP).await;
    story.stack.rolecall(&arguments).await.unwrap();
    story.is("grace", &["Debtor"], AFTER_A_SWEEP).await;
    std::fs::write(&*path, "").unwrap();
    story.stack.rolecall(&arguments).await.unwrap();
    story.is("grace", &["Council", "Debtor"], AFTER_A_SWEEP).await;
    assert_eq!(
        story.stack.roles_of(BEN),
        Some(vec!["Council"]),
        "he has paid all along"
    );
    story.ends().await;
}
