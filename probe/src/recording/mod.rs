//! The recording: a session and all its inputs, so that a replay sees what the live run saw.
//!
//! Owns the file format (docs/recording.md), its versions and its damage. Must not know the engine: it stores inputs,
//! never conclusions from them.
//!
//! A file is `REAPWREC`, u16 major, u16 minor, then frames: marker `0xF7 'R' 'W' 0x0A`, u8 kind, u32 length, payload,
//! u32 CRC-32 of kind, length and payload; all little-endian. The first frame is the session. A reader that meets a bad
//! frame looks for the next marker with a good checksum: damage loses only the frames it hit. A good frame with
//! impossible values (`decode`) is left out too. A later minor version may append fields to a payload and add kinds; a
//! reader ignores what it does not know.

mod account;
mod cgroups;
mod decode;
mod encode;
mod evidence;
mod fork_site;
mod frames;
mod kill;
mod kind;
mod pid_limits;
mod reader;
mod tracer_stats;
mod workload;
mod writer;

pub use reader::{Damage, Reader, RecordingError};
pub use writer::{RecordingFile, Writer};

const MAGIC: &[u8; 8] = b"REAPWREC";
/// Raised when an old reader could misread a new file.
const MAJOR: u16 = 3;
/// Raised when something is added.
const MINOR: u16 = 10;
const MARKER: [u8; 4] = [0xf7, b'R', b'W', b'\n'];
/// Bytes of marker, kind and length.
const HEAD_LEN: usize = 9;
/// Maximum length of a payload: a task list of half a million processes.
const PAYLOAD_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests;
