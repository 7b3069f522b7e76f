//! A message as it was received and as it reads.

use serde::Serialize;

/// A message that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// 1 for the first message, and so on.
    pub id: u64,
    /// Unix seconds.
    pub received_at: i64,
    /// The sender of the envelope.
    pub envelope_from: String,
    /// The recipients of the envelope.
    pub envelope_to: Vec<String>,
    /// The header `From`.
    pub from: String,
    /// The header `To`.
    pub to: String,
    /// The header `Subject`.
    pub subject: String,
    /// All headers, unfolded and decoded, in their order.
    pub headers: Vec<(String, String)>,
    /// The plain text.
    pub text: Option<String>,
    /// The HTML.
    pub html: Option<String>,
    /// The message as it came.
    pub raw: String,
}

impl Message {
    /// The addresses in the text, in their order.
    pub fn links(&self) -> Vec<String> {
        let text = self.text.as_deref().or(self.html.as_deref()).unwrap_or_default();
        let starts = text
            .match_indices("http")
            .map(|(at, _)| text.get(at..).unwrap_or_default());
        let links = starts.filter(|rest| rest.starts_with("http://") || rest.starts_with("https://"));
        let ends = |letter: char| letter.is_whitespace() || matches!(letter, '"' | '\'' | '<' | '>' | ')');
        links
            .map(|rest| {
                rest.split(ends)
                    .next()
                    .unwrap_or_default()
                    .trim_end_matches(['.', ','])
                    .to_owned()
            })
            .collect()
    }
}
