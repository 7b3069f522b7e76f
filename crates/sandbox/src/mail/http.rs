//! The mailbox page and the JSON under `/_sandbox`.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Json, Path};
use askama::Template;
use chrono::DateTime;
use serde_json::{Value, json};

use crate::mail::mailbox::{Mailbox, Refusal};
use crate::mail::message::Message;

/// Mail is shown without scripts, forms, or anything loaded from elsewhere; links open beside the frame.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; \
    sandbox allow-popups allow-popups-to-escape-sandbox";

/// Sets up pages and controls.
pub(crate) fn configure(mailbox: &Arc<Mailbox>, config: &mut web::ServiceConfig) {
    config
        .app_data(Data::from(Arc::clone(mailbox)))
        .route("/", web::get().to(show_list))
        .route("/messages/{id}", web::get().to(show_message))
        .route("/messages/{id}/html", web::get().to(show_html))
        .route("/_sandbox/messages", web::get().to(messages))
        .route("/_sandbox/messages", web::delete().to(clear))
        .route("/_sandbox/refuse", web::post().to(refuse));
}

#[derive(Template)]
#[template(path = "mail/list.html")]
struct ListPage {
    messages: Vec<Row>,
}

struct Row {
    id: u64,
    at: String,
    to: String,
    subject: String,
}

#[derive(Template)]
#[template(path = "mail/message.html")]
struct MessagePage {
    message: Message,
    at: String,
    links: Vec<String>,
}

#[derive(Template)]
#[template(path = "mail/gone.html")]
struct GonePage;

async fn show_list(mailbox: Data<Mailbox>) -> HttpResponse {
    let rows = mailbox.messages().into_iter().rev().map(|message| Row {
        id: message.id,
        at: moment(message.received_at),
        to: message.to,
        subject: message.subject,
    });
    html(&ListPage {
        messages: rows.collect(),
    })
}

async fn show_message(mailbox: Data<Mailbox>, id: Path<u64>) -> HttpResponse {
    let Some(message) = mailbox.message(*id) else {
        return gone();
    };
    let (links, at) = (message.links(), moment(message.received_at));
    html(&MessagePage { message, at, links })
}

async fn show_html(mailbox: Data<Mailbox>, id: Path<u64>) -> HttpResponse {
    let Some(body) = mailbox.message(*id).and_then(|message| message.html) else {
        return gone();
    };
    HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header(("content-security-policy", MAIL_POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(format!("<base target=\"_blank\">{body}"))
}

fn gone() -> HttpResponse {
    match GonePage.render() {
        Ok(body) => HttpResponse::NotFound()
            .content_type("text/html; charset=utf-8")
            .body(body),
        Err(_) => HttpResponse::NotFound().finish(),
    }
}

async fn messages(mailbox: Data<Mailbox>) -> Json<Value> {
    Json(json!({ "data": mailbox.messages() }))
}

async fn clear(mailbox: Data<Mailbox>) -> Json<Value> {
    mailbox.clear();
    Json(json!({ "cleared": true }))
}

async fn refuse(mailbox: Data<Mailbox>, refusal: Json<Refusal>) -> HttpResponse {
    if !(400..600).contains(&refusal.code) {
        let error = json!({ "error": { "message": "code must be between 400 and 599" } });
        return HttpResponse::BadRequest().json(error);
    }
    mailbox.refuse(refusal.clone());
    HttpResponse::Ok().json(refusal.into_inner())
}

fn html<T: Template>(page: &T) -> HttpResponse {
    match page.render() {
        Ok(body) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(body),
        Err(error) => {
            tracing::error!(%error, "a page of the mailbox could not be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

fn moment(at: i64) -> String {
    DateTime::from_timestamp(at, 0)
        .unwrap_or_default()
        .format("%-d %b %Y, %H:%M:%S UTC")
        .to_string()
}
