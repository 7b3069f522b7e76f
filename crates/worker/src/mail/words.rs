//! What each message says, whichever way it goes.

use chrono::{DateTime, Utc};
use rolecall_domain::message::MessageKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What the text of a message needs. Stored with the message, so that it says what was true when it
/// became owed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageArgs {
    /// What it is about: a subscription, or the Checkout Session of a purchase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The name of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Where the debt can be paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
    /// When the debt began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<DateTime<Utc>>,
    /// When access ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<DateTime<Utc>>,
}

impl MessageArgs {
    /// As it is stored.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// A message in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// The subject line of a mail.
    pub subject: String,
    /// In large letters.
    pub heading: String,
    /// The text.
    pub paragraphs: Vec<String>,
    /// What to do.
    pub button: Option<Button>,
    /// In small letters.
    pub closing: String,
}

/// What to do, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// What.
    pub label: &'static str,
    /// Where.
    pub url: String,
}

/// Puts a message into words. `public_url` is the origin of the pages it links to.
pub fn words(kind: MessageKind, args: &MessageArgs, public_url: Option<&str>) -> Words {
    let dashboard = public_url.map(|origin| format!("{origin}/dashboard"));
    let membership = args.plan.as_deref().map_or_else(
        || "your membership".to_owned(),
        |plan| format!("your membership “{plan}”"),
    );
    let until = args.until.map_or_else(|| "soon".to_owned(), date);
    let to_dashboard = dashboard.clone().map(|url| Button {
        label: "Open your dashboard",
        url,
    });
    let pay = args.pay_url.clone().or(dashboard).map(|url| Button {
        label: "Pay now",
        url,
    });
    let paid_already =
        "If you have paid already, there is nothing to do: your access follows within a minute.";
    let (paragraphs, button, closing) = match kind {
        MessageKind::Welcome => (
            vec![
                "Thank you for joining.".to_owned(),
                "Your roles in Discord are being set up now; that takes a moment.".to_owned(),
            ],
            to_dashboard,
            "If a role is missing, open your dashboard and press “Fix my roles”.",
        ),
        MessageKind::PaymentFailed => (
            vec![
                format!("The payment for {membership} did not go through."),
                format!("Nothing changes for now: you keep your access until {until}. Please pay by then."),
            ],
            pay,
            paid_already,
        ),
        MessageKind::GraceMidway => (
            vec![format!(
                "The payment for {membership} is still open. You keep your access until {until}."
            )],
            pay,
            paid_already,
        ),
        MessageKind::GraceLastDay => (
            vec![format!(
                "The payment for {membership} is still open, and your access ends on {until}."
            )],
            pay,
            paid_already,
        ),
        MessageKind::AccessRemoved => (
            vec![
                format!("The payment for {membership} is still open, so your access has been paused."),
                "Nothing is lost: one payment brings everything back.".to_owned(),
            ],
            pay,
            paid_already,
        ),
        MessageKind::PaymentRecovered => (
            vec![format!(
                "The payment for {membership} has arrived, and you have all your roles again."
            )],
            to_dashboard,
            "If a role is missing, open your dashboard and press “Fix my roles”.",
        ),
        MessageKind::PaymentActionRequired => (
            vec![format!(
                "Your bank wants you to confirm the payment for {membership} before it lets it through."
            )],
            args.pay_url.clone().map(|url| Button {
                label: "Confirm the payment",
                url,
            }),
            "If you have confirmed it already, there is nothing to do.",
        ),
        MessageKind::TrialEnded => (
            vec![
                format!(
                    "Everybody gets the free days of a plan once, and so does every card. The free days of \
                     {membership} had been used before, by you or with the same card."
                ),
                "So they have ended now, and the first payment was made today. If you do not want to stay, \
                 cancel on your dashboard: nothing more is charged then."
                    .to_owned(),
            ],
            to_dashboard,
            "If you think that this is a mistake, tell the owners of the community.",
        ),
    };
    let subject = kind.title();
    Words {
        subject: subject.to_owned(),
        heading: subject
            .strip_prefix("Welcome: your")
            .map_or_else(|| subject.to_owned(), |rest| format!("Your{rest}")),
        paragraphs,
        button,
        closing: closing.to_owned(),
    }
}

impl Words {
    /// The message as one text, for Discord.
    pub fn plain(&self) -> String {
        let mut parts = vec![format!("**{}**", self.heading)];
        parts.extend(self.paragraphs.iter().cloned());
        parts.extend(
            self.button
                .as_ref()
                .map(|button| format!("{}: {}", button.label, button.url)),
        );
        parts.push(self.closing.clone());
        parts.join("\n\n")
    }
}

fn date(time: DateTime<Utc>) -> String {
    time.format("%-d %B %Y, %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAY: &str = "https://invoice.stripe.com/i/1";

    fn args() -> MessageArgs {
        MessageArgs {
            subscription: Some("sub_1".to_owned()),
            plan: Some("Council".to_owned()),
            pay_url: Some(PAY.to_owned()),
            since: None,
            until: DateTime::from_timestamp(1_790_000_000, 0),
        }
    }

    #[test]
    fn every_message_about_a_debt_links_where_it_can_be_paid() {
        for kind in [
            MessageKind::PaymentFailed,
            MessageKind::GraceMidway,
            MessageKind::GraceLastDay,
            MessageKind::AccessRemoved,
            MessageKind::PaymentActionRequired,
        ] {
            let words = words(kind, &args(), Some("https://council.example"));
            assert_eq!(
                words.button.as_ref().map(|button| button.url.as_str()),
                Some(PAY),
                "{kind}"
            );
            let text = words.plain();
            assert!(text.contains(PAY) && text.contains("Council"), "{kind}: {text}");
        }
    }

    #[test]
    fn a_debt_without_an_invoice_page_links_the_dashboard() {
        let without = MessageArgs {
            pay_url: None,
            ..args()
        };
        let words = words(
            MessageKind::PaymentFailed,
            &without,
            Some("https://council.example"),
        );
        let url = words.button.map(|button| button.url);
        assert_eq!(url.as_deref(), Some("https://council.example/dashboard"));
    }

    #[test]
    fn a_reminder_says_until_when() {
        let words = words(MessageKind::GraceLastDay, &args(), None);
        assert!(
            words.plain().contains("21 September 2026, 14:13 UTC"),
            "{}",
            words.plain()
        );
    }

    #[test]
    fn arguments_of_an_earlier_version_are_understood() {
        let args: MessageArgs = serde_json::from_str(r#"{"subscription":"sub_1"}"#).unwrap();
        assert_eq!(args.subscription.as_deref(), Some("sub_1"));
        assert_eq!(args.to_json(), serde_json::json!({"subscription": "sub_1"}));
    }
}
