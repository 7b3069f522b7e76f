//! The closed list of what can go wrong in the words of a program. Clients branch on these.

use actix_web::http::StatusCode;

macro_rules! codes {
    ($($name:ident = $text:literal, $status:ident, $title:literal;)*) => {
        /// What went wrong, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code {
            $(#[doc = $title] $name),*
        }

        impl Code {
            /// Every code.
            #[cfg(test)]
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The word on the wire.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status that goes with it.
            pub(crate) const fn status(self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status),* }
            }

            /// The same in a few words, for people.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    NotFound = "not_found", NOT_FOUND, "There is nothing here";
    MethodNotAllowed = "method_not_allowed", METHOD_NOT_ALLOWED, "This address does not take that method";
    BadRequest = "bad_request", BAD_REQUEST, "The request cannot be read";
    BodyTooLarge = "body_too_large", PAYLOAD_TOO_LARGE, "The body is too large";
    UnsupportedMediaType = "unsupported_media_type", UNSUPPORTED_MEDIA_TYPE, "The body is of another type than expected";
    RequestTimeout = "request_timeout", REQUEST_TIMEOUT, "The body took too long to arrive";
    RateLimited = "rate_limited", TOO_MANY_REQUESTS, "Too many requests";
    ForeignOrigin = "foreign_origin", FORBIDDEN, "This page may not do that";
    NotSignedIn = "not_signed_in", UNAUTHORIZED, "Please sign in";
    SessionEnded = "session_ended", UNAUTHORIZED, "You have been signed out";
    NotStaff = "not_staff", FORBIDDEN, "This is for staff";
    SignInDenied = "sign_in_denied", FORBIDDEN, "You did not agree at Discord";
    SignInExpired = "sign_in_expired", BAD_REQUEST, "This sign-in is over";
    SignInCodeRefused = "sign_in_code_refused", BAD_REQUEST, "Discord's code is not valid any more";
    DiscordUnavailable = "discord_unavailable", SERVICE_UNAVAILABLE, "Discord does not answer";
    DiscordRateLimited = "discord_rate_limited", SERVICE_UNAVAILABLE, "Discord asks us to slow down";
    DiscordMisconfigured = "discord_misconfigured", BAD_GATEWAY, "Sign-in is not set up correctly";
    DiscordUnexpected = "discord_unexpected", BAD_GATEWAY, "Discord gave an unexpected answer";
    PlanNotOnSale = "plan_not_on_sale", UNPROCESSABLE_ENTITY, "This plan is not on sale";
    PriceNotOfPlan = "price_not_of_plan", UNPROCESSABLE_ENTITY, "This price does not belong to the plan";
    CompanyPlanUnavailable = "company_plan_unavailable", UNPROCESSABLE_ENTITY, "Seats for companies are not on sale yet";
    QuantityNotOne = "quantity_not_one", UNPROCESSABLE_ENTITY, "A plan for one person is bought once";
    QuantityOutOfRange = "quantity_out_of_range", UNPROCESSABLE_ENTITY, "That number is not possible";
    AlreadySubscribed = "already_subscribed", CONFLICT, "You already have this plan";
    PriceGone = "price_gone", UNPROCESSABLE_ENTITY, "This price is not sold any more";
    OtherCurrency = "other_currency", CONFLICT, "This price is in another currency";
    DiscountEnded = "discount_ended", CONFLICT, "The discount has ended";
    CardDeclined = "card_declined", PAYMENT_REQUIRED, "Your card was declined";
    PaymentUnconfirmed = "payment_unconfirmed", PAYMENT_REQUIRED, "Your bank wants you to confirm the payment";
    SubscriptionEnded = "subscription_ended", CONFLICT, "This membership has ended";
    PaymentOwed = "payment_owed", CONFLICT, "A bill is still open";
    NothingToChange = "nothing_to_change", UNPROCESSABLE_ENTITY, "This is the plan you have";
    PlanNotChangeable = "plan_not_changeable", UNPROCESSABLE_ENTITY, "Your plan cannot be changed like this";
    PreviewOutdated = "preview_outdated", CONFLICT, "The sum has changed";
    NoBillingAccount = "no_billing_account", CONFLICT, "There is nothing to manage yet";
    UnknownPlan = "unknown_plan", UNPROCESSABLE_ENTITY, "There is no such plan";
    ReasonMissing = "reason_missing", UNPROCESSABLE_ENTITY, "A reason is needed";
    ReasonTooLong = "reason_too_long", UNPROCESSABLE_ENTITY, "The reason is too long";
    EndInPast = "end_in_past", UNPROCESSABLE_ENTITY, "The end is not in the future";
    PolicyInvalid = "policy_invalid", UNPROCESSABLE_ENTITY, "The policy makes no sense";
    PolicyOvertaken = "policy_overtaken", CONFLICT, "Somebody else changed the policy";
    ScopeNotAvailable = "scope_not_available", UNPROCESSABLE_ENTITY, "This cannot be reconciled";
    NothingToApply = "nothing_to_apply", CONFLICT, "There is nothing to say yes to";
    PolicyLocksOut = "policy_locks_out", UNPROCESSABLE_ENTITY, "The policy would lock everybody out";
    StripeUnavailable = "stripe_unavailable", SERVICE_UNAVAILABLE, "Stripe does not answer";
    StripeRefused = "stripe_refused", BAD_GATEWAY, "Stripe refused";
    MissingSignature = "missing_signature", BAD_REQUEST, "The signature is missing";
    MalformedSignature = "malformed_signature", BAD_REQUEST, "The signature is malformed";
    WrongSignature = "wrong_signature", BAD_REQUEST, "The signature is wrong";
    TooOld = "too_old", BAD_REQUEST, "The signature is too old";
    MalformedBody = "malformed_body", BAD_REQUEST, "The body is not an event";
    QueueUnavailable = "queue_unavailable", SERVICE_UNAVAILABLE, "The queue is not available";
    DatabaseUnavailable = "database_unavailable", SERVICE_UNAVAILABLE, "The database is not available";
    Internal = "internal", INTERNAL_SERVER_ERROR, "Something went wrong here";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_list_of_codes_is_the_one_that_clients_know() {
        let list: Vec<String> = Code::ALL
            .iter()
            .map(|code| format!("{} {}", code.status().as_u16(), code.as_str()))
            .collect();
        insta::assert_snapshot!(list.join("\n"));
    }

    #[test]
    fn no_two_codes_share_a_word() {
        let words: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(words.len(), Code::ALL.len());
        assert!(
            words
                .iter()
                .all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
        );
    }
}
