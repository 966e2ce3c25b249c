//! A pipe that a parent reads from while a process which one of its zombies left behind holds it open: what is known of it.
//!
//! Must not know how it is found, nor judge.

use crate::model::{Identity, Task};

/// Who closes a pipe because it ends has ended so soon after that.
const ENDS_WITHIN_NS: u64 = 250_000_000;

/// Whether a parent reads from such a pipe.
#[derive(Clone, Debug, Default)]
pub enum LeftOpen {
    /// No look found it to do so.
    #[default]
    NotSeen,
    By(Box<LeftOpenBy>),
    /// It reaped while the writer went on running: it does not wait for the end of that pipe.
    NotWaitedFor,
}

/// Who holds the pipe open.
#[derive(Clone, Debug)]
pub struct LeftOpenBy {
    pub writer: Task,
    /// The dead child that left the writer behind.
    pub zombie: Identity,
    /// When the parent first reaped one while the writer still ran. That may have closed the pipe just before.
    first_reap_ns: Option<u64>,
}

impl LeftOpen {
    pub fn by(&self) -> Option<&LeftOpenBy> {
        match self {
            Self::By(by) => Some(by),
            Self::NotSeen | Self::NotWaitedFor => None,
        }
    }

    /// A look found it, or found another one.
    pub(super) fn found(&mut self, writer: Task, zombie: Identity) {
        match self {
            Self::NotSeen => {
                *self = Self::By(Box::new(LeftOpenBy { writer, zombie, first_reap_ns: None }));
            }
            Self::By(by) => (by.writer, by.zombie) = (writer, zombie),
            Self::NotWaitedFor => {}
        }
    }

    /// The parent reaps a child while the writer runs. Of several threads one may read and another one reap: there the
    /// pipe matters no more once its own zombie is gone, and reaping others says nothing.
    pub(super) fn reaps(&mut self, child: Identity, has_threads: bool, now: u64) {
        let Self::By(by) = self else { return };
        if has_threads {
            if child == by.zombie {
                *self = Self::NotSeen;
            }
        } else if now.saturating_sub(*by.first_reap_ns.get_or_insert(now)) > ENDS_WITHIN_NS {
            *self = Self::NotWaitedFor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::task;

    #[test]
    fn one_that_reaps_while_the_writer_runs_on_does_not_wait_for_it() {
        let found = || {
            let mut pipe = LeftOpen::default();
            pipe.found(task(30), task(20).identity);
            pipe
        };
        let mut alone = found();
        alone.reaps(task(21).identity, false, 5);
        assert!(alone.by().is_some(), "the writer may end at once");
        alone.reaps(task(22).identity, false, 6 + ENDS_WITHIN_NS);
        alone.found(task(31), task(23).identity);
        assert!(alone.by().is_none(), "nor does it wait for the next one");
        let mut threaded = found();
        for time_ns in [5, 6 + ENDS_WITHIN_NS] {
            threaded.reaps(task(21).identity, true, time_ns);
        }
        assert!(threaded.by().is_some(), "another thread reaps others");
        threaded.reaps(task(20).identity, true, 7 + ENDS_WITHIN_NS);
        threaded.found(task(31), task(23).identity);
        assert_eq!(threaded.by().map(|by| by.writer.identity), Some(task(31).identity));
    }
}
