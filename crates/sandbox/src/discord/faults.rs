//! Faults on demand: what the next requests to the API meet instead of a good answer.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::discord::limits::answer::Scope;

/// A fault, and the requests that it meets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests whose path contains this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How many requests it meets; without a number all, until the faults are cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// What happens to them.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FaultKind {
    /// It is answered with this status and a page of the load balancer.
    Status {
        /// The status.
        status: u16,
    },
    /// Discord refuses it, in JSON.
    Refuse {
        /// The status.
        status: u16,
        /// Discord's code; 0 where only the status speaks.
        code: u32,
    },
    /// It is answered with 429 and Discord's headers.
    TooMany {
        /// Milliseconds to wait.
        retry_after_ms: u64,
        /// Whose limit it is.
        scope: Scope,
    },
    /// It is answered with 429 as HTML, without Discord's headers.
    Cloudflare {
        /// Seconds to wait.
        retry_after_s: u64,
    },
    /// It is answered after a while, rightly.
    Delay {
        /// Milliseconds.
        millis: u64,
    },
    /// It is never answered; when the faults are cleared the connection is cut.
    Hang,
    /// It is answered with 200 and a body that is not JSON.
    Garbage,
    /// The connection is cut before anything is done.
    Drop,
    /// It is carried out, and then the connection is cut.
    LoseAnswer,
    /// A change of roles or a kick is answered with 204 and not carried out.
    Lie,
}

impl Fault {
    /// A fault that meets every request.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            method: None,
            path: None,
            times: None,
            kind,
        }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self {
            method: Some(method.to_owned()),
            ..self
        }
    }

    /// Only requests whose path contains this.
    #[must_use]
    pub fn path(self, path: &str) -> Self {
        Self {
            path: Some(path.to_owned()),
            ..self
        }
    }

    /// Only so many requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self {
            times: Some(times),
            ..self
        }
    }

    fn meets(&self, method: &str, path: &str) -> bool {
        self.times != Some(0)
            && self
                .method
                .as_deref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && self.path.as_deref().is_none_or(|wanted| path.contains(wanted))
    }
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    faults: Vec<Fault>,
    /// Ends requests that hang.
    cleared: CancellationToken,
}

/// A fault that met a request.
#[derive(Debug, Clone)]
pub(crate) struct Met {
    pub(crate) kind: FaultKind,
    /// Ends when the faults are cleared.
    pub(crate) cleared: CancellationToken,
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.faults.clear();
        std::mem::take(&mut self.cleared).cancel();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.faults
    }

    /// The first fault that meets a request; it is used up by one.
    pub(crate) fn meet(&mut self, method: &str, path: &str) -> Option<Met> {
        let fault = self.faults.iter_mut().find(|fault| fault.meets(method, path))?;
        fault.times = fault.times.map(|times| times.saturating_sub(1));
        let met = Met {
            kind: fault.kind.clone(),
            cleared: self.cleared.clone(),
        };
        self.faults.retain(|fault| fault.times != Some(0));
        Some(met)
    }
}

impl FaultKind {
    /// Its name, as in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Refuse { .. } => "refuse",
            Self::TooMany { .. } => "too_many",
            Self::Cloudflare { .. } => "cloudflare",
            Self::Delay { .. } => "delay",
            Self::Hang => "hang",
            Self::Garbage => "garbage",
            Self::Drop => "drop",
            Self::LoseAnswer => "lose_answer",
            Self::Lie => "lie",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_only_its_requests_and_only_so_often() {
        let mut faults = Faults::default();
        faults.add(
            Fault::new(FaultKind::Garbage)
                .method("PUT")
                .path("/roles/")
                .times(1),
        );
        assert!(faults.meet("GET", "/guilds/1/members/2/roles/3").is_none());
        assert!(faults.meet("PUT", "/guilds/1/members/2").is_none());
        assert!(faults.meet("PUT", "/guilds/1/members/2/roles/3").is_some());
        assert!(faults.meet("PUT", "/guilds/1/members/2/roles/3").is_none());
    }

    #[test]
    fn clearing_the_faults_frees_those_who_hang() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultKind::Hang));
        let met = faults.meet("GET", "/").unwrap();
        assert!(!met.cleared.is_cancelled());
        faults.clear();
        assert!(met.cleared.is_cancelled());
        assert!(faults.meet("GET", "/").is_none());
    }

    #[test]
    fn a_fault_is_written_flat() {
        let fault: Fault =
            serde_json::from_str(r#"{"kind":"too_many","retry_after_ms":50,"scope":"shared","times":2}"#)
                .unwrap();
        assert_eq!(fault.times, Some(2));
        assert_eq!(
            fault.kind,
            FaultKind::TooMany {
                retry_after_ms: 50,
                scope: Scope::Shared
            }
        );
    }
}
