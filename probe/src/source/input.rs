//! The seam between where inputs come from and what is made of them: a kernel or a recording behind one trait.
//!
//! Must not know who reads the inputs.

use std::{future::Future, time::Instant};

use super::SetupError;
use crate::model::{Counters, Input, PackedCounters, Task};

/// Where inputs come from.
pub trait Source {
    /// Waits for inputs, and fills an empty batch with them. While the window is open, the caller may drop the returned
    /// future at any time and loses no input by it.
    fn next(&mut self, batch: &mut Batch) -> impl Future<Output = Result<(), SetupError>>;

    /// Asks for the end of the window. The inputs that belong to the window still follow, [`Moment::End`] last; without
    /// those that cannot be had by the time `by`.
    fn begin_closing(&mut self, _by: Option<Instant>) {}

    /// A question: what do these parents run? The answers are inputs of a later batch. A recording has its answers.
    fn describe(&mut self, _parents: &[Task]) {}

    /// A question: what are these suspects doing? The answers are inputs of a later batch, only what has changed since the
    /// last answer. Each is looked at at most once a second, whoever asks more often. A recording has its answers.
    fn look_closer(&mut self, _suspects: &[Task]) {}

    /// A question: which workloads are these cgroups? The answers are for now; what is not answered may be asked again. A
    /// recording has its answers.
    fn name_cgroups(&mut self, _ids: &[u64]) -> Vec<Input> {
        Vec::new()
    }

    /// A question: how many processes may there be, of the host and of these processes, and how many are there? The answer is an
    /// input of a later batch. A recording has its answers.
    fn read_pid_limits(&mut self, _of: &[Task]) {}
}

/// What a source hands over at a time.
#[derive(Default)]
pub struct Batch {
    /// Inputs, each with its time. Those of different CPUs may be a little out of order.
    pub inputs: Vec<(u64, Input)>,
    /// Counters besides, each with how many of the inputs come before it. A reading may have tens of thousands.
    pub counters: Vec<(u32, PackedCounters)>,
    /// Every input older than this is in this batch or in one before it, except for those that are out of order.
    pub complete_to_ns: u64,
    pub moment: Moment,
    /// What the reader tells the source: the ledgers are those that the kernel counted. Then the last snapshot has to be
    /// taken after the last counters were read.
    pub is_counted: bool,
}

/// What is in a batch.
pub enum Arrival {
    Input(u64, Input),
    Counters(PackedCounters),
}

impl Batch {
    /// Takes counters, after the inputs that are there.
    pub fn push_counters(&mut self, counters: &Counters) {
        self.counters.push((self.inputs.len() as u32, counters.into()));
    }

    /// Takes all out, in order of arrival.
    pub fn drain(&mut self) -> impl Iterator<Item = Arrival> {
        // Room for as many counters again is made when there are as many.
        let mut counters = std::mem::take(&mut self.counters).into_iter().peekable();
        let mut inputs = self.inputs.drain(..);
        let mut taken = 0;
        std::iter::from_fn(move || {
            if let Some((_, counters)) = counters.next_if(|(before, _)| *before <= taken) {
                return Some(Arrival::Counters(counters));
            }
            taken += 1;
            inputs.next().map(|(time_ns, input)| Arrival::Input(time_ns, input))
        })
    }
}

/// What a batch means for the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Moment {
    /// More inputs follow.
    #[default]
    Within,
    /// The same, and the counters have just been read: the time for questions.
    Reading,
    /// Everything has been read, and only answers and the end follow: the time for the last questions.
    LastReading,
    /// The last batch.
    End,
}
