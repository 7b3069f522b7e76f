//! At most one holder, whatever happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rolecall_queue::lease::Lease;

use crate::support::{Rig, soon, until};

const TTL: Duration = Duration::from_secs(1);

fn lease(rig: &Rig, owner: &str) -> Lease {
    Lease::new(&rig.link, "bot:lease", owner, TTL)
}

#[tokio::test]
async fn a_lease_has_one_holder_and_goes_to_the_next_when_released() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    assert!(held.is_held());
    assert!(lease(&rig, "b").acquire(&rig.tasks).await.unwrap().is_none());
    assert_eq!(lease(&rig, "b").holder().await.unwrap().as_deref(), Some("a"));

    let (lost, fence) = (held.lost(), held.fence());
    held.release().await.unwrap();
    assert!(lost.is_cancelled());
    let next = lease(&rig, "b").acquire(&rig.tasks).await.unwrap().unwrap();
    assert!(next.fence() > fence);
}

#[tokio::test]
async fn a_lease_is_kept_for_as_long_as_it_is_held() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let waited = tokio::time::timeout(TTL * 3, held.lost().cancelled_owned()).await;
    assert!(waited.is_err() && held.is_held(), "the lease was not renewed");
    assert!(lease(&rig, "b").acquire(&rig.tasks).await.unwrap().is_none());
}

#[tokio::test]
async fn a_standby_takes_over_from_a_holder_that_died() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let fence = held.fence();
    drop(held);
    let next = soon(lease(&rig, "b").acquire_when_free(&rig.tasks)).await;
    assert!(next.is_held() && next.fence() > fence);
}

#[tokio::test]
async fn a_standby_takes_over_even_while_redis_is_full() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let fence = held.fence();
    let _: String = rig.redis(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert!(rig.link.check().await.is_err(), "nothing may be added");
    drop(held);
    let next = soon(lease(&rig, "b").acquire_when_free(&rig.tasks)).await;
    assert!(next.is_held() && next.fence() > fence);
    let waited = tokio::time::timeout(TTL * 2, next.lost().cancelled_owned()).await;
    assert!(waited.is_err() && next.is_held(), "the lease was not renewed");
}

#[tokio::test]
async fn a_redis_that_forgets_everything_makes_nobody_a_second_holder() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let standby = lease(&rig, "b");
    assert!(standby.acquire(&rig.tasks).await.unwrap().is_none());
    let _: String = rig.redis(&["FLUSHALL"]).await;
    assert!(
        standby.acquire(&rig.tasks).await.unwrap().is_none(),
        "the holder does not know yet"
    );
    let next = soon(standby.acquire_when_free(&rig.tasks)).await;
    assert!(next.is_held() && !held.is_held());
    assert!(next.fence() > held.fence());
}

#[tokio::test]
async fn a_lease_that_was_taken_away_is_known_to_be_lost() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let _: String = rig.redis(&["SET", "test:bot:lease", "b"]).await;
    soon(held.lost().cancelled_owned()).await;
    assert!(!held.is_held());
    assert_eq!(lease(&rig, "a").holder().await.unwrap().as_deref(), Some("b"));
    held.release().await.unwrap();
    assert_eq!(
        lease(&rig, "a").holder().await.unwrap().as_deref(),
        Some("b"),
        "released another's lease"
    );
}

#[tokio::test]
async fn a_lease_that_cannot_be_renewed_is_lost_without_being_told() {
    let rig = Rig::start().await;
    let asked = std::time::Instant::now();
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    rig.server.signal("STOP").await;
    soon(held.lost().cancelled_owned()).await;
    let lost_after = asked.elapsed();
    rig.server.signal("CONT").await;
    assert!(!held.is_held());
    assert!(lost_after < TTL * 3, "lost only after {lost_after:?}");
}

#[tokio::test]
async fn a_process_that_was_stopped_knows_at_once_that_its_lease_ran_out() {
    let rig = Rig::start().await;
    let held = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    // Nothing runs in this runtime while its only thread is blocked, as in a stopped process.
    let (_never, nothing) = std::sync::mpsc::channel::<()>();
    nothing.recv_timeout(TTL).unwrap_err();
    assert!(!held.is_held());
    // And it does not come back, whatever the keeper finds.
    soon(held.lost().cancelled_owned()).await;
    assert!(!held.is_held());
}

#[tokio::test]
async fn the_fencing_token_grows_even_when_redis_forgot_everything() {
    let rig = Rig::start().await;
    let first = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let _: String = rig.redis(&["FLUSHALL"]).await;
    soon(first.lost().cancelled_owned()).await;
    let second = lease(&rig, "b").acquire(&rig.tasks).await.unwrap().unwrap();
    assert!(second.fence() > first.fence());
}

#[tokio::test]
async fn an_owner_that_did_not_hear_the_answer_gets_its_lease_again() {
    let rig = Rig::start().await;
    let unheard = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    let again = lease(&rig, "a").acquire(&rig.tasks).await.unwrap().unwrap();
    assert!(again.fence() > unheard.fence());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_leases_are_never_both_held() {
    let rig = Rig::start().await;
    let taken = Arc::new(AtomicBool::new(false));
    let fences = Arc::new(AtomicU64::new(0));
    let contenders = (0..4).map(|contender| {
        let (taken, fences, tasks) = (Arc::clone(&taken), Arc::clone(&fences), rig.tasks.clone());
        let leases: Vec<Lease> = (0..8)
            .map(|round| lease(&rig, &format!("{contender}/{round}")))
            .collect();
        rig.tasks.spawn(async move {
            for (round, lease) in leases.into_iter().enumerate() {
                let held = lease.acquire_when_free(&tasks).await;
                assert!(!taken.swap(true, Ordering::SeqCst), "held twice");
                assert!(
                    fences.swap(held.fence(), Ordering::SeqCst) < held.fence(),
                    "the fence fell"
                );
                tokio::task::yield_now().await;
                assert!(held.is_held());
                taken.store(false, Ordering::SeqCst);
                // One dies instead of letting go.
                if round == 5 {
                    drop(held);
                } else {
                    held.release().await.unwrap();
                }
            }
        })
    });
    for contender in soon(futures::future::join_all(contenders)).await {
        contender.unwrap();
    }
    until(async || lease(&rig, "x").holder().await.unwrap().is_none()).await;
}
