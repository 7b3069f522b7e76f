//! Money, dates and browsers in words.

use chrono::{DateTime, Utc};
use rolecall_db::prices::Price;

/// Currencies without a minor unit, as Stripe counts them.
const WHOLE: [&str; 16] = [
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof",
    "xpf",
];
/// Currencies with a thousand minor units.
const THOUSANDTHS: [&str; 5] = ["bhd", "jod", "kwd", "omr", "tnd"];

/// `$49`, `€9.50`, `120 CHF`.
pub(crate) fn money(amount: i64, currency: &str) -> String {
    let digits = if WHOLE.contains(&currency) {
        0
    } else if THOUSANDTHS.contains(&currency) {
        3
    } else {
        2
    };
    let unit = 10_u64.pow(digits);
    let (whole, rest) = (amount.unsigned_abs() / unit, amount.unsigned_abs() % unit);
    let width = usize::try_from(digits).unwrap_or_default();
    let mut number = grouped(whole);
    if rest != 0 {
        number = format!("{number}.{rest:0width$}");
    }
    let sign = if amount < 0 { "−" } else { "" };
    match currency {
        "usd" => format!("{sign}${number}"),
        "eur" => format!("{sign}€{number}"),
        "gbp" => format!("{sign}£{number}"),
        other => format!("{sign}{number} {}", other.to_uppercase()),
    }
}

/// Thousands apart, by a thin space.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What a price costs, where that has been read from Stripe.
pub(crate) fn amount(price: &Price) -> Option<String> {
    Some(money(price.unit_amount?, price.currency.as_deref()?))
}

/// `a month`, `every 3 months`, `once, for good`; nothing for what has not been read from Stripe.
pub(crate) fn every(price: &Price) -> Option<String> {
    if price.is_one_time() {
        return Some("once, for good".to_owned());
    }
    let interval = price.interval.as_deref()?;
    Some(period(interval, price.interval_count))
}

/// `a month`, `every 3 months`.
pub(crate) fn period(interval: &str, count: Option<i32>) -> String {
    match count.unwrap_or(1) {
        1 => format!("a {interval}"),
        count => format!("every {count} {interval}s"),
    }
}

/// `$49 a month`.
pub(crate) fn price(price: &Price) -> Option<String> {
    let amount = amount(price)?;
    Some(every(price).map_or_else(|| amount.clone(), |every| format!("{amount} {every}")))
}

/// `21 November 2026`.
pub(crate) fn date(time: DateTime<Utc>) -> String {
    time.format("%-d %B %Y").to_string()
}

/// What a browser is, as far as its own words tell.
pub(crate) fn device(user_agent: &str) -> String {
    let has = |part: &str| user_agent.contains(part);
    // The order matters: nearly all of them also claim to be the later ones.
    let browser = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    let system = [
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("Windows", "Windows"),
        ("Mac OS", "Mac"),
        ("CrOS", "ChromeOS"),
        ("Linux", "Linux"),
    ];
    let find =
        |table: &[(&str, &'static str)]| table.iter().find(|(part, _)| has(part)).map(|(_, name)| *name);
    match (find(&browser), find(&system)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "An app".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rolecall_domain::ids::StripePriceId;

    use super::*;

    #[test]
    fn money_is_written_as_people_write_it() {
        for (amount, currency, expected) in [
            (4900, "usd", "$49"),
            (950, "eur", "€9.50"),
            (5, "gbp", "£0.05"),
            (12_345_600, "usd", "$123\u{202f}456"),
            (1200, "jpy", "1\u{202f}200 JPY"),
            (12_000, "chf", "120 CHF"),
            (1_500, "kwd", "1.500 KWD"),
            (-250, "usd", "−$2.50"),
            (0, "usd", "$0"),
        ] {
            assert_eq!(money(amount, currency), expected, "{amount} {currency}");
        }
    }

    #[test]
    fn a_price_says_how_often_it_is_paid() {
        let mut sold = Price {
            id: StripePriceId::new("price_1"),
            plan: "council".parse().unwrap(),
            lifetime: false,
            unit_amount: Some(4900),
            currency: Some("usd".to_owned()),
            interval: Some("month".to_owned()),
            interval_count: Some(1),
        };
        assert_eq!(price(&sold).as_deref(), Some("$49 a month"));
        sold.interval_count = Some(3);
        assert_eq!(price(&sold).as_deref(), Some("$49 every 3 months"));
        sold.interval = None;
        assert_eq!(price(&sold).as_deref(), Some("$49 once, for good"));
        sold.unit_amount = None;
        assert_eq!(price(&sold), None, "tiers, or not read yet");
    }

    #[test]
    fn a_browser_is_named_in_two_words() {
        let chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome on Linux");
        assert_eq!(
            device("Mozilla/5.0 (iPhone; CPU iPhone OS 26_0 like Mac OS X) Version/26 Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(device("curl/8"), "An app");
    }
}
