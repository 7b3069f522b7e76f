//! O3: what no event ever told is found by the full sweep and mended; what it would take too much of waits for a
//! yes; and an endpoint that does not send is named.

use rolecall_e2e::{story::ADA, until::until};
use rolecall_sandbox::stripe::{
    faults::{FaultKind, RequestFault},
    story::Action,
};
use serde_json::Value;

use crate::support::{SOON, paying_member, stack, wait_in_sync};

#[tokio::test]
async fn a_sweep_says_what_it_would_do_and_does_it_unless_stripe_lists_nothing() {
    let stack = stack("reconcile").await;
    let (_, subscription) = paying_member(&stack).await;
    wait_in_sync(&stack).await;
    let good = stack.rolecall(&["reconcile", "--dry-run"]).await.unwrap();
    assert_eq!(good["findings"], serde_json::json!([]), "{good}");

    // An empty list: held, and nobody loses anything.
    stack.stripe.add_request_fault(RequestFault {
        path_contains: Some("GET /v1/subscriptions".to_owned()),
        times: Some(1),
        fault: FaultKind::EmptyList,
    });
    let held = stack.run(&["reconcile", "--json"]).await.unwrap();
    assert_eq!(held.status.code(), Some(1), "{held:?}");
    let held: Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!(held["state"], "held");
    assert_eq!(stack.roles_of(ADA).as_deref(), Some(&["Council"][..]));

    // An end that no event tells.
    stack
        .stripe
        .with(|stripe| stripe.quietly(|stripe| stripe.act(&subscription, &Action::Cancel)))
        .unwrap();
    let dry = stack.run(&["reconcile", "--dry-run"]).await.unwrap();
    assert_eq!(dry.status.code(), Some(1), "{dry:?}");
    let said = String::from_utf8_lossy(&dry.stdout).into_owned();
    assert!(
        said.contains(&subscription) && said.contains("active here, canceled at Stripe"),
        "{said}"
    );
    assert_eq!(stack.roles_of(ADA).as_deref(), Some(&["Council"][..]));
    let done = stack.rolecall(&["reconcile"]).await.unwrap();
    assert_eq!(
        (&done["state"], &done["figures"]["applied"]),
        (&"done".into(), &1.into()),
        "{done}"
    );
    stack.wait_for_roles(ADA, &[], SOON).await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn an_endpoint_that_was_disabled_is_named_until_it_is_enabled() {
    let stack = stack("endpoint").await;
    let check = ["jobs", "run", "setup_check"];
    let run = stack.rolecall(&check).await.unwrap();
    assert_eq!(run["outcome"], "nothing is wrong", "{run}");
    // Logs of earlier runs stand in the same files.
    let told = || {
        let logs = stack.logs().unwrap();
        [
            "something is wrong with the set-up at Stripe",
            "what was wrong with the set-up at Stripe is mended",
        ]
        .map(|words| logs.matches(words).count())
    };
    let before = told();
    let disable = |disabled: bool| {
        stack.stripe.with(|stripe| {
            let id = stripe.endpoints.rows()[0].id.clone();
            stripe.endpoints.get_mut(&id).unwrap().disabled = disabled;
        });
    };
    let part = async || -> anyhow::Result<Value> {
        let ready = stack.worker.readiness(&stack.client).await?;
        Ok(ready["parts"]["webhooks"].clone())
    };
    disable(true);
    stack.rolecall(&check).await.unwrap();
    stack.rolecall(&check).await.unwrap();
    let ill = until("a worker that says so", SOON, async || {
        Ok(Some(part().await?).filter(|part| part["ok"] == false))
    });
    let ill = ill.await.unwrap();
    let detail = ill["detail"].as_str().unwrap();
    assert!(
        detail.contains("is disabled") && detail.contains("to do: "),
        "{detail}"
    );
    disable(false);
    stack.rolecall(&check).await.unwrap();
    let well = until("a worker that is well", SOON, async || {
        Ok(Some(part().await?).filter(|part| part["ok"] == true))
    });
    well.await.unwrap();
    assert_eq!(
        told(),
        before.map(|count| count + 1),
        "once each, however often it is looked at"
    );
    stack.stop().await.unwrap();
}
