//! What the worker publishes, handed to the pages that listen.

use std::{convert::Infallible, pin::pin};

use actix_web::web;
use futures::StreamExt;
use rolecall_queue::pub_sub::{Heard, subscribe};
use tokio_util::sync::CancellationToken;

use crate::state::State;

const CHANNEL: &str = "member-changed";

/// Follows the worker's messages until the process drains.
pub(crate) async fn follow(state: web::Data<State>, closing: CancellationToken) -> Result<(), Infallible> {
    let mut messages = pin!(subscribe(&state.redis, CHANNEL, &state.rng));
    loop {
        let heard = tokio::select! {
            heard = messages.next() => heard,
            () = closing.cancelled() => return Ok(()),
        };
        match heard {
            Some(Heard::Message(text)) => {
                if let Ok(member_id) = text.parse() {
                    state.live.changed(member_id);
                } else {
                    tracing::warn!("a message about a changed member names nobody");
                }
            }
            // Pages read again for what was missed.
            Some(Heard::Subscribed) => state.live.all_changed(),
            None => return Ok(()),
        }
    }
}
