//! What is wrong with a configuration, and where.
//!
//! Must not know any key.

use std::{
    fmt,
    ops::Range,
    path::{Path, PathBuf},
};

use crate::report::words::nearest;

/// Longest key that is shown.
const KEY_MAX: usize = 64;

/// A fault in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    /// From 1 on; `None` where the file as a whole is at fault.
    line: Option<usize>,
    key: Option<String>,
    what: String,
    is_missing: bool,
}

impl ConfigError {
    /// The file cannot be read.
    pub(super) fn unreadable(file: &Path, why: String) -> Self {
        Self {
            file: file.into(),
            line: None,
            key: None,
            what: format!("cannot be read: {why}"),
            is_missing: false,
        }
    }

    /// There is no such file.
    pub(super) fn missing(file: &Path) -> Self {
        let what = "cannot be read: the file does not exist".into();
        Self { file: file.into(), line: None, key: None, what, is_missing: true }
    }

    /// Whether there is no such file.
    pub fn is_missing(&self) -> bool {
        self.is_missing
    }

    /// At this place of a text.
    pub(super) fn at(text: &str, place: Option<Range<usize>>, message: &str) -> Self {
        let start = place.map(|place| place.start.min(text.len()));
        let line = start.map(|start| text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count());
        let key = line
            .and_then(|line| text.lines().nth(line))
            .and_then(|line| Some(line.split_once('=')?.0.trim()))
            .filter(|key| !key.is_empty() && !key.starts_with('#') && key.len() <= KEY_MAX);
        let message = message.trim_end().replace('\n', "; ").replace("unknown field", "unknown key");
        let what = with_the_nearest(&message);
        Self {
            file: PathBuf::new(),
            line: line.map(|line| line + 1),
            key: key.filter(|key| !what.contains(&format!("`{key}`"))).map(str::to_owned),
            what,
            is_missing: false,
        }
    }

    pub(super) fn in_file(self, file: &Path) -> Self {
        Self { file: file.into(), ..self }
    }
}

/// Of a name that is not known, the known one that is most like it comes before the list of all.
fn with_the_nearest(message: &str) -> String {
    let nearest = message.split_once(", expected ").and_then(|(unknown, known)| {
        let said =
            unknown.strip_prefix("unknown variant ").or_else(|| unknown.strip_prefix("unknown key "))?;
        let names = known.split('`').skip(1).step_by(2);
        Some((unknown, nearest(said.trim_matches('`'), names)?, known))
    });
    match nearest {
        Some((unknown, name, known)) => format!("{unknown}: did you mean `{name}`? Expected {known}"),
        None => message.to_owned(),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(to, "{line}:")?;
        }
        if let Some(key) = &self.key {
            write!(to, " {key}:")?;
        }
        write!(to, " {}", self.what)
    }
}
