//! The limiter on a real wire, against a server that limits as Discord does.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use rolecall_discord::limiter::{Lane, Limiter, Snapshot};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    bot, bot_with, guild, role,
    server::{Reply, Server},
    soon, user,
};

const LIMIT: u32 = 10;
const SHORT: Duration = Duration::from_millis(300);

/// One bucket with a fixed window.
struct Window {
    length: Duration,
    resets: Option<Instant>,
    used: u32,
    refused: u32,
}

impl Window {
    fn handle(&mut self) -> Reply {
        let now = Instant::now();
        let resets = match self.resets {
            Some(resets) if resets > now => resets,
            _ => {
                self.used = 0;
                now + self.length
            }
        };
        self.resets = Some(resets);
        self.used += 1;
        let refused = self.used > LIMIT;
        self.refused += u32::from(refused);
        let after = (resets - now).as_secs_f64();
        let reply = if refused {
            Reply::new(
                429,
                format!(r#"{{"message":"slow","retry_after":{after:.3},"global":false}}"#),
            )
            .header("x-ratelimit-scope", "user")
        } else {
            Reply::new(204, "")
        };
        reply
            .header("x-ratelimit-bucket", "4a1b")
            .header("x-ratelimit-limit", LIMIT.to_string())
            .header(
                "x-ratelimit-remaining",
                LIMIT.saturating_sub(self.used).to_string(),
            )
            .header("x-ratelimit-reset-after", format!("{after:.3}"))
    }
}

async fn limiting(length: Duration) -> (Server, Arc<Mutex<Window>>) {
    let window = Window {
        length,
        resets: None,
        used: 0,
        refused: 0,
    };
    let window = Arc::new(Mutex::new(window));
    let shared = Arc::clone(&window);
    (
        Server::start(move |_| Some(shared.lock().unwrap().handle())).await,
        window,
    )
}

#[tokio::test]
async fn forty_role_changes_for_forty_people_see_no_429_and_lose_no_time() {
    let length = Duration::from_secs(2);
    let (server, window) = limiting(length).await;
    let bot = Arc::new(bot(&server.origin));
    let start = Instant::now();
    let mut tasks = JoinSet::new();
    for id in 1..=40 {
        let bot = Arc::clone(&bot);
        tasks.spawn(async move {
            bot.add_role(guild(), user(id), role(33), "sweep", Lane::Bulk)
                .await
                .unwrap();
        });
    }
    soon(tasks.join_all()).await;
    let (took, least) = (start.elapsed(), length * 3);
    let rate = bot.role_change_rate(guild()).unwrap();
    assert_eq!(rate.limit, LIMIT);
    assert_eq!(window.lock().unwrap().refused, 0);
    assert_eq!(server.seen().len(), 40);
    assert!(took >= least, "took {took:?}, which the server does not allow");
    assert!(
        took <= least.mul_f64(1.05),
        "took {took:?}, the least is {least:?}"
    );
}

#[tokio::test]
async fn a_person_who_waits_overtakes_a_sweep() {
    let (server, window) = limiting(SHORT).await;
    let bot = Arc::new(bot(&server.origin));
    let mut tasks = JoinSet::new();
    for id in 1..=30 {
        let bot = Arc::clone(&bot);
        tasks.spawn(async move {
            bot.add_role(guild(), user(id), role(33), "sweep", Lane::Bulk)
                .await
                .unwrap();
        });
    }
    // Once the first has been answered the sweep is queued up behind the limit.
    while server.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    soon(bot.add_role(guild(), user(1000), role(33), "paid", Lane::Now))
        .await
        .unwrap();
    let before = server
        .seen()
        .iter()
        .position(|seen| seen.path.contains("/1000/"))
        .unwrap();
    assert!(before <= 10, "{before} bulk requests went first");
    soon(tasks.join_all()).await;
    assert_eq!(window.lock().unwrap().refused, 0);
}

#[tokio::test]
async fn a_restarted_bot_goes_on_where_the_last_one_stopped() {
    let wall: DateTime<Utc> = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let (server, window) = limiting(SHORT).await;
    let first = bot(&server.origin);
    for id in 1..=u64::from(LIMIT) {
        soon(first.add_role(guild(), user(id), role(33), "", Lane::Bulk))
            .await
            .unwrap();
    }
    let json = serde_json::to_string(&first.limiter().snapshot(wall)).unwrap();
    drop(first);

    let limiter = Limiter::default();
    limiter.restore(&serde_json::from_str::<Snapshot>(&json).unwrap(), wall);
    let second = bot_with(&server.origin, limiter);
    soon(second.add_role(guild(), user(99), role(33), "", Lane::Bulk))
        .await
        .unwrap();
    assert_eq!(window.lock().unwrap().refused, 0);
}

#[tokio::test]
async fn a_call_that_is_given_up_leaves_the_bucket_usable() {
    let (hang, reached) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (gate, signal) = (Arc::clone(&hang), Arc::clone(&reached));
    let server = Server::start_async(move |_| {
        let (gate, signal) = (Arc::clone(&gate), Arc::clone(&signal));
        Box::pin(async move {
            signal.add_permits(1);
            gate.acquire().await.unwrap().forget();
            Some(Reply::new(204, ""))
        })
    })
    .await;
    let bot = Arc::new(bot(&server.origin));
    let mut tasks = JoinSet::new();
    let calling = Arc::clone(&bot);
    tasks.spawn(async move { calling.add_role(guild(), user(1), role(33), "", Lane::Now).await });
    soon(reached.acquire()).await.unwrap().forget();
    tasks.shutdown().await;
    assert_eq!(bot.limiter().stats().in_flight, 0);

    // One for the call that was given up, whose handler still waits.
    hang.add_permits(2);
    soon(bot.add_role(guild(), user(2), role(33), "", Lane::Now))
        .await
        .unwrap();
    assert_eq!(bot.limiter().stats().waiting_now, 0);
}
