//! A name with `*` in it, which stands for any text.
//!
//! Must not know what is named.

use std::fmt;

/// Longest pattern, in bytes.
const PATTERN_MAX: usize = 256;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Fails where it is empty or too long, with what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > PATTERN_MAX {
            return Err(format!("must have 1 to {PATTERN_MAX} bytes; * stands for any text"));
        }
        Ok(Self(text.into()))
    }

    /// Whether the whole text is as the pattern says. In time that grows with the product of their lengths at most.
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            // The first place is as good as any: what follows a star may begin wherever it likes.
            let Some(place) = rest.find(part) else { return false };
            rest = &rest[place + part.len()..];
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_all_else_for_itself() {
        for (pattern, text, expected) in [
            ("cron", "cron", true),
            ("cron", "crond", false),
            ("cron*", "crond", true),
            ("cron*", "cron", true),
            ("*.service", "a.service", true),
            ("*.service", "a.service2", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a--b--b--c", true),
            ("a*b*c", "a--c--b", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
            ("**", "x", true),
            ("a.c", "abc", false),
        ] {
            assert_eq!(Pattern::new(pattern).expect("valid").matches(text), expected, "{pattern} {text}");
        }
        assert!(Pattern::new("").is_err() && Pattern::new(&"a".repeat(257)).is_err());
    }
}
