//! The full sweep finds purchases, refunds and disputes of which no event ever told.

use rolecall_db::reconcile_runs::RunState;
use rolecall_sandbox::stripe::{PriceSeed, faults::FaultKind, story::Action, world::dispute::DisputeReason};
use rolecall_stripe::client::checkout::{Buyer, Purchase};

use crate::{
    reconcile::Ask,
    support::{
        World,
        plans::{debtor_role, member_role},
    },
};

#[tokio::test]
async fn a_refund_that_no_event_told_ends_what_it_paid_for() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let others = [world.council_member().await, world.council_member().await];
    world.silently(&subscription, &Action::RefundLatest);
    let (dry, findings) = world.reconcile(Ask::DryRun).await;
    assert_eq!(
        (findings.len(), dry.figures.payments, dry.figures.removals),
        (1, 1, 1)
    );
    let (charge, finding) = findings.first_key_value().unwrap();
    assert!(charge.starts_with("ch_"), "{charge}");
    assert_eq!(finding.kind.as_str(), "payment_differs");
    assert_eq!(
        (finding.member_id, finding.removes_access),
        (Some(person.id), true)
    );
    assert!(
        finding
            .reason
            .contains("nothing known here, 2900 of 2900 given back"),
        "{}",
        finding.reason
    );
    assert_eq!(world.roles(&person), [member_role()].into());

    let (run, _) = world.reconcile(Ask::Apply).await;
    assert_eq!((run.state, run.figures.applied), (RunState::Done, 1));
    assert_eq!(world.roles(&person), [].into());
    for (other, _) in &others {
        assert_eq!(world.roles(other), [member_role()].into());
    }
    let (again, findings) = world.reconcile(Ask::DryRun).await;
    assert_eq!((again.figures.payments, findings.len()), (1, 0), "{findings:?}");
}

#[tokio::test]
async fn a_dispute_that_no_event_told_holds_what_it_paid_for() {
    let world = World::start().await;
    let (person, subscription) = world.council_member().await;
    let reason = DisputeReason::default();
    world.silently(
        &subscription,
        &Action::Dispute {
            reason,
            inquiry: false,
        },
    );
    let (run, findings) = world.reconcile(Ask::Apply).await;
    assert_eq!((run.state, findings.len()), (RunState::Done, 1));
    let (_, finding) = findings.first_key_value().unwrap();
    assert!(finding.reason.contains("open at Stripe"), "{}", finding.reason);
    assert!(!finding.removes_access, "it is held, as a debt is");
    assert_eq!(world.roles(&person), [member_role(), debtor_role()].into());
    assert_eq!(world.reconcile(Ask::DryRun).await.0.figures.findings, 0);
}

#[tokio::test]
async fn a_purchase_that_nobody_fulfilled_is_handed_out() {
    let world = World::start().await;
    let price = PriceSeed::usd("price_for_ever", "For ever", 49_900, None);
    world.stripe.seed_price(&price);
    let person = world.person().await;
    let session = world
        .open_checkout_for(&person, Buyer::Unknown, Purchase::OneTime, "price_for_ever")
        .await;
    world.pay(&person, &session);
    world.new_events();
    let (dry, findings) = world.reconcile(Ask::DryRun).await;
    let finding = &findings[session.as_str()];
    assert_eq!(finding.kind.as_str(), "missing_here");
    assert_eq!(finding.member_id, Some(person.id));
    assert_eq!(
        finding.gains.iter().map(|role| role.role).collect::<Vec<_>>(),
        [member_role()]
    );
    assert_eq!(dry.figures.purchases, 1);
    assert_eq!(world.roles(&person), [].into());
    world.reconcile(Ask::Apply).await;
    assert_eq!(world.roles(&person), [member_role()].into());
    assert_eq!(world.reconcile(Ask::DryRun).await.0.figures.findings, 0);
}

#[tokio::test]
async fn what_stripe_does_not_list_is_left_out_and_the_rest_is_compared() {
    for status in [400, 403, 404] {
        let world = World::start().await;
        let (person, subscription) = world.council_member().await;
        let (other, refunded) = world.council_member().await;
        world.silently(&subscription, &Action::Cancel);
        world.silently(&refunded, &Action::RefundLatest);
        for list in ["GET /v1/disputes", "/v1/checkout/sessions"] {
            let refused = FaultKind::Status {
                status,
                retry_after: None,
                applied: false,
            };
            world.fault(list, 1, refused);
        }
        let (run, _) = world.reconcile(Ask::Apply).await;
        assert_eq!((run.state, run.figures.applied), (RunState::Done, 2), "{status}");
        assert_eq!(world.roles(&person), [].into());
        assert_eq!(world.roles(&other), [].into(), "refunds are another list");
    }
}
