//! The interpreted functions that were seen, by number.
//!
//! Must not know how they are found.

use foldhash::HashMap;

use crate::model::{Frame, FrameKind};

/// Most interpreted functions that are told apart, by line.
const PYTHON_FRAMES_MAX: usize = 65_536;

/// The interpreted functions that were seen, each once.
#[derive(Default)]
pub struct PythonFrames {
    frames: Vec<Frame>,
    numbers: HashMap<Frame, u32>,
}

impl PythonFrames {
    /// 0 for those that are not told apart any more.
    pub fn number(&mut self, frame: Frame) -> u32 {
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
