//! What Stripe's refusals mean to somebody who buys. What nobody foresaw stays a refusal of Stripe's, which
//! is a fault of ours.

use rolecall_stripe::error::StripeError;

use crate::error::ApiError;

/// The error in the words of a buyer.
pub(crate) fn in_words_of_a_buyer(error: StripeError) -> ApiError {
    let StripeError::Invalid {
        message, param, code, ..
    } = &error
    else {
        return ApiError::Stripe(error);
    };
    let (code, param) = (
        code.as_deref().unwrap_or_default(),
        param.as_deref().unwrap_or_default(),
    );
    let found = match code {
        "card_declined" | "expired_card" | "incorrect_cvc" | "processing_error" => {
            Some(ApiError::CardDeclined)
        }
        "invoice_payment_intent_requires_action"
        | "subscription_payment_intent_requires_action"
        | "authentication_required" => Some(ApiError::PaymentUnconfirmed),
        "coupon_expired" => Some(ApiError::DiscountEnded),
        _ if message.contains("combine currencies") || message.contains("expected currency") => {
            Some(ApiError::OtherCurrency)
        }
        _ if param.contains("proration_date") => Some(ApiError::PreviewOutdated),
        _ if param.starts_with("discounts") => Some(ApiError::DiscountEnded),
        _ if param.ends_with("[price]") => Some(ApiError::PriceGone),
        _ => None,
    };
    let Some(found) = found else {
        return ApiError::Stripe(error);
    };
    if matches!(found, ApiError::PriceGone) {
        // The buyer can do nothing about it; whoever keeps the plans file can.
        tracing::error!(%error, "a price on sale cannot be bought: correct the plans file and apply it");
    }
    found
}

/// Whether Stripe does not know the customer that a request named.
pub(crate) fn is_about_a_lost_customer(error: &StripeError) -> bool {
    matches!(
        error,
        StripeError::Invalid { param: Some(param), code: Some(code), .. }
            if param == "customer" && code == "resource_missing"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    #[track_caller]
    fn check(code: &str, param: &str, message: &str, expected: Code) {
        let error = StripeError::Invalid {
            subject: "the new Checkout Session".to_owned(),
            message: message.to_owned(),
            param: Some(param.to_owned()).filter(|param| !param.is_empty()),
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
        };
        assert_eq!(
            in_words_of_a_buyer(error).code(),
            expected,
            "{code} {param} {message}"
        );
    }

    #[test]
    fn what_a_buyer_can_do_something_about_is_told_apart() {
        let no_price = "No such price: 'price_1'";
        check(
            "resource_missing",
            "line_items[0][price]",
            no_price,
            Code::PriceGone,
        );
        check(
            "",
            "items[0][price]",
            "The price specified is inactive.",
            Code::PriceGone,
        );
        check("card_declined", "", "Your card was declined.", Code::CardDeclined);
        let action = "invoice_payment_intent_requires_action";
        check(
            action,
            "",
            "This payment requires action.",
            Code::PaymentUnconfirmed,
        );
        let combined = "You cannot combine currencies on a single customer.";
        check("", "", combined, Code::OtherCurrency);
        let expected = "This doesn't match the expected currency: `eur`.";
        check("", "items[0][price]", expected, Code::OtherCurrency);
        check(
            "coupon_expired",
            "discounts[0][coupon]",
            "Coupon expired",
            Code::DiscountEnded,
        );
        check(
            "resource_missing",
            "discounts[0][promotion_code]",
            "No such code",
            Code::DiscountEnded,
        );
        let period = "must be in the current period";
        check(
            "",
            "subscription_details[proration_date]",
            period,
            Code::PreviewOutdated,
        );
        check("", "success_url", "Not a valid URL", Code::StripeRefused);
    }
}
