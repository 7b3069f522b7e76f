//! What can become of a webhook: the labels of its counter.

use rolecall_stripe::signature::SignatureError;

use crate::error::Code;

/// What became of a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// In the queue.
    Accepted,
    /// In the queue before.
    Duplicate,
    /// Rightly signed, but of the mode that this installation does not serve: dropped.
    OtherMode,
    /// No signature.
    MissingSignature,
    /// Something that is not a signature.
    MalformedSignature,
    /// Signed by somebody else, or altered, or claiming another mode than its secret's.
    WrongSignature,
    /// Signed too long ago.
    TooOld,
    /// Rightly signed, but no event.
    MalformedBody,
    /// Longer than an event is.
    TooLarge,
    /// Redis did not take it: Stripe has to send it again.
    Unavailable,
}

impl Outcome {
    pub(crate) const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Duplicate,
        Self::OtherMode,
        Self::MissingSignature,
        Self::MalformedSignature,
        Self::WrongSignature,
        Self::TooOld,
        Self::MalformedBody,
        Self::TooLarge,
        Self::Unavailable,
    ];

    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::OtherMode => "other_mode",
            Self::MissingSignature => "missing_signature",
            Self::MalformedSignature => "malformed_signature",
            Self::WrongSignature => "wrong_signature",
            Self::TooOld => "too_old",
            Self::MalformedBody => "malformed_body",
            Self::TooLarge => "too_large",
            Self::Unavailable => "unavailable",
        }
    }

    /// The code of the answer; for those that are answered 200 there is none to give.
    pub(crate) const fn code(self) -> Code {
        match self {
            Self::Accepted | Self::Duplicate | Self::OtherMode => Code::Internal,
            Self::MissingSignature => Code::MissingSignature,
            Self::MalformedSignature => Code::MalformedSignature,
            Self::WrongSignature => Code::WrongSignature,
            Self::TooOld => Code::TooOld,
            Self::MalformedBody => Code::MalformedBody,
            Self::TooLarge => Code::BodyTooLarge,
            Self::Unavailable => Code::QueueUnavailable,
        }
    }
}

impl From<SignatureError> for Outcome {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Missing => Self::MissingSignature,
            SignatureError::Malformed => Self::MalformedSignature,
            SignatureError::Wrong => Self::WrongSignature,
            SignatureError::TooOld => Self::TooOld,
        }
    }
}
