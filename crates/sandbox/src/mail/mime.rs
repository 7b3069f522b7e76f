//! As much of MIME as mail programs send: headers, encoded words, multipart, base64, quoted-printable.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How deep multiparts may be nested.
const DEPTH: u8 = 8;

/// What a message reads like.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// Unfolded and decoded.
    pub(crate) headers: Vec<(String, String)>,
    /// The first plain text part.
    pub(crate) text: Option<String>,
    /// The first HTML part.
    pub(crate) html: Option<String>,
}

impl Parsed {
    /// A header by its name.
    pub(crate) fn header(&self, name: &str) -> String {
        header(&self.headers, name).unwrap_or_default().to_owned()
    }
}

/// Reads a message.
pub(crate) fn parse(raw: &str) -> Parsed {
    let (headers, body) = split(raw);
    let mut parsed = Parsed::default();
    read_part(&headers, body, &mut parsed, DEPTH);
    parsed.headers = headers
        .into_iter()
        .map(|(name, value)| (name, decode_words(&value)))
        .collect();
    parsed
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// Headers, with folded lines joined, and the rest.
fn split(part: &str) -> (Vec<(String, String)>, &str) {
    let (head, body) = match part.strip_prefix("\r\n") {
        Some(body) => ("", body),
        None => part.split_once("\r\n\r\n").unwrap_or((part, "")),
    };
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in head.split("\r\n") {
        match (line.strip_prefix([' ', '\t']), headers.last_mut()) {
            (Some(folded), Some((_, value))) => {
                value.push(' ');
                value.push_str(folded.trim());
            }
            _ => {
                if let Some((name, value)) = line.split_once(':') {
                    headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
        }
    }
    (headers, body)
}

fn read_part(headers: &[(String, String)], body: &str, parsed: &mut Parsed, depth: u8) {
    let kind = header(headers, "Content-Type").unwrap_or("text/plain");
    let mime = kind
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    if let (true, Some(boundary)) = (
        mime.starts_with("multipart/") && depth > 0,
        parameter(kind, "boundary"),
    ) {
        for part in parts(body, &boundary) {
            let (headers, body) = split(part);
            read_part(&headers, body, parsed, depth - 1);
        }
        return;
    }
    let place = match mime.as_str() {
        "text/plain" => &mut parsed.text,
        "text/html" => &mut parsed.html,
        _ => return,
    };
    let encoding = header(headers, "Content-Transfer-Encoding").unwrap_or_default();
    place.get_or_insert_with(|| decode_body(body, encoding));
}

/// `name="value"` or `name=value` within a header.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"').to_owned())
    })
}

fn parts<'a>(body: &'a str, boundary: &str) -> Vec<&'a str> {
    let delimiter = format!("--{boundary}");
    let pieces = body.split(delimiter.as_str()).skip(1);
    let inner = pieces.take_while(|piece| !piece.starts_with("--"));
    inner
        .map(|piece| piece.strip_prefix("\r\n").unwrap_or(piece))
        .map(|piece| piece.strip_suffix("\r\n").unwrap_or(piece))
        .collect()
}

fn decode_body(body: &str, encoding: &str) -> String {
    let bytes = match encoding.to_ascii_lowercase().as_str() {
        "base64" => {
            let packed: String = body.split_whitespace().collect();
            STANDARD
                .decode(packed)
                .unwrap_or_else(|_| body.as_bytes().to_vec())
        }
        "quoted-printable" => decode_quoted(&body.replace("=\r\n", ""), false),
        _ => body.as_bytes().to_vec(),
    };
    String::from_utf8_lossy(&bytes).replace("\r\n", "\n")
}

/// `=C3=A9`; within headers `_` is a space.
fn decode_quoted(text: &str, in_header: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'=' => {
                let pair = bytes.clone().take(2).collect::<Vec<u8>>();
                if let Some(byte) = hex::decode(&pair).ok().and_then(|found| found.first().copied()) {
                    decoded.push(byte);
                    bytes.nth(1);
                } else {
                    decoded.push(b'=');
                }
            }
            b'_' if in_header => decoded.push(b' '),
            other => decoded.push(other),
        }
    }
    decoded
}

/// `=?utf-8?b?...?=` and `=?utf-8?q?...?=`; white space between two of them is none.
fn decode_words(value: &str) -> String {
    let mut decoded = String::new();
    let mut rest = value;
    let mut after_word = false;
    while let Some((before, word, tail)) = next_word(rest) {
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        decoded.push_str(&word);
        rest = tail;
        after_word = true;
    }
    decoded.push_str(rest);
    decoded
}

fn next_word(text: &str) -> Option<(&str, String, &str)> {
    let (before, after) = text.split_once("=?")?;
    let mut fields = after.splitn(3, '?');
    let (_charset, encoding, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let (packed, tail) = rest.split_once("?=")?;
    let bytes = match encoding {
        "b" | "B" => STANDARD.decode(packed).ok()?,
        "q" | "Q" => decode_quoted(packed, true),
        _ => return None,
    };
    Some((before, String::from_utf8_lossy(&bytes).into_owned(), tail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_with_two_bodies_gives_both_decoded() {
        let raw = "From: a@b.c\r\nSubject: =?utf-8?b?V2lsbGtvbW1lbg==?=\r\n =?utf-8?q?_=C3=BC?=\r\n\
            Content-Type: multipart/alternative;\r\n boundary=\"xyz\"\r\n\r\n--xyz\r\n\
            Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            A long=\r\n line, 1=3D1\r\n--xyz\r\nContent-Type: text/html\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nPGI+SGk8L2I+\r\n--xyz--\r\n";
        let parsed = parse(raw);
        assert_eq!(parsed.header("subject"), "Willkommen ü");
        assert_eq!(parsed.text.as_deref(), Some("A long line, 1=1"));
        assert_eq!(parsed.html.as_deref(), Some("<b>Hi</b>"));
    }

    #[test]
    fn a_message_without_any_mime_is_its_text() {
        assert_eq!(
            parse("Subject: x\r\n\r\nHello\r\nyou").text.as_deref(),
            Some("Hello\nyou")
        );
    }

    #[test]
    fn broken_encodings_are_shown_as_they_are() {
        assert_eq!(decode_words("=?utf-8?b?%%?= and =?x"), "=?utf-8?b?%%?= and =?x");
        assert_eq!(decode_quoted("a=ZZ=", false), b"a=ZZ=");
    }
}
