//! Headers that a user gives, such as tokens.
//!
//! Owns that their values are shown nowhere, how many there may be, and which names they may not have. Must not know whom they are for.

use std::path::Path;

use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};

use super::super::pem;

/// Most headers.
const HEADERS_MAX: usize = 32;
/// Longest value, in bytes.
const VALUE_MAX: usize = 8_192;
/// Names that say how a request is made, which is not the user's to say.
const OURS: [HeaderName; 11] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_ENCODING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    HOST,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    USER_AGENT,
];

/// Names and values. The values are marked as sensitive, so that their `Debug` does not show them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(HeaderName, HeaderValue)>);

impl Headers {
    /// Adds one. The error says what is wrong with it, and never its value.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), String> {
        let given: HeaderName = name.parse().map_err(|_| format!("{name:?} is no name of a header"))?;
        if OURS.contains(&given) || given.as_str().starts_with("grpc-") {
            return Err(format!("the header {given} is not possible: reapwatch sets it itself"));
        }
        if self.0.iter().any(|(other, _)| *other == given) {
            return Err(format!("the header {given} is given twice"));
        }
        if self.0.len() == HEADERS_MAX {
            return Err(format!("there are more than {HEADERS_MAX} headers"));
        }
        let mut secret = Some(value)
            .filter(|value| value.len() <= VALUE_MAX)
            .and_then(|value| HeaderValue::from_str(value).ok())
            .ok_or_else(|| {
                format!("the value of the header {given} is not possible: it must be one line of at most {VALUE_MAX} bytes")
            })?;
        secret.set_sensitive(true);
        self.0.push((given, secret));
        Ok(())
    }

    /// Those of a file: each line is a name, a colon and a value; empty lines and those that begin with `#` are left out.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut headers = Self::default();
        let text = pem::text(path)?;
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, value) =
                line.split_once(':').ok_or_else(|| format!("line {at} has no colon after a name"))?;
            headers.add(name.trim(), value.trim()).map_err(|why| format!("line {at}: {why}"))?;
        }
        Ok(headers)
    }

    /// These and the others; no name may be in both.
    pub fn with(&self, others: &Self) -> Result<Self, String> {
        let mut all = self.clone();
        for (name, value) in &others.0 {
            if all.0.iter().any(|(other, _)| other == name) {
                return Err(format!("the header {name} is given twice"));
            }
            all.0.push((name.clone(), value.clone()));
        }
        Ok(all)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Their names alone.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_header_on_each_line_and_no_message_has_a_value() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("headers");
        std::fs::write(&path, "# a token\n\nAuthorization: Bearer s3cr3t\nX-Scope-OrgID:ops\n")
            .expect("written");
        let headers = Headers::read(&path).expect("valid");
        assert_eq!(headers.names().collect::<Vec<_>>(), ["authorization", "x-scope-orgid"]);
        let value = headers.iter().next().expect("one").1;
        assert_eq!(value, "Bearer s3cr3t");
        assert!(!format!("{headers:?}").contains("s3cr3t"));
        for (text, expected) in [
            ("s3cr3t\n", "line 1 has no colon after a name"),
            ("a b: s3cr3t\n", "line 1: \"a b\" is no name of a header"),
            ("Host: s3cr3t\n", "line 1: the header host is not possible"),
            ("grpc-timeout: s3cr3t\n", "line 1: the header grpc-timeout is not possible"),
            ("a: 1\nA: s3cr3t\n", "line 2: the header a is given twice"),
            ("a: s3c\u{1}r3t\n", "line 1: the value of the header a is not possible"),
        ] {
            std::fs::write(&path, text).expect("written");
            let said = Headers::read(&path).expect_err(text);
            assert!(said.starts_with(expected) && !said.contains("r3t"), "{text:?}: {said}");
        }
        let many: String = (0..33).map(|at| format!("a{at}: x\n")).collect();
        std::fs::write(&path, many).expect("written");
        assert!(Headers::read(&path).expect_err("many").contains("more than 32"));
        assert!(Headers::default().add("a", &"x".repeat(VALUE_MAX + 1)).is_err());
        assert!(headers.with(&headers).expect_err("twice").contains("authorization is given twice"));
    }
}
