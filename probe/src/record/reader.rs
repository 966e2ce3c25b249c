//! Reads a recording back, around whatever damage it has.

use std::{
    fmt,
    io::{self, Read},
};

use super::{HEAD_LEN, MAGIC, MAJOR, MARKER, PAYLOAD_MAX, codec};
use crate::model::{DEFAULT_GRACE_NS, Input, Session};

/// What could not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    /// Stretches of bytes that are no good frames.
    pub places: u64,
    /// Their length together.
    pub bytes_lost: u64,
    /// The file ends inside a frame.
    pub torn_tail: bool,
    /// No end of the window was recorded: whoever recorded was killed, or the end is lost.
    pub no_end: bool,
    /// Good frames of a kind this version does not know.
    pub unknown_frames: u64,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.bytes_lost > 0 {
            parts.push(format!(
                "{} bytes in {} places are damaged and left out",
                self.bytes_lost, self.places
            ));
        }
        if self.torn_tail {
            parts.push("it ends in the middle of a frame".into());
        }
        if self.no_end {
            parts.push("the end of the window is missing, so the numbers go up to the last input".into());
        }
        if self.unknown_frames > 0 {
            parts.push(format!("{} frames of a newer version are left out", self.unknown_frames));
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

/// A recording being read.
#[derive(Debug)]
pub struct Reader {
    bytes: Vec<u8>,
    at: usize,
    session: Session,
    /// In format 2 the session said what the begin says now: these pids alone were asked for.
    pids_of_format_2: Option<Vec<u32>>,
    damage: Damage,
    ended: bool,
}

impl Reader {
    /// Reads the whole file and its session.
    pub fn open(mut from: impl Read) -> Result<Self, RecordingError> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map_err(RecordingError::Io)?;
        if bytes.len() < MAGIC.len() + 4 || &bytes[..MAGIC.len()] != MAGIC {
            return Err(RecordingError::NotARecording);
        }
        let major = u16::from_le_bytes([bytes[8], bytes[9]]);
        if major > MAJOR {
            return Err(RecordingError::Newer { major });
        }
        let at = MAGIC.len() + 4;
        let mut reader = Self {
            bytes,
            at,
            session: Session::default(),
            pids_of_format_2: None,
            damage: Damage::default(),
            ended: false,
        };
        match reader.frame_at(at) {
            Some((codec::kind::SESSION, payload, next)) => {
                let payload = &reader.bytes[payload];
                let session = codec::decode_session(payload).ok_or(RecordingError::NoSession)?;
                if major <= FORMAT_2 {
                    let pids = codec::decode_pids_of_format_2(payload).ok_or(RecordingError::NoSession)?;
                    reader.pids_of_format_2 = Some(pids);
                }
                reader.session = session;
                // `trace` wrote no grace then.
                if major <= FORMAT_2 && reader.session.grace_ns == 0 {
                    reader.session.grace_ns = DEFAULT_GRACE_NS;
                }
                reader.at = next;
                Ok(reader)
            }
            _ => Err(RecordingError::NoSession),
        }
    }

    /// What was true for the whole recording.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What could not be read; final once the inputs are exhausted.
    pub fn damage(&self) -> Damage {
        self.damage
    }

    /// Kind, payload and end of a good frame at this place.
    fn frame_at(&self, at: usize) -> Option<(u8, std::ops::Range<usize>, usize)> {
        let head = self.bytes.get(at..at + HEAD_LEN)?;
        if head[..4] != MARKER {
            return None;
        }
        let len = u32::from_le_bytes([head[5], head[6], head[7], head[8]]) as usize;
        if len > PAYLOAD_MAX {
            return None;
        }
        let payload = at + HEAD_LEN..at + HEAD_LEN + len;
        let sum = self.bytes.get(payload.end..payload.end + 4)?;
        let good = crc32fast::hash(&self.bytes[at + 4..payload.end]).to_le_bytes() == *sum;
        good.then_some((head[4], payload.clone(), payload.end + 4))
    }

    /// The next place at or after `from` where a good frame begins.
    fn next_good(&self, from: usize) -> Option<usize> {
        let mut at = from;
        while at + HEAD_LEN <= self.bytes.len() {
            let found = self.bytes[at..].windows(MARKER.len()).position(|window| window == MARKER)?;
            at += found;
            if self.frame_at(at).is_some() {
                return Some(at);
            }
            at += 1;
        }
        None
    }
}

impl Iterator for Reader {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        loop {
            if self.at >= self.bytes.len() {
                self.damage.no_end = !self.ended;
                return None;
            }
            let Some((kind, payload, next)) = self.frame_at(self.at) else {
                let good = self.next_good(self.at + 1);
                let end = good.unwrap_or(self.bytes.len());
                self.damage.torn_tail |= good.is_none();
                self.damage.places += 1;
                self.damage.bytes_lost += (end - self.at) as u64;
                self.at = end;
                continue;
            };
            self.at = next;
            let payload = &self.bytes[payload];
            let input = match &self.pids_of_format_2 {
                Some(pids) if kind == codec::kind::BEGIN => codec::decode_begin_of_format_2(payload, pids),
                _ => codec::decode(kind, payload),
            };
            match input {
                Some(input) => {
                    self.ended |= matches!(input, Input::End { .. });
                    return Some(input);
                }
                None => self.damage.unknown_frames += 1,
            }
        }
    }
}
