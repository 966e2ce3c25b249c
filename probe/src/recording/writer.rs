//! Writes a recording, frame by frame. A write that fails leaves every frame before it readable.
//!
//! Must not know the payloads: they are `encode`'s.

use std::{
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{HEAD_LEN, MAGIC, MAJOR, MARKER, MINOR, encode, kind};
use crate::model::{Input, Session};

/// A recording that is being written.
pub struct Writer<W: Write> {
    out: BufWriter<W>,
    frame: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the file's head and the session.
    pub fn new(out: W, session: &Session) -> io::Result<Self> {
        let mut writer = Self { out: BufWriter::with_capacity(64 * 1024, out), frame: Vec::new() };
        writer.out.write_all(MAGIC)?;
        writer.out.write_all(&MAJOR.to_le_bytes())?;
        writer.out.write_all(&MINOR.to_le_bytes())?;
        writer.frame(|payload| {
            encode::encode_session(session, payload);
            kind::SESSION
        })?;
        Ok(writer)
    }

    /// Appends one input.
    pub fn write(&mut self, input: &Input) -> io::Result<()> {
        self.frame(|payload| encode::encode(input, payload))
    }

    /// Flushes everything to the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// Flushes everything and returns the file.
    pub fn finish(self) -> io::Result<W> {
        self.out.into_inner().map_err(io::IntoInnerError::into_error)
    }

    fn frame(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> u8) -> io::Result<()> {
        self.frame.clear();
        self.frame.extend_from_slice(&MARKER);
        self.frame.resize(HEAD_LEN, 0);
        let kind = encode(&mut self.frame);
        let len = (self.frame.len() - HEAD_LEN) as u32;
        self.frame[4] = kind;
        self.frame[5..HEAD_LEN].copy_from_slice(&len.to_le_bytes());
        let sum = crc32fast::hash(&self.frame[4..]);
        self.frame.extend_from_slice(&sum.to_le_bytes());
        self.out.write_all(&self.frame)
    }
}

/// A recording with its name. A failure ends the recording, is reported at the end, and never ends the measurement.
pub struct RecordingFile {
    writer: Option<Writer<Box<dyn Write + Send>>>,
    name: PathBuf,
    failed: Option<io::Error>,
    /// The name that the file has instead, and why.
    misplaced: Option<(PathBuf, io::Error)>,
}

impl RecordingFile {
    /// Begins the recording. `name` is its name in messages.
    pub fn begin(out: Box<dyn Write + Send>, name: &Path, session: &Session) -> io::Result<Self> {
        let mut writer = Writer::new(out, session)?;
        // Flushes now, so that a full disk is reported before the measurement, not after it.
        writer.flush()?;
        Ok(Self { writer: Some(writer), name: name.to_owned(), failed: None, misplaced: None })
    }

    /// Notes that the file could not get its name.
    pub fn is_misplaced(&mut self, at: PathBuf, why: io::Error) {
        self.misplaced = Some((at, why));
    }

    /// Appends one input, unless the recording has failed already.
    pub fn write(&mut self, input: &Input) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.write(input)
        {
            self.fail(error);
        }
    }

    /// Flushes everything to the file. If the recorder is killed, its recording ends here.
    pub fn flush(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.flush()
        {
            self.fail(error);
        }
    }

    /// What went wrong, if anything did.
    pub fn failure(&self) -> Option<String> {
        let incomplete = self
            .failed
            .as_ref()
            .map(|error| format!("is incomplete: {error}; what was written before that can be replayed"));
        let misplaced = self
            .misplaced
            .as_ref()
            .map(|(at, error)| format!("is in {}: it cannot be moved to its place: {error}", at.display()));
        let said: Vec<String> = incomplete.into_iter().chain(misplaced).collect();
        (!said.is_empty()).then(|| format!("the recording {} {}", self.name.display(), said.join(", and ")))
    }

    fn fail(&mut self, error: io::Error) {
        tracing::warn!(path = ?self.name, %error, "the recording ends here");
        self.failed = Some(error);
        // Drops the file without another attempt to write the rest, because the disk is full.
        if let Some(writer) = self.writer.take() {
            let (_out, _rest) = writer.out.into_parts();
        }
    }
}
