//! What each message says, as text and as HTML.

use askama::Template;
use rolecall_db::notifications::Notification;

use crate::mail::MailError;

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
#[template(path = "mail/welcome.txt")]
struct WelcomeText<'a> {
    name: &'a str,
    dashboard: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail/welcome.html")]
struct WelcomeHtml<'a> {
    name: &'a str,
    dashboard: Option<&'a str>,
}

/// Writes the letter of a notification. `public_url` is the origin of the pages it links to.
pub fn compose(notification: &Notification, public_url: Option<&str>) -> Result<Letter, MailError> {
    let unwritable = |problem: &str| MailError::Unwritable {
        kind: notification.kind.clone(),
        problem: problem.to_owned(),
    };
    if notification.kind != "welcome" {
        return Err(unwritable("this version does not know it"));
    }
    let name = notification.display_name.as_str();
    let dashboard = public_url.map(|origin| format!("{origin}/dashboard"));
    let dashboard = dashboard.as_deref();
    let render = |result: askama::Result<String>| result.map_err(|error| unwritable(&error.to_string()));
    Ok(Letter {
        subject: "Welcome: your membership has begun".to_owned(),
        text: render(WelcomeText { name, dashboard }.render())?,
        html: render(WelcomeHtml { name, dashboard }.render())?,
    })
}

#[cfg(test)]
mod tests {
    use rolecall_domain::ids::{MemberId, NotificationId};
    use serde_json::json;

    use super::*;

    fn notification(kind: &str, name: &str) -> Notification {
        Notification {
            id: NotificationId::from_uuid(uuid::Uuid::nil()),
            member_id: MemberId::from_uuid(uuid::Uuid::nil()),
            kind: kind.to_owned(),
            args: json!({}),
            attempts: 1,
            display_name: name.to_owned(),
            email: None,
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
