//! Whether a thread that runs can be stopped: the kernel does not tell which call it is in, so it must be seen to be in none.
//!
//! Owns what is counted for that: its time in the kernel, its reads and writes, its waits. All of them must stand still while
//! it computes. Must not touch the thread.

use super::{
    candidate::{Candidate, Objection},
    process::{Process, number},
};

/// It must have computed for so many clock ticks (of 10 ms) while it is looked at. The kernel samples at every tick of its
/// own, 2 to 10 ms, whether a thread is in a call.
const COMPUTES_FOR_TICKS: u64 = 20;

/// A thread that runs, since it was seen first.
#[derive(Debug)]
pub struct Runner {
    candidate: Candidate,
    first: Counts,
    now: Counts,
}

/// What it had done when it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    user_ticks: u64,
    kernel_ticks: u64,
    /// Calls that read or write; none where the kernel does not count them.
    reads_and_writes: u64,
    switches: u64,
}

impl Runner {
    /// One that is seen for the first time.
    pub fn of(process: &Process, candidate: Candidate) -> Self {
        let counts = Counts::of(process, &candidate);
        Self { candidate, first: counts, now: counts }
    }

    pub fn thread(&self) -> u32 {
        self.candidate.thread
    }

    /// Whether it is this thread.
    pub fn is_of(&self, other: &Candidate) -> bool {
        (self.candidate.thread, self.candidate.start_ticks) == (other.thread, other.start_ticks)
    }

    /// It still runs.
    pub fn look(&mut self, process: &Process, candidate: &Candidate) {
        self.candidate = *candidate;
        self.now = Counts::of(process, candidate);
    }

    /// It has done nothing but compute, for long enough.
    pub fn is_fit(&self) -> Option<Candidate> {
        (self.objection_of_counts().is_none()).then_some(self.candidate)
    }

    pub fn objection(&self) -> Objection {
        self.objection_of_counts().unwrap_or(Objection::Runs)
    }

    fn objection_of_counts(&self) -> Option<Objection> {
        let Counts { user_ticks, .. } = self.first;
        if self.now != (Counts { user_ticks: self.now.user_ticks, ..self.first }) {
            return Some(Objection::RunsInKernel);
        }
        (self.now.user_ticks.saturating_sub(user_ticks) < COMPUTES_FOR_TICKS).then_some(Objection::Runs)
    }
}

impl Counts {
    fn of(process: &Process, candidate: &Candidate) -> Self {
        let stat = process.thread_stat(candidate.thread);
        let io = process.read(&format!("task/{}/io", candidate.thread), 4_096);
        let io = String::from_utf8_lossy(&io);
        let count = |name| number(&io, name).unwrap_or(0);
        Self {
            user_ticks: stat.as_ref().map_or(0, |stat| stat.user_ticks),
            kernel_ticks: candidate.kernel_ticks,
            reads_and_writes: count("syscr:") + count("syscw:"),
            switches: candidate.switches,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervention::calls::Doing;

    fn runner(now: Counts) -> Runner {
        let candidate = Candidate {
            thread: 7,
            start_ticks: 3,
            state: 'R',
            doing: Doing::Running,
            switches: 0,
            kernel_ticks: 0,
            is_still: false,
            has_children: false,
            has_seccomp: false,
        };
        Runner { candidate, first: Counts::default(), now }
    }

    #[test]
    fn only_one_that_computes_all_the_time_is_fit() {
        let computes = Counts { user_ticks: COMPUTES_FOR_TICKS, ..Counts::default() };
        assert_eq!(runner(computes).is_fit().map(|one| one.thread), Some(7));
        let short = Counts { user_ticks: COMPUTES_FOR_TICKS - 1, ..computes };
        assert_eq!((runner(short).is_fit(), runner(short).objection()), (None, Objection::Runs));
        for other in [
            Counts { kernel_ticks: 1, ..computes },
            Counts { reads_and_writes: 1, ..computes },
            Counts { switches: 1, ..computes },
        ] {
            assert_eq!((runner(other).is_fit(), runner(other).objection()), (None, Objection::RunsInKernel));
        }
    }
}
