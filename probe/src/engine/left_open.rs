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
    /// It reaped while the writer of this pipe went on running: it does not wait for the end of that one.
    NotWaitedFor {
        pipe: u64,
    },
}

/// How it is known that a dead child left the writer behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// It was seen that the writer comes from it.
    Certain,
    /// The writer was started after it, and is neither the parent nor a living descendant of the parent.
    Probable,
}

/// What ended the writer of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterEnd {
    /// Itself, or somebody other than the reader.
    ByOthers,
    /// The reader, or a descendant of it: it had another reason to go on, such as a time-out, and ended the pipe for that.
    ByReader,
    /// A signal, it is not known whose.
    Killed,
}

/// A process that one of a parent's zombies left behind, and that can write to the pipe that the parent reads.
#[derive(Clone, Copy, Debug)]
pub struct LeftBehind {
    pub writer: Task,
    /// The dead child that left the writer behind.
    pub zombie: Identity,
    pub grade: Grade,
    /// The pipe's inode.
    pub pipe: u64,
    /// The parent polls the pipe, perhaps among others.
    pub is_polled: bool,
}

/// Who holds the pipe open.
#[derive(Clone, Debug)]
pub struct LeftOpenBy {
    pub found: LeftBehind,
    /// Since when looks find the parent at something else.
    elsewhere_ns: Option<u64>,
    /// When the parent first reaped one while the writer still ran. That may have closed the pipe just before.
    first_reap_ns: Option<u64>,
    /// When the writer ended, where that was told.
    ended_ns: Option<u64>,
}

impl LeftOpenBy {
    fn new(found: LeftBehind) -> Self {
        Self { found, elsewhere_ns: None, first_reap_ns: None, ended_ns: None }
    }

    /// Whether the parent may still be waiting for the end of the pipe at that time: so long no look has found it at something
    /// else, or only a moment ago.
    pub fn lasts(&self, now_ns: u64, moment_ns: u64) -> bool {
        self.elsewhere_ns.is_none_or(|since_ns| now_ns.saturating_sub(since_ns) < moment_ns)
    }

    /// Whether a reap at that time may have been at the end of this pipe: its writer has ended just before, or it is not known when
    /// it ended.
    pub(super) fn may_have_just_ended(&self, pipe: u64, now_ns: u64) -> bool {
        let ended_ns = self.ended_ns.unwrap_or(now_ns);
        self.found.pipe == pipe && now_ns.saturating_sub(ended_ns) <= ENDS_WITHIN_NS
    }

    /// Whether it was told when the writer ended.
    pub fn is_end_known(&self) -> bool {
        self.ended_ns.is_some()
    }

    /// Whether the writer, as far as is known, ran on after the parent had reaped one: then that was not at the end of the pipe,
    /// which the kernel closes after the writer's exit is told. Up to `now_ns` it is known to run, where its end was not told.
    fn outlived_a_reap(&self, now_ns: u64) -> bool {
        self.first_reap_ns.is_some_and(|reap_ns| match self.ended_ns {
            Some(ended_ns) => ended_ns > reap_ns,
            None => now_ns > reap_ns.saturating_add(ENDS_WITHIN_NS),
        })
    }
}

impl LeftOpen {
    pub fn by(&self) -> Option<&LeftOpenBy> {
        match self {
            Self::By(by) => Some(by),
            Self::NotSeen | Self::NotWaitedFor { .. } => None,
        }
    }

    /// The writer has ended.
    pub(super) fn writer_ended(&mut self, now: u64, end: WriterEnd) {
        let Self::By(by) = self else { return };
        by.ended_ns = Some(now);
        match end {
            WriterEnd::ByOthers => self.writer_ran_until(now),
            WriterEnd::Killed => {
                by.found.grade = Grade::Probable;
                self.writer_ran_until(now);
            }
            WriterEnd::ByReader => *self = Self::NotWaitedFor { pipe: by.found.pipe },
        }
    }

    /// The writer runs, or has just ended.
    pub(super) fn writer_ran_until(&mut self, now: u64) {
        if let Some(by) = self.by().filter(|by| by.outlived_a_reap(now)) {
            *self = Self::NotWaitedFor { pipe: by.found.pipe };
        }
    }

    /// A look found it, or found another one.
    pub(super) fn found(&mut self, found: LeftBehind) {
        match self {
            Self::NotWaitedFor { pipe } if *pipe == found.pipe => {}
            Self::NotSeen | Self::NotWaitedFor { .. } => {
                *self = Self::By(Box::new(LeftOpenBy::new(found)));
            }
            Self::By(by) if by.found.writer.identity == found.writer.identity => {
                (by.found, by.elsewhere_ns) = (found, None);
            }
            Self::By(by) => **by = LeftOpenBy::new(found),
        }
    }

    /// A look found the parent at something else. It may come back: a loop may poll and sleep in turn.
    pub(super) fn elsewhere(&mut self, now: u64) {
        if let Self::By(by) = self {
            by.elsewhere_ns.get_or_insert(now);
        }
    }

    /// The parent reaps a child while the writer runs. Of several threads one may read and another one reap, and who polls may
    /// be woken for each of its children: there the pipe matters no more once its own zombie is gone, and reaping others says
    /// nothing.
    pub(super) fn reaps(&mut self, child: Identity, has_threads: bool, now: u64) {
        let Self::By(by) = self else { return };
        if has_threads || by.found.is_polled {
            if child == by.found.zombie {
                *self = Self::NotSeen;
            }
        } else {
            by.first_reap_ns.get_or_insert(now);
            self.writer_ran_until(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::task;

    fn behind(writer: u32, zombie: u32, is_polled: bool) -> LeftBehind {
        let (writer, zombie) = (task(writer), task(zombie).identity);
        LeftBehind { writer, zombie, grade: Grade::Certain, pipe: writer.identity.tgid.into(), is_polled }
    }

    #[test]
    fn one_that_polls_may_reap_others_meanwhile() {
        let mut pipe = LeftOpen::default();
        pipe.found(behind(30, 20, true));
        for time_ns in [5, 6 + ENDS_WITHIN_NS] {
            pipe.reaps(task(21).identity, false, time_ns);
        }
        assert!(pipe.by().is_some(), "each of its children may have a pipe");
        pipe.reaps(task(20).identity, false, 7 + ENDS_WITHIN_NS);
        assert!(pipe.by().is_none(), "it did not wait for the end of this one");
        pipe.found(behind(31, 22, true));
        assert!(pipe.by().is_some(), "it may for another one");
    }

    #[test]
    fn one_that_is_at_something_else_for_longer_than_a_moment_waits_no_more() {
        let mut pipe = LeftOpen::default();
        pipe.elsewhere(1);
        pipe.found(behind(30, 20, true));
        let lasts = |pipe: &LeftOpen, now| pipe.by().expect("found").lasts(now, 10);
        assert!(lasts(&pipe, 1_000));
        pipe.elsewhere(1_000);
        pipe.elsewhere(1_008);
        assert!(lasts(&pipe, 1_009) && !lasts(&pipe, 1_010));
        pipe.found(behind(30, 20, true));
        assert!(lasts(&pipe, 2_000), "it came back");
    }

    #[test]
    fn a_reap_is_at_the_end_of_this_pipe_only_just_after_its_writer_has_ended() {
        let mut pipe = LeftOpen::default();
        pipe.found(behind(30, 20, false));
        let may = |pipe: &LeftOpen, inode, now| pipe.by().expect("found").may_have_just_ended(inode, now);
        assert!(may(&pipe, 30, 9 * ENDS_WITHIN_NS), "when it ended is not known");
        pipe.writer_ended(5, WriterEnd::ByOthers);
        assert!(may(&pipe, 30, 5 + ENDS_WITHIN_NS));
        assert!(!may(&pipe, 30, 6 + ENDS_WITHIN_NS), "it had another reason");
        assert!(!may(&pipe, 31, 5), "another pipe");
    }

    #[test]
    fn one_that_reaps_while_the_writer_runs_on_does_not_wait_for_it() {
        let found = || {
            let mut pipe = LeftOpen::default();
            pipe.found(behind(30, 20, false));
            pipe
        };
        let mut alone = found();
        alone.reaps(task(21).identity, false, 5);
        assert!(alone.by().is_some(), "the writer may end at once");
        alone.reaps(task(22).identity, false, 6 + ENDS_WITHIN_NS);
        alone.found(behind(30, 20, false));
        assert!(alone.by().is_none(), "it reads on, and not to the end");
        alone.found(behind(31, 23, false));
        assert!(alone.by().is_some(), "of another pipe that says nothing");
        let mut reads_on = found();
        reads_on.reaps(task(21).identity, false, 5);
        reads_on.writer_ran_until(5 + ENDS_WITHIN_NS);
        assert!(reads_on.by().is_some(), "the writer may have ended, and it is told late");
        reads_on.writer_ended(6, WriterEnd::ByOthers);
        assert!(reads_on.by().is_none(), "it ended later: one reap says so too");
        let mut killed = found();
        killed.writer_ended(5, WriterEnd::Killed);
        assert_eq!(killed.by().map(|by| by.found.grade), Some(Grade::Probable));
        killed.writer_ended(6, WriterEnd::ByReader);
        assert!(killed.by().is_none(), "the reader ended it itself");
        let mut threaded = found();
        for time_ns in [5, 6 + ENDS_WITHIN_NS] {
            threaded.reaps(task(21).identity, true, time_ns);
        }
        assert!(threaded.by().is_some(), "another thread reaps others");
        threaded.reaps(task(20).identity, true, 7 + ENDS_WITHIN_NS);
        threaded.found(behind(31, 23, false));
        assert_eq!(threaded.by().map(|by| by.found.writer.identity), Some(task(31).identity));
    }
}
