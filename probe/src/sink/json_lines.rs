//! Alerts as JSON lines, to standard output or to a file that may be rotated.
//!
//! Owns when a file is opened: at the start, when asked to, when its name leads to another file, and again after a failure, at
//! first soon and then ever less often; and that each trouble is told once. Must not know what an alert says.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    Closing, Delivery, Dropped, Sink, SinkStatus, Wants,
    back_off::BackOff,
    stdout::{LineWriter, Patience},
};

/// Those who may read the file: its owner and its group, because command names can be private.
const MODE: u32 = 0o640;

/// The sink.
pub struct JsonLines {
    name: String,
    /// `None`: standard output, which cannot be opened again.
    path: Option<PathBuf>,
    /// The file that is open.
    opened: Option<File>,
    writer: Option<LineWriter>,
    patience: Patience,
    /// What happened to what was offered to writers that are gone.
    past: SinkStatus,
    next_try: Instant,
    back_off: BackOff,
    /// Something is wrong, which was told.
    is_failing: bool,
}

impl JsonLines {
    /// To a stream that is open.
    pub fn to_stream(name: &str, out: File, patience: Patience) -> io::Result<Self> {
        let writer = LineWriter::new(out, patience)?;
        Ok(Self::new(name.into(), None, Some(writer), patience))
    }

    /// Opens a file to write at its end, and makes it if there is none. Nothing is written yet.
    pub fn open_file(path: &Path) -> io::Result<File> {
        append_to(path)
    }

    /// To this file, which [`JsonLines::open_file`] has opened. From now on a thread writes.
    pub fn to_file(path: &Path, file: File, patience: Patience) -> io::Result<Self> {
        let mut sink = Self::new(path.display().to_string(), Some(path.into()), None, patience);
        sink.write_to(file)?;
        Ok(sink)
    }

    fn new(name: String, path: Option<PathBuf>, writer: Option<LineWriter>, patience: Patience) -> Self {
        Self {
            name,
            path,
            opened: None,
            writer,
            patience,
            past: SinkStatus::default(),
            next_try: Instant::now(),
            back_off: BackOff::default(),
            is_failing: false,
        }
    }

    /// Opens the file. What was offered before is written to the old one.
    fn open(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let file = append_to(path)?;
        self.write_to(file)
    }

    fn write_to(&mut self, file: File) -> io::Result<()> {
        let opened = file.try_clone()?;
        let writer = LineWriter::new(file, self.patience)?;
        self.opened = Some(opened);
        self.let_go();
        self.writer = Some(writer);
        Ok(())
    }

    /// Adds up what happened with the writer so far, which writes on what is queued.
    fn let_go(&mut self) {
        if let Some(writer) = self.writer.take() {
            let status = writer.status();
            self.past.delivered += status.delivered;
            // Its thread goes on until they are written; where writing has failed, there is none.
            match status.last_error {
                None => self.past.delivered += status.queued,
                Some(_) => self.past.dropped.ended += status.queued,
            }
            self.past.dropped = sum(self.past.dropped, status.dropped);
        }
    }

    /// Whether the name leads to another file than the one that is open, or to none.
    fn is_rotated(&self) -> bool {
        let Some(path) = &self.path else { return false };
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let opened = self.opened.as_ref().and_then(|file| file.metadata().ok()).map(identity);
        fs::metadata(path).ok().map(identity) != opened
    }

    /// Whether the file that is open has no name any more: nobody will read what is written to it.
    fn is_removed(&self) -> bool {
        self.opened
            .as_ref()
            .and_then(|file| file.metadata().ok())
            .is_some_and(|metadata| metadata.nlink() == 0)
    }

    /// A writer that failed is given up, and a file is opened again when it is time.
    fn mend(&mut self) {
        if self.path.is_none() {
            return;
        }
        let status = self.writer.as_ref().map(Sink::status).unwrap_or_default();
        let is_rotated = self.is_rotated();
        if let Some(failure) = status.last_error {
            self.fails(
                failure,
                "cannot write alerts: they are dropped and counted until it takes them; tries go on",
            );
            self.let_go();
        } else if self.is_failing && status.delivered > 0 && !is_rotated {
            tracing::warn!(file = %self.name, "alerts are written again");
            (self.is_failing, self.back_off) = (false, BackOff::default());
        }
        if Instant::now() >= self.next_try && (self.writer.is_none() || is_rotated) {
            self.try_to_open();
        }
    }

    fn try_to_open(&mut self) {
        let Err(error) = self.open() else {
            self.past.last_error = None;
            return;
        };
        if self.is_removed() {
            self.let_go();
        }
        let what = if self.writer.is_some() {
            "cannot open the file for alerts: they go to the one that had its name; tries go on"
        } else {
            "cannot open the file for alerts: they are dropped and counted until it can be opened; tries go on"
        };
        self.fails(error.to_string(), what);
    }

    /// It is tried again later. Told once, until alerts are written again.
    fn fails(&mut self, error: String, what: &str) {
        if !self.is_failing {
            tracing::warn!(file = %self.name, %error, "{what}");
        }
        self.is_failing = true;
        self.past.last_error = Some(error);
        self.next_try = Instant::now() + self.back_off.wait();
    }
}

impl Sink for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn wants(&self) -> Wants {
        Wants { alerts: true, ..Wants::default() }
    }

    fn offer(&mut self, what: &Delivery) {
        if !matches!(what, Delivery::Alert(_)) {
            return;
        }
        self.mend();
        match &mut self.writer {
            Some(writer) => writer.offer(what),
            None => self.past.dropped.ended += 1,
        }
    }

    fn status(&self) -> SinkStatus {
        let now = self.writer.as_ref().map(Sink::status).unwrap_or_default();
        SinkStatus {
            queued: now.queued,
            delivered: self.past.delivered + now.delivered,
            dropped: sum(self.past.dropped, now.dropped),
            last_error: now.last_error.or_else(|| self.past.last_error.clone()),
        }
    }

    fn reopen(&mut self) {
        if self.path.is_some() {
            self.try_to_open();
        }
    }

    fn close(mut self: Box<Self>, within: Duration) -> Closing {
        let writer = self.writer.take();
        Box::pin(async move {
            let past = self.past;
            let Some(writer) = writer else { return past };
            let last = Box::new(writer).close(within).await;
            SinkStatus {
                delivered: past.delivered + last.delivered,
                dropped: sum(past.dropped, last.dropped),
                ..last
            }
        })
    }
}

fn sum(mut one: Dropped, other: Dropped) -> Dropped {
    one += other;
    one
}

/// Does not wait for the reader of a named pipe: without one it fails.
fn append_to(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(MODE);
    let is_pipe = fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo());
    if !is_pipe {
        return options.open(path);
    }
    let pipe = options.custom_flags(nix::libc::O_NONBLOCK).open(path)?;
    // The thread that writes may block.
    nix::fcntl::fcntl(&pipe, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_APPEND))?;
    Ok(pipe)
}

#[cfg(test)]
#[path = "json_lines_tests.rs"]
mod tests;
