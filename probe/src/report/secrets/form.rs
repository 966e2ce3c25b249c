//! Secrets that are known by their form: credentials in URLs, tokens of known services, and long values that look random.
//!
//! Must not know names of options or programs.

use super::REDACTED;

/// How tokens of known services begin, and how long they are at least.
const TOKENS: [(&str, usize); 27] = [
    ("ghp_", 20),
    ("gho_", 20),
    ("ghu_", 20),
    ("ghs_", 20),
    ("ghr_", 20),
    ("github_pat_", 20),
    ("glpat-", 15),
    ("gldt-", 15),
    ("xoxb-", 12),
    ("xoxa-", 12),
    ("xoxp-", 12),
    ("xoxr-", 12),
    ("xoxs-", 12),
    ("xapp-", 12),
    ("sk-", 20),
    ("sk_live_", 16),
    ("rk_live_", 16),
    ("pk_live_", 16),
    ("whsec_", 16),
    ("AKIA", 16),
    ("ASIA", 16),
    ("AIza", 30),
    ("ya29.", 16),
    ("npm_", 20),
    ("pypi-", 16),
    ("dop_v1_", 20),
    ("hvs.", 16),
];
/// A value from so many characters on may look random.
const RANDOM_MIN: usize = 20;

/// Without what stands before the host of a URL.
pub fn without_credentials(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        kept.push_str(before);
        let end = after.find(|one: char| one.is_whitespace() || "\"'<>".contains(one)).unwrap_or(after.len());
        rest = &after[credentials(&after[..end])..];
        if rest.len() < after.len() {
            kept.push_str(REDACTED);
        }
    }
    kept.push_str(rest);
    kept
}

/// How long the credentials of a URL are that begins with its authority; 0 where it has none.
fn credentials(url: &str) -> usize {
    let host_end = url.find(['/', '?', '#']).unwrap_or(url.len());
    if let Some(at) = url[..host_end].rfind('@') {
        return at;
    }
    // A password may have such characters in it, against the rules: then what is before them is no port.
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match url[..host_end].rsplit_once(':') {
        Some((_, after)) if !is_port(after) && !after.ends_with(']') => url.rfind('@').unwrap_or(0),
        _ => 0,
    }
}

/// Without tokens and long values that look random.
pub fn redacted(text: &str) -> String {
    // In a path each part is by itself; in other values a slash may be a digit of base64.
    let is_path = text.starts_with(['/', '.', '~']) || text.contains("://");
    let is_part = |one: char| {
        one.is_ascii_alphanumeric() || "_-+=".contains(one) || (one == '/' && !is_path) || one == '.'
    };
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(from) = rest.find(is_part) {
        let length = rest[from..].find(|one| !is_part(one)).unwrap_or(rest.len() - from);
        kept.push_str(&rest[..from]);
        kept.push_str(&run(&rest[from..from + length]));
        rest = &rest[from + length..];
    }
    kept.push_str(rest);
    kept
}

/// A run of characters that can be in a token.
fn run(text: &str) -> String {
    if is_token(text) || is_web_token(text) {
        return REDACTED.to_owned();
    }
    let parts = text.split('.').map(|part| if looks_random(part) { REDACTED } else { part });
    parts.collect::<Vec<_>>().join(".")
}

fn is_token(text: &str) -> bool {
    TOKENS.iter().any(|(begin, least)| {
        text.match_indices(begin).any(|(at, _)| {
            let is_start = at == 0 || !text.as_bytes()[at - 1].is_ascii_alphanumeric();
            is_start && text.len() - at >= *least
        })
    })
}

/// A JSON web token: three parts, of which the first begins an object in base64.
fn is_web_token(text: &str) -> bool {
    text.contains("eyJ") && text.matches('.').count() >= 2 && text.len() >= 32
}

/// Whether letters and digits change so often as they do by chance, and not as they do in names, versions and dates.
fn looks_random(text: &str) -> bool {
    #[derive(PartialEq)]
    enum Kind {
        Lower,
        Upper,
        Digit,
    }
    let kinds: Vec<Kind> = text
        .chars()
        .filter_map(|one| match one {
            'a'..='z' => Some(Kind::Lower),
            'A'..='Z' => Some(Kind::Upper),
            '0'..='9' => Some(Kind::Digit),
            _ => None,
        })
        .collect();
    let digits = kinds.iter().filter(|kind| **kind == Kind::Digit).count();
    let changes = kinds.windows(2).filter(|pair| pair[0] != pair[1]).count();
    text.len() >= RANDOM_MIN && digits >= 2 && digits < kinds.len() && changes * 6 >= kinds.len()
}
