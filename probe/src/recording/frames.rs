//! Finds frames in a stream of bytes: the next good frame, or how many bytes before it are not part of one.
//!
//! Must not know what a payload says. Holds no more of the file than one frame, and hashes no byte more than twice,
//! whatever the bytes are: a recording is outside input.

use std::{
    io::{self, Read},
    ops::Range,
};

use crc32fast::Hasher;

use super::{HEAD_LEN, MARKER, PAYLOAD_MAX};

/// Bytes of the checksum behind a payload.
const SUM_LEN: usize = 4;
/// Bytes read at once, at least.
const READ_LEN: usize = 64 * 1024;

/// What comes next in the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A good frame; its payload is [`Frames::payload`] of this range, until the next call.
    Frame { kind: u8, payload: Range<usize> },
    /// Bytes that are not a good frame. `torn`: they begin a frame that the end of the file cuts off.
    Gap { bytes: u64, torn: bool },
    /// The end of the stream.
    End,
}

/// What is at one place of the stream.
enum Check {
    Good {
        kind: u8,
        payload: Range<usize>,
    },
    Bad,
    /// A frame that would go on beyond the end of the file.
    Torn,
    End,
}

/// A stream whose frames are being read.
#[derive(Debug)]
pub struct Frames<R> {
    from: R,
    /// The bytes that were read; those from `start` on are still needed.
    window: Vec<u8>,
    start: usize,
    /// True if nothing more comes.
    exhausted: bool,
    failed: Option<io::ErrorKind>,
    /// Present since the first gap.
    sums: Option<Sums>,
}

impl<R: Read> Frames<R> {
    /// Makes this from a stream that is just before its first frame.
    pub fn new(from: R) -> Self {
        Self { from, window: Vec::new(), start: 0, exhausted: false, failed: None, sums: None }
    }

    /// The next good frame, or the gap before it.
    pub fn next(&mut self) -> Found {
        match self.check() {
            Check::Good { kind, payload } => {
                self.start = payload.end + SUM_LEN;
                Found::Frame { kind, payload }
            }
            Check::End => Found::End,
            Check::Bad => self.gap(false),
            Check::Torn => self.gap(true),
        }
    }

    /// The payload of the frame that was found last.
    pub fn payload(&self, payload: Range<usize>) -> &[u8] {
        &self.window[payload]
    }

    /// Why the stream could not be read to its end.
    pub fn failure(&self) -> Option<io::ErrorKind> {
        self.failed
    }

    fn rest(&self) -> &[u8] {
        &self.window[self.start..]
    }

    /// Makes at least `len` bytes from `start` on available; false if the stream ends first.
    fn has(&mut self, len: usize) -> bool {
        while self.rest().len() < len && !self.exhausted {
            self.give_up_what_is_read();
            let missing = len - self.rest().len();
            // Memory grows only with what the file holds, whatever length a frame claims.
            let limit = missing.max(READ_LEN) as u64;
            match self.from.by_ref().take(limit).read_to_end(&mut self.window) {
                Ok(0) => self.exhausted = true,
                Ok(_) => {}
                Err(error) => {
                    self.failed = Some(error.kind());
                    self.exhausted = true;
                }
            }
        }
        self.rest().len() >= len
    }

    fn give_up_what_is_read(&mut self) {
        let whole = self.start / Sums::EVERY * Sums::EVERY;
        // Moving the rest costs no more than reading the bytes that are given up.
        if whole < self.window.len() / 2 {
            return;
        }
        if let Some(sums) = &mut self.sums {
            sums.give_up(&self.window, whole);
        }
        self.window.drain(..whole);
        self.start -= whole;
    }

    /// What is at `start`.
    fn check(&mut self) -> Check {
        if !self.has(HEAD_LEN) {
            let rest = self.rest();
            let begins = rest.len().min(MARKER.len());
            return match rest.len() {
                0 => Check::End,
                _ if rest[..begins] == MARKER[..begins] => Check::Torn,
                _ => Check::Bad,
            };
        }
        let rest = self.rest();
        let (kind, len) = (rest[4], u32::from_le_bytes([rest[5], rest[6], rest[7], rest[8]]) as usize);
        if rest[..MARKER.len()] != MARKER || len > PAYLOAD_MAX {
            return Check::Bad;
        }
        if !self.has(HEAD_LEN + len + SUM_LEN) {
            return Check::Torn;
        }
        let payload = self.start + HEAD_LEN..self.start + HEAD_LEN + len;
        let hashed = self.start + MARKER.len()..payload.end;
        let Some(sum) = self.window[payload.end..].first_chunk() else { return Check::Torn };
        let sum = u32::from_le_bytes(*sum);
        let good = match &mut self.sums {
            Some(sums) => sums.has(&self.window, hashed, sum),
            None => crc32fast::hash(&self.window[hashed]) == sum,
        };
        if good { Check::Good { kind, payload } } else { Check::Bad }
    }

    /// Leaves out bytes until a good frame begins, or nothing is left.
    fn gap(&mut self, torn: bool) -> Found {
        self.sums.get_or_insert_default();
        let mut bytes = 0;
        let mut skip = |frames: &mut Self, len: usize| {
            frames.start += len;
            bytes += len as u64;
        };
        skip(self, 1);
        loop {
            while self.has(MARKER.len()) && !self.rest().starts_with(&MARKER) {
                let found = self.rest().windows(MARKER.len()).position(|window| window == MARKER);
                // The last bytes may be the beginning of a marker.
                let len = found.unwrap_or(self.rest().len() - (MARKER.len() - 1));
                skip(self, len);
            }
            if !self.has(MARKER.len()) {
                let len = self.rest().len();
                skip(self, len);
                return Found::Gap { bytes, torn };
            }
            if let Check::Good { .. } = self.check() {
                return Found::Gap { bytes, torn: false };
            }
            skip(self, 1);
        }
    }
}

/// Checksums of the stream from its beginning up to many places. The checksum between two places follows from theirs,
/// without reading the bytes again. So a million claims to the same bytes cost no more than one.
#[derive(Debug)]
struct Sums {
    /// One checksum for every [`Self::EVERY`] bytes of the window; the first is up to the window's beginning.
    up_to: Vec<u32>,
}

impl Default for Sums {
    fn default() -> Self {
        Self { up_to: vec![0] }
    }
}

impl Sums {
    const EVERY: usize = 256;

    /// Whether this is the checksum of that part of the window.
    fn has(&mut self, window: &[u8], part: Range<usize>, sum: u32) -> bool {
        let len = part.len() as u64;
        let mut both = Hasher::new_with_initial(self.at(window, part.start));
        both.combine(&Hasher::new_with_initial_len(sum, len));
        both.finalize() == self.at(window, part.end)
    }

    /// The checksum of everything before a place of the window.
    fn at(&mut self, window: &[u8], place: usize) -> u32 {
        let whole = place / Self::EVERY;
        while self.up_to.len() <= whole {
            let from = (self.up_to.len() - 1) * Self::EVERY;
            let next = on(self.up_to[self.up_to.len() - 1], &window[from..from + Self::EVERY]);
            self.up_to.push(next);
        }
        on(self.up_to[whole], &window[whole * Self::EVERY..place])
    }

    /// Moves the beginning of the window by this many bytes, a multiple of [`Self::EVERY`].
    fn give_up(&mut self, window: &[u8], bytes: usize) {
        self.at(window, bytes);
        self.up_to.drain(..bytes / Self::EVERY);
    }
}

/// The checksum of the bytes that `sum` covers, followed by these bytes.
fn on(sum: u32, bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new_with_initial(sum);
    hasher.update(bytes);
    hasher.finalize()
}
