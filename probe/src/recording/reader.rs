//! Reads a recording back, and skips what is damaged.
//!
//! Must not know the payloads: they are `decode`'s.

use std::{
    fmt,
    io::{self, Read},
    ops::Range,
};

use super::{
    MAGIC, MAJOR,
    decode::{self, Unusable},
    frames::{Found, Frames},
    kind,
};
use crate::model::{DEFAULT_GRACE_NS, Input, Losses, Session};

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Number of gaps: stretches of bytes without a good frame.
    pub places: u64,
    /// Total length of the gaps, in bytes.
    pub bytes_lost: u64,
    /// Frames with a good checksum but impossible values.
    pub impossible: u64,
    /// The file ends inside a frame.
    pub torn_tail: bool,
    /// The file could not be read to its end.
    pub unreadable: Option<io::ErrorKind>,
    /// No end of the window was recorded: the recorder was killed, or the end is lost.
    pub no_end: bool,
    /// Good frames of a kind this version does not know.
    pub unknown_frames: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.bytes_lost > 0 {
            parts.push(format!("damaged bytes left out: {} (places: {})", self.bytes_lost, self.places));
        }
        if self.impossible > 0 {
            parts.push(format!("frames left out because what they say is impossible: {}", self.impossible));
        }
        if self.torn_tail {
            parts.push("it ends in the middle of a frame".into());
        }
        if let Some(error) = self.unreadable {
            parts.push(format!("its rest cannot be read ({error})"));
        }
        if self.no_end {
            parts.push("the end of the window is missing, so the numbers go up to the last input".into());
        }
        if self.unknown_frames > 0 {
            parts.push(format!("frames of a newer version left out: {}", self.unknown_frames));
        }
        f.write_str(&parts.join("; "))
    }
}

/// Why a file cannot be replayed at all.
#[derive(Debug)]
pub enum RecordingError {
    Io(io::Error),
    NotARecording,
    Newer { major: u16 },
    NoSession,
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::NotARecording => f.write_str(
                "this is not a reapwatch recording; make one with `reapwatch record --output FILE`",
            ),
            Self::Newer { major } => write!(
                f,
                "this recording has format {major}, and this reapwatch reads up to {MAJOR}; replay it with a newer one"
            ),
            Self::NoSession => {
                f.write_str("the head of this recording is damaged; nothing in it can be placed in time")
            }
        }
    }
}

impl std::error::Error for RecordingError {}

/// The format whose recordings do not say what was left out.
const FORMAT_2: u16 = 2;

/// A recording that is being read: its inputs, and [`Input::Losses`] in place of missing ones.
#[derive(Debug)]
pub struct Reader<R> {
    frames: Frames<R>,
    session: Session,
    /// Format 2 had in its session what the begin has now: only these pids were asked for.
    pids_of_format_2: Option<Vec<u32>>,
    damage: Damage,
    ended: bool,
    /// The last time and the last losses that were read.
    time_ns: u64,
    losses: Losses,
    /// An input that follows the losses found before it.
    next: Option<Input>,
}

impl<R: Read> Reader<R> {
    /// Reads the head of the file and its session.
    pub fn open(mut from: R) -> Result<Self, RecordingError> {
        let mut head = Vec::new();
        from.by_ref().take(MAGIC.len() as u64 + 4).read_to_end(&mut head).map_err(RecordingError::Io)?;
        let (magic, version) = head.split_at_checked(MAGIC.len()).ok_or(RecordingError::NotARecording)?;
        let &[major_low, major_high, _, _] = version else { return Err(RecordingError::NotARecording) };
        if magic != MAGIC {
            return Err(RecordingError::NotARecording);
        }
        let major = u16::from_le_bytes([major_low, major_high]);
        if major > MAJOR {
            return Err(RecordingError::Newer { major });
        }
        let mut frames = Frames::new(from);
        let Found::Frame { kind: kind::SESSION, payload } = frames.next() else {
            return Err(RecordingError::NoSession);
        };
        let payload = frames.payload(payload);
        let mut session = decode::decode_session(payload).ok_or(RecordingError::NoSession)?;
        let mut pids_of_format_2 = None;
        if major <= FORMAT_2 {
            let pids = decode::decode_pids_of_format_2(payload).ok_or(RecordingError::NoSession)?;
            pids_of_format_2 = Some(pids);
            // `trace` of format 2 wrote no grace.
            if session.grace_ns == 0 {
                session.grace_ns = DEFAULT_GRACE_NS;
            }
        }
        Ok(Self {
            frames,
            session,
            pids_of_format_2,
            damage: Damage::default(),
            ended: false,
            time_ns: 0,
            losses: Losses::default(),
            next: None,
        })
    }

    /// The session: what holds for the whole recording.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What could not be read; final once the inputs are exhausted.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// To be read after the last input where the end of the recording is missing: what came then is lost like what a damaged
    /// place held. `None` where a damaged place was told already, which may be that very end.
    pub fn lost_end(&self) -> Option<Input> {
        let losses = Losses { damaged: 1, ..self.losses };
        let is_new = self.damage.no_end && self.losses.damaged == 0;
        is_new.then_some(Input::Losses { time_ns: self.time_ns, losses })
    }

    fn decode(&self, kind: u8, payload: Range<usize>) -> Result<Input, Unusable> {
        let payload = self.frames.payload(payload);
        match &self.pids_of_format_2 {
            Some(pids) if kind == kind::BEGIN => decode::decode_begin_of_format_2(payload, pids),
            _ => decode::decode(kind, payload),
        }
    }

    /// The next input as it was recorded. Anything unreadable before it is counted.
    fn recorded(&mut self) -> Option<Input> {
        loop {
            match self.frames.next() {
                Found::Frame { kind, payload } => match self.decode(kind, payload) {
                    Ok(input) => return Some(input),
                    Err(Unusable::Impossible) => self.damage.impossible += 1,
                    Err(Unusable::UnknownKind) => self.damage.unknown_frames += 1,
                },
                Found::Gap { torn: true, .. } => self.damage.torn_tail = true,
                Found::Gap { bytes, torn: false } => {
                    self.damage.places += 1;
                    self.damage.bytes_lost += bytes;
                }
                Found::End => {
                    self.damage.unreadable = self.frames.failure();
                    self.damage.no_end = !self.ended;
                    return None;
                }
            }
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        if let Some(next) = self.next.take() {
            return Some(next);
        }
        let mut next = self.recorded();
        match &mut next {
            Some(Input::Begin(begin)) => self.time_ns = begin.time_ns,
            Some(Input::End { time_ns }) => self.time_ns = *time_ns,
            Some(Input::Lifecycle(event)) => self.time_ns = event.time_ns,
            Some(Input::Snapshot(snapshot)) => self.time_ns = snapshot.ended_ns,
            Some(Input::Counters(counters)) => self.time_ns = counters.time_ns,
            Some(Input::Evidence { time_ns, .. } | Input::ForkSite { time_ns, .. }) => {
                self.time_ns = *time_ns
            }
            Some(Input::Losses { time_ns, losses }) => {
                self.time_ns = *time_ns;
                losses.damaged = self.losses.damaged;
                self.losses = *losses;
            }
            _ => {}
        }
        self.ended |= matches!(next, Some(Input::End { .. }));
        let damaged = self.damage.places + self.damage.impossible;
        if damaged == self.losses.damaged {
            return next;
        }
        self.losses.damaged = damaged;
        self.next = next;
        Some(Input::Losses { time_ns: self.time_ns, losses: self.losses })
    }
}
