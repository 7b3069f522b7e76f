//! `POST /oauth2/token` and `/oauth2/token/revoke`: form in, JSON out, errors as OAuth words them.

use actix_web::{HttpRequest, HttpResponse, ResponseError, http::StatusCode, http::header, web};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use serde_json::json;

use crate::discord::{
    error::ApiError,
    oauth::grants::{Consent, TOKEN_LIFETIME},
    state::{World, shared::Shared},
};

#[derive(Default)]
struct TokenForm {
    client_id: Option<String>,
    client_secret: Option<String>,
    grant_type: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
    token: Option<String>,
}

/// A refusal of the token endpoint.
#[derive(Debug, thiserror::Error)]
#[error("{error}: {description}")]
struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: String,
}

impl OauthError {
    fn new(error: &'static str, description: impl Into<String>) -> Self {
        let status = if error == "invalid_client" {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        Self {
            status,
            error,
            description: description.into(),
        }
    }
}

impl ResponseError for OauthError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut body = json!({"error": self.error});
        if let Some(body) = body.as_object_mut().filter(|_| !self.description.is_empty()) {
            body.insert("error_description".to_owned(), self.description.clone().into());
        }
        HttpResponse::build(self.status).json(body)
    }
}

/// Exchanges a code or a refresh token.
pub(crate) async fn exchange(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<Shared>,
) -> actix_web::Result<HttpResponse> {
    let form = read_form(&request, &body)?;
    let tokens = shared.change(|world, now| {
        authenticate_client(world, &request, &form)?;
        let consent = match form.grant_type.as_deref() {
            Some("authorization_code") => exchange_code(world, &form, now)?,
            Some("refresh_token") => refresh(world, &form)?,
            other => {
                let told = format!("Grant type {} is not supported", other.unwrap_or("None"));
                return Err(OauthError::new("unsupported_grant_type", told));
            }
        };
        let World { grants, ids, .. } = world;
        Ok(grants.issue_tokens(ids, consent, now))
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(json!({
            "token_type": "Bearer",
            "access_token": tokens.access,
            "expires_in": TOKEN_LIFETIME.num_seconds(),
            "refresh_token": tokens.refresh,
            "scope": tokens.consent.scopes.join(" "),
        })))
}

/// Revokes a token; one that is unknown is revoked already.
pub(crate) async fn revoke(
    request: HttpRequest,
    body: web::Bytes,
    shared: web::Data<Shared>,
) -> actix_web::Result<HttpResponse> {
    let form = read_form(&request, &body)?;
    shared.change(|world, _| {
        authenticate_client(world, &request, &form)?;
        let token = form.token.as_deref().ok_or_else(|| missing("token"))?;
        world.grants.revoke(token);
        Ok::<_, OauthError>(())
    })?;
    Ok(HttpResponse::Ok().json(json!({})))
}

fn exchange_code(world: &mut World, form: &TokenForm, now: DateTime<Utc>) -> Result<Consent, OauthError> {
    let code = form.code.as_deref().ok_or_else(|| missing("code"))?;
    let redirect_uri = form
        .redirect_uri
        .as_deref()
        .ok_or_else(|| missing("redirect_uri"))?;
    // The code is taken before the other checks: whatever happens now, it is used up.
    let code = world
        .grants
        .take_code(code, now)
        .ok_or_else(|| OauthError::new("invalid_grant", "Invalid \"code\" in request."))?;
    if code.redirect_uri != redirect_uri {
        return Err(OauthError::new(
            "invalid_grant",
            "Invalid \"redirect_uri\" in request.",
        ));
    }
    if let Some(challenge) = code.challenge {
        let verifier = form
            .code_verifier
            .as_deref()
            .ok_or_else(|| missing("code_verifier"))?;
        if !challenge.accepts(verifier) {
            return Err(OauthError::new(
                "invalid_grant",
                "Invalid \"code_verifier\" in request.",
            ));
        }
    }
    Ok(code.consent)
}

fn refresh(world: &mut World, form: &TokenForm) -> Result<Consent, OauthError> {
    let token = form
        .refresh_token
        .as_deref()
        .ok_or_else(|| missing("refresh_token"))?;
    world
        .grants
        .take_refresh(token)
        .ok_or_else(|| OauthError::new("invalid_grant", ""))
}

fn missing(field: &str) -> OauthError {
    OauthError::new("invalid_request", format!("Missing \"{field}\" in request."))
}

fn read_form(request: &HttpRequest, body: &web::Bytes) -> Result<TokenForm, ApiError> {
    let expected = "application/x-www-form-urlencoded";
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with(expected)) {
        let told = format!("Expected \"Content-Type\" header to be one of {{'{expected}'}}.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, 50035, told));
    }
    let mut form = TokenForm::default();
    for (name, value) in url::form_urlencoded::parse(body) {
        let field = match name.as_ref() {
            "client_id" => &mut form.client_id,
            "client_secret" => &mut form.client_secret,
            "grant_type" => &mut form.grant_type,
            "code" => &mut form.code,
            "redirect_uri" => &mut form.redirect_uri,
            "code_verifier" => &mut form.code_verifier,
            "refresh_token" => &mut form.refresh_token,
            "token" => &mut form.token,
            _ => continue,
        };
        *field = Some(value.into_owned());
    }
    Ok(form)
}

/// The client proves itself by HTTP Basic or in the form.
fn authenticate_client(world: &World, request: &HttpRequest, form: &TokenForm) -> Result<(), OauthError> {
    let given = basic(request).or_else(|| form.client_id.clone().zip(form.client_secret.clone()));
    let application = &world.application;
    let expected = (
        application.client_id.to_string(),
        application.client_secret.clone(),
    );
    if given == Some(expected) {
        Ok(())
    } else {
        Err(OauthError::new("invalid_client", ""))
    }
}

fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let decoded = STANDARD.decode(value.strip_prefix("Basic ")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    text.split_once(':')
        .map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}
