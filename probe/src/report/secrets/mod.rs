//! What looks like a secret in a command line, replaced by [`REDACTED`].
//!
//! Goes by rules (docs/privacy.md): names of options and variables, flags of known programs, URLs, headers, forms of known tokens, and
//! long values that look random. In doubt it redacts: what is missing can be looked up on the host, what has left it cannot be taken
//! back. Must not know where command lines come from or go to.

mod form;
mod names;
mod shell;
#[cfg(test)]
mod tests;

use names::{Flag, Style};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// How deep command lines and assignments within others are followed: `sh -c "ssh host 'mysql …'"`, `--env=A=B`.
const DEPTH_MAX: usize = 4;

/// A command line without what looks like a secret in it.
pub fn redacted(arguments: &[String]) -> Vec<String> {
    let borrowed: Vec<&str> = arguments.iter().map(String::as_str).collect();
    words(&borrowed, DEPTH_MAX)
}

/// What the next word is, by the one before it.
enum Next {
    /// A secret.
    Secret,
    /// Like `user:password`: a secret behind the separator.
    SecretBehind(char),
    Ordinary,
}

/// Each word by itself, and by the ones before it.
fn words(words: &[&str], depth: usize) -> Vec<String> {
    let mut flags: Vec<&'static Flag> = Vec::new();
    let mut next = Next::Ordinary;
    let mut all = Vec::with_capacity(words.len());
    for (place, text) in words.iter().enumerate() {
        // A program, or one that is started by another, as with sudo; what follows may be flags of its.
        names::add_flags_of(text, words, &mut flags);
        let is_last = place + 1 == words.len();
        all.push(match std::mem::replace(&mut next, Next::Ordinary) {
            Next::Secret => REDACTED.to_owned(),
            Next::SecretBehind(separator) => behind(text, separator),
            Next::Ordinary => {
                let (kept, after) = word(text, &flags, depth);
                next = after;
                if is_last && names::has_secret_at_end(words) { REDACTED.to_owned() } else { kept }
            }
        });
    }
    all
}

/// One word, and what the one after it is.
fn word(text: &str, flags: &[&Flag], depth: usize) -> (String, Next) {
    for flag in flags {
        match (text.strip_prefix(flag.name), flag.style) {
            (Some(""), Style::Separate | Style::Either) => return (text.to_owned(), Next::Secret),
            (Some(""), Style::Behind(separator)) => {
                return (text.to_owned(), Next::SecretBehind(separator));
            }
            (Some(value), Style::Attached | Style::Either) if !value.is_empty() => {
                return (format!("{}{REDACTED}", flag.name), Next::Ordinary);
            }
            (Some(value), Style::Behind(separator)) if value.contains(separator) => {
                return (format!("{}{}", flag.name, behind(value, separator)), Next::Ordinary);
            }
            _ => {}
        }
    }
    // Nothing but the name of an option or of a header: its value is the next word.
    let bare = text.trim_end_matches(':');
    let is_name = text.starts_with('-') || bare.len() < text.len() || names::announces(text);
    if is_name && !text.contains('=') && (names::is_secret(bare) || names::announces(bare)) {
        return (text.to_owned(), Next::Secret);
    }
    (value(text, depth), Next::Ordinary)
}

/// A word of which nothing is known by others. Where its name says that it is a secret, all of it is, spaces included.
fn value(text: &str, depth: usize) -> String {
    match assignment(text) {
        Some((_, "")) => return text.to_owned(),
        Some((name, rest)) if depth > 0 => {
            let kept = if names::is_secret(name) { REDACTED.to_owned() } else { value(rest, depth - 1) };
            return format!("{}{kept}", &text[..text.len() - rest.len()]);
        }
        _ => {}
    }
    if let Some((name, rest)) = header(text) {
        return format!("{name}: {}", if rest.is_empty() { "" } else { REDACTED });
    }
    if depth > 0 && shell::has_words(text) {
        return shell::map_words(text, |inner| words(inner, depth - 1));
    }
    form::redacted(&pairs(&form::without_credentials(text)))
}

/// `NAME=VALUE`, `--name=value` or `/name:value`.
fn assignment(text: &str) -> Option<(&str, &str)> {
    let is_part = |one: char| one.is_ascii_alphanumeric() || "_-.".contains(one);
    let at = text.find(|one| !is_part(one) && one != '/')?;
    let (name, rest) = text.split_at(at);
    let separator = rest.chars().next()?;
    let is_slash_option = name.starts_with('/') && !name[1..].contains('/');
    let is_assigned = separator == '=' || (separator == ':' && is_slash_option);
    (is_assigned && name.contains(is_part)).then(|| (name, &rest[1..]))
}

/// `Name: value` where the name is that of a secret, also right behind the flag of a program that takes headers.
fn header(text: &str) -> Option<(&str, &str)> {
    let (name, rest) = text.split_once(": ")?;
    let is_name = !name.contains(|one: char| one.is_whitespace() || "\"'{,".contains(one));
    let bare = name.strip_prefix("-H").unwrap_or(name);
    (is_name && names::is_secret(bare)).then_some((name, rest))
}

/// Names and values within a word, as connection strings, queries of URLs and JSON have them.
fn pairs(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['=', ':']) {
        let (before, after) = rest.split_at(at + 1);
        kept.push_str(before);
        let name = before[..at].trim_end_matches(['"', '\'']);
        let is_part = |one: char| one.is_ascii_alphanumeric() || "_-. ".contains(one);
        let name = name.rsplit(|one| !is_part(one)).next().unwrap_or_default().trim();
        let is_scheme = after.starts_with("//");
        if !names::is_secret(name) || is_scheme || after.is_empty() {
            rest = after;
            continue;
        }
        let opened = after.len() - after.trim_start_matches(' ').len();
        let quote = after[opened..].chars().next().filter(|first| "\"'".contains(*first));
        let from = opened + quote.map_or(0, char::len_utf8);
        let length = after[from..].find(|one| quote.map_or(";&\"'".contains(one), |quote| one == quote));
        let to = length.map_or(after.len(), |length| from + length);
        kept.push_str(&after[..from]);
        kept.push_str(REDACTED);
        rest = &after[to..];
    }
    kept.push_str(rest);
    kept
}

/// What is before the separator; all of it where there is none.
fn behind(text: &str, separator: char) -> String {
    match text.split_once(separator) {
        Some((before, _)) => format!("{before}{separator}{REDACTED}"),
        None => text.to_owned(),
    }
}
