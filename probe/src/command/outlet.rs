//! Standard output for a stream of lines, written by a thread of its own: a reader that stalls loses lines, which are
//! counted, and never holds up the collector.
//!
//! Must not know what the lines say.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::stat::{SFlag, fstat};

/// Batches under way; with [`BATCH_BYTES`] about 4 MiB.
const BATCHES_MAX: usize = 64;
/// A batch is handed over once it is this long, or with the end of what the kernel had.
const BATCH_BYTES: usize = 64 * 1024;
/// What is written at once.
const PIECE_BYTES: usize = 16 * 1024;
/// Batches kept for another use.
const USED_MAX: usize = 2;
/// How long a batch may wait for room before it is lost.
const PATIENCE: Duration = Duration::from_millis(100);
/// At the end the reader gets as long as it takes, unless nothing moves for this long.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Where the lines go.
pub struct Outlet {
    batch: Vec<u8>,
    lines: u64,
    lost: u64,
    lost_in_all: u64,
    /// The last batch was lost: the next one does not wait.
    stalled: bool,
    /// Waits for the reader however long it takes.
    patient: bool,
    sender: SyncSender<Vec<u8>>,
    /// Batches that have been written, to be filled again.
    used: Receiver<Vec<u8>>,
    /// None once it has ended and was asked why.
    writer: Option<JoinHandle<io::Result<()>>>,
    written: Arc<AtomicU64>,
}

impl Outlet {
    /// `patient`: nothing piles up meanwhile, so that a slow reader needs to lose nothing. A file is waited for in any case:
    /// it takes what it is given, sooner or later.
    pub fn new(patient: bool) -> Self {
        let (sender, batches) = sync_channel::<Vec<u8>>(BATCHES_MAX);
        let (give_back, used) = sync_channel(USED_MAX);
        let written = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&written);
        let writer = thread::spawn(move || {
            // Not through `Stdout`, which looks for the end of a line in what is many lines already.
            let mut out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            for mut batch in batches {
                // Piece by piece, so that progress shows.
                for piece in batch.chunks(PIECE_BYTES) {
                    out.write_all(piece)?;
                    progress.fetch_add(1, Ordering::Relaxed);
                }
                batch.clear();
                let _ = give_back.try_send(batch);
            }
            Ok(())
        });
        let is_file = fstat(io::stdout().as_fd())
            .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG);
        let batch = Vec::with_capacity(BATCH_BYTES);
        let patient = patient || is_file;
        let writer = Some(writer);
        Self {
            batch,
            lines: 0,
            lost: 0,
            lost_in_all: 0,
            stalled: false,
            patient,
            sender,
            used,
            writer,
            written,
        }
    }

    /// Adds a line, as `write` writes it.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.batch)?;
        self.lines += 1;
        if self.batch.len() >= BATCH_BYTES { self.hand_over() } else { Ok(()) }
    }

    /// Hands over what there is.
    pub fn hand_over(&mut self) -> io::Result<()> {
        if self.writer.as_ref().is_none_or(JoinHandle::is_finished) {
            return Err(self.why_it_ended());
        }
        if self.batch.is_empty() {
            return Ok(());
        }
        let mut batch = std::mem::replace(
            &mut self.batch,
            self.used.try_recv().unwrap_or_else(|_| Vec::with_capacity(BATCH_BYTES)),
        );
        let lines = std::mem::take(&mut self.lines);
        let deadline = Instant::now() + if self.stalled { Duration::ZERO } else { PATIENCE };
        loop {
            match self.sender.try_send(batch) {
                Ok(()) => {
                    self.stalled = false;
                    return Ok(());
                }
                Err(TrySendError::Disconnected(_)) => return Err(self.why_it_ended()),
                Err(TrySendError::Full(_)) if !self.patient && Instant::now() >= deadline => {
                    self.stalled = true;
                    self.lost += lines;
                    self.lost_in_all += lines;
                    return Ok(());
                }
                Err(TrySendError::Full(refused)) => batch = refused,
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// What the writer met: a full disk is no reader that has left.
    fn why_it_ended(&mut self) -> io::Error {
        match self.writer.take().map(JoinHandle::join) {
            Some(Ok(Err(error))) => error,
            Some(Err(_)) => io::Error::other("the writer panicked"),
            Some(Ok(Ok(()))) | None => io::ErrorKind::BrokenPipe.into(),
        }
    }

    /// Lines lost since this was last asked, once the reader takes lines again.
    pub fn take_lost(&mut self) -> Option<u64> {
        if self.stalled || self.lost == 0 {
            return None;
        }
        Some(std::mem::take(&mut self.lost))
    }

    /// Waits for the reader as long as it moves. Returns the lines that were lost, those of a reader that stands still
    /// included.
    pub fn finish(mut self) -> io::Result<Lost> {
        self.hand_over()?;
        let Self { sender, writer, written, lost_in_all, patient, .. } = self;
        drop(sender);
        let Some(writer) = writer else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (mut seen, mut since) = (written.load(Ordering::Relaxed), Instant::now());
        while !patient && !writer.is_finished() {
            let now = written.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            } else if since.elapsed() >= STANDSTILL {
                return Ok(Lost { lines: lost_in_all, stands_still: true });
            }
            thread::sleep(Duration::from_millis(1));
        }
        writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")))?;
        Ok(Lost { lines: lost_in_all, stands_still: false })
    }
}

/// What a slow reader missed.
pub struct Lost {
    pub lines: u64,
    /// It had not taken what was handed over either.
    pub stands_still: bool,
}
