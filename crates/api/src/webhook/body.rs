//! The raw bytes of a webhook's body, as they came: the signature is over them.

use std::time::Duration;

use actix_web::{
    http::header::{CONTENT_LENGTH, HeaderMap},
    web::{Bytes, BytesMut, Payload},
};
use futures::StreamExt;
use tokio::time::timeout;

/// The longest body that is taken. Stripe's are far shorter.
pub(crate) const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Of a body that is too long so much is read before it is refused: a client that is still writing
/// would not see an answer sent earlier.
const MOST_DISCARDED: usize = 8 * 1024 * 1024;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
}

/// Reads the body.
pub(crate) async fn read(
    headers: &HeaderMap,
    payload: Payload,
    patience: Duration,
) -> Result<Bytes, BodyError> {
    timeout(patience, collect(headers, payload))
        .await
        .unwrap_or(Err(BodyError::TooSlow))
}

async fn collect(headers: &HeaderMap, mut payload: Payload) -> Result<Bytes, BodyError> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MOST_BYTES) {
        return discard(payload, 0).await;
    }
    let Some(first) = payload.next().await else {
        return Ok(Bytes::new());
    };
    let first = first.map_err(|_| BodyError::Broken)?;
    // Nearly every event fits into one read, and is then not copied.
    if announced == Some(first.len()) {
        return Ok(first);
    }
    let mut body = BytesMut::with_capacity(announced.unwrap_or_default().max(first.len()));
    body.extend_from_slice(&first);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        if body.len() + chunk.len() > MOST_BYTES {
            return discard(payload, body.len()).await;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

async fn discard(mut payload: Payload, mut seen: usize) -> Result<Bytes, BodyError> {
    while seen <= MOST_DISCARDED
        && let Some(Ok(chunk)) = payload.next().await
    {
        seen += chunk.len();
    }
    Err(BodyError::TooLarge)
}
