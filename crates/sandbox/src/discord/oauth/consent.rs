//! The page `/oauth2/authorize`: choose who you are, or be somebody new; authorise or cancel.

use actix_web::{HttpResponse, http::header, web};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::discord::{
    oauth::{
        authorize::{Authorization, AuthorizeQuery},
        grants::Consent,
    },
    pages::{
        authorize::{AuthorizePage, PersonChoice},
        refused, render,
    },
    state::{World, shared::Shared, users::User},
};

/// The person's answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    decision: String,
    /// A user id, or `new`.
    #[serde(default)]
    person: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    email: String,
    /// A ticked box sends `on`.
    verified: Option<String>,
}

/// Shows the page.
pub(crate) async fn ask(query: web::Query<AuthorizeQuery>, shared: web::Data<Shared>) -> HttpResponse {
    let world = shared.world();
    match query.check(&world.application) {
        Err(fault) => refused(&fault),
        Ok(authorization) => {
            let people = world
                .users
                .values()
                .filter(|user| !user.bot)
                .map(PersonChoice::of)
                .collect();
            render(&AuthorizePage {
                application: world.application.name.clone(),
                scopes: authorization.scopes,
                redirect_uri: authorization.redirect_text,
                people,
            })
        }
    }
}

/// Takes the answer. The form is posted to the page's own address, so the query comes again.
pub(crate) async fn decide(
    query: web::Query<AuthorizeQuery>,
    answer: web::Form<Answer>,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let checked = query.check(&shared.world().application);
    let target = checked.and_then(|authorization| {
        if answer.decision == "authorize" {
            shared.change(|world, now| grant(world, &authorization, &answer, now))
        } else {
            Ok(authorization.denied())
        }
    });
    match target {
        Ok(target) => HttpResponse::Found()
            .insert_header((header::LOCATION, target))
            .finish(),
        Err(fault) => refused(&fault),
    }
}

fn grant(
    world: &mut World,
    authorization: &Authorization,
    answer: &Answer,
    now: DateTime<Utc>,
) -> Result<String, String> {
    let user = if answer.person == "new" {
        new_person(world, answer, now)?
    } else {
        let id = answer
            .person
            .parse()
            .map_err(|_| "Choose who you are.".to_owned())?;
        world.user(id).map_err(|_| "This person is gone.".to_owned())?.id
    };
    let consent = Consent {
        user,
        scopes: authorization.scopes.clone(),
    };
    let redirect_uri = authorization.redirect_text.clone();
    let World { grants, ids, .. } = world;
    let code = grants.issue_code(ids, consent, redirect_uri, authorization.challenge.clone(), now);
    Ok(authorization.granted(&code))
}

fn new_person(world: &mut World, answer: &Answer, now: DateTime<Utc>) -> Result<u64, String> {
    let name = answer.username.trim();
    let email = answer.email.trim();
    world.add_user(
        name,
        (!email.is_empty()).then_some(email),
        answer.verified.is_some(),
        now,
    )
}

impl World {
    /// A new account; its unique name is made from the name shown.
    pub(crate) fn add_user(
        &mut self,
        name: &str,
        email: Option<&str>,
        verified: bool,
        now: DateTime<Utc>,
    ) -> Result<u64, String> {
        let username: String = name
            .to_lowercase()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "._".contains(*c))
            .collect();
        if username.len() < 2 || username.len() > 32 {
            return Err("A name has 2 to 32 letters or digits.".to_owned());
        }
        if self.users.values().any(|user| user.username == username) {
            return Err(format!("The name {username:?} is taken."));
        }
        let id = self.ids.snowflake(now);
        let user = User {
            id,
            username,
            global_name: Some(name.to_owned()),
            email: email.map(str::to_owned),
            verified: verified && email.is_some(),
            bot: false,
            dms_closed: false,
        };
        self.users.insert(id, user);
        Ok(id)
    }
}
