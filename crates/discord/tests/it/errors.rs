//! Each way in which a call of the bot fails, as its caller sees it.

use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rolecall_discord::{
    error::{DiscordError, ErrorClass},
    limiter::{Lane, LimitScope, Limiter, Limits},
    rest::{Gate, Pass},
};
use tokio::task::JoinSet;

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
async fn a_wrong_token_is_tried_once_and_again_only_on_purpose() {
    let refused = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&refused);
    let server = Server::start(move |_| {
        Some(if switch.load(Ordering::SeqCst) {
            refusal(401, 0)
        } else {
            Reply::new(200, r#"{"id":"5","username":"bot"}"#)
        })
    })
    .await;
    let bot = bot(&server.origin);
    let error = soon(bot.current_user(Lane::Now)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TokenInvalid);
    soon(bot.token().refused()).await;
    let error = soon(bot.current_user(Lane::Now)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::CalledOff);
    assert_eq!(server.seen().len(), 1);

    let error = soon(bot.try_token(Lane::Now)).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TokenInvalid);
    assert!(bot.token().is_refused());
    refused.store(false, Ordering::SeqCst);
    soon(bot.try_token(Lane::Now)).await.unwrap();
    soon(bot.token().accepted()).await;
    assert!(soon(bot.current_user(Lane::Now)).await.is_ok());
}

#[tokio::test]
async fn those_who_wait_in_line_when_the_token_is_refused_are_not_sent() {
    let server = Server::answering(refusal(401, 0)).await;
    let bot = Arc::new(bot(&server.origin));
    let mut tasks = JoinSet::new();
    for id in 1..=30 {
        let bot = Arc::clone(&bot);
        tasks.spawn(async move {
            let answer = bot.add_role(guild(), user(id), role(33), "", Lane::Now).await;
            answer.unwrap_err().class()
        });
    }
    let classes = soon(tasks.join_all()).await;
    let count = |wanted: &ErrorClass| classes.iter().filter(|class| *class == wanted).count();
    assert_eq!(
        (count(&ErrorClass::TokenInvalid), count(&ErrorClass::CalledOff)),
        (1, 29)
    );
    assert_eq!(server.seen().len(), 1, "a refused token was used again");
}

#[tokio::test]
async fn a_persons_token_that_is_refused_says_nothing_about_the_bots() {
    let server = Server::answering(refusal(401, 50_025)).await;
    let bot = bot(&server.origin);
    let person = "expired".into();
    let added = soon(bot.add_member(guild(), user(1), &person, &[], Lane::Now)).await;
    assert_eq!(added.unwrap_err().class(), ErrorClass::InvalidOauthToken);
    assert!(!bot.token().is_refused());
}

#[tokio::test]
async fn refusals_end_in_silence_long_before_a_ban() {
    let server = Server::answering(refusal(403, 50_013)).await;
    let limiter = Limiter::new(Limits {
        invalid_requests: 10,
        ..Limits::default()
    });
    let bot = bot_with(&server.origin, limiter);
    for _ in 0..8 {
        let error = soon(bot.current_user(Lane::Now)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::MissingPermission { code: 50_013 });
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

#[tokio::test]
async fn a_call_can_be_called_off_while_it_waits_and_not_after() {
    let server = Server::answering(
        Reply::new(204, "")
            .header("x-ratelimit-bucket", "4a1b")
            .header("x-ratelimit-limit", "1")
            .header("x-ratelimit-remaining", "0")
            .header("x-ratelimit-reset-after", "0.300"),
    )
    .await;
    let bot = bot(&server.origin);
    let (first, second) = (Gate::default(), Gate::default());
    let give = |id, gate: &Gate| {
        let pass = Pass::new(Lane::Now, gate);
        bot.add_role(guild(), user(id), role(33), "", pass)
    };
    soon(give(1, &first)).await.unwrap();
    assert!(!first.shut(), "it has long gone out");
    // This one has to wait for the next window.
    let waiting = give(2, &second);
    assert!(second.shut());
    let error = soon(waiting).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::CalledOff);
    soon(give(3, &Gate::default())).await.unwrap();
    assert_eq!(server.seen().len(), 2, "the one that was called off was sent");
}
