//! What happens when Postgres cannot be reached: those who wait are told in time, and all is well when it is back.

use std::{net::Ipv4Addr, time::Duration};

use rolecall_db::{Database, DatabaseOptions, PoolerMode, database::migrate};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use url::Url;

use crate::support::{TestDb, soon};

const PATIENCE: Duration = Duration::from_millis(1_500);

/// The way to a server, on which nothing gets through any more once it is cut; nobody is told. Ways that are taken
/// later lead there again.
struct Way {
    url: SecretString,
    cut: watch::Sender<u32>,
    _tasks: JoinSet<()>,
}

impl Way {
    async fn to(server: &SecretString) -> Self {
        let mut url = Url::parse(server.expose_secret()).unwrap();
        let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let cut = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        let cuts = cut.clone();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                let mut far = TcpStream::connect(&address).await.unwrap();
                let mut cuts = cuts.subscribe();
                connections.spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => return,
                        _ = cuts.changed() => {}
                    }
                    // Held open, and silent.
                    std::future::pending::<()>().await;
                });
            }
        });
        Self {
            url: String::from(url).into(),
            cut,
            _tasks: tasks,
        }
    }

    fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }
}

fn open(url: &SecretString) -> Database {
    Database::new(&DatabaseOptions {
        url: url.clone(),
        pooler: PoolerMode::None,
        max_connections: 1,
    })
    .unwrap()
}

/// A server that takes connections and says nothing.
async fn silent() -> (SecretString, TcpListener) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (
        format!("postgres://nobody@127.0.0.1:{port}/none").into(),
        listener,
    )
}

#[tokio::test]
async fn people_are_told_in_time_that_the_database_is_away_and_then_at_once() {
    let (silent, _listener) = silent().await;
    for url in [silent, "postgres://nobody@127.0.0.1:1/none".into()] {
        let database = open(&url).impatient(PATIENCE);
        tokio::time::pause();
        for within in [PATIENCE, Duration::ZERO] {
            let begun = tokio::time::Instant::now();
            let error = database.begin().await.unwrap_err();
            assert!(error.is_outage(), "{error:?}");
            // Timers are not exact to the millisecond.
            let took = begun.elapsed();
            assert!(took < within + Duration::from_millis(100), "{took:?}");
        }
        tokio::time::resume();
    }
}

#[tokio::test]
async fn connections_that_lead_nowhere_any_more_do_not_keep_a_pool_from_a_server_that_is_back() {
    let db = TestDb::new().await;
    let way = Way::to(db.server.url()).await;
    let database = open(&way.url);
    // The only connection is in use when the way is cut, and stays with the pool.
    let tx = database.begin().await.unwrap();
    way.cut();
    drop(tx);
    // More than a minute passes at once, in which no answer comes.
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(70) {
        assert!(database.begin().await.unwrap_err().is_outage());
    }
    tokio::time::resume();
    soon(database.ping()).await.unwrap();
}

#[tokio::test]
async fn a_pool_whose_connections_are_all_in_use_does_not_make_a_server_ill() {
    let db = TestDb::new().await;
    let database = db.server.open(1).unwrap();
    let _only = database.begin().await.unwrap();
    // Sooner than a connection could be had: the one in use stays so.
    soon(database.ping()).await.unwrap();
}

#[tokio::test]
async fn migrations_do_not_wait_for_ever_for_a_server_that_says_nothing() {
    let (url, _listener) = silent().await;
    tokio::time::pause();
    let error = migrate(&url).await.unwrap_err();
    assert!(error.is_outage(), "{error:?}");
}
