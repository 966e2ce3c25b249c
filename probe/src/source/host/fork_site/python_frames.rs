//! The interpreted functions that were seen, by number.
//!
//! Must not know how they are found.

use std::time::{Duration, Instant};

use foldhash::HashMap;
use probe_common::interpreter::PythonFrame;

use crate::model::{Frame, FrameKind, Identity};

/// How long it is taken for granted that an address holds the same code; and for how many frames.
const LATELY: Duration = Duration::from_secs(1);
const LATELY_MAX: usize = 16_384;

/// Most interpreted functions that are told apart, by line.
const PYTHON_FRAMES_MAX: usize = 65_536;

/// The interpreted functions that were seen, each once.
#[derive(Default)]
pub struct PythonFrames {
    frames: Vec<Frame>,
    numbers: HashMap<Frame, u32>,
    lately: HashMap<(Identity, u64, u64), Option<u32>>,
    since: Option<Instant>,
}

impl PythonFrames {
    /// The number of the function that this frame of a process runs, `Some(None)` where that is none of Python's; `None`
    /// where it was not read lately: code may go, and other code come to its address.
    pub fn lately(&mut self, process: Identity, frame: &PythonFrame) -> Option<Option<u32>> {
        if self.since.is_none_or(|since| since.elapsed() >= LATELY) || self.lately.len() >= LATELY_MAX {
            self.lately.clear();
            self.since = Some(Instant::now());
        }
        self.lately.get(&(process, frame.code, frame.instruction)).copied()
    }

    /// Remembers what a frame runs; returns its number.
    pub fn enter(&mut self, process: Identity, frame: &PythonFrame, found: Option<Frame>) -> Option<u32> {
        let number = found.map(|found| self.number(found));
        self.lately.insert((process, frame.code, frame.instruction), number);
        number
    }

    /// 0 for those that are not told apart any more.
    fn number(&mut self, frame: Frame) -> u32 {
        if let Some(number) = self.numbers.get(&frame) {
            return *number;
        }
        if self.frames.len() >= PYTHON_FRAMES_MAX {
            return 0;
        }
        self.frames.push(frame.clone());
        self.numbers.insert(frame, self.frames.len() as u32);
        self.frames.len() as u32
    }

    pub fn get(&self, number: u32) -> Frame {
        let place = (number as usize).checked_sub(1);
        let other = Frame { kind: FrameKind::Python, ..Frame::default() };
        place.and_then(|place| self.frames.get(place)).cloned().unwrap_or(other)
    }
}
