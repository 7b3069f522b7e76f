//! A message as a letter: text and HTML.

use askama::Template;
use rolecall_db::notifications::Notification;

use crate::mail::{
    MailError,
    words::{MessageArgs, Words, words},
};

/// A letter that can be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The subject line.
    pub subject: String,
    /// For readers of plain text.
    pub text: String,
    /// For everybody else.
    pub html: String,
}

#[derive(Template)]
#[template(path = "mail/letter.txt")]
struct Text<'a> {
    name: &'a str,
    words: &'a Words,
}

#[derive(Template)]
#[template(path = "mail/letter.html")]
struct Html<'a> {
    name: &'a str,
    words: &'a Words,
}

/// What a message says. `public_url` is the origin of the pages it links to.
pub fn words_of(notification: &Notification, public_url: Option<&str>) -> Result<Words, MailError> {
    let kind = notification
        .kind
        .parse()
        .map_err(|_| unwritable(notification, "this version does not know it"))?;
    let args: MessageArgs = serde_json::from_value(notification.args.clone())
        .map_err(|error| unwritable(notification, &error.to_string()))?;
    Ok(words(kind, &args, public_url))
}

/// Writes the letter of a notification.
pub fn compose(notification: &Notification, public_url: Option<&str>) -> Result<Letter, MailError> {
    let words = words_of(notification, public_url)?;
    let name = notification.display_name.as_str();
    let render =
        |result: askama::Result<String>| result.map_err(|error| unwritable(notification, &error.to_string()));
    Ok(Letter {
        text: render(Text { name, words: &words }.render())?,
        html: render(Html { name, words: &words }.render())?,
        subject: words.subject,
    })
}

fn unwritable(notification: &Notification, problem: &str) -> MailError {
    MailError::Unwritable {
        kind: notification.kind.clone(),
        problem: problem.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rolecall_db::notifications::Channel;
    use rolecall_domain::{
        ids::{MemberId, NotificationId},
        message::MessageKind,
    };
    use serde_json::json;

    use super::*;

    fn notification(kind: &str, name: &str) -> Notification {
        Notification {
            id: NotificationId::from_uuid(uuid::Uuid::nil()),
            member_id: MemberId::from_uuid(uuid::Uuid::nil()),
            kind: kind.to_owned(),
            channel: Channel::Mail,
            args: json!({}),
            attempts: 1,
            display_name: name.to_owned(),
            email: None,
            discord_user_id: None,
        }
    }

    #[test]
    fn the_welcome_names_the_person_and_links_the_dashboard() {
        let letter = compose(&notification("welcome", "Ada"), Some("https://council.example")).unwrap();
        for body in [&letter.text, &letter.html] {
            assert!(
                body.contains("Ada") && body.contains("https://council.example/dashboard"),
                "{body}"
            );
        }
    }

    #[test]
    fn every_message_can_be_written_with_nothing_known() {
        for kind in MessageKind::ALL {
            let letter = compose(&notification(kind.as_str(), "Ada"), None).unwrap();
            assert!(
                letter.html.contains(&letter.subject) || kind == MessageKind::Welcome,
                "{kind}"
            );
            assert!(!letter.text.contains("\n\n\n"), "{kind}: {:?}", letter.text);
        }
    }

    #[test]
    fn a_name_cannot_write_html() {
        let letter = compose(&notification("welcome", "<img src=x>"), None).unwrap();
        assert!(!letter.html.contains("<img"), "{}", letter.html);
    }

    #[test]
    fn an_unknown_message_is_refused() {
        assert!(matches!(
            compose(&notification("riddle", "Ada"), None),
            Err(MailError::Unwritable { .. })
        ));
    }
}
