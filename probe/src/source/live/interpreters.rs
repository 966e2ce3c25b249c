//! When processes are asked for their Python interpreter: it begins some time after the program does, and the programs in
//! the kernel must know it before the first fork.
//!
//! Must not know what an interpreter is.

use std::time::{Duration, Instant};

use foldhash::HashMap;

use crate::model::{Identity, LifecycleEvent, Stage, Task};

/// When a process is asked again that had none yet, after it was asked first.
const AGAIN_AFTER_MS: [u64; 11] = [5, 15, 40, 100, 175, 250, 400, 600, 800, 1_000, 1_500];
/// Most processes that are to be asked; and most that were.
const PENDING_MAX: usize = 1_024;
const FOUND_MAX: usize = 4_096;

/// Whom to ask, and when.
#[derive(Default)]
pub(super) struct Interpreters {
    pending: Vec<Pending>,
    /// Who has been asked with success, and when it began its program.
    found: HashMap<Identity, ()>,
}

struct Pending {
    task: Task,
    first: Instant,
    tries: usize,
}

impl Interpreters {
    /// This process may have one.
    pub(super) fn add(&mut self, task: Task) {
        let identity = task.identity;
        let is_known = self.found.contains_key(&identity)
            || self.pending.iter().any(|pending| pending.task.identity == identity);
        if !is_known && self.pending.len() < PENDING_MAX {
            self.pending.push(Pending { task, first: Instant::now(), tries: 0 });
        }
    }

    /// It may run a Python from now on.
    pub(super) fn ran(&mut self, event: &LifecycleEvent) {
        let Stage::Exec { info } = &event.stage else { return };
        self.found.remove(&event.process.identity);
        if info.executable.windows(6).any(|part| part == b"python") {
            self.add(event.process);
        }
    }

    /// Asks those whose turn it is; `ask` says whether it has one.
    pub(super) fn look(&mut self, mut ask: impl FnMut(&Task) -> bool) {
        let now = Instant::now();
        let found = &mut self.found;
        self.pending.retain_mut(|pending| {
            let due = match pending.tries {
                0 => pending.first,
                tries => pending.first + Duration::from_millis(AGAIN_AFTER_MS[tries - 1]),
            };
            if now < due {
                return true;
            }
            if ask(&pending.task) {
                if found.len() >= FOUND_MAX {
                    found.clear();
                }
                found.insert(pending.task.identity, ());
                return false;
            }
            pending.tries += 1;
            pending.tries <= AGAIN_AFTER_MS.len()
        });
    }

    /// Whether somebody is to be asked again soon.
    pub(super) fn are_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::live::fake::task;

    #[test]
    fn a_process_is_asked_until_it_has_one_and_not_for_ever() {
        let mut interpreters = Interpreters::default();
        interpreters.add(task(1));
        interpreters.add(task(1));
        let mut asked = 0;
        interpreters.look(|_| {
            asked += 1;
            false
        });
        interpreters.look(|_| unreachable!("not yet"));
        assert!(asked == 1 && interpreters.are_pending());
        for pending in &mut interpreters.pending {
            pending.first -= Duration::from_secs(2);
        }
        for _ in 0..AGAIN_AFTER_MS.len() + 3 {
            interpreters.look(|_| {
                asked += 1;
                false
            });
        }
        assert_eq!((asked, interpreters.are_pending()), (1 + AGAIN_AFTER_MS.len(), false));
        interpreters.add(task(2));
        interpreters.look(|_| true);
        interpreters.add(task(2));
        assert!(!interpreters.are_pending(), "it is known");
    }
}
