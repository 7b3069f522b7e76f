//! What is counted where jobs run, and shown of where they wait.

use std::{collections::BTreeMap, time::Duration};

use prometheus::proto::{LabelPair, MetricFamily};
use rolecall_queue::{Failing, JobError, Metrics, Queue};

use crate::support::{Probe, Rig, quick, until};

/// The values of a family by their labels, as `a,b,c`.
fn values(registry: &prometheus::Registry, name: &str) -> BTreeMap<String, String> {
    let families = registry.gather();
    let family = families.iter().find(|family| family.name() == name);
    family.map(labelled).unwrap_or_default()
}

fn labelled(family: &MetricFamily) -> BTreeMap<String, String> {
    let metrics = family.get_metric().iter().map(|metric| {
        let labels: Vec<&str> = metric.get_label().iter().map(LabelPair::value).collect();
        let value = metric.get_counter().get_value() + metric.get_gauge().get_value();
        (labels.join(","), value.to_string())
    });
    metrics.collect()
}

#[tokio::test]
async fn attempts_are_counted_by_how_they_end_from_zero_on() {
    let rig = Rig::start().await;
    let worker = rig.work("a", quick(), |probe, attempt| {
        std::future::ready(match (probe.n, attempt.current) {
            (1, 1) => Err(JobError::retry("again")),
            (2, _) => Err(JobError::cancel("no use")),
            (3, _) => Err(JobError::retry("never")),
            _ => Ok(()),
        })
    });
    let attempts = || values(&worker.metrics, "rolecall_queue_attempts_total");
    // In this order: kind, outcome, queue.
    let known = attempts();
    for outcome in ["completed", "retryable", "snoozed", "cancelled", "discarded"] {
        assert_eq!(known[&format!("probe,{outcome},jobs")], "0", "{outcome}");
    }
    rig.producer
        .push_all((0..4).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    until(async || rig.is_idle().await && rig.stats().await.dead == 2).await;
    let counted = attempts();
    for (outcome, expected) in [
        ("completed", "2"),
        ("retryable", "3"),
        ("cancelled", "1"),
        ("discarded", "1"),
    ] {
        assert_eq!(counted[&format!("probe,{outcome},jobs")], expected, "{outcome}");
    }
}

#[tokio::test]
async fn the_state_of_every_queue_shows_from_zero_on() {
    let rig = Rig::start().await;
    let registry = prometheus::Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    metrics.show_empty();
    let jobs = || values(&registry, "rolecall_queue_jobs");
    let ages = || values(&registry, "rolecall_queue_oldest_age_ms");
    assert_eq!(
        (jobs().len(), ages().len()),
        (4 * Queue::ALL.len(), Queue::ALL.len())
    );
    assert!(jobs().values().chain(ages().values()).all(|value| value == "0"));

    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    let later = rig.push_after(Duration::from_mins(1));
    rig.producer.push(&Probe::new(2), later).await.unwrap();
    until(async || rig.stats().await.oldest_age > Duration::from_millis(5)).await;
    metrics.show(Queue::Jobs, &rig.stats().await);
    let shown = jobs();
    for (state, expected) in [
        ("available", "1"),
        ("running", "0"),
        ("scheduled", "1"),
        ("discarded", "0"),
    ] {
        assert_eq!(shown[&format!("jobs,{state}")], expected, "{state}");
    }
    assert_ne!(ages()["jobs"], "0");
}

#[tokio::test]
async fn a_kind_that_fails_again_and_again_is_named_with_the_reason_until_one_succeeds() {
    let rig = Rig::start().await;
    let worker = rig.work("a", quick(), |probe, _| {
        std::future::ready(match probe.n {
            1 => Err(JobError::retry("Stripe is away")),
            _ => Ok(()),
        })
    });
    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    let _ = rig.a_dead_job().await;
    let expected = Failing {
        kind: "probe",
        in_a_row: 3,
        reason: "Stripe is away".to_owned(),
    };
    assert_eq!(worker.queue_metrics.failing(), [expected]);
    rig.producer.push(&Probe::new(2), rig.push()).await.unwrap();
    until(async || worker.queue_metrics.failing().is_empty()).await;
}
