//! What is printed: text for people, or JSON for machines.

use std::io::Write;

use serde::Serialize;

/// Prints one answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Printer {
    json: bool,
}

impl Printer {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints the answer as JSON, or as the text that `text` makes of it.
    pub(crate) fn answer<T: Serialize>(
        self,
        answer: &T,
        text: impl FnOnce(&T) -> String,
    ) -> anyhow::Result<()> {
        let printed = if self.json {
            serde_json::to_string_pretty(answer)?
        } else {
            text(answer)
        };
        let mut stdout = std::io::stdout().lock();
        // A reader that went away, as `| head` does, is no fault.
        writeln!(stdout, "{}", printed.trim_end()).or_else(|error| match error.kind() {
            std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(error),
        })?;
        Ok(())
    }

    /// Prints what went wrong to standard error.
    pub(crate) fn error(self, message: &str) {
        let printed = if self.json {
            serde_json::json!({ "error": message }).to_string()
        } else {
            format!("rolecall: {message}")
        };
        // There is nowhere left to complain to.
        let _ = writeln!(std::io::stderr().lock(), "{printed}");
    }
}
