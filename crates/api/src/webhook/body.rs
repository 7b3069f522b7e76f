//! The raw bytes of a webhook's body, as they came: the signature is over them.

use std::{sync::Arc, time::Duration};

use actix_web::{
    http::header::{CONTENT_LENGTH, HeaderMap},
    web::{Bytes, BytesMut, Payload},
};
use futures::StreamExt;
use prometheus::IntGauge;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    error::ApiError,
    webhook::{outcome::Outcome, refused},
};

/// The longest body that is taken. Stripe's are far shorter.
pub(crate) const MOST_BYTES: usize = 2 * 1024 * 1024;

/// Of a body that is too long so much is read before it is refused: a client that is still writing
/// would not see an answer sent earlier.
const MOST_DISCARDED: usize = 8 * 1024 * 1024;

/// In what steps room is given away.
const STEP_BYTES: usize = 4 * 1024;

/// How much of bodies that are still arriving the process keeps at once. Whose they are is known only when they are
/// there, so strangers must not be able to fill the memory with them.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    steps: Arc<Semaphore>,
    /// Bytes that are taken.
    taken: IntGauge,
}

/// What a body has of it, until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Taken>);

#[derive(Debug)]
struct Taken {
    steps: OwnedSemaphorePermit,
    gauge: IntGauge,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.gauge.sub(in_bytes(self.steps.num_permits()));
    }
}

fn in_bytes(steps: usize) -> i64 {
    i64::try_from(steps * STEP_BYTES).unwrap_or(i64::MAX)
}

impl Room {
    /// So much room. The gauge follows how much of it is taken.
    pub(crate) fn new(bytes: usize, taken: IntGauge) -> Self {
        Self {
            steps: Arc::new(Semaphore::new(bytes / STEP_BYTES)),
            taken,
        }
    }

    /// Widens a place to so many bytes, if there is room.
    fn widen(&self, place: &mut Place, bytes: usize) -> Result<(), BodyError> {
        let has = place.0.as_ref().map_or(0, |taken| taken.steps.num_permits());
        let more = bytes.div_ceil(STEP_BYTES).saturating_sub(has);
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| BodyError::Crowded)?;
        let more = Arc::clone(&self.steps)
            .try_acquire_many_owned(more)
            .map_err(|_| BodyError::Crowded)?;
        self.taken.add(in_bytes(more.num_permits()));
        match &mut place.0 {
            Some(taken) => taken.steps.merge(more),
            none => {
                *none = Some(Taken {
                    steps: more,
                    gauge: self.taken.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyError {
    TooLarge,
    TooSlow,
    Broken,
    /// Too much of others' is arriving.
    Crowded,
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge => refused(Outcome::TooLarge, format!("longer than {MOST_BYTES} bytes")),
            BodyError::TooSlow => Self::RequestTimeout,
            BodyError::Broken => Self::BadRequest {
                detail: "the body broke off".to_owned(),
            },
            BodyError::Crowded => refused(
                Outcome::Unavailable,
                "too many long bodies are arriving at once".to_owned(),
            ),
        }
    }
}

/// Reads the body.
pub(crate) async fn read(
    headers: &HeaderMap,
    payload: Payload,
    patience: Duration,
    room: &Room,
) -> Result<(Bytes, Place), ApiError> {
    let body = timeout(patience, collect(headers, payload, room)).await;
    Ok(body.unwrap_or(Err(BodyError::TooSlow))?)
}

/// Reads the body and keeps nothing of it.
pub(crate) async fn skip(payload: Payload, patience: Duration) -> Result<(), ApiError> {
    let skipped = timeout(patience, discard(payload, 0)).await;
    Ok(skipped.unwrap_or(Err(BodyError::TooSlow))?)
}

async fn collect(
    headers: &HeaderMap,
    mut payload: Payload,
    room: &Room,
) -> Result<(Bytes, Place), BodyError> {
    let mut place = Place::default();
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MOST_BYTES) {
        return refuse(payload, 0, BodyError::TooLarge).await;
    }
    let Some(first) = payload.next().await else {
        return Ok((Bytes::new(), place));
    };
    let first = first.map_err(|_| BodyError::Broken)?;
    // Nearly every event fits into one read, and is then neither copied nor waited for.
    if announced == Some(first.len()) {
        return Ok((first, place));
    }
    let mut body = BytesMut::new();
    let mut next = Some(Ok(first));
    while let Some(chunk) = next {
        let chunk = chunk.map_err(|_| BodyError::Broken)?;
        let length = body.len() + chunk.len();
        if length > MOST_BYTES {
            return refuse(payload, length, BodyError::TooLarge).await;
        }
        if let Err(crowded) = room.widen(&mut place, length) {
            drop((body, place));
            return refuse(payload, length, crowded).await;
        }
        // What is announced costs nothing: room is made for what has come.
        body.extend_from_slice(&chunk);
        next = payload.next().await;
    }
    Ok((body.freeze(), place))
}

async fn refuse<T>(payload: Payload, seen: usize, reason: BodyError) -> Result<T, BodyError> {
    discard(payload, seen).await?;
    Err(reason)
}

/// Reads on to the end, or until nobody can mean it well any more.
async fn discard(mut payload: Payload, mut seen: usize) -> Result<(), BodyError> {
    while seen <= MOST_DISCARDED
        && let Some(chunk) = payload.next().await
    {
        seen += chunk.map_err(|_| BodyError::Broken)?.len();
    }
    if seen > MOST_BYTES {
        return Err(BodyError::TooLarge);
    }
    Ok(())
}
