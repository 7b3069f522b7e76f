//! The pages, as a person without JavaScript sees them.

use reqwest::{StatusCode, header};
use rolecall_sandbox::discord::demo;

use super::support::{ADA, COUNCIL, GUILD, World, start};

async fn page(world: &World, path: &str) -> String {
    let response = world.http.get(world.url(path)).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.text().await.unwrap()
}

#[tokio::test]
async fn the_server_is_shown_and_its_buttons_work() {
    let world = start().await;
    assert!(page(&world, "/").await.contains("The Revenue Council"));
    let path = format!("/guilds/{GUILD}");
    let press = async |fields: &[(&str, &str)]| {
        let response = world
            .http
            .post(world.url(&format!("{path}/act")))
            .form(fields)
            .send()
            .await
            .unwrap();
        (
            response.status(),
            response.headers().get(header::LOCATION).cloned(),
        )
    };
    let (ada, council) = (ADA.to_string(), COUNCIL.to_string());
    let (status, back) = press(&[("action", "join"), ("user", &ada)]).await;
    assert_eq!(
        (status, back.unwrap().to_str().unwrap()),
        (StatusCode::SEE_OTHER, path.as_str())
    );
    press(&[("action", "give_role"), ("user", &ada), ("role", &council)]).await;
    assert_eq!(world.discord.member_roles(GUILD, ADA), Some(vec![COUNCIL]));
    let shown = page(&world, &path).await;
    assert!(shown.contains("Take Council from Ada Archer"));
    assert!(shown.contains("Ada Archer +Council"), "the audit log");
    assert!(!shown.contains("out of its reach"));

    press(&[("action", "move_role"), ("role", &council), ("position", "5")]).await;
    assert!(
        page(&world, &path)
            .await
            .contains("above the bot: out of its reach")
    );
    press(&[("action", "take_role"), ("user", &ada), ("role", &council)]).await;
    press(&[("action", "leave"), ("user", &ada)]).await;
    assert_eq!(world.discord.member_roles(GUILD, ADA), None);
    assert_eq!(
        press(&[("action", "leave"), ("user", &ada)]).await.0,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn what_people_call_themselves_cannot_break_the_page() {
    let world = start().await;
    let user = world.discord.add_user("<b>eve</b>", None, false).unwrap();
    world.discord.join(GUILD, user).unwrap();
    let shown = page(&world, &format!("/guilds/{GUILD}")).await;
    assert!(!shown.contains("<b>eve"));
    assert!(shown.contains("&#60;b&#62;eve"));
}

#[tokio::test]
async fn a_page_refreshes_only_when_asked_and_a_wrong_server_is_told() {
    let world = start().await;
    let refreshing = "http-equiv=\"refresh\"";
    assert!(
        !page(&world, &format!("/guilds/{GUILD}"))
            .await
            .contains(refreshing)
    );
    assert!(
        page(&world, &format!("/guilds/{GUILD}?refresh=1"))
            .await
            .contains(refreshing)
    );
    let missing = world.http.get(world.url("/guilds/1")).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::BAD_REQUEST);
    let query = format!(
        "/oauth2/authorize?client_id={}&response_type=code&scope=identify&redirect_uri={}",
        demo::CLIENT_ID,
        super::support::REDIRECT
    );
    assert!(
        page(&world, &query)
            .await
            .contains("Know your username and avatar")
    );
}
