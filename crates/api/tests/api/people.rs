//! B10, A8: staff finds people, looks at them as a whole, gives them plans, and brings them up to date.

use chrono::TimeDelta;
use reqwest::Method;
use rolecall_db::{
    discord_accounts::{DiscordAccount, insert_account},
    members::{Member, insert_member},
    notifications::{Channel, NewNotification, insert_notification, set_notification_failed},
};
use rolecall_domain::{
    ids::{DiscordUserId, MemberId, NotificationId},
    message::MessageKind,
    standing::Standing,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Browser, TestApp};

const MEMBERS: &str = "/api/v1/admin/members";

impl TestApp {
    /// Somebody with a Discord account and an address who was never here.
    async fn person(&self, n: u32, name: &str) -> MemberId {
        let member = Member {
            id: MemberId::from_uuid(Uuid::from_u128(n.into())),
            display_name: name.to_owned(),
            email: Some(format!("{}@example.org", name.to_lowercase())),
            created_at: self.now(),
        };
        let account = DiscordAccount {
            user_id: DiscordUserId::new(9000 + u64::from(n)).unwrap(),
            member_id: member.id,
            username: format!("{name}#{n}"),
        };
        let mut tx = self.database.begin().await.unwrap();
        insert_member(&mut tx, &member).await.unwrap();
        insert_account(&mut tx, &account, self.now()).await.unwrap();
        tx.commit().await.unwrap();
        member.id
    }

    /// A message that the person's mail server did not take.
    async fn lost_message(&self, n: u32, member_id: MemberId) {
        let id = NotificationId::from_uuid(Uuid::from_u128(n.into()));
        let new = NewNotification {
            id,
            member_id,
            kind: MessageKind::PaymentFailed,
            channel: Channel::Mail,
            dedup_key: &id.to_string(),
            args: json!({}),
            send_at: self.now(),
        };
        let mut tx = self.database.begin().await.unwrap();
        insert_notification(&mut tx, &new, self.now()).await.unwrap();
        set_notification_failed(&mut tx, id, "answer 550", None)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
}

impl Browser {
    async fn delete(&mut self, path: &str) -> crate::support::Answer {
        let request = self.request(Method::DELETE, path);
        self.send(request).await
    }
}

fn names(list: &Value) -> Vec<&str> {
    let people = list["data"].as_array().unwrap().iter();
    people
        .map(|person| person["display_name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_grant_is_given_listed_and_taken_back_and_who_did_it_is_kept() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    let hypatia = app.person(1, "Hypatia").await;
    let grants = format!("{MEMBERS}/{hypatia}/grants");
    let ends_at = app.now() + TimeDelta::days(30);
    let body = json!({ "plan": "council", "reason": " speaker in May ", "ends_at": ends_at });
    let answer = staff.post(&grants, &body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let grant = answer.json();
    assert_eq!(
        (
            &grant["member_id"],
            &grant["plan"],
            &grant["reason"],
            &grant["state"]
        ),
        (
            &json!(hypatia),
            &json!("council"),
            &json!("speaker in May"),
            &json!("live")
        )
    );
    assert_eq!(
        (&grant["granted_by"], &grant["ends_at"]),
        (&json!(format!("staff:{me}")), &json!(ends_at))
    );
    let jobs = app.jobs("account-events").await;
    let hint = jobs.last().unwrap();
    assert_eq!(
        (&hint["kind"], &hint["args"]),
        (
            &json!("converge_member"),
            &json!({ "member_id": hypatia, "reason": "grant" })
        )
    );
    let owed = app
        .rows("SELECT jsonb_build_array(id, converge_trigger) FROM members WHERE converge_trigger = 'grant'")
        .await;
    assert_eq!(
        owed,
        [json!([hypatia, "grant"])],
        "owed though the hint were lost"
    );

    app.advance(1);
    let id = grant["id"].as_str().unwrap();
    let other = app.person(2, "Grace").await;
    let of_other = format!("{MEMBERS}/{other}/grants/{id}");
    assert_eq!(
        staff.delete(&of_other).await.code(),
        "not_found",
        "it is not hers"
    );
    assert_eq!(staff.get(&grants).await.json()["data"], json!([grant]));
    for _ in 0..2 {
        assert_eq!(staff.delete(&format!("{grants}/{id}")).await.status, 204);
    }
    let list = staff.get(&grants).await.json();
    assert_eq!(
        (&list["data"][0]["state"], &list["data"][0]["revoked_by"]),
        (&json!("revoked"), &json!(format!("staff:{me}")))
    );
    let audit = app
        .rows("SELECT jsonb_build_array(actor, action, subject) FROM audit_log WHERE action LIKE 'grant.%' ORDER BY id")
        .await;
    let line = |action: &str| json!([format!("staff:{me}"), action, id]);
    assert_eq!(audit, [line("grant.give"), line("grant.revoke")]);
}

#[tokio::test]
async fn staff_reads_what_was_done_by_whom_and_to_whom() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut member = app.signed_in().await;
    let log = "/api/v1/admin/audit";
    assert_eq!(app.browser().get(log).await.code(), "not_signed_in");
    assert_eq!(member.get(log).await.code(), "not_staff");
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    let mut grants = Vec::new();
    for (n, name) in [(1, "Hypatia"), (2, "Grace")] {
        app.advance(1);
        let id = app.person(n, name).await;
        let body = json!({ "plan": "council", "reason": "a secret reason" });
        let grant = staff.post(&format!("{MEMBERS}/{id}/grants"), &body).await.json();
        grants.push((id, grant["id"].clone()));
    }
    let list = staff.get(&format!("{log}?action=grant.&actor=staff:{me}")).await;
    assert!(!list.text.contains("secret"), "{list:?}");
    let list = list.json();
    let subjects: Vec<&Value> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| &line["subject"])
        .collect();
    assert_eq!(subjects, [&grants[1].1, &grants[0].1]);
    let hers = staff
        .get(&format!("{log}?member_id={}&action=", grants[0].0))
        .await
        .json();
    assert_eq!(hers["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&hers["data"][0]["action"], &hers["data"][0]["detail"]),
        (&json!("grant.give"), &json!({ "plan": "council" }))
    );
    let page = staff
        .get(&format!("{log}?action=grant.give&limit=1"))
        .await
        .json();
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = staff
        .get(&format!("{log}?action=grant.give&cursor={cursor}"))
        .await
        .json();
    assert_eq!(
        (&rest["data"][0]["subject"], &rest["next_cursor"]),
        (&grants[0].1, &Value::Null)
    );
    for wrong in ["limit=0", "cursor=x", "member_id=x"] {
        assert_eq!(
            staff.get(&format!("{log}?{wrong}")).await.code(),
            "bad_request",
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_or_that_is_not_staff_s_is_refused_with_words() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut member = app.signed_in().await;
    let hypatia = app.person(1, "Hypatia").await;
    let grants = format!("{MEMBERS}/{hypatia}/grants");
    let good = json!({ "plan": "council", "reason": "speaker" });
    assert_eq!(app.browser().post(&grants, &good).await.code(), "not_signed_in");
    assert_eq!(member.post(&grants, &good).await.code(), "not_staff");
    assert_eq!(member.get(&grants).await.code(), "not_staff");
    let mut staff = app.staff().await;
    let foreign = staff
        .request(Method::POST, &grants)
        .header("origin", "https://evil.example")
        .json(&good);
    assert_eq!(staff.send(foreign).await.code(), "foreign_origin");
    for (body, status, code, words) in [
        (
            json!({ "plan": "counsel", "reason": "x" }),
            422,
            "unknown_plan",
            "there is council",
        ),
        (
            json!({ "plan": "council", "reason": " " }),
            422,
            "reason_missing",
            "say why",
        ),
        (json!({ "plan": "council" }), 422, "reason_missing", "say why"),
        (
            json!({ "plan": "council", "reason": "x".repeat(501) }),
            422,
            "reason_too_long",
            "501",
        ),
        (
            json!({ "plan": "council", "reason": "x", "ends_at": app.now() }),
            422,
            "end_in_past",
            "not in the future",
        ),
        (
            json!({ "plan": "council", "reason": "x", "ends_on": "2026-12-31" }),
            400,
            "bad_request",
            "ends_on",
        ),
        (
            json!({ "plan": "council", "reason": "x", "ends_at": "soon" }),
            400,
            "bad_request",
            "",
        ),
    ] {
        let answer = staff.post(&grants, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{body}"
        );
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(words), "{body}: {detail}");
    }
    let nobody = format!("{MEMBERS}/{}/grants", Uuid::max());
    assert_eq!(staff.post(&nobody, &good).await.code(), "not_found");
    assert_eq!(
        app.rows("SELECT to_jsonb(id) FROM grants").await,
        [Value::Null; 0]
    );
}

#[tokio::test]
async fn people_are_found_by_what_staff_knows_of_them_page_by_page() {
    let app = TestApp::start().await;
    let mut member = app.signed_in().await;
    assert_eq!(member.get(MEMBERS).await.code(), "not_staff");
    let mut staff = app.staff().await;
    let hypatia = app.person(1, "Hypatia").await;
    for (n, name) in [(2, "Grace"), (3, "Gracia")] {
        app.person(n, name).await;
    }
    for query in [
        hypatia.to_string().as_str(),
        "9001",
        "hypat",
        "HYPATIA@exam",
        "Hypatia%231",
    ] {
        let found = staff.get(&format!("{MEMBERS}?query={query}")).await;
        assert_eq!(found.header("cache-control"), "no-store");
        let found = found.json();
        assert_eq!(names(&found), ["Hypatia"], "{query}");
        assert_eq!(
            found["data"][0]["discord"],
            json!({ "user_id": "9001", "username": "Hypatia#1" })
        );
        assert_eq!(found["data"][0]["standing"], Value::Null);
    }
    let mut path = format!("{MEMBERS}?query=gra&limit=1");
    let mut pages = Vec::new();
    loop {
        let page = staff.get(&path).await.json();
        pages.push(names(&page).join(" "));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("{MEMBERS}?query=gra&limit=1&cursor={cursor}");
    }
    assert_eq!(pages, ["Gracia", "Grace"]);
    for wrong in ["cursor=1", "limit=0", "limit=201"] {
        assert_eq!(
            staff.get(&format!("{MEMBERS}?{wrong}")).await.code(),
            "bad_request",
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn a_person_is_shown_as_a_whole_with_their_timeline_and_messages() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut staff = app.staff().await;
    let me = app.member_id(&mut staff).await;
    app.seed_membership(me, 4001, Standing::Active, true).await;
    app.lost_message(1, me).await;
    let other = app.person(1, "Hypatia").await;
    app.lost_message(2, other).await;
    let person = format!("{MEMBERS}/{me}");
    let body = json!({ "plan": "inner", "reason": "moderator" });
    assert_eq!(staff.post(&format!("{person}/grants"), &body).await.status, 201);

    let whole = staff.get(&person).await.json();
    assert_eq!(
        (&whole["standing"], &whole["direct_messages"]),
        (&json!("active"), &json!(true))
    );
    assert_eq!(whole["subscriptions"][0]["id"], json!("sub_1"));
    assert_eq!(whole["purchases"], json!([]));
    assert_eq!(whole["grants"][0]["reason"], json!("moderator"));
    assert_eq!(
        (&whole["roles"][0]["observed"], &whole["roles"][0]["state"]),
        (&json!(true), &json!("in_sync"))
    );
    assert_eq!(whole["messages"].as_array().unwrap().len(), 1);
    let messages = staff.get(&format!("{person}/messages")).await.json();
    assert_eq!(messages["data"], whole["messages"]);
    assert_eq!(
        (&messages["data"][0]["state"], &messages["data"][0]["last_error"]),
        (&json!("undeliverable"), &json!("answer 550"))
    );

    app.advance(1);
    let synced = staff.post(&format!("{person}/sync"), &json!({})).await;
    assert_eq!(
        (synced.status.as_u16(), synced.json()),
        (202, json!({ "subscriptions": 1 }))
    );
    let reads = app.jobs("jobs").await;
    assert_eq!(
        (&reads[0]["kind"], &reads[0]["args"]["subscription_id"]),
        (&json!("sync_subscription"), &json!("sub_1"))
    );
    let hints = app.jobs("account-events").await;
    assert_eq!(hints.last().unwrap()["args"]["reason"], json!("staff"));
    let newest = staff.get(&format!("{person}/timeline?limit=1")).await.json();
    assert_eq!(newest["data"][0]["what"], json!("member.sync"));
    let cursor = newest["next_cursor"].as_str().unwrap();
    let older = staff
        .get(&format!("{person}/timeline?cursor={cursor}"))
        .await
        .json();
    let lines = older["data"].as_array().unwrap();
    let whats: Vec<&str> = lines.iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert!(
        whats.contains(&"grant.give") && whats.contains(&"payment_failed") && !whats.contains(&"member.sync"),
        "{whats:?}"
    );

    for rest in ["", "/timeline", "/messages", "/grants"] {
        let nobody = format!("{MEMBERS}/{}{rest}", Uuid::max());
        assert_eq!(staff.get(&nobody).await.code(), "not_found", "{rest}");
        let path = format!("{person}{rest}");
        assert_eq!(app.browser().get(&path).await.code(), "not_signed_in", "{rest}");
    }
    let wrong = staff.get(&format!("{person}/sync")).await;
    assert_eq!(
        (wrong.code().as_str(), wrong.header("allow")),
        ("method_not_allowed", "POST")
    );
}
