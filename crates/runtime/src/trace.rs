//! One id from the webhook to the call to Discord: the `traceparent` of W3C Trace Context.

use std::{fmt, str::FromStr};

use rolecall_domain::clock::{Rng, random_bytes};

/// Only this flag is defined for every version; the others are dropped.
const SAMPLED: u128 = 0x01;

/// A trace and the span in it that what follows belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traceparent {
    trace_id: u128,
    span_id: u64,
    sampled: bool,
}

/// A text that is not a `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent")]
pub struct InvalidTraceparent;

impl Traceparent {
    /// The first span of a new trace.
    pub fn new_root(rng: &dyn Rng) -> Self {
        // Zero means "no id".
        let trace_id = u128::from_be_bytes(random_bytes(rng)).max(1);
        Self {
            trace_id,
            span_id: new_span_id(rng),
            sampled: true,
        }
    }

    /// A new span in the same trace.
    #[must_use]
    pub fn child(&self, rng: &dyn Rng) -> Self {
        Self {
            span_id: new_span_id(rng),
            ..*self
        }
    }

    /// The trace: 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace_id)
    }

    /// The span: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span_id)
    }

    /// Whether the trace is being recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.span_id,
            u8::from(self.sampled)
        )
    }
}

impl FromStr for Traceparent {
    type Err = InvalidTraceparent;

    /// Strict for version 00; a later version may append fields, which are ignored, as the
    /// specification demands.
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        parse(text).ok_or(InvalidTraceparent)
    }
}

fn parse(text: &str) -> Option<Traceparent> {
    let mut fields = text.split('-');
    let version = digits(fields.next()?, 2)?;
    let trace_id = digits(fields.next()?, 32).filter(|id| *id != 0)?;
    let span_id = digits(fields.next()?, 16)
        .and_then(|id| u64::try_from(id).ok())
        .filter(|id| *id != 0)?;
    let flags = digits(fields.next()?, 2)?;
    let has_more = fields.next().is_some();
    if version == 0xff || (version == 0 && has_more) {
        return None;
    }
    Some(Traceparent {
        trace_id,
        span_id,
        sampled: flags & SAMPLED != 0,
    })
}

/// The number written in exactly `length` lower-case hexadecimal digits.
fn digits(text: &str, length: usize) -> Option<u128> {
    let plain = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if plain && text.len() == length {
        u128::from_str_radix(text, 16).ok()
    } else {
        None
    }
}

fn new_span_id(rng: &dyn Rng) -> u64 {
    u64::from_be_bytes(random_bytes(rng)).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};

    use super::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[derive(Debug)]
    struct Constant(u8);

    impl Rng for Constant {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(self.0);
        }
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let parsed: Traceparent = EXAMPLE.parse().unwrap();
        assert_eq!(parsed.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parsed.span_id(), "00f067aa0ba902b7");
        assert!(parsed.is_sampled());
        assert_eq!(parsed.to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_keeps_trace_and_flag_and_has_a_span_of_its_own() {
        for flags in ["00", "01"] {
            let parent: Traceparent = format!("{}{flags}", &EXAMPLE[..53]).parse().unwrap();
            let child = parent.child(&Constant(7));
            assert_eq!(child.trace_id(), parent.trace_id());
            assert_eq!(child.is_sampled(), parent.is_sampled());
            assert_eq!(child.span_id(), "0707070707070707");
        }
    }

    #[test]
    fn a_new_trace_is_sampled_and_never_all_zero() {
        let root = Traceparent::new_root(&Constant(0));
        assert_eq!(
            root.to_string(),
            "00-00000000000000000000000000000001-0000000000000001-01"
        );
        assert!(root.to_string().parse::<Traceparent>().is_ok());
    }

    #[test]
    fn what_the_specification_forbids_is_refused() {
        for bad in [
            "",
            "00",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\n",
            "é0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<Traceparent>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = format!("cc{}-what-comes", &EXAMPLE[2..]);
        assert_eq!(later.parse::<Traceparent>().unwrap().to_string(), EXAMPLE);
    }

    proptest! {
        #[test]
        fn whatever_is_written_can_be_read(fill: u8, span: u8) {
            let traceparent = Traceparent::new_root(&Constant(fill)).child(&Constant(span));
            prop_assert_eq!(traceparent.to_string().parse(), Ok(traceparent));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            let _ = text.parse::<Traceparent>();
        }
    }
}
