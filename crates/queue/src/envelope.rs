//! What a job looks like on the wire. Its arguments stay raw JSON until their kind is known.

use std::{borrow::Cow, io::Write};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::{job::Job, producer::Push};

/// The version of the envelope that is written, and the only one that is read.
const VERSION: u32 = 1;

/// A job as it travels, borrowed from its bytes.
#[derive(Debug, Deserialize)]
pub struct Envelope<'a> {
    v: u32,
    /// The job's own id, the same through all its attempts.
    pub id: Uuid,
    /// What kind of job it is.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// When it was pushed.
    pub enqueued_at: DateTime<Utc>,
    /// The trace it was pushed in (W3C).
    #[serde(default)]
    pub traceparent: Option<String>,
    /// The arguments, not looked at yet.
    #[serde(borrow)]
    pub args: &'a RawValue,
}

/// Bytes that are not a job.
#[derive(Debug, thiserror::Error)]
pub enum InvalidEnvelope {
    /// Not JSON, or a field is missing or of another type.
    #[error("the envelope cannot be read")]
    Malformed(#[source] serde_json::Error),
    /// Written by a version that this one does not know.
    #[error("the envelope has version {0}, known is {VERSION}")]
    Version(u32),
}

impl<'a> Envelope<'a> {
    /// Reads the envelope; the arguments are only skipped over.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, InvalidEnvelope> {
        let envelope: Self = serde_json::from_slice(bytes).map_err(InvalidEnvelope::Malformed)?;
        if envelope.v == VERSION {
            Ok(envelope)
        } else {
            Err(InvalidEnvelope::Version(envelope.v))
        }
    }
}

#[derive(Serialize)]
struct Outgoing<'a, J> {
    v: u32,
    id: Uuid,
    kind: &'static str,
    enqueued_at: DateTime<Utc>,
    traceparent: Option<&'a str>,
    args: &'a J,
}

/// About as long as everything but the arguments.
const FRAME_BYTES: usize = 256;

/// About how many bytes a job will have.
pub(crate) fn size_hint<J: Job>(job: &J) -> usize {
    FRAME_BYTES + job.size_hint()
}

/// Writes the bytes of a job.
pub(crate) fn write<J: Job>(to: impl Write, job: &J, push: &Push) -> serde_json::Result<()> {
    let outgoing = Outgoing {
        v: VERSION,
        id: push.id,
        kind: J::KIND,
        enqueued_at: push.now,
        traceparent: push.traceparent.as_deref(),
        args: job,
    };
    serde_json::to_writer(to, &outgoing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::SyncPlans;

    const GOLDEN: &str = concat!(
        r#"{"v":1,"id":"0191e3a0-0000-7000-8000-000000000001","kind":"sync_plans","#,
        r#""enqueued_at":"2026-11-21T00:00:00Z","traceparent":null,"args":{}}"#
    );

    fn push() -> Push {
        Push::new(
            "2026-11-21T00:00:00Z".parse().unwrap(),
            Uuid::from_u128(0x0191e3a0_0000_7000_8000_000000000001),
        )
    }

    #[test]
    fn the_envelope_has_its_golden_shape() {
        let mut written = Vec::new();
        write(&mut written, &SyncPlans {}, &push()).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), GOLDEN);
    }

    #[test]
    fn a_golden_envelope_is_read() {
        let envelope = Envelope::decode(GOLDEN.as_bytes()).unwrap();
        assert_eq!((envelope.id, &*envelope.kind), (push().id, "sync_plans"));
        assert_eq!((envelope.enqueued_at, envelope.traceparent), (push().now, None));
        assert_eq!(envelope.args.get(), "{}");
    }

    #[test]
    fn an_envelope_of_another_version_is_refused() {
        let newer = GOLDEN.replace(r#""v":1"#, r#""v":2"#);
        assert!(matches!(
            Envelope::decode(newer.as_bytes()),
            Err(InvalidEnvelope::Version(2))
        ));
        assert!(matches!(
            Envelope::decode(b"nonsense"),
            Err(InvalidEnvelope::Malformed(_))
        ));
    }
}
