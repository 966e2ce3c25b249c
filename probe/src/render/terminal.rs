//! What a terminal needs: hostile text made harmless, widths, colour.
//!
//! Must not know what is written.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The width of the text, and whether it is in colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub width: usize,
    pub colour: bool,
}

impl View {
    /// `text` in an ANSI colour, if colour is wanted.
    pub fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Letters and symbols that take up columns but show nothing: the Hangul fillers, the empty Braille pattern, the
/// musical null notehead. No Unicode property covers all of them.
const BLANK: [char; 6] = ['\u{115f}', '\u{1160}', '\u{3164}', '\u{ffa0}', '\u{2800}', '\u{1d159}'];

/// Whether a terminal does not show a character as itself: the character controls the terminal, hides, changes or joins
/// its neighbours, or looks like a space. These are the characters that the standard library calls unprintable
/// (control, format, private and unassigned characters, separators except the space) or grapheme extensions, and those
/// that take up no column.
pub fn is_hidden(character: char) -> bool {
    match character {
        ' '..='~' => false,
        '\0'..='\u{9f}' => true,
        _ => {
            character.escape_debug().len() > 1
                || UnicodeWidthChar::width(character).unwrap_or(0) == 0
                || BLANK.contains(&character)
        }
    }
}

/// The text with every hidden character as a visible escape. Every text from outside must pass through this before it
/// is printed.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character as u32 {
            _ if character == '\\' => out.push_str("\\\\"),
            _ if !is_hidden(character) => out.push(character),
            code @ ..0x100 => out.push_str(&format!("\\x{code:02x}")),
            code => out.push_str(&format!("\\u{{{code:x}}}")),
        }
    }
    out
}

/// The number of columns that a text takes up.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// The text cut to a number of columns, with an ellipsis where something was cut.
pub fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for character in text.chars() {
        let wide = UnicodeWidthChar::width(character).unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        out.push(character);
    }
    if columns > 0 {
        out.push('…');
    }
    out
}

/// The text, padded on the right to a number of columns.
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text, padded on the left.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// A text in lines of at most `columns`, broken between words if possible.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().map_or(0, |line| width(line));
        let space = usize::from(line > 0);
        if line + space + width(word) > columns && line > 0 {
            lines.push(String::new());
        }
        let Some(last) = lines.last_mut() else { continue };
        if !last.is_empty() {
            last.push(' ');
        }
        last.push_str(&cut(word, columns));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_terminal_obeys_or_hides_is_shown_and_the_rest_is_left_alone() {
        let hidden = [
            ("controls", "\u{0}\u{1b}\u{7f}\u{85}\u{9b}\n\t"),
            ("formats and joiners", "\u{ad}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{e0041}"),
            ("directions", "\u{200e}\u{202a}\u{202e}\u{2066}\u{2069}"),
            ("variation selectors", "\u{fe0f}\u{fe00}\u{180b}\u{e0100}"),
            ("combining", "\u{301}\u{34f}\u{20dd}\u{20e3}\u{e31}\u{93c}"),
            ("fillers and blanks", "\u{115f}\u{1160}\u{3164}\u{ffa0}\u{2800}\u{1d159}"),
            ("Hangul that joins the letter before", "\u{1161}\u{11a8}\u{d7b0}"),
            ("spaces that are none", "\u{a0}\u{2003}\u{3000}\u{2028}\u{2029}"),
            ("private and unassigned", "\u{e000}\u{f8ff}\u{378}\u{e0fff}\u{10ffff}"),
        ];
        for (kind, characters) in hidden {
            for character in characters.chars() {
                assert!(is_hidden(character), "{kind}: {character:?}");
                let escaped = escape(&character.to_string());
                assert!(escaped.starts_with('\\') && escaped.is_ascii(), "{kind}: {escaped:?}");
            }
        }
        let shown = "a Z~'\"é ß Ω ж א ع अ 漢字 かな 한글 ｶ ½ € → █ 🙂";
        assert_eq!(escape(shown), shown);
    }

    #[test]
    fn nothing_that_is_shown_lacks_a_column() {
        for character in '\0'..=char::MAX {
            assert!(
                is_hidden(character) || UnicodeWidthChar::width(character).is_some_and(|columns| columns > 0),
                "{character:?}"
            );
        }
    }
}
