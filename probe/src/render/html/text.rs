//! Text for a page: what HTML would obey and what a browser would hide are both made visible.
//!
//! Must not know where on the page it stands: it is safe in an element and in a quoted attribute.

use super::super::terminal::{cut, escape};

/// Longest text, in columns. A command line has up to 4 KiB.
const COLUMNS_MAX: usize = 600;

/// The text, escaped and cut.
pub fn text(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    for character in cut(&escape(raw), COLUMNS_MAX).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_browser_obeys_or_hides() {
        assert_eq!(text("<script>\"a\"&'b'"), "&lt;script&gt;&quot;a&quot;&amp;&#39;b&#39;");
        assert_eq!(text("a\u{202e}\u{0}\n"), "a\\u{202e}\\x00\\x0a");
        assert!(text(&"x".repeat(10_000)).len() < 700);
    }
}
