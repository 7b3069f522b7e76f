//! An error as a page: what happened in plain words, and what to do next.

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use askama::Template;

use crate::{
    error::{ApiError, Code, problem},
    pages::frame::{Frame, Here},
    sign_in::next::Next,
    state::State,
};

#[derive(Template)]
#[template(path = "pages/error.html")]
struct ErrorPage<'a> {
    frame: Frame,
    title: &'static str,
    text: &'static str,
    action: &'static str,
    action_url: String,
    code: &'static str,
    request_id: &'a str,
    /// Somebody may have to look for this request in the log.
    needs_help: bool,
}

/// The answer for a person; `None` if even that goes wrong.
pub(crate) fn response(request: &HttpRequest, error: &ApiError, request_id: &str) -> Option<HttpResponse> {
    let state = request.app_data::<web::Data<State>>()?;
    let code = error.code();
    let (text, action, action_url) = words(code, request);
    let page = ErrorPage {
        frame: Frame::new(state, request, code.title(), Here::Elsewhere),
        title: code.title(),
        text,
        action,
        action_url,
        code: code.as_str(),
        request_id,
        needs_help: !matches!(
            code,
            Code::NotSignedIn | Code::NotFound | Code::SessionEnded | Code::SignInDenied
        ),
    };
    let body = page.render().ok()?;
    Some(
        problem::builder(error)
            .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
            .body(body),
    )
}

type Words = (&'static str, &'static str, String);

fn words(code: Code, request: &HttpRequest) -> Words {
    let home = || "/".to_owned();
    match code {
        Code::NotFound => (
            "The address may be mistyped, or the page has moved.",
            "Go to the start",
            home(),
        ),
        Code::NotSignedIn => (
            "This page is yours alone, so we have to know who you are. It takes two clicks.",
            "Sign in with Discord",
            Next::of_request(request).login_path(),
        ),
        Code::RateLimited => (
            "You did this very often in a short time. Please wait a minute.",
            "Go to the start",
            home(),
        ),
        Code::ForeignOrigin => (
            "The request came from another site, so it was not carried out.",
            "Go to the start",
            home(),
        ),
        Code::NotStaff => (
            "Your account is not one of the team's.",
            "Go to the start",
            home(),
        ),
        Code::DatabaseUnavailable | Code::QueueUnavailable => (
            "We are back in a moment. Nothing is lost.",
            "Try again",
            request.path().to_owned(),
        ),
        _ => sign_in_words(code)
            .or_else(|| buying_words(code))
            .or_else(|| changing_words(code))
            .unwrap_or_else(|| {
                (
                    "Please go back and try again. If it happens again, tell the owners.",
                    "Go to the start",
                    home(),
                )
            }),
    }
}

fn sign_in_words(code: Code) -> Option<Words> {
    let (text, action) = match code {
        Code::SessionEnded => (
            "This happens after signing out everywhere, and when a sign-in is used twice, to keep you safe.",
            "Sign in with Discord",
        ),
        Code::SignInDenied => (
            "Nothing was changed. To join, Discord has to tell us who you are, and let us add you to the server.",
            "Try again",
        ),
        Code::SignInExpired => (
            "It was begun more than ten minutes ago, in another browser, or it was used before. A new one takes a \
             moment.",
            "Sign in again",
        ),
        Code::SignInCodeRefused => (
            "It is good for a short time and only once. Reloading the page does not help; signing in again does.",
            "Sign in again",
        ),
        Code::DiscordUnavailable => (
            "Discord cannot be reached right now. Your membership is not affected. Please try again in a few minutes.",
            "Try again",
        ),
        Code::DiscordRateLimited => (
            "Many people are signing in right now. Please wait a minute.",
            "Try again",
        ),
        Code::DiscordMisconfigured | Code::DiscordUnexpected => {
            let text =
                "This is a fault of this site, not yours. Its owners have to mend it; please tell them.";
            return Some((text, "Go to the start", "/".to_owned()));
        }
        _ => return None,
    };
    Some((text, action, "/auth/discord/login?next=/dashboard".to_owned()))
}

fn buying_words(code: Code) -> Option<Words> {
    let text = match code {
        Code::PlanNotOnSale | Code::PriceNotOfPlan | Code::QuantityNotOne | Code::QuantityOutOfRange => {
            "The plans may have changed since you opened the page."
        }
        Code::PriceGone => "Nothing was charged. The owners have been told; please choose another price.",
        Code::OtherCurrency => {
            "Nothing was charged. You already pay for something in another currency, and Stripe bills one account \
             in one currency. Choose a price in the currency that you pay in, or end the other membership first."
        }
        Code::DiscountEnded => {
            "Nothing was charged. The code or discount has ended since you saw the price; you can buy without it."
        }
        Code::CompanyPlanUnavailable => {
            "Plans for teams are being prepared. You can join with a plan for one person today."
        }
        Code::NoBillingAccount => {
            "There are no bills or cards of yours at Stripe. They are there as soon as you buy something."
        }
        Code::StripeUnavailable => "Nothing was charged. Please try again in a minute.",
        Code::StripeRefused => "Nothing was charged. This is a fault of this site; please tell its owners.",
        _ => return None,
    };
    Some((text, "See the plans", "/plans".to_owned()))
}

fn changing_words(code: Code) -> Option<Words> {
    let text = match code {
        Code::CardDeclined => {
            "Nothing was changed or charged. Put another card on file under “Manage billing” on your membership \
             page, and try again."
        }
        Code::PaymentUnconfirmed => {
            "Nothing was changed or charged. Your bank does not let this card be charged without you: put another \
             one on file under “Manage billing”, and try again."
        }
        Code::SubscriptionEnded => "What has ended cannot be changed. You can choose a plan again.",
        Code::PaymentOwed => "Please pay the open bill first; then you can change your plan.",
        Code::NothingToChange => "There is nothing to change, and nothing was charged.",
        Code::PlanNotChangeable => {
            "Only plans of the same kind, paid again and again in the same currency, can be changed into each \
             other. You can end this one and choose the other."
        }
        Code::PreviewOutdated => {
            "Nothing was changed or charged. What it costs has changed since you saw the sum: please look again."
        }
        _ => return None,
    };
    Some((text, "Your membership", "/dashboard".to_owned()))
}
