//! Second chances, and the numbers about a queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolecall_queue::{Job, JobError, Seen, jobs::SyncPlans, newest};
use tokio::sync::mpsc;

use crate::support::{Probe, Rig, quick, soon, until};

#[tokio::test]
async fn dead_jobs_can_be_paged_through_and_given_another_chance() {
    let rig = Rig::start().await;
    let mended = Arc::new(AtomicBool::new(false));
    let (done, mut heard) = mpsc::unbounded_channel();
    let works = Arc::clone(&mended);
    let _worker = rig.work("a", quick(), move |probe, attempt| {
        let result = if works.load(Ordering::SeqCst) {
            done.send((probe.n, attempt)).unwrap();
            Ok(())
        } else {
            Err(JobError::cancel("broken"))
        };
        std::future::ready(result)
    });
    rig.producer
        .push_all((0..25).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    until(async || rig.stats().await.dead == 25).await;

    let dead = rig.dead_jobs();
    let first = dead.list(None, 20).await.unwrap();
    let second = dead.list(Some(&first[19].entry), 20).await.unwrap();
    assert_eq!((first.len(), second.len()), (20, 5));
    assert_eq!(dead.get(&first[3].entry).await.unwrap().as_ref(), Some(&first[3]));

    mended.store(true, Ordering::SeqCst);
    assert!(dead.redrive(&first[0].entry).await.unwrap());
    assert!(!dead.redrive(&first[0].entry).await.unwrap());
    let (_, attempt) = soon(heard.recv()).await.unwrap();
    assert_eq!((attempt.current, attempt.redelivered), (1, true));

    assert!(dead.remove(&first[1].entry).await.unwrap());
    assert_eq!(dead.get(&first[1].entry).await.unwrap(), None);
    assert_eq!(dead.redrive_all().await.unwrap(), 23);
    for _ in 0..23 {
        soon(heard.recv()).await.unwrap();
    }
    assert_eq!(rig.stats().await.dead, 0);
}

#[tokio::test]
async fn redriving_all_ends_even_if_all_die_again() {
    let rig = Rig::start().await;
    let _worker = rig.work("a", quick(), |_, _| {
        std::future::ready(Err(JobError::cancel("still broken")))
    });
    rig.producer
        .push_all((0..250).map(|n| (Probe::new(n), rig.push())))
        .await
        .unwrap();
    until(async || rig.stats().await.dead == 250).await;
    assert_eq!(soon(rig.dead_jobs().redrive_all()).await.unwrap(), 250);
    until(async || rig.stats().await.dead == 250).await;
    rig.dead_jobs().purge().await.unwrap();
    assert_eq!(rig.stats().await.dead, 0);
}

#[tokio::test]
async fn the_stats_tell_how_full_a_queue_is_and_how_long_it_waits() {
    let rig = Rig::start().await;
    let empty = rig.stats().await;
    assert_eq!(
        (empty.depth, empty.pending, empty.delayed, empty.dead),
        (0, 0, 0, 0)
    );
    assert_eq!(empty.oldest_age, Duration::ZERO);

    rig.producer.push(&Probe::new(1), rig.push()).await.unwrap();
    rig.producer
        .push(&Probe::new(2), rig.push_after(Duration::from_mins(1)))
        .await
        .unwrap();
    until(async || rig.stats().await.oldest_age >= Duration::from_millis(20)).await;
    let full = rig.stats().await;
    assert_eq!((full.depth, full.pending, full.delayed, full.dead), (1, 0, 1, 0));

    // A due job that nobody promotes grows old as well.
    let _: u32 = rig
        .redis(&["ZADD", "{test:jobs}:delayed", "0", "0|0|overdue"])
        .await;
    assert!(rig.stats().await.oldest_age > Duration::from_hours(1));
}

#[tokio::test]
async fn the_new_end_of_a_queue_can_be_seen_without_taking_anything() {
    let rig = Rig::start().await;
    let jobs = (0..10).map(|n| (Probe::new(n), rig.push()));
    rig.producer.push_all(jobs).await.unwrap();
    let queue = Probe::new(0).queue();
    let numbers = |seen: &[Seen<Probe>]| {
        seen.iter()
            .map(|seen| seen.job.as_ref().unwrap().n)
            .collect::<Vec<_>>()
    };

    let seen = newest::<Probe>(&rig.link, queue, None, 4).await.unwrap();
    assert_eq!(numbers(&seen), [9, 8, 7, 6]);
    let (eighth, ninth) = (&seen[1].entry, &seen[0].entry);
    let later = newest::<Probe>(&rig.link, queue, Some(eighth), 4).await.unwrap();
    assert_eq!(numbers(&later), [9]);
    assert!(
        newest::<Probe>(&rig.link, queue, Some(ninth), 4)
            .await
            .unwrap()
            .is_empty()
    );
    let strange = newest::<SyncPlans>(&rig.link, queue, None, 1).await.unwrap();
    assert!(strange[0].job.is_none(), "of another kind");
    assert_eq!(rig.stats().await.depth, 10, "all of them still wait");
}
