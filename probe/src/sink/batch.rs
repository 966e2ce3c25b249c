//! Writes batches of lines: in a thread, which may block, or in the caller, which never does.
//!
//! Must not know how long a reader is waited for, or what is dropped.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, sync_channel},
    },
    thread::{Builder, JoinHandle},
    time::Duration,
};

use super::{paced::Paced, queue::Taker};

/// A batch is queued once it is this long, or when all events that the kernel had are written.
pub const BATCH_BYTES: usize = 64 * 1024;
/// Number of written batches that are kept to be filled again.
const USED_MAX: usize = 2;

/// How batches are written.
pub enum Way {
    Thread(Thread),
    Caller(Caller),
}

impl Way {
    /// An empty batch: one that has been written, if there is one.
    pub fn empty_batch(&self) -> Vec<u8> {
        let used = match self {
            Self::Thread(thread) => thread.used.try_recv().ok(),
            Self::Caller(_) => None,
        };
        used.unwrap_or_else(|| Vec::with_capacity(BATCH_BYTES))
    }
}

/// Pieces of whole lines, of at most `most` bytes; a longer line is a piece of its own.
pub fn pieces(mut bytes: &[u8], most: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ends_line = |byte: &u8| *byte == b'\n';
        let end = match bytes.iter().take(most).rposition(ends_line) {
            Some(last) => last + 1,
            None => bytes.iter().position(ends_line).map_or(bytes.len(), |first| first + 1),
        };
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

pub fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A thread that may block.
pub struct Thread {
    /// Batches that have been written, to be filled again.
    used: Receiver<Vec<u8>>,
    /// `None` once it has ended and its outcome was taken.
    writer: Option<JoinHandle<io::Result<()>>>,
}

impl Thread {
    /// Starts the thread, which adds the lines that it has written to `written`.
    pub fn start(
        mut out: impl Write + Send + 'static,
        piece_bytes: usize,
        batches: Taker<Vec<u8>>,
        written: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let (give_back, used) = sync_channel(USED_MAX);
        let writer = Builder::new().name("lines".into()).spawn(move || {
            while let Some(mut batch) = batches.take() {
                // It writes piece by piece, so that `written` shows its progress.
                for piece in pieces(&batch, piece_bytes) {
                    out.write_all(piece)?;
                    written.fetch_add(lines_in(piece), Ordering::Relaxed);
                }
                batch.clear();
                let _ = give_back.try_send(batch);
            }
            Ok(())
        })?;
        Ok(Self { used, writer: Some(writer) })
    }

    pub fn has_ended(&self) -> bool {
        self.writer.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// How it ended.
    pub fn outcome(&mut self) -> io::Result<()> {
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(io::Error::other("the writer panicked")),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// The error that ended it, which may be a full disk or a reader that has left.
    pub fn why_it_ended(&mut self) -> io::Error {
        self.outcome().err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

/// Without a thread: no write blocks.
pub struct Caller {
    out: Paced,
    batches: Taker<Vec<u8>>,
    /// The batch that is being written, and how many of its bytes are written.
    batch: Vec<u8>,
    begun: usize,
}

impl Caller {
    /// Makes a writer of these batches.
    pub fn new(out: Paced, batches: Taker<Vec<u8>>) -> Self {
        Self { out, batches, batch: Vec::new(), begun: 0 }
    }

    /// Writes as long as the reader takes something.
    pub fn write_now(&mut self, written: &AtomicU64) -> io::Result<()> {
        loop {
            if self.begun == self.batch.len() {
                let Some(batch) = self.batches.take_now() else { return Ok(()) };
                (self.batch, self.begun) = (batch, 0);
            }
            let rest = &self.batch[self.begun..];
            let taken = self.out.write_within(rest, Duration::ZERO)?;
            if taken == 0 {
                return Ok(());
            }
            written.fetch_add(lines_in(&rest[..taken]), Ordering::Relaxed);
            self.begun += taken;
        }
    }
}
