//! B4: a person sees what they were told, and chooses whether it comes by Discord, too.

use reqwest::Method;
use rolecall_db::notifications::{Channel, NewNotification, insert_notification, set_notification_sent};
use rolecall_domain::{
    ids::{MemberId, NotificationId},
    message::MessageKind,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::TestApp;

const SETTINGS: &str = "/api/v1/me/settings";

impl TestApp {
    async fn seed_message(
        &self,
        n: u32,
        member_id: MemberId,
        kind: MessageKind,
        channel: Channel,
        is_sent: bool,
    ) {
        let id = NotificationId::from_uuid(Uuid::from_u128(n.into()));
        let new = NewNotification {
            id,
            member_id,
            kind,
            channel,
            dedup_key: &n.to_string(),
            args: json!({}),
            send_at: self.now(),
        };
        let mut tx = self.database.begin().await.unwrap();
        insert_notification(&mut tx, &new, self.now()).await.unwrap();
        if is_sent {
            set_notification_sent(&mut tx, id, self.now()).await.unwrap();
        }
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn the_dashboard_lists_what_was_told_and_what_is_on_its_way() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let page = browser.page("/dashboard").await.text;
    assert!(page.contains("We have not written to you yet."), "{page}");
    let me = app.member_id(&mut browser).await;
    app.seed_message(1, me, MessageKind::PaymentFailed, Channel::Mail, true)
        .await;
    app.seed_message(2, me, MessageKind::AccessRemoved, Channel::Discord, false)
        .await;
    let page = browser.page("/dashboard").await.text;
    for words in [
        "Your payment did not go through",
        "Sent by e-mail on 21 November 2026.",
        "Your access has been paused",
        "On its way by Discord since 21 November 2026.",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let list = browser.get("/api/v1/me/messages?limit=1").await.json();
    assert_eq!(
        (&list["data"][0]["kind"], &list["data"][0]["state"]),
        (&json!("access_removed"), &json!("due"))
    );
    assert_eq!(list["data"][0].get("last_error"), None, "that is for staff");
    let cursor = list["next_cursor"].as_str().unwrap();
    let rest = browser
        .get(&format!("/api/v1/me/messages?cursor={cursor}"))
        .await
        .json();
    assert_eq!(
        (&rest["data"][0]["kind"], &rest["next_cursor"]),
        (&json!("payment_failed"), &Value::Null)
    );
    assert_eq!(
        app.browser().get("/api/v1/me/messages").await.code(),
        "not_signed_in"
    );
}

#[tokio::test]
async fn every_message_is_on_a_page_of_their_own_however_many_there_are() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let me = app.member_id(&mut browser).await;
    for n in 1..=51 {
        let kind = if n == 1 {
            MessageKind::Welcome
        } else {
            MessageKind::PaymentFailed
        };
        app.seed_message(n, me, kind, Channel::Mail, true).await;
    }
    let failed = "Your payment did not go through";
    let dashboard = browser.page("/dashboard").await.text;
    assert_eq!(dashboard.matches(failed).count(), 5, "{dashboard}");
    assert!(dashboard.contains("href=\"/dashboard/messages\""), "{dashboard}");
    let first = browser.page("/dashboard/messages").await.text;
    assert_eq!(first.matches(failed).count(), 50, "{first}");
    assert!(!first.contains("Welcome: your membership has begun"));
    let (_, older) = first.split_once("href=\"/dashboard/messages?before=").unwrap();
    let (before, _) = older.split_once('"').unwrap();
    let second = browser
        .page(&format!("/dashboard/messages?before={before}"))
        .await
        .text;
    assert!(second.contains("Welcome: your membership has begun"), "{second}");
    assert!(
        !second.contains(failed) && !second.contains("Older messages"),
        "{second}"
    );
    assert_eq!(browser.page("/dashboard/messages?before=x").await.status, 400);
    assert_eq!(app.browser().page("/dashboard/messages").await.status, 401);
}

#[tokio::test]
async fn the_switch_works_as_a_plain_form_and_calls_off_what_was_to_go_by_discord() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    let me = app.member_id(&mut browser).await;
    app.seed_message(1, me, MessageKind::PaymentFailed, Channel::Discord, false)
        .await;
    app.seed_message(2, me, MessageKind::PaymentFailed, Channel::Mail, false)
        .await;
    let page = browser.page("/dashboard").await.text;
    assert!(
        page.contains("name=\"direct_messages\" value=\"off\"") && page.contains("Stop messages by Discord"),
        "{page}"
    );
    let answer = browser
        .submit("/dashboard/messages", &[("direct_messages", "off")])
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.location()),
        (303, "/dashboard?notice=discord_off#messages")
    );
    let page = browser.page("/dashboard?notice=discord_off").await.text;
    assert!(page.contains("by e-mail only, not by Discord"), "{page}");
    assert!(page.contains("name=\"direct_messages\" value=\"on\""), "{page}");
    let states = app
        .rows("SELECT jsonb_build_array(channel, state) FROM notifications ORDER BY id")
        .await;
    assert_eq!(states, [json!(["discord", "cancelled"]), json!(["mail", "due"])]);
    for wrong in [[("direct_messages", "maybe")].as_slice(), &[]] {
        assert_eq!(browser.submit("/dashboard/messages", wrong).await.status, 400);
    }
    let foreign = browser
        .request(Method::POST, "/dashboard/messages")
        .header("origin", "https://evil.example")
        .form(&[("direct_messages", "on")]);
    assert_eq!(browser.send(foreign).await.status, 403);
    assert_eq!(
        browser.get(SETTINGS).await.json(),
        json!({ "direct_messages": false })
    );
}

#[tokio::test]
async fn the_switch_works_by_json_and_what_is_left_out_stays() {
    let app = TestApp::start().await;
    let mut browser = app.signed_in().await;
    assert_eq!(
        browser.get(SETTINGS).await.json(),
        json!({ "direct_messages": true })
    );
    for (patch, expected) in [
        (json!({ "direct_messages": false }), false),
        (json!({}), false),
        (json!({ "direct_messages": true }), true),
    ] {
        app.advance(1);
        let request = browser.request(Method::PATCH, SETTINGS).json(&patch);
        let answer = browser.send(request).await;
        assert_eq!(answer.json(), json!({ "direct_messages": expected }), "{patch}");
    }
    let request = browser
        .request(Method::PATCH, SETTINGS)
        .json(&json!({ "direct_mesages": true }));
    assert_eq!(browser.send(request).await.code(), "bad_request");
    let request = app.browser().request(Method::PATCH, SETTINGS).json(&json!({}));
    assert_eq!(app.browser().send(request).await.code(), "not_signed_in");
    let audit = app
        .rows("SELECT detail FROM audit_log WHERE action = 'member.direct_messages' ORDER BY id")
        .await;
    assert_eq!(
        audit,
        [json!({ "are_welcome": false }), json!({ "are_welcome": true })]
    );
}
