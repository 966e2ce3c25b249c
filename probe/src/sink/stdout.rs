//! A stream of lines to a reader that may be slow. A thread writes the lines, or the caller if no thread can be started.
//!
//! A batch waits up to 100 ms for room (`PATIENCE`), which holds up the pipeline. Then its lines are dropped and counted,
//! and the next batches do not wait until the reader takes lines again. For a regular file, and where the patience is
//! unlimited, a batch waits as long as it takes, unless a signal asks to end.
//!
//! Must not know what the lines say.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use super::{
    Closing, Delivery, Dropped, Sink, SinkStatus, Wants,
    batch::{BATCH_BYTES, Caller, Thread, Way},
    paced::{Paced, TimeLeft, is_pipe, is_regular},
    queue::{self, Queue},
};
use crate::render;

/// How many bytes are queued at most.
const QUEUED_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes are written at once.
const PIECE_BYTES: usize = 16 * 1024;
/// The same for a pipe. A pipe takes this much (PIPE_BUF) as a whole or not at all, so that its reader gets whole lines
/// however writing ends.
const PIPE_PIECE_BYTES: usize = 4096;
/// How long a batch may wait for room before it is dropped.
const PATIENCE: Duration = Duration::from_millis(100);
/// At the end, the reader gets all the time that it needs, unless it takes nothing for this long or a signal asks to
/// end.
const STANDSTILL: Duration = Duration::from_secs(1);
/// How often a wait looks for progress.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long a reader is waited for.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Wait without a limit: no events pile up meanwhile, so a slow reader need not lose lines.
    pub unlimited: bool,
    /// Time left to write, once something has asked to end.
    pub time_left: TimeLeft,
}

impl Patience {
    fn is_over(self) -> bool {
        (self.time_left)() == Some(Duration::ZERO)
    }
}

/// Standard output, or a file in its place.
pub struct LineWriter {
    batch: Vec<u8>,
    /// Lines in the batch.
    lines: u64,
    /// Lines that were queued.
    queued: u64,
    /// Lines dropped since the last [`LineWriter::take_lost`].
    lost: u64,
    /// True if the last batch was dropped: then the next one does not wait.
    stalled: bool,
    patience: Patience,
    queue: Queue<Vec<u8>>,
    way: Way,
    written: Arc<AtomicU64>,
    /// Why writing has ended, if it has.
    failure: Option<io::Error>,
}

/// What a slow reader missed.
#[derive(Debug, PartialEq, Eq)]
pub struct Lost {
    /// Lines left out.
    pub left_out: u64,
    /// Lines at the end that the reader had not taken when writing to it was given up.
    pub not_taken: u64,
}

impl LineWriter {
    /// Writing to a regular file always waits, because the file takes every byte sooner or later.
    pub fn new(out: File, patience: Patience) -> io::Result<Self> {
        let patience = Patience { unlimited: patience.unlimited || is_regular(&out), ..patience };
        let piece_bytes = if is_pipe(&out) { PIPE_PIECE_BYTES } else { PIECE_BYTES };
        Self::with_thread(out.try_clone()?, piece_bytes, patience).or_else(|error| {
            tracing::debug!(%error, "no thread for the lines");
            Ok(Self::without_thread(out, patience))
        })
    }

    /// A thread of its own writes, and may block.
    fn with_thread(
        out: impl Write + Send + 'static,
        piece_bytes: usize,
        patience: Patience,
    ) -> io::Result<Self> {
        let written = Arc::new(AtomicU64::new(0));
        let (queue, batches) = queue::bounded(QUEUED_BYTES);
        let thread = Thread::start(out, piece_bytes, batches, Arc::clone(&written))?;
        Ok(Self::writing(Way::Thread(thread), queue, written, patience))
    }

    /// The caller writes what the reader takes without blocking.
    fn without_thread(out: File, patience: Patience) -> Self {
        let (queue, batches) = queue::bounded(QUEUED_BYTES);
        let out = Paced::new(out, patience.time_left);
        let caller = Caller::new(out, batches);
        Self::writing(Way::Caller(caller), queue, Arc::new(AtomicU64::new(0)), patience)
    }

    fn writing(way: Way, queue: Queue<Vec<u8>>, written: Arc<AtomicU64>, patience: Patience) -> Self {
        let batch = Vec::with_capacity(BATCH_BYTES);
        Self {
            batch,
            lines: 0,
            queued: 0,
            lost: 0,
            stalled: false,
            patience,
            queue,
            way,
            written,
            failure: None,
        }
    }

    /// Adds a line, as `write` writes it. A full batch waits for room as long as the patience allows.
    pub fn line(&mut self, write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> io::Result<()> {
        write(&mut self.batch)?;
        self.lines += 1;
        if self.batch.len() >= BATCH_BYTES { self.hand_over() } else { Ok(()) }
    }

    /// Queues the batch; it waits for room as long as the patience allows.
    pub fn hand_over(&mut self) -> io::Result<()> {
        self.advance()?;
        if self.batch.is_empty() {
            return Ok(());
        }
        let deadline = Instant::now() + if self.stalled { Duration::ZERO } else { PATIENCE };
        while !self.queue.has_room() {
            let unlimited = self.patience.unlimited && !self.patience.is_over();
            if !unlimited && Instant::now() >= deadline {
                break;
            }
            sleep(LOOK_EVERY);
            self.advance()?;
        }
        self.queue_batch();
        self.advance()
    }

    /// Queues the batch, or drops it.
    fn queue_batch(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let batch = std::mem::replace(&mut self.batch, self.way.empty_batch());
        let lines = std::mem::take(&mut self.lines);
        let weight = batch.len();
        self.stalled = !self.queue.offer(batch, weight, lines);
        if self.stalled {
            self.lost += lines;
        } else {
            self.queued += lines;
        }
    }

    /// If the caller writes, writes what the reader takes now. Fails if writing has ended; the first time with the
    /// reason.
    fn advance(&mut self) -> io::Result<()> {
        if self.failure.is_some() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match &mut self.way {
            Way::Thread(thread) if thread.has_ended() => Err(thread.why_it_ended()),
            Way::Thread(_) => Ok(()),
            Way::Caller(caller) => caller.write_now(&self.written),
        }
    }

    /// Lines dropped since the last call, once the reader takes lines again.
    pub fn take_lost(&mut self) -> Option<u64> {
        if self.stalled || self.lost == 0 {
            return None;
        }
        Some(std::mem::take(&mut self.lost))
    }

    /// Waits for the reader as long as it takes lines and nothing asks to end. Returns the lines that it missed.
    pub fn finish(mut self) -> io::Result<Lost> {
        self.hand_over()?;
        self.queue.close();
        let mut pace = Pace { patience: self.patience, seen: self.written(), since: Instant::now() };
        while !self.is_written()? && !pace.is_over(self.written()) {
            sleep(LOOK_EVERY);
        }
        Ok(Lost { left_out: self.queue.dropped().no_room, not_taken: self.queued - self.written() })
    }

    /// Whether all that was queued is written; for a closed queue.
    fn is_written(&mut self) -> io::Result<bool> {
        match &mut self.way {
            Way::Thread(thread) if !thread.has_ended() => Ok(false),
            Way::Thread(thread) => thread.outcome().map(|()| true),
            Way::Caller(caller) => {
                caller.write_now(&self.written)?;
                Ok(self.written.load(Ordering::Relaxed) == self.queued)
            }
        }
    }

    /// Lines that were written.
    fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

impl Sink for LineWriter {
    fn name(&self) -> &str {
        "standard output"
    }

    fn wants(&self) -> Wants {
        Wants { alerts: true, events: true, ..Wants::default() }
    }

    /// An alert is a line of JSON.
    fn offer(&mut self, what: &Delivery) {
        match what {
            Delivery::Metrics(_) | Delivery::Profile(_) | Delivery::Orphans(_) => return,
            Delivery::Event(line) => self.batch.extend_from_slice(line),
            Delivery::Alert(alert) => {
                let length = self.batch.len();
                if let Err(error) = render::json::line(&mut self.batch, alert.as_ref()) {
                    self.batch.truncate(length);
                    self.failure.get_or_insert(error);
                }
            }
        }
        self.lines += 1;
        self.queue_batch();
        if let Err(error) = self.advance() {
            self.failure.get_or_insert(error);
        }
    }

    fn status(&self) -> SinkStatus {
        let delivered = self.written();
        SinkStatus {
            queued: self.lines + self.queued - delivered,
            delivered,
            dropped: self.queue.dropped(),
            last_error: self.failure.as_ref().map(io::Error::to_string),
        }
    }

    fn close(mut self: Box<Self>, within: Duration) -> Closing {
        Box::pin(async move {
            let deadline = Instant::now() + within;
            self.queue_batch();
            self.queue.close();
            while self.failure.is_none() {
                match self.is_written() {
                    Ok(true) => break,
                    Ok(false) if Instant::now() >= deadline => break,
                    Ok(false) => tokio::time::sleep(LOOK_EVERY).await,
                    Err(error) => self.failure = Some(error),
                }
            }
            let status = self.status();
            let rest = status.queued;
            let dropped = match self.failure {
                Some(_) => Dropped { ended: status.dropped.ended + rest, ..status.dropped },
                None => Dropped { not_written: rest, ..status.dropped },
            };
            SinkStatus { queued: 0, dropped, ..status }
        })
    }
}

/// Whether a reader still takes lines.
struct Pace {
    patience: Patience,
    seen: u64,
    since: Instant,
}

impl Pace {
    /// Whether the reader has used up its time.
    fn is_over(&mut self, written: u64) -> bool {
        if written != self.seen {
            (self.seen, self.since) = (written, Instant::now());
        }
        let stands_still = !self.patience.unlimited && self.since.elapsed() >= STANDSTILL;
        stands_still || self.patience.is_over()
    }
}

#[cfg(test)]
#[path = "stdout_tests.rs"]
mod tests;
