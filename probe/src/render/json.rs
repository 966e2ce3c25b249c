//! JSON: one compact line per value. The published schemas (`schemas/`) describe these bytes.
//!
//! Must not know what a value says.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::terminal::is_hidden;

/// Writes a report, an event line or a doctor's report, and a newline.
pub fn line(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Visible))?;
    out.write_all(b"\n")
}

/// Escapes also the characters that JSON allows but a terminal would obey or hide, because people read JSON on
/// terminals too.
struct Visible;

impl Formatter for Visible {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(|byte| byte < 0x7f) {
            return out.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((place, hidden)) = rest.char_indices().find(|(_, character)| is_hidden(*character)) {
            out.write_all(&rest.as_bytes()[..place])?;
            for unit in hidden.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = &rest[place + hidden.len_utf8()..];
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_or_hide_is_escaped_and_means_the_same() {
        let text = "a\u{1b}[2J\u{9b}31m\u{7f}é\u{202e}漢\u{e0041}\u{fe0f}\"\\\n";
        let mut bytes = Vec::new();
        line(&mut bytes, &[text]).expect("a Vec takes everything");
        assert_eq!(serde_json::from_slice::<[String; 1]>(&bytes).expect("JSON"), [text]);
        assert_eq!(
            String::from_utf8_lossy(&bytes),
            "[\"a\\u001b[2J\\u009b31m\\u007fé\\u202e漢\\udb40\\udc41\\ufe0f\\\"\\\\\\n\"]\n"
        );
    }
}
