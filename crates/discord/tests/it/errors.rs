//! Each way in which a call of the bot fails, as its caller sees it.

use std::{error::Error as _, time::Duration};

use rolecall_discord::{
    error::{DiscordError, ErrorClass},
    limiter::{Lane, LimitScope, Limiter, Limits},
};

use crate::{
    TOKEN, bot, bot_with, guild, role,
    server::{Reply, Server},
    soon, user,
};

/// The error of adding a role when the server answers `reply`, after a look for the token in it.
async fn error_of(reply: Option<Reply>) -> DiscordError {
    let server = Server::start(move |_| reply.clone()).await;
    let bot = bot(&server.origin);
    let error = soon(bot.add_role(guild(), user(22), role(33), "why", Lane::Now))
        .await
        .unwrap_err();
    let mut shown = vec![format!("{error} {error:?} {bot:?}")];
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push(format!("{cause} {cause:?}"));
        source = cause.source();
    }
    let shown = shown.concat();
    assert!(!shown.contains(TOKEN), "the token is shown: {shown}");
    error
}

fn refusal(status: u16, code: u64) -> Reply {
    Reply::new(status, format!(r#"{{"message":"No","code":{code}}}"#))
}

#[tokio::test]
async fn each_refusal_has_its_class() {
    let expected = [
        (404, 10_007, ErrorClass::NotInGuild),
        (404, 10_013, ErrorClass::NotInGuild),
        (403, 50_013, ErrorClass::MissingPermission { code: 50_013 }),
        (403, 50_001, ErrorClass::MissingPermission { code: 50_001 }),
        (404, 10_011, ErrorClass::UnknownRole),
        (404, 10_004, ErrorClass::UnknownGuild),
        (403, 40_007, ErrorClass::Banned),
        (400, 30_001, ErrorClass::GuildLimit),
        (400, 50_025, ErrorClass::InvalidOauthToken),
        (401, 0, ErrorClass::TokenInvalid),
        (
            400,
            50_035,
            ErrorClass::Rejected {
                status: 400,
                code: 50_035,
                message: "No".to_owned(),
            },
        ),
        (503, 0, ErrorClass::Unavailable),
    ];
    for (status, code, class) in expected {
        assert_eq!(
            error_of(Some(refusal(status, code))).await.class(),
            class,
            "{status} {code}"
        );
    }
}

#[tokio::test]
async fn html_from_the_edge_is_an_outage() {
    let html = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>";
    assert_eq!(
        error_of(Some(Reply::new(403, html))).await.class(),
        ErrorClass::Unavailable
    );
    assert_eq!(
        error_of(Some(Reply::new(502, html))).await.class(),
        ErrorClass::Unavailable
    );
}

#[tokio::test]
async fn a_broken_connection_and_a_closed_port_are_outages() {
    let error = error_of(None).await;
    assert!(matches!(error, DiscordError::NoAnswer { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Unavailable);

    let origin = Server::answering(Reply::new(204, "")).await.origin.clone();
    let error = soon(bot(&origin).current_user(Lane::Now)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_answer_that_is_not_understood_is_told_from_one_that_did_not_come() {
    let server = Server::answering(Reply::new(200, r#"{"unexpected":1}"#)).await;
    let error = soon(bot(&server.origin).current_user(Lane::Now))
        .await
        .unwrap_err();
    assert!(matches!(error, DiscordError::Decode { .. }), "{error:?}");
}

#[tokio::test]
async fn a_429_tells_how_long_and_whose() {
    let json = |retry_after: &str| {
        Reply::new(
            429,
            format!(r#"{{"message":"slow","retry_after":{retry_after},"global":false}}"#),
        )
    };
    let class = |millis, scope| ErrorClass::RateLimited {
        retry_after: Duration::from_millis(millis),
        scope,
    };
    let user_scope = json("0.25")
        .header("x-ratelimit-scope", "user")
        .header("retry-after", "1");
    assert_eq!(
        error_of(Some(user_scope)).await.class(),
        class(250, LimitScope::User)
    );
    let shared = json("1.5").header("x-ratelimit-scope", "shared");
    assert_eq!(
        error_of(Some(shared)).await.class(),
        class(1500, LimitScope::Shared)
    );
    let global = json("2")
        .header("x-ratelimit-global", "true")
        .header("x-ratelimit-scope", "global");
    assert_eq!(
        error_of(Some(global)).await.class(),
        class(2000, LimitScope::Global)
    );
    let edge = Reply::new(429, "error code: 1015").header("retry-after", "7");
    assert_eq!(error_of(Some(edge)).await.class(), class(7000, LimitScope::Edge));
}

#[tokio::test]
async fn a_wrong_token_gives_one_clear_error_each_time_and_ends_in_silence() {
    let server = Server::answering(refusal(401, 0)).await;
    let limiter = Limiter::new(Limits {
        invalid_requests: 10,
        ..Limits::default()
    });
    let bot = bot_with(&server.origin, limiter);
    for _ in 0..8 {
        let error = soon(bot.current_user(Lane::Now)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::TokenInvalid);
    }
    let error = soon(bot.current_user(Lane::Now)).await.unwrap_err();
    assert!(
        matches!(error.class(), ErrorClass::BudgetSpent { .. }),
        "{error:?}"
    );
    assert!(error.retry_after().unwrap() > Duration::from_secs(500));
    assert_eq!(
        server.seen().len(),
        8,
        "a request was sent after the budget was spent"
    );
}
