//! `why`, for staff only.

use rolecall_db::staff::{StaffName, insert_staff};
use rolecall_domain::{ids::DiscordUserId, standing::Standing};
use serde_json::json;
use uuid::Uuid;

use crate::support::{GUILD, ROLE, TestApp};

#[tokio::test]
async fn staff_sees_why_somebody_has_a_role_and_others_do_not() {
    let app = TestApp::start().await;
    app.seed_plans().await;
    let mut browser = app.signed_in().await;
    let member_id = app.member_id(&mut browser).await;
    app.seed_membership(member_id, 4001, Standing::Active, true).await;
    let path = format!("/api/v1/admin/members/{member_id}/why");
    assert_eq!(app.browser().get(&path).await.code(), "not_signed_in");
    assert_eq!(browser.get(&path).await.code(), "not_staff");

    let mut tx = app.database.begin().await.unwrap();
    let name = StaffName::Discord(DiscordUserId::new(4001).unwrap());
    insert_staff(&mut tx, Uuid::from_u128(1), &name, "cli", app.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let why = browser.get(&path).await.json();
    assert_eq!(why["member"]["discord_user_id"], json!("4001"));
    assert_eq!(why["guilds"][0]["guild"], json!(GUILD.to_string()));
    assert_eq!(why["guilds"][0]["roles"][0]["role"], json!(ROLE.to_string()));
    assert_eq!(
        why["guilds"][0]["roles"][0]["reasons"][0]["kind"],
        json!("subscription")
    );

    let nobody = format!("/api/v1/admin/members/{}/why", Uuid::nil());
    assert_eq!(browser.get(&nobody).await.code(), "not_found");
    assert_eq!(
        browser.get("/api/v1/admin/members/nonsense/why").await.code(),
        "not_found"
    );
}
