//! The messages to a person: what each was about, which way it went, and what became of it.

use rolecall_db::notifications::{Channel, NotificationLine};
use rolecall_domain::message::MessageKind;

use crate::pages::{text::date, tone::Tone};

/// Older ones stand on a page of their own.
pub(crate) const MOST_MESSAGES: i64 = 5;

/// What was read for it.
#[derive(Debug)]
pub(crate) struct Told {
    /// The newest messages: one more than are shown, if there are more.
    pub(crate) messages: Vec<NotificationLine>,
    /// Messages may come by Discord, too.
    pub(crate) by_discord: bool,
}

/// The part of the page about messages.
#[derive(Debug)]
pub(crate) struct Messages {
    pub(crate) lines: Vec<MessageLine>,
    pub(crate) has_more: bool,
    /// The switch; nothing to switch without an account there.
    pub(crate) by_discord: Option<bool>,
    pub(crate) has_address: bool,
}

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct MessageLine {
    pub(crate) title: String,
    pub(crate) state: &'static str,
    pub(crate) tone: Tone,
    pub(crate) text: String,
}

impl Messages {
    pub(crate) fn new(told: &Told, has_account: bool, has_address: bool) -> Self {
        let most = usize::try_from(MOST_MESSAGES).unwrap_or(usize::MAX);
        Self {
            lines: told.messages.iter().take(most).map(line).collect(),
            has_more: told.messages.len() > most,
            by_discord: has_account.then_some(told.by_discord),
            has_address,
        }
    }
}

/// A message in words.
pub(crate) fn line(message: &NotificationLine) -> MessageLine {
    let way = match message.channel {
        Channel::Mail => "by e-mail",
        Channel::Discord => "by Discord",
    };
    let on = date(message.sent_at.unwrap_or(message.created_at));
    let (state, tone, text) = match message.state.as_str() {
        "sent" => ("Sent", Tone::Good, format!("Sent {way} on {on}.")),
        "undeliverable" => (
            "Not delivered",
            Tone::Warn,
            format!("We wanted to tell you {way} on {on}, and could not reach you there."),
        ),
        "cancelled" => (
            "Not needed",
            Tone::Plain,
            format!("Was to be sent {way} on {on}, and was not needed any more."),
        ),
        _ => ("On its way", Tone::Plain, format!("On its way {way} since {on}.")),
    };
    // A message of a newer version is named as it is stored, until this version is replaced.
    let title = message
        .kind
        .parse::<MessageKind>()
        .map_or_else(|_| message.kind.replace('_', " "), |kind| kind.title().to_owned());
    MessageLine {
        title,
        state,
        tone,
        text,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rolecall_domain::ids::NotificationId;

    use super::*;

    fn message(kind: &str, channel: Channel, state: &str) -> NotificationLine {
        let created_at = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        NotificationLine {
            id: NotificationId::from_uuid(uuid::Uuid::nil()),
            kind: kind.to_owned(),
            channel,
            state: state.to_owned(),
            last_error: Some("answer 550".to_owned()),
            created_at,
            send_at: None,
            sent_at: (state == "sent").then(|| created_at + chrono::TimeDelta::days(1)),
        }
    }

    #[test]
    fn each_state_has_words_of_its_own_and_errors_of_servers_are_not_shown() {
        let table = [
            (
                "due",
                Channel::Mail,
                "On its way",
                "On its way by e-mail since 21 September 2026.",
            ),
            (
                "sending",
                Channel::Discord,
                "On its way",
                "On its way by Discord since 21 September 2026.",
            ),
            (
                "sent",
                Channel::Mail,
                "Sent",
                "Sent by e-mail on 22 September 2026.",
            ),
            (
                "undeliverable",
                Channel::Discord,
                "Not delivered",
                "We wanted to tell you by Discord on 21 September 2026, and could not reach you there.",
            ),
            (
                "cancelled",
                Channel::Mail,
                "Not needed",
                "Was to be sent by e-mail on 21 September 2026, and was not needed any more.",
            ),
        ];
        for (state, channel, word, text) in table {
            let line = line(&message("payment_failed", channel, state));
            assert_eq!((line.state, line.text.as_str()), (word, text), "{state}");
            assert_eq!(line.title, "Your payment did not go through");
        }
        assert_eq!(
            line(&message("from_tomorrow", Channel::Mail, "due")).title,
            "from tomorrow"
        );
    }

    #[test]
    fn who_has_no_account_at_discord_has_nothing_to_switch() {
        let told = Told {
            messages: Vec::new(),
            by_discord: true,
        };
        assert_eq!(Messages::new(&told, false, true).by_discord, None);
        assert_eq!(Messages::new(&told, true, true).by_discord, Some(true));
    }
}
