//! A recording as a source: its inputs in the order in which they were recorded. It has the answers of the live run, so
//! it answers no question.
//!
//! Must not know the engine, nor the format of the file.

use std::io::Read;

use super::{
    SetupError,
    input::{Batch, Moment, Source},
};
use crate::{
    model::Input,
    recording::{Damage, Reader},
};

/// Most inputs of a batch.
const BATCH_MAX: usize = 256;

/// A recording that is being replayed.
pub struct Replay<R> {
    reader: Reader<R>,
    is_empty: bool,
}

impl<R: Read> Replay<R> {
    pub fn new(reader: Reader<R>) -> Self {
        Self { reader, is_empty: true }
    }

    /// Whether it held nothing but losses. Final after the last batch, as is the damage.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// What could not be read.
    pub fn damage(&self) -> Damage {
        self.reader.damage()
    }
}

impl<R: Read> Source for Replay<R> {
    async fn next(&mut self, batch: &mut Batch) -> Result<(), SetupError> {
        // All inputs have the same time: recorded inputs are in order.
        batch.complete_to_ns = u64::MAX;
        while batch.inputs.len() < BATCH_MAX {
            let Some(input) = self.reader.next() else {
                batch.inputs.extend(self.reader.lost_end().map(|lost| (0, lost)));
                batch.moment = Moment::End;
                break;
            };
            self.is_empty &= matches!(input, Input::Losses { .. });
            // A snapshot may take megabytes: no more than one at a time.
            let is_large = matches!(input, Input::Snapshot(_));
            batch.inputs.push((0, input));
            if is_large {
                break;
            }
        }
        Ok(())
    }
}
