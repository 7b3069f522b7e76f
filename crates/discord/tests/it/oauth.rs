//! Sign-in against a server that behaves like Discord's token and user endpoints.

use std::{collections::HashMap, error::Error as _, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use rolecall_discord::oauth::{OauthClient, OauthConfig, OauthError, OauthScope, Pkce};
use secrecy::ExposeSecret;
use url::{Url, form_urlencoded};

use crate::{
    server::{Reply, Server},
    soon,
};

const SECRET: &str = "cl1ent-s3cret";
const REDIRECT: &str = "https://rolecall.example/auth/discord/callback";

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn client(origin: &Url) -> OauthClient {
    let config = OauthConfig {
        origin: origin.clone(),
        client_id: "42".to_owned(),
        client_secret: SECRET.into(),
    };
    OauthClient::new(config).unwrap()
}

fn form(body: &str) -> HashMap<String, String> {
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// Discord: one code that works once, one refresh token, one user.
async fn discord() -> Server {
    let spent = std::sync::atomic::AtomicBool::new(false);
    Server::start(move |seen| {
        let basic = format!("Basic {}", STANDARD.encode(format!("42:{SECRET}")));
        if seen.path != "/api/v10/users/@me" && seen.header("authorization") != Some(&basic) {
            return Some(Reply::new(401, r#"{"error":"invalid_client"}"#));
        }
        let form = form(&seen.body);
        let tokens = |access: &str| {
            let scope = "identify email guilds.join";
            Reply::new(
                200,
                format!(
                    r#"{{"token_type":"Bearer","access_token":"{access}","expires_in":604800,
                    "refresh_token":"refresh-of-{access}","scope":"{scope}"}}"#
                ),
            )
        };
        let field = |name: &str| form.get(name).map(String::as_str);
        Some(match (seen.line().as_str(), field("grant_type")) {
            ("POST /api/v10/oauth2/token", Some("authorization_code"))
                if field("code") == Some("good")
                    && field("redirect_uri") == Some(REDIRECT)
                    && field("code_verifier") == Some("verifier")
                    && !spent.swap(true, std::sync::atomic::Ordering::SeqCst) =>
            {
                tokens("first")
            }
            ("POST /api/v10/oauth2/token", Some("refresh_token"))
                if field("refresh_token") == Some("refresh-of-first") =>
            {
                tokens("second")
            }
            ("POST /api/v10/oauth2/token", _) => Reply::new(
                400,
                r#"{"error":"invalid_grant","error_description":"Invalid \"code\""}"#,
            ),
            ("POST /api/v10/oauth2/token/revoke", _) if field("token") == Some("second") => {
                Reply::new(200, "{}")
            }
            ("GET /api/v10/users/@me", _) if seen.header("authorization") == Some("Bearer first") => {
                Reply::new(
                    200,
                    r#"{"id":"5","username":"ann","global_name":"Ann","avatar":"a1","email":"ann@example.com",
                    "verified":true,"mfa_enabled":true}"#,
                )
            }
            _ => Reply::new(401, r#"{"message":"401: Unauthorized","code":0}"#),
        })
    })
    .await
}

#[tokio::test]
async fn the_whole_flow_works_once() {
    let server = discord().await;
    let client = client(&server.origin);
    let verifier = "verifier".into();
    let tokens = soon(client.exchange_code("good", &verifier, REDIRECT, now()))
        .await
        .unwrap();
    assert_eq!(tokens.expires_at, now() + TimeDelta::days(7));
    assert_eq!(
        tokens.scopes,
        [OauthScope::Identify, OauthScope::Email, OauthScope::GuildsJoin]
    );
    assert!(!format!("{tokens:?}").contains("first"), "{tokens:?}");

    let user = soon(client.current_user(&tokens.access)).await.unwrap();
    assert_eq!(
        (user.id.get(), user.display_name(), user.verified_email()),
        (5, "Ann", Some("ann@example.com"))
    );

    let again = soon(client.exchange_code("good", &verifier, REDIRECT, now())).await;
    assert!(matches!(again, Err(OauthError::InvalidGrant)), "{again:?}");

    let second = soon(client.refresh(&tokens.refresh, now())).await.unwrap();
    assert_eq!(second.access.expose_secret(), "second");
    soon(client.revoke(&second.access)).await.unwrap();
}

#[tokio::test]
async fn the_browser_is_sent_to_discord_with_state_and_challenge() {
    let server = discord().await;
    let pkce = Pkce::from_verifier("verifier".into());
    let scopes = [OauthScope::Identify, OauthScope::GuildsJoin];
    let url = client(&server.origin).authorize_url("st&te", &pkce.challenge, REDIRECT, &scopes);
    assert_eq!(url.path(), "/oauth2/authorize");
    assert_eq!(url.origin(), server.origin.origin());
    let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
    let expected = [
        ("response_type", "code"),
        ("client_id", "42"),
        ("scope", "identify guilds.join"),
        ("redirect_uri", REDIRECT),
        ("state", "st&te"),
        ("code_challenge", pkce.challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    assert_eq!(query.len(), expected.len());
    for (name, value) in expected {
        assert_eq!(query[name], value);
    }
}

#[tokio::test]
async fn a_wrong_client_secret_is_a_setup_fault_that_does_not_show_it() {
    let server = discord().await;
    let config = OauthConfig {
        origin: server.origin.clone(),
        client_id: "42".to_owned(),
        client_secret: "wr0ng-s3cret".into(),
    };
    let client = OauthClient::new(config).unwrap();
    let error = soon(client.exchange_code("good", &"verifier".into(), REDIRECT, now()))
        .await
        .unwrap_err();
    assert!(matches!(error, OauthError::InvalidClient), "{error:?}");
    assert!(!format!("{error} {error:?} {client:?}").contains("wr0ng-s3cret"));
}

#[tokio::test]
async fn an_expired_access_token_is_told_from_other_faults() {
    let server = discord().await;
    let error = soon(client(&server.origin).current_user(&"expired".into()))
        .await
        .unwrap_err();
    assert!(matches!(error, OauthError::InvalidToken), "{error:?}");
    assert!(!error.is_transient());
}

#[tokio::test]
async fn limits_outages_and_nonsense_are_told_apart() {
    let failure = async |reply: Option<Reply>| {
        let server = Server::start(move |_| reply.clone()).await;
        let error = soon(client(&server.origin).exchange_code("c0de", &"verif1er".into(), REDIRECT, now()))
            .await
            .unwrap_err();
        let shown = format!("{error} {error:?} {:?}", error.source());
        for secret in ["c0de", "verif1er", SECRET] {
            assert!(!shown.contains(secret), "{secret} is shown: {shown}");
        }
        error
    };
    let limited = failure(Some(
        Reply::new(429, "error code: 1015").header("retry-after", "9"),
    ))
    .await;
    assert!(
        matches!(limited, OauthError::RateLimited { retry_after } if retry_after == Duration::from_secs(9)),
        "{limited:?}"
    );
    assert!(matches!(
        failure(Some(Reply::new(503, ""))).await,
        OauthError::Unavailable { .. }
    ));
    assert!(matches!(failure(None).await, OauthError::Unavailable { .. }));
    assert!(matches!(
        failure(Some(Reply::new(200, "[]"))).await,
        OauthError::Unexpected { .. }
    ));
    assert!(matches!(
        failure(Some(Reply::new(400, "{}"))).await,
        OauthError::Unexpected { .. }
    ));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    for (status, expected) in [(200, "longer than 8388608 bytes"), (502, "")] {
        let server = Server::start(move |_| Some(Reply::new(status, "x".repeat(9 * 1024 * 1024)))).await;
        let error = soon(client(&server.origin).current_user(&"access".into()))
            .await
            .unwrap_err();
        let why = error.source().map(ToString::to_string).unwrap_or_default();
        assert_eq!(why, expected, "{error:?}");
        assert_eq!(error.is_transient(), status == 502, "{error:?}");
    }
}
