//! Whether the program may still come to those left by itself: what is said of that beside a cause, and what may be done at once.
//!
//! Must not know the rules.

use super::{
    Case,
    runtime::Runtime,
    words::{IN_WAIT, wait_calls},
};
use crate::{
    engine::{LeftOpenBy, TWO_LOOKS_NS},
    model::{Blocked, Call, PipeRead},
};

/// Before what is to be done where the parent may still come to them by itself.
const IF_THEY_STAY: &str = "should they stay: ";

/// Who has not come to its dead children for so long hardly will, or would have.
const LONG_NS: u64 = 600_000_000_000;
/// Who was free for so long with a dead child might have reaped it. A first look comes sooner where deaths are streamed.
const UNSEEN_NS: u64 = 500_000_000;
const NS_PER_S: u64 = 1_000_000_000;

impl Case<'_> {
    /// Why those left may be no leak of its program yet; `None` where there are none, and where it has had its time.
    pub fn so_far(&self) -> Option<String> {
        let oldest_ns = self.unreaped.oldest_ns;
        if self.left == 0 {
            return None;
        }
        let may = match (self.parent.died_ns, self.parent.killed_by) {
            (Some(_), Some(signal)) => {
                format!("signal {signal} killed it; it may have come to them later")
            }
            (Some(_), None) if oldest_ns >= LONG_NS => return None,
            (Some(_), None) => format!(
                "it ended {:.1} s after the first of those left had died, and may have come to them later",
                oldest_ns as f64 / NS_PER_S as f64
            ),
            // Who is in one call cannot have done anything else, however long that takes.
            (None, _) => match self.busy_with() {
                Some(busy) => busy,
                None if oldest_ns >= LONG_NS && self.program_has_run_ns() >= LONG_NS => {
                    return None;
                }
                None => self.often_in().or_else(|| self.hidden()).unwrap_or_else(|| self.may_come().into()),
            },
        };
        Some(format!("so far: {may}"))
    }

    /// For how long its program of now has run, as far as is known.
    fn program_has_run_ns(&self) -> u64 {
        self.parent.exec_ns.map_or(u64::MAX, |exec_ns| self.until_ns().saturating_sub(exec_ns))
    }

    /// What a living parent is found in, each time, after which it may come to them.
    fn busy_with(&self) -> Option<String> {
        let evidence = self.evidence?;
        if self.is_in_wait() {
            return Some(IN_WAIT.into());
        }
        let still_ns = self.has_not_run_ns();
        if still_ns >= TWO_LOOKS_NS && evidence.threads == 1 {
            let call = match &evidence.blocked {
                Blocked::Call(call) if call.name().is_empty() => String::new(),
                Blocked::Call(call) => format!(" ({})", call.name()),
                Blocked::PipeRead(_) => " (a read of a pipe)".into(),
                _ => String::new(),
            };
            return Some(format!(
                "each look for {} s found that it had not run since the one before{call}; it may come to those left when it does",
                still_ns / NS_PER_S
            ));
        }
        None
    }

    /// What a living parent is found in at each look, though it may have come back in between.
    fn often_in(&self) -> Option<String> {
        let evidence = self.evidence?;
        let lasted_ns = self.parent.looked_ns.saturating_sub(self.parent.evidence_since_ns());
        let call = match evidence.blocked {
            Blocked::Call(
                call @ (Call::Read
                | Call::Write
                | Call::Receive
                | Call::Send
                | Call::Connect
                | Call::FileLock
                | Call::Futex),
            ) if evidence.threads == 1 && lasted_ns >= TWO_LOOKS_NS => call,
            _ => return None,
        };
        Some(format!(
            "each look for {} s found it in {}; should that be one call, it may come to those left after it",
            lasted_ns / NS_PER_S,
            call.name()
        ))
    }

    /// That it sleeps in something that may not be read.
    fn hidden(&self) -> Option<String> {
        let evidence = self.evidence.filter(|evidence| evidence.is_hidden())?;
        let channel = match evidence.wait_channel.as_slice() {
            [] => String::new(),
            channel => format!(" ({})", String::from_utf8_lossy(channel)),
        };
        Some(format!(
            "what it sleeps in{channel} may not be read, because it runs as another user; should that be a read of what a child \
             left open, it may come to those left at its end"
        ))
    }

    fn may_come(&self) -> &'static str {
        match self.parent.while_left() {
            Some(since) if since.any + since.specific == 0 => {
                "since they were found dead it has begun no wait call; should it only be busy, it may still come to them"
            }
            None => "should it only be busy, it may still come to them",
            Some(_) if self.only_looks() => "it may still reap those that it has looked at",
            Some(_) if self.has_living_children() => {
                "it has children that live; should it wait for one of these first, it may still come to those left"
            }
            Some(_) if !self.asks_for_any() => {
                "should it ask for any child now and then, it may still come to them"
            }
            Some(_) => {
                "should it have work between its wait calls, or other ones for those left, it may still come to them"
            }
        }
    }

    /// Of who cannot go on: what is not known of what it did before, or when it could again.
    pub fn around_stop(&self) -> Option<String> {
        let first_death_ns = self.until_ns().saturating_sub(self.unreaped.oldest_ns);
        let unseen_ns = self.parent.evidence_ns.saturating_sub(first_death_ns);
        let asked = self.asked_for_any();
        if self.left == 0 {
            Some("looks found that for three quarters or more of the time that each waited which it reaped late".into())
        } else if self.parent.is_looked_at_once && !self.evidence_lasts() {
            Some("so far: it was looked at only once; something may stop it and let it go on by turns".into())
        } else if unseen_ns >= UNSEEN_NS {
            Some(format!(
                "it was found so {:.1} s after the first of those left had died; what it did before that look is not known",
                unseen_ns as f64 / NS_PER_S as f64
            ))
        } else if asked == 0 {
            Some(
                "so far: before, it reaped without such calls; whether it goes on to do so is not known"
                    .into(),
            )
        } else {
            // Those may have been the calls of its start.
            Some(format!(
                "so far: before, it began {} for any child; whether it goes on to ask is not known",
                wait_calls(asked)
            ))
        }
    }

    /// Whether it does nothing but read from a pipe that others hold open, has children that live, and started none since it
    /// was first seen to read: it may read what one of them writes, and wait for all when that ends.
    pub fn may_wait_after_reading(&self) -> bool {
        let reads_of_others = self.evidence.is_some_and(|evidence| {
            let own = self.parent.task.identity.tgid;
            let of_others = |read: &PipeRead| {
                read.is_cut || read.writers.iter().any(|writer| writer.identity.tgid != own)
            };
            // A loop that polls goes on whatever becomes of one pipe: with children that live it may still never wait.
            evidence.threads == 1
                && matches!(&evidence.blocked, Blocked::PipeRead(read) if !read.is_polled && of_others(read))
        });
        reads_of_others
            && self.parent.died_ns.is_none()
            && self.has_living_children()
            && self.parent.last_fork_ns <= self.parent.evidence_ns
    }

    /// The pipe that a process which one of its dead children left behind holds open, where it reads from it; once none is left,
    /// the last one that it read from.
    pub fn at_end_of_pipe(&self) -> Option<&LeftOpenBy> {
        let lasts = |by: &&LeftOpenBy| self.left == 0 || by.lasts(self.until_ns(), TWO_LOOKS_NS);
        self.parent.pipe.by().filter(lasts)
    }

    /// Whether it may come to those left by itself: it has children that live, and none of those left was born after another one
    /// had died. So it may have started all of them first, and wait for them in turn: in a wait call, in a read of their output,
    /// or asleep between two looks at the one whose turn it is.
    pub fn may_wait_in_turn(&self) -> bool {
        let first_death_ns = self.ended_ns.saturating_sub(self.unreaped.oldest_ns);
        self.parent.died_ns.is_none()
            && self.has_living_children()
            && self.unreaped.youngest_ns <= first_death_ns
    }

    /// How to be rid of the zombies at once; empty where there are none any more, or where the parent may come to them.
    pub fn free_now(&self) -> String {
        let unless = if self.so_far().is_some() { IF_THEY_STAY } else { "" };
        self.freed().map_or_else(String::new, |reap| format!("{unless}{reap}"))
    }

    /// The same, where the cause is not known.
    pub fn free_if_they_stay(&self) -> String {
        self.freed().map_or_else(String::new, |reap| format!("{IF_THEY_STAY}{reap}"))
    }

    fn freed(&self) -> Option<String> {
        let is_over = self.parent.died_ns.is_some() || self.left == 0;
        // libuv would never report the end of a child that it started and somebody else reaped.
        let is_libuvs = self.runtime == Runtime::Node && self.own_left() > 0;
        // In such a call no thread is stopped: it may have done half of it.
        let is_undisturbable = self.evidence.is_some_and(|evidence| {
            let is_half_done = matches!(
                evidence.blocked,
                Blocked::Call(Call::Write | Call::Send | Call::Connect | Call::FileLock)
            );
            is_half_done && evidence.threads == 1
        });
        // It may come to those left, and would find that they are gone.
        let may_come = is_libuvs
            || is_undisturbable
            || self.is_in_wait()
            || self.may_wait_in_turn()
            || self.may_wait_after_reading()
            || self.at_end_of_pipe().is_some();
        (!is_over && !self.parent.task.identity.is_init() && !may_come).then(|| {
            format!(
                "`reapwatch reap {}` has the process reap them without a restart; it can no longer read how they ended",
                self.parent.task.identity.tgid
            )
        })
    }
}
