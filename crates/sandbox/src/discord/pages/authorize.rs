//! What the page `/oauth2/authorize` shows.

use askama::Template;

use crate::discord::state::users::User;

/// The page.
#[derive(Template)]
#[template(path = "discord/authorize.html")]
pub(crate) struct AuthorizePage {
    pub(crate) application: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) redirect_uri: String,
    pub(crate) people: Vec<PersonChoice>,
}

/// Somebody that the visitor may be.
pub(crate) struct PersonChoice {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) username: String,
    /// The address, and whether it is confirmed.
    pub(crate) email: String,
}

impl PersonChoice {
    pub(crate) fn of(user: &User) -> Self {
        let email = match (&user.email, user.verified) {
            (None, _) => "no e-mail address".to_owned(),
            (Some(email), true) => email.clone(),
            (Some(email), false) => format!("{email} (not verified)"),
        };
        Self {
            id: user.id,
            name: user.display_name().to_owned(),
            username: user.username.clone(),
            email,
        }
    }
}

impl AuthorizePage {
    /// What a scope lets the application do.
    fn explain(scope: &str) -> &str {
        match scope {
            "identify" => "Know your username and avatar",
            "email" => "Know your e-mail address",
            "guilds" => "Know what servers you are in",
            "guilds.join" => "Join servers for you",
            "guilds.members.read" => "Read your member information in servers",
            "role_connections.write" => "Update your linked roles",
            other => other,
        }
    }
}
