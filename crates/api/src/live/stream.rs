//! `GET /events`: server-sent events that say "look again", and nothing else.

use std::time::Duration;

use actix_web::{HttpResponse, http::header, web, web::Bytes};
use futures::stream;
use prometheus::IntGauge;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{error::ApiError, live::Listener, session::SignedIn, state::State};

/// Proxies close connections on which nothing is said.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// After this long the browser connects again, and is asked again who it is.
const LONGEST: Duration = Duration::from_mins(15);

/// Two changes closer than this are told as one.
const PAUSE: Duration = Duration::from_millis(100);

struct Events {
    listener: Listener,
    closing: CancellationToken,
    ends_at: Instant,
    begun: bool,
    _open: Open,
}

/// Counts itself for as long as it lives.
struct Open(IntGauge);

impl Open {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Opens a stream. While the process drains too, for as long as it listens: a browser that is refused gives up,
/// but when a stream ends it opens the next one by itself.
pub(crate) async fn get_events(
    signed_in: SignedIn,
    state: web::Data<State>,
    closing: web::Data<CancellationToken>,
) -> Result<HttpResponse, ApiError> {
    let events = Events {
        listener: state.live.listen(signed_in.member_id)?,
        closing: closing.as_ref().clone(),
        ends_at: Instant::now() + LONGEST,
        begun: false,
        _open: Open::new(state.metrics.streams.clone()),
    };
    let stream = stream::unfold(events, |mut events| async move {
        let text = events.next().await?;
        Some((
            Ok::<_, std::convert::Infallible>(Bytes::from_static(text.as_bytes())),
            events,
        ))
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would collect events before it passes them on; our own compression too.
        .insert_header(("x-accel-buffering", "no"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(stream))
}

impl Events {
    async fn next(&mut self) -> Option<&'static str> {
        if !self.begun {
            self.begun = true;
            return Some("retry: 1000\n\n");
        }
        tokio::select! {
            biased;
            () = self.closing.cancelled() => None,
            () = sleep_until(self.ends_at) => None,
            () = self.listener.changed() => {
                tokio::time::sleep(PAUSE).await;
                Some("event: changed\ndata: {}\n\n")
            }
            () = tokio::time::sleep(HEARTBEAT) => Some(": still here\n\n"),
        }
    }
}
