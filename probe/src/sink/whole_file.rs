//! Files that are seen whole under their name, or not at all, and that are written one after the other.
//!
//! Must not know what is in them.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use tokio::task::JoinHandle;

use super::forwarder::Failed;

/// Those who may read a file: its owner and its group, because command lines and names of functions can be private.
const MODE: u32 = 0o640;

/// Writes in a thread of its own: a disk may take its time.
#[derive(Default)]
pub struct Writing(Option<JoinHandle<io::Result<()>>>);

impl Writing {
    /// Has `write` run, when the one before has ended: there is never more than one such thread.
    pub async fn run(
        &mut self,
        write: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), Failed> {
        if let Some(before) = &mut self.0 {
            let _ = before.await;
        }
        let outcome = self.0.insert(tokio::task::spawn_blocking(write)).await;
        self.0 = None;
        outcome
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|error| Failed::Now(format!("cannot write: {error}")))
    }
}

/// Whether files can be made in a directory, by one that is removed at once.
pub fn check(unfinished: &Path) -> io::Result<()> {
    begin(unfinished)?;
    fs::remove_file(unfinished)
}

/// Writes a file, which has the other name until it is whole.
pub fn write(unfinished: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = begin(unfinished)?;
    let written = file.write_all(bytes).and_then(|()| fs::rename(unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(unfinished);
    }
    written
}

/// A new file of this name. Who else may write to the directory can put nothing in its way.
fn begin(path: &Path) -> io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)
}
