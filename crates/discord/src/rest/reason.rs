//! The reason that stands in the server's audit log beside each change.

use std::fmt::Write as _;

/// Discord takes this many characters.
const LONGEST: usize = 512;

/// `reason` as the value of `X-Audit-Log-Reason`: cut to what Discord takes, percent-encoded as UTF-8.
pub(crate) fn header_value(reason: &str) -> String {
    let mut value = String::with_capacity(reason.len());
    for character in reason.chars().take(LONGEST) {
        if character.is_ascii_alphanumeric() || "-._~".contains(character) {
            value.push(character);
        } else {
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(value, "%{byte:02X}");
            }
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_percent_encoded() {
        assert_eq!(header_value("Paid: plan-1"), "Paid%3A%20plan-1");
        assert_eq!(header_value("café\r\n"), "caf%C3%A9%0D%0A");
    }

    #[test]
    fn a_long_reason_is_cut_by_characters() {
        assert_eq!(header_value(&"é".repeat(600)), "%C3%A9".repeat(512));
    }
}
