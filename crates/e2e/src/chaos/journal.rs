//! What was done when: printed when a day has gone wrong.

use std::{
    fmt::{Display, Write},
    time::Duration,
};

use tokio::time::Instant;

/// The journal of a day.
#[derive(Debug)]
pub struct Journal {
    began: Instant,
    lines: Vec<(Duration, String)>,
}

impl Journal {
    /// An empty journal; its time begins now.
    pub fn begin() -> Self {
        Self {
            began: Instant::now(),
            lines: Vec::new(),
        }
    }

    /// Notes something.
    pub fn note(&mut self, what: impl Display) {
        self.lines.push((self.began.elapsed(), what.to_string()));
    }

    /// How long it has been.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// All of it, for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (at, line) in &self.lines {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:>9.3} s  {line}", at.as_secs_f64());
        }
        text
    }
}
