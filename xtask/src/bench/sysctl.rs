//! A kernel setting that is another one for a while. Must not know what it is for.

use std::fs;

use crate::shell::Outcome;

/// As it was before, again when dropped.
pub struct Sysctl {
    path: &'static str,
    found: String,
}

impl Sysctl {
    /// `path`: below /proc/sys.
    pub fn set(path: &'static str, value: &str) -> Outcome<Self> {
        let found = fs::read_to_string(path).map_err(|error| format!("cannot read {path}: {error}"))?;
        fs::write(path, value).map_err(|error| format!("cannot write {path}: {error}"))?;
        Ok(Self { path, found: found.trim().to_owned() })
    }
}

impl Drop for Sysctl {
    fn drop(&mut self) {
        let _ = fs::write(self.path, &self.found);
    }
}
