//! The files that pages use, built in. Each has its content's hash in its name, so that browsers may
//! keep it for ever.

use actix_web::{HttpResponse, http::header, web};
use sha2::{Digest, Sha256};

use crate::{error::ApiError, state::State};

struct Source {
    name: &'static str,
    extension: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const CSS: Source = Source {
    name: "app",
    extension: "css",
    content_type: "text/css; charset=utf-8",
    content: include_str!("../assets/app.css"),
};
const JS: Source = Source {
    name: "live",
    extension: "js",
    content_type: "text/javascript; charset=utf-8",
    content: include_str!("../assets/live.js"),
};
const ICON: Source = Source {
    name: "icon",
    extension: "svg",
    content_type: "image/svg+xml",
    content: include_str!("../assets/icon.svg"),
};
const SOCIAL: Source = Source {
    name: "social",
    extension: "svg",
    content_type: "image/svg+xml",
    content: include_str!("../assets/social.svg"),
};

/// Where the files are, for templates.
#[derive(Debug, Clone)]
pub(crate) struct Assets {
    pub(crate) css: String,
    pub(crate) js: String,
    pub(crate) icon: String,
    pub(crate) social: String,
}

impl Assets {
    pub(crate) fn new() -> Self {
        Self {
            css: path(&CSS),
            js: path(&JS),
            icon: path(&ICON),
            social: path(&SOCIAL),
        }
    }

    fn find(&self, path: &str) -> Option<&'static Source> {
        [
            (&self.css, &CSS),
            (&self.js, &JS),
            (&self.icon, &ICON),
            (&self.social, &SOCIAL),
        ]
        .into_iter()
        .find_map(|(known, source)| (known == path).then_some(source))
    }
}

fn path(source: &Source) -> String {
    let hash = hex::encode(Sha256::digest(source.content));
    format!(
        "/assets/{}.{}.{}",
        source.name,
        hash.get(..12).unwrap_or_default(),
        source.extension
    )
}

/// `GET /assets/{file}`.
pub(crate) async fn get_asset(
    request: actix_web::HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let source = state.assets.find(request.path()).ok_or(ApiError::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, source.content_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .body(source.content))
}

/// `GET /favicon.ico`, which browsers ask for by themselves.
pub(crate) async fn get_favicon() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, ICON.content_type))
        .insert_header((header::CACHE_CONTROL, "public, max-age=86400"))
        .body(ICON.content)
}
