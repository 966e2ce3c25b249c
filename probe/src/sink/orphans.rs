//! A file with the origins of all orphans that live, which `audit --history` reads.
//!
//! Must not know what an orphan is.

use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    forwarder::{Carrier, Failed, Forwarder},
    whole_file::{self, Writing},
};
use crate::report::orphans::OrphanHistory;

/// Starts the sink, within the runtime.
pub fn start(path: PathBuf) -> Forwarder<Arc<OrphanHistory>> {
    let name = format!("orphans {}", path.display());
    Forwarder::start(name, Writer { path, writing: Writing::default() }, true)
}

struct Writer {
    path: PathBuf,
    writing: Writing,
}

impl Carrier for Writer {
    type Item = Arc<OrphanHistory>;

    async fn deliver(&mut self, items: &[Arc<OrphanHistory>]) -> Result<u64, Failed> {
        // Each says all that is known: only the last one counts.
        if let Some(last) = items.last().map(Arc::clone) {
            let path = self.path.clone();
            self.writing.run(move || write(&path, &last)).await?;
        }
        Ok(0)
    }
}

/// Whether the file can be made, before anything is attached. What is in it stays.
pub fn check(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    whole_file::check(&unfinished(path)?)
}

/// The file has this name until it is whole.
fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    name.push(".unfinished");
    Ok(path.with_file_name(name))
}

fn write(path: &Path, history: &OrphanHistory) -> io::Result<()> {
    whole_file::write(&unfinished(path)?, path, &serde_json::to_vec(history)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("orphans.json");
        check(&path).expect("a directory of ours");
        let history = |ns| OrphanHistory { realtime_minus_boottime_ns: ns, ..OrphanHistory::default() };
        for ns in [1, 2] {
            write(&path, &history(ns)).expect("room");
            let read: OrphanHistory =
                serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
            assert_eq!(read, history(ns));
        }
        let names: Vec<_> = fs::read_dir(directory.path()).expect("a directory").flatten().collect();
        assert_eq!(names.len(), 1, "{names:?}");
        assert!(check(directory.path()).is_err(), "a directory is no file");
        assert!(check(&directory.path().join("none/orphans.json")).is_err());
    }
}
