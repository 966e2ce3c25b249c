//! A stream of lines: a reader that stalls loses lines, which are counted, and never holds up the
//! collector. Written by a thread of its own, or from here where no thread can be had.
//!
//! Must not know what the lines say.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle, sleep},
    time::{Duration, Instant},
};

use super::{
    paced::{Paced, is_pipe, is_regular},
    signals::{self, WRITTEN_WITHIN},
};

/// Batches under way; with [`BATCH_BYTES`] about 4 MiB.
const BATCHES_MAX: usize = 64;
/// A batch is handed over once it is this long, or with the end of what the kernel had.
const BATCH_BYTES: usize = 64 * 1024;
/// What is written at once.
const PIECE_BYTES: usize = 16 * 1024;
/// The same to a pipe: it takes this much (PIPE_BUF) as a whole or not at all, so that its reader gets whole lines however
/// writing ends.
const PIPE_PIECE_BYTES: usize = 4096;
/// Batches kept for another use.
const USED_MAX: usize = 2;
/// How long a batch may wait for room before it is lost.
const PATIENCE: Duration = Duration::from_millis(100);
/// At the end the reader gets as long as it takes, unless nothing moves for this long, or a signal asks to end.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Where the lines go.
pub struct Outlet {
    batch: Vec<u8>,
    /// Lines in the batch, and lines handed over.
    lines: u64,
    handed_over: u64,
    lost: u64,
    lost_in_all: u64,
    /// The last batch was lost: the next one does not wait.
    stalled: bool,
    /// Waits for the reader however long it takes.
    patient: bool,
    way: Way,
}

enum Way {
    Thread(Thread),
    Here(Here),
}

/// What a batch that is handed over becomes.
enum Handed {
    Over,
    Back(Vec<u8>),
}

impl Outlet {
    /// `patient`: nothing piles up meanwhile, so that a slow reader needs to lose nothing. A file is waited for in any case:
    /// it takes what it is given, sooner or later.
    pub fn new(out: File, patient: bool) -> io::Result<Self> {
        let patient = patient || is_regular(&out);
        let way = match Thread::start(out.try_clone()?) {
            Ok(thread) => Way::Thread(thread),
            Err(error) => {
                tracing::debug!(%error, "no thread for the lines");
                Way::Here(Here { out: Paced::new(out), queue: VecDeque::new(), begun: 0, written: 0 })
            }
        };
        let batch = Vec::with_capacity(BATCH_BYTES);
        Ok(Self { batch, lines: 0, handed_over: 0, lost: 0, lost_in_all: 0, stalled: false, patient, way })
    }

    /// Adds a line, as `write` writes it.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.batch)?;
        self.lines += 1;
        if self.batch.len() >= BATCH_BYTES { self.hand_over() } else { Ok(()) }
    }

    /// Hands over what there is.
    pub fn hand_over(&mut self) -> io::Result<()> {
        self.way.check()?;
        if self.batch.is_empty() {
            return self.way.go_on();
        }
        let mut batch = std::mem::replace(&mut self.batch, self.way.empty_batch());
        let lines = std::mem::take(&mut self.lines);
        let deadline = Instant::now() + if self.stalled { Duration::ZERO } else { PATIENCE };
        loop {
            batch = match self.way.hand_over(batch)? {
                Handed::Over => {
                    self.handed_over += lines;
                    self.stalled = false;
                    return Ok(());
                }
                Handed::Back(batch) => batch,
            };
            let patient = self.patient && signals::time_left(WRITTEN_WITHIN) != Some(Duration::ZERO);
            if !patient && Instant::now() >= deadline {
                self.stalled = true;
                self.lost += lines;
                self.lost_in_all += lines;
                return Ok(());
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Lines lost since this was last asked, once the reader takes lines again.
    pub fn take_lost(&mut self) -> Option<u64> {
        if self.stalled || self.lost == 0 {
            return None;
        }
        Some(std::mem::take(&mut self.lost))
    }

    /// Waits for the reader as long as it moves, and no signal asks to end. Returns the lines that were lost.
    pub fn finish(mut self) -> io::Result<Lost> {
        self.hand_over()?;
        let Self { way, handed_over, lost_in_all, patient, .. } = self;
        let written = match way {
            Way::Thread(thread) => thread.finish(patient)?,
            Way::Here(here) => here.finish(patient)?,
        };
        Ok(Lost { left_out: lost_in_all, not_taken: written.map_or(0, |lines| handed_over - lines) })
    }
}

/// What a slow reader missed.
pub struct Lost {
    pub left_out: u64,
    /// What it had not taken at the end either.
    pub not_taken: u64,
}

impl Way {
    /// Whether it can still write.
    fn check(&mut self) -> io::Result<()> {
        match self {
            Self::Thread(thread) if thread.writer.as_ref().is_none_or(JoinHandle::is_finished) => {
                Err(thread.why_it_ended())
            }
            Self::Thread(_) | Self::Here(_) => Ok(()),
        }
    }

    fn empty_batch(&self) -> Vec<u8> {
        let used = match self {
            Self::Thread(thread) => thread.used.try_recv().ok(),
            Self::Here(_) => None,
        };
        used.unwrap_or_else(|| Vec::with_capacity(BATCH_BYTES))
    }

    fn hand_over(&mut self, batch: Vec<u8>) -> io::Result<Handed> {
        match self {
            Self::Thread(thread) => match thread.sender.try_send(batch) {
                Ok(()) => Ok(Handed::Over),
                Err(TrySendError::Full(batch)) => Ok(Handed::Back(batch)),
                Err(TrySendError::Disconnected(_)) => Err(thread.why_it_ended()),
            },
            Self::Here(here) => {
                let batch = if here.queue.len() < BATCHES_MAX {
                    here.queue.push_back(batch);
                    None
                } else {
                    Some(batch)
                };
                here.go_on(Duration::ZERO)?;
                Ok(batch.map_or(Handed::Over, Handed::Back))
            }
        }
    }

    /// Writes what waits, as far as the reader takes it now.
    fn go_on(&mut self) -> io::Result<()> {
        match self {
            Self::Thread(_) => Ok(()),
            Self::Here(here) => here.go_on(Duration::ZERO).map(drop),
        }
    }
}

/// Pieces of whole lines, of at most so many bytes; a longer line is a piece of its own.
fn pieces(mut bytes: &[u8], most: usize) -> impl Iterator<Item = &[u8]> {
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

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// A thread that may block.
struct Thread {
    sender: SyncSender<Vec<u8>>,
    /// Batches that have been written, to be filled again.
    used: Receiver<Vec<u8>>,
    /// None once it has ended and was asked why.
    writer: Option<JoinHandle<io::Result<()>>>,
    written: Arc<AtomicU64>,
}

impl Thread {
    fn start(mut out: File) -> io::Result<Self> {
        let (sender, batches) = sync_channel::<Vec<u8>>(BATCHES_MAX);
        let (give_back, used) = sync_channel(USED_MAX);
        let written = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&written);
        let most = if is_pipe(&out) { PIPE_PIECE_BYTES } else { PIECE_BYTES };
        let writer = Builder::new().name("lines".into()).spawn(move || {
            for mut batch in batches {
                // Piece by piece, so that progress shows.
                for piece in pieces(&batch, most) {
                    out.write_all(piece)?;
                    progress.fetch_add(lines_in(piece), Ordering::Relaxed);
                }
                batch.clear();
                let _ = give_back.try_send(batch);
            }
            Ok(())
        })?;
        Ok(Self { sender, used, writer: Some(writer), written })
    }

    /// What the writer met: a full disk is no reader that has left.
    fn why_it_ended(&mut self) -> io::Error {
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => error,
            Some(Err(_)) => io::Error::other("the writer panicked"),
            Some(Ok(Ok(()))) | None => io::ErrorKind::BrokenPipe.into(),
        }
    }

    /// The lines that were written, where these are not all.
    fn finish(self, patient: bool) -> io::Result<Option<u64>> {
        let Self { sender, writer, written, .. } = self;
        drop(sender);
        let Some(writer) = writer else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let mut pace = Pace::new(patient, written.load(Ordering::Relaxed));
        while !writer.is_finished() {
            let now = written.load(Ordering::Relaxed);
            if pace.is_over(now) {
                return Ok(Some(now));
            }
            sleep(Duration::from_millis(1));
        }
        writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))?;
        Ok(None)
    }
}

/// Without a thread: a write must not block, except at the end.
struct Here {
    out: Paced,
    queue: VecDeque<Vec<u8>>,
    /// How much of the first batch is written.
    begun: usize,
    /// Lines.
    written: u64,
}

impl Here {
    /// Writes as long as the reader takes something within `most`. True once nothing waits.
    fn go_on(&mut self, most: Duration) -> io::Result<bool> {
        while let Some(batch) = self.queue.front() {
            let rest = &batch[self.begun..];
            let written = self.out.write_within(rest, most)?;
            if written == 0 && !rest.is_empty() {
                return Ok(false);
            }
            self.written += lines_in(&rest[..written]);
            self.begun += written;
            if self.begun == batch.len() {
                self.queue.pop_front();
                self.begun = 0;
            }
        }
        Ok(true)
    }

    fn finish(mut self, patient: bool) -> io::Result<Option<u64>> {
        let mut pace = Pace::new(patient, self.written);
        while !self.go_on(Duration::from_millis(10))? {
            if pace.is_over(self.written) {
                return Ok(Some(self.written));
            }
        }
        Ok(None)
    }
}

/// Whether a reader still moves.
struct Pace {
    patient: bool,
    seen: u64,
    since: Instant,
}

impl Pace {
    fn new(patient: bool, seen: u64) -> Self {
        Self { patient, seen, since: Instant::now() }
    }

    /// Whether it has had its time.
    fn is_over(&mut self, now: u64) -> bool {
        if now != self.seen {
            (self.seen, self.since) = (now, Instant::now());
        }
        let stands_still = !self.patient && self.since.elapsed() >= STANDSTILL;
        stands_still || signals::time_left(WRITTEN_WITHIN) == Some(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::pieces;

    #[test]
    fn pieces_are_whole_lines_and_together_what_was_cut() {
        let text = b"one\ntwo\na long line\nx\n";
        let cut: Vec<&[u8]> = pieces(text, 8).collect();
        assert_eq!(cut, [b"one\ntwo\n".as_slice(), b"a long line\n", b"x\n"]);
        assert_eq!(pieces(b"no end", 3).collect::<Vec<_>>(), [b"no end".as_slice()]);
        assert_eq!(pieces(b"", 3).count(), 0);
    }
}
