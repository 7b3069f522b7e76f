//! Documents and live messages.

use futures::StreamExt;
use rolecall_queue::{
    Documents,
    pub_sub::{self, Heard},
};
use serde::{Deserialize, Serialize};

use crate::support::{Rig, soon, until};

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Catalog {
    version: i64,
    text: String,
}

fn catalog(version: i64, text: &str) -> Catalog {
    Catalog {
        version,
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn a_document_is_read_as_it_was_written() {
    let rig = Rig::start().await;
    let documents = Documents::new(&rig.link);
    assert_eq!(documents.get::<Catalog>("catalog").await.unwrap(), None);
    documents.set("catalog", &catalog(1, "a")).await.unwrap();
    assert_eq!(documents.get("catalog").await.unwrap(), Some(catalog(1, "a")));
    let stored: String = rig.redis(&["GET", "test:catalog"]).await;
    assert_eq!(stored, r#"{"version":1,"text":"a"}"#);
    documents.delete("catalog").await.unwrap();
    assert_eq!(documents.get::<Catalog>("catalog").await.unwrap(), None);
}

#[tokio::test]
async fn an_older_document_does_not_replace_a_newer_one() {
    let rig = Rig::start().await;
    let documents = Documents::new(&rig.link);
    for (version, text, expected) in [(2, "a", true), (1, "b", false), (2, "c", true), (3, "d", true)] {
        let stored = documents
            .set_newer("catalog", version, &catalog(version, text))
            .await
            .unwrap();
        assert_eq!(stored, expected, "{version} {text}");
    }
    assert_eq!(documents.get("catalog").await.unwrap(), Some(catalog(3, "d")));

    // What cannot be read must not stand in the way for ever.
    let _: String = rig.redis(&["SET", "test:catalog", "scribble"]).await;
    assert!(documents.get::<Catalog>("catalog").await.is_err());
    assert!(documents.set_newer("catalog", 1, &catalog(1, "e")).await.unwrap());
}

#[tokio::test]
async fn a_listener_hears_messages_and_knows_when_it_may_have_missed_some() {
    let mut rig = Rig::start().await;
    let rng: std::sync::Arc<dyn rolecall_domain::clock::Rng> = rig.rng.clone();
    let mut heard = std::pin::pin!(pub_sub::subscribe(&rig.link, "member-changed", &rng));
    assert_eq!(soon(heard.next()).await, Some(Heard::Subscribed));
    pub_sub::publish(&rig.link, "member-changed", "1").await.unwrap();
    pub_sub::publish(&rig.link, "other", "2").await.unwrap();
    pub_sub::publish(&rig.link, "member-changed", "3").await.unwrap();
    assert_eq!(soon(heard.next()).await, Some(Heard::Message("1".to_owned())));
    assert_eq!(soon(heard.next()).await, Some(Heard::Message("3".to_owned())));

    rig.server.kill().await;
    rig.server.restart().await;
    assert_eq!(soon(heard.next()).await, Some(Heard::Subscribed));
    until(async || pub_sub::publish(&rig.link, "member-changed", "4").await.is_ok()).await;
    assert_eq!(soon(heard.next()).await, Some(Heard::Message("4".to_owned())));
}
