//! Signing in: the page, codes, PKCE, tokens.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::TimeDelta;
use reqwest::{Method, StatusCode, header};
use rolecall_sandbox::discord::demo;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::support::{ADA, ALL_SCOPES, REDIRECT, World, noon, query, start};

const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-length";

async fn current_user(world: &World, token: &str) -> reqwest::Response {
    let request = world.call(Method::GET, "/users/@me").bearer_auth(token);
    request.send().await.unwrap()
}

async fn error_of(response: reqwest::Response) -> (StatusCode, String) {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    (
        status,
        body["error"]
            .as_str()
            .unwrap_or_else(|| panic!("{body}"))
            .to_owned(),
    )
}

#[tokio::test]
async fn a_person_signs_in_with_pkce_and_the_code_is_good_once() {
    let world = start().await;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let more = [
        ("state", "s p&e"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    let target = world.authorize(ADA, ALL_SCOPES, &more).await;
    assert!(target.as_str().starts_with(REDIRECT));
    assert_eq!(query(&target, "state"), "s p&e");
    let code = query(&target, "code");

    let response = world.exchange(&code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let tokens: Value = response.json().await.unwrap();
    assert_eq!(tokens["token_type"], "Bearer");
    assert_eq!(tokens["expires_in"], 604_800);
    assert_eq!(tokens["scope"], ALL_SCOPES);

    let user: Value = current_user(&world, tokens["access_token"].as_str().unwrap())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(user["id"], ADA.to_string());
    assert_eq!(
        (&user["email"], &user["verified"]),
        (&"ada@example.test".into(), &true.into())
    );

    let again = world.exchange(&code, &[("code_verifier", VERIFIER)]).await;
    assert_eq!(
        error_of(again).await,
        (StatusCode::BAD_REQUEST, "invalid_grant".to_owned())
    );
}

#[tokio::test]
async fn a_wrong_verifier_is_refused_and_uses_the_code_up() {
    let world = start().await;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let more = [
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let code = query(&world.authorize(ADA, ALL_SCOPES, &more).await, "code");
    let wrong = "another-verifier-of-at-least-forty-three-characters";
    for verifier in [wrong, VERIFIER] {
        let response = world.exchange(&code, &[("code_verifier", verifier)]).await;
        assert_eq!(error_of(response).await.1, "invalid_grant", "{verifier}");
    }
    let code = query(&world.authorize(ADA, ALL_SCOPES, &more).await, "code");
    assert_eq!(
        error_of(world.exchange(&code, &[]).await).await.1,
        "invalid_request"
    );
}

#[tokio::test]
async fn a_code_dies_after_ten_minutes_and_a_token_after_a_week() {
    let world = start().await;
    let code = query(&world.authorize(ADA, ALL_SCOPES, &[]).await, "code");
    world.clock.set_wall(noon() + TimeDelta::minutes(10));
    assert_eq!(
        error_of(world.exchange(&code, &[]).await).await.1,
        "invalid_grant"
    );

    let token = world.access_token(ADA, ALL_SCOPES).await;
    world
        .clock
        .set_wall(noon() + TimeDelta::minutes(9) + TimeDelta::days(7));
    assert_eq!(current_user(&world, &token).await.status(), StatusCode::OK);
    world
        .clock
        .set_wall(noon() + TimeDelta::minutes(11) + TimeDelta::days(7));
    assert_eq!(
        current_user(&world, &token).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn who_cancels_is_sent_back_with_an_error_and_the_state() {
    let world = start().await;
    let target = world
        .answer_consent("identify", &[("state", "abc")], &[("decision", "cancel")])
        .await;
    assert_eq!(query(&target, "error"), "access_denied");
    assert_eq!(query(&target, "state"), "abc");
}

#[tokio::test]
async fn a_request_that_is_wrong_is_told_on_the_page_and_never_redirected() {
    let world = start().await;
    let id = demo::CLIENT_ID.to_string();
    let good = [
        ("client_id", id.as_str()),
        ("redirect_uri", REDIRECT),
        ("response_type", "code"),
        ("scope", "identify"),
    ];
    let wrong = [
        ("client_id", "1", "Unknown application"),
        (
            "redirect_uri",
            "http://localhost:3000/auth/discord/callback/",
            "Invalid OAuth2 redirect_uri",
        ),
        ("response_type", "token", "response_type"),
        ("scope", "identify bot.secrets", "scope"),
        ("code_challenge_method", "S512", "code_challenge"),
    ];
    for (field, value, told) in wrong {
        let mut query: Vec<(&str, &str)> = good.into_iter().filter(|(name, _)| *name != field).collect();
        query.push((field, value));
        for method in [Method::GET, Method::POST] {
            let request = world
                .http
                .request(method, world.url("/oauth2/authorize"))
                .query(&query);
            let response = request.form(&[("decision", "authorize")]).send().await.unwrap();
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{field}");
            assert!(response.headers().get(header::LOCATION).is_none());
            assert!(response.text().await.unwrap().contains(told), "{field}");
        }
    }
}

#[tokio::test]
async fn somebody_new_signs_in_with_an_address_that_is_not_verified() {
    let world = start().await;
    let answer = [
        ("decision", "authorize"),
        ("person", "new"),
        ("username", "Nia New"),
        ("email", "nia@example.test"),
    ];
    let target = world.answer_consent("identify email", &[], &answer).await;
    let tokens: Value = world
        .exchange(&query(&target, "code"), &[])
        .await
        .json()
        .await
        .unwrap();
    let user: Value = current_user(&world, tokens["access_token"].as_str().unwrap())
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&user["username"], &user["global_name"]),
        (&"nianew".into(), &"Nia New".into())
    );
    assert_eq!(
        (&user["email"], &user["verified"]),
        (&"nia@example.test".into(), &false.into())
    );
}

#[tokio::test]
async fn the_address_is_seen_only_with_its_scope() {
    let world = start().await;
    let token = world.access_token(ADA, "identify").await;
    let user: Value = current_user(&world, &token).await.json().await.unwrap();
    assert_eq!((user.get("email"), user.get("verified")), (None, None));
    let without = world.access_token(ADA, "guilds.join").await;
    assert_eq!(
        super::support::refusal(current_user(&world, &without).await).await,
        (403, 50026)
    );
}

#[tokio::test]
async fn a_refresh_token_rotates_and_revoking_one_token_ends_all() {
    let world = start().await;
    let code = query(&world.authorize(ADA, ALL_SCOPES, &[]).await, "code");
    let first: Value = world.exchange(&code, &[]).await.json().await.unwrap();
    let old = first["refresh_token"].as_str().unwrap();
    let refresh = |token: String| {
        let world = &world;
        async move {
            world
                .token(&[("grant_type", "refresh_token"), ("refresh_token", &token)])
                .await
        }
    };
    let second: Value = refresh(old.to_owned()).await.json().await.unwrap();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(error_of(refresh(old.to_owned()).await).await.1, "invalid_grant");

    let access = second["access_token"].as_str().unwrap();
    let id = demo::CLIENT_ID.to_string();
    let revoked = world
        .call(Method::POST, "/oauth2/token/revoke")
        .basic_auth(&id, Some(demo::CLIENT_SECRET))
        .form(&[("token", access)])
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), StatusCode::OK);
    assert_eq!(
        current_user(&world, access).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let newest = second["refresh_token"].as_str().unwrap().to_owned();
    assert_eq!(error_of(refresh(newest).await).await.1, "invalid_grant");
}

#[tokio::test]
async fn the_client_must_prove_itself_and_send_a_form() {
    let world = start().await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", "x"),
        ("client_id", "1"),
        ("client_secret", "y"),
    ];
    let response = world
        .call(Method::POST, "/oauth2/token")
        .form(&fields)
        .send()
        .await
        .unwrap();
    assert_eq!(
        error_of(response).await,
        (StatusCode::UNAUTHORIZED, "invalid_client".to_owned())
    );
    let unsupported = world.token(&[("grant_type", "password")]).await;
    assert_eq!(error_of(unsupported).await.1, "unsupported_grant_type");
    let json = world
        .call(Method::POST, "/oauth2/token")
        .json(&fields)
        .send()
        .await
        .unwrap();
    assert_eq!(super::support::refusal(json).await, (400, 50035));
}
