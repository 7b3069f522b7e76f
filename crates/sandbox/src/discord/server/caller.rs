//! Who calls: the bot, a person's access token, or nobody in particular.

use std::future::{Ready, ready};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{self, HeaderMap},
};
use chrono::{DateTime, Utc};

use crate::discord::{error::ApiError, oauth::grants::AccessToken, state::World};

/// The caller of a request, as its `Authorization` proves.
#[derive(Debug, Clone)]
pub(crate) enum Caller {
    Bot,
    Bearer(AccessToken),
    Anonymous,
}

impl Caller {
    /// Reads the header. HTTP Basic belongs to the token endpoint, which judges it itself.
    pub(crate) fn identify(headers: &HeaderMap, world: &World, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let Some(value) = headers.get(header::AUTHORIZATION) else {
            return Ok(Self::Anonymous);
        };
        let value = value.to_str().map_err(|_| ApiError::unauthorized())?;
        match value.split_once(' ') {
            Some(("Bot", token)) if world.bot_token.as_deref() == Some(token) => Ok(Self::Bot),
            Some(("Bearer", token)) => {
                let found = world.grants.find_access(token, now);
                found
                    .cloned()
                    .map(Self::Bearer)
                    .ok_or_else(ApiError::unauthorized)
            }
            Some(("Basic", _)) => Ok(Self::Anonymous),
            _ => Err(ApiError::unauthorized()),
        }
    }

    /// Whose rate limits are spent.
    pub(crate) fn limit_key(&self) -> String {
        match self {
            Self::Bot => "bot".to_owned(),
            Self::Bearer(token) => format!("user:{}", token.consent.user),
            Self::Anonymous => "address".to_owned(),
        }
    }
}

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or(Self::Anonymous)))
    }
}

/// Proof that the bot calls; anybody else is refused.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByBot;

impl FromRequest for ByBot {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let by_bot = matches!(request.extensions().get::<Caller>(), Some(Caller::Bot));
        ready(if by_bot {
            Ok(Self)
        } else {
            Err(ApiError::unauthorized())
        })
    }
}
