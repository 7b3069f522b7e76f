//! From the text of a variable to its type. A problem says what was expected, never what was found.

use std::{fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use secrecy::SecretString;
use url::Url;

/// What is wrong with a value, in words that complete "`NAME`: ...".
pub type Problem = String;

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// A text that must only be there.
pub fn text(text: &str) -> Result<String, Problem> {
    Ok(text.to_owned())
}

/// A secret of any form.
pub fn secret(text: &str) -> Result<SecretString, Problem> {
    Ok(SecretString::from(text))
}

/// A secret that takes at least `bytes` bytes.
pub fn secret_of_at_least(bytes: usize) -> impl Fn(&str) -> Result<SecretString, Problem> {
    move |text| {
        if text.len() < bytes {
            return Err(format!("is {} bytes long, must be at least {bytes}", text.len()));
        }
        secret(text)
    }
}

/// `true` or `false`.
pub fn boolean(text: &str) -> Result<bool, Problem> {
    choice(&[("true", true), ("false", false)])(text)
}

/// A whole number within `range`.
pub fn number<N: FromStr + PartialOrd + Display>(
    range: RangeInclusive<N>,
) -> impl Fn(&str) -> Result<N, Problem> {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("is not a whole number from {} to {}", range.start(), range.end()))
    }
}

/// A duration within `range`: digits and one of `ms`, `s`, `m`, `h`, `d`.
pub fn duration(range: RangeInclusive<Duration>) -> impl Fn(&str) -> Result<Duration, Problem> {
    move |text| {
        let duration = any_duration(text)
            .ok_or_else(|| "is not a duration: a whole number and one of ms, s, m, h, d".to_owned())?;
        if duration < *range.start() {
            return Err(format!(
                "is too short, must be at least {}",
                duration_text(*range.start())
            ));
        }
        if duration > *range.end() {
            return Err(format!(
                "is too long, must be at most {}",
                duration_text(*range.end())
            ));
        }
        Ok(duration)
    }
}

/// One of the named values.
pub fn choice<T: Copy>(allowed: &[(&'static str, T)]) -> impl Fn(&str) -> Result<T, Problem> {
    move |text| {
        let found = allowed
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        found.ok_or_else(|| {
            let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
            format!("is not one of {}", names.join(", "))
        })
    }
}

/// A comma list with at least one item, blanks around the items ignored.
pub fn list<T>(item: impl Fn(&str) -> Result<T, Problem>) -> impl Fn(&str) -> Result<Vec<T>, Problem> {
    move |text| {
        let parts = text.split(',').map(str::trim).enumerate();
        let single = !text.contains(',');
        parts
            .map(|(index, part)| {
                let parsed = if part.is_empty() {
                    Err("is empty".to_owned())
                } else {
                    item(part)
                };
                parsed.map_err(|problem| {
                    if single {
                        problem
                    } else {
                        format!("item {} {problem}", index + 1)
                    }
                })
            })
            .collect()
    }
}

/// A URL with one of these schemes.
pub fn url(schemes: &'static [&'static str]) -> impl Fn(&str) -> Result<Url, Problem> {
    move |text| {
        // The parser's own message is left out: it is short of words, and the rule below says more.
        let url = Url::parse(text)
            .ok()
            .filter(|url| schemes.contains(&url.scheme()));
        url.ok_or_else(|| {
            let starts: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
            format!("is not a URL that begins {}", starts.join(" or "))
        })
    }
}

/// What `FromStr` takes, described as `expected`.
pub fn from_str<T: FromStr>(expected: &'static str) -> impl Fn(&str) -> Result<T, Problem> {
    move |text| text.parse().map_err(|_| format!("is not {expected}"))
}

fn any_duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, millis) = DURATION_UNITS.iter().find(|(name, _)| *name == unit)?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(*millis)
        .map(Duration::from_millis)
}

/// `duration` in its largest whole unit, as the parser takes it.
pub fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = DURATION_UNITS
        .iter()
        .rev()
        .find(|(_, unit)| millis.is_multiple_of(u128::from(*unit)));
    match whole {
        Some((name, unit)) if millis > 0 => format!("{}{name}", millis / u128::from(*unit)),
        _ => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ANY: RangeInclusive<Duration> = Duration::ZERO..=Duration::MAX;

    #[test]
    fn durations_are_a_number_and_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("90s", 90_000),
            ("5m", 300_000),
            ("12h", 43_200_000),
            ("7d", 604_800_000),
            ("0s", 0),
        ] {
            assert_eq!(duration(ANY)(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in [
            "",
            "7",
            "d",
            "7 d",
            "-1s",
            "+1s",
            "1.5h",
            "7D",
            "1h30m",
            "9999999999999999999d",
            "７d",
            "1w",
        ] {
            assert!(duration(ANY)(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_duration_out_of_its_range_is_told_the_bound() {
        let range = Duration::from_secs(1)..=Duration::from_mins(5);
        assert_eq!(
            duration(range.clone())("999ms").unwrap_err(),
            "is too short, must be at least 1s"
        );
        assert_eq!(
            duration(range)("6m").unwrap_err(),
            "is too long, must be at most 5m"
        );
    }

    proptest! {
        #[test]
        fn a_duration_survives_being_written_and_read(millis in 0..u64::MAX / 86_400_000) {
            let wanted = Duration::from_millis(millis);
            prop_assert_eq!(duration(ANY)(&duration_text(wanted)), Ok(wanted));
        }
    }

    #[test]
    fn a_choice_lists_what_is_allowed() {
        assert_eq!(boolean("yes").unwrap_err(), "is not one of true, false");
    }

    #[test]
    fn a_list_says_which_item_is_wrong() {
        let schedule = list(duration(ANY));
        assert_eq!(
            schedule("1s, 2s").unwrap(),
            [Duration::from_secs(1), Duration::from_secs(2)]
        );
        assert_eq!(schedule("1s,,2s").unwrap_err(), "item 2 is empty");
        assert!(
            schedule("1s,x")
                .unwrap_err()
                .starts_with("item 2 is not a duration")
        );
        assert!(
            schedule("x").unwrap_err().starts_with("is not a duration"),
            "one item needs no number"
        );
    }

    #[test]
    fn a_number_is_told_its_range() {
        assert_eq!(number(1..=100_u32)("3"), Ok(3));
        for text in ["0", "101", "-1", "x", "1e2"] {
            assert_eq!(
                number(1..=100_u32)(text).unwrap_err(),
                "is not a whole number from 1 to 100"
            );
        }
    }
}
