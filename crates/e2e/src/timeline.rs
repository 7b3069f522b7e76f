//! What happened when, to the millisecond, and whether every role was right.

use std::{fmt::Write, time::Duration};

/// One step of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub title: String,
    /// How long until everything was as it should be.
    pub took: Duration,
    /// The roles that the person then had.
    pub roles: Vec<String>,
    /// What was not as it should be.
    pub fault: Option<String>,
}

/// The steps of a story, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Timeline {
    /// Whether every step ended as it should.
    pub fn is_good(&self) -> bool {
        !self.steps.is_empty() && self.steps.iter().all(|step| step.fault.is_none())
    }

    /// A table for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for step in &self.steps {
            let roles = if step.roles.is_empty() {
                "no roles".to_owned()
            } else {
                step.roles.join(", ")
            };
            let sign = if step.fault.is_some() { "✗" } else { "✓" };
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{sign} {:>6} ms  {:<44} {roles}",
                step.took.as_millis(),
                step.title
            );
            if let Some(fault) = &step.fault {
                let _ = writeln!(text, "             {fault}");
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(fault: Option<&str>) -> Step {
        Step {
            title: "pay".to_owned(),
            took: Duration::from_millis(7),
            roles: vec!["Council".to_owned()],
            fault: fault.map(str::to_owned),
        }
    }

    #[test]
    fn one_wrong_step_makes_the_whole_story_wrong() {
        assert!(
            !Timeline::default().is_good(),
            "a story without steps proves nothing"
        );
        assert!(
            Timeline {
                steps: vec![step(None)]
            }
            .is_good()
        );
        assert!(
            !Timeline {
                steps: vec![step(None), step(Some("no role"))]
            }
            .is_good()
        );
    }

    #[test]
    fn a_step_is_told_in_one_line() {
        let text = Timeline {
            steps: vec![step(None)],
        }
        .text();
        assert!(
            text.starts_with("✓      7 ms  pay") && text.trim_end().ends_with("Council"),
            "{text}"
        );
    }
}
