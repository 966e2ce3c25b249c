//! Looking closer at suspects: how often, and which answers are news.
//!
//! Must not know why a process is a suspect.

use std::time::{Duration, Instant};

use foldhash::HashMap;

use super::{Host, Input, Task};
use crate::model::{Identity, SignalMasks};

/// How often a suspect is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Most suspects looked at a time, however many are asked about.
const SUSPECTS_MAX: usize = 64;

/// What the suspects of the last second gave away.
#[derive(Default)]
pub(super) struct Suspects {
    last: HashMap<Identity, Look>,
}

/// The last look at a suspect.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    masks: Option<SignalMasks>,
}

impl Suspects {
    /// Looks at those that were not looked at within the last second; an answer that is as before is no input. Suspects that
    /// are not asked about any more are forgotten.
    pub(super) fn look(&mut self, host: &impl Host, suspects: &[Task], now: Instant) -> Vec<(u64, Input)> {
        let mut answers = Vec::new();
        let mut looks = HashMap::default();
        for task in suspects.iter().take(SUSPECTS_MAX) {
            let identity = task.identity;
            let before = self.last.get(&identity).copied();
            if let Some(look) = before.filter(|look| now < look.at + LOOK_EVERY) {
                looks.insert(identity, look);
                continue;
            }
            let time_ns = host.now_ns();
            let masks = host.signal_masks(task);
            if let Some(masks) = masks
                && before.and_then(|look| look.masks) != Some(masks)
            {
                answers.push((time_ns, Input::SignalMasks { time_ns, identity, masks }));
            }
            looks.insert(identity, Look { at: now, masks });
        }
        self.last = looks;
        answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::live::fake::{FakeHost, task};

    #[test]
    fn a_suspect_is_looked_at_once_a_second_and_only_news_is_an_input() {
        let mut host = FakeHost::at(1_000);
        let (mut suspects, began) = (Suspects::default(), Instant::now());
        let mut look = |host: &FakeHost, ms| {
            let answers = suspects.look(host, &[task(10), task(404)], began + Duration::from_millis(ms));
            (answers.len(), std::mem::take(&mut *host.looks_at.borrow_mut()))
        };
        assert_eq!(look(&host, 0), (1, vec![10, 404]), "one that has gone gives no answer");
        assert_eq!(look(&host, 999), (0, vec![]));
        assert_eq!(look(&host, 1_000), (0, vec![10, 404]), "as before");
        host.masks.blocked = 1 << 16;
        assert_eq!(look(&host, 1_500), (0, vec![]));
        assert_eq!(look(&host, 2_000), (1, vec![10, 404]));
    }

    #[test]
    fn no_more_are_looked_at_than_are_allowed_and_only_those_are_remembered() {
        let host = FakeHost::at(1_000);
        let mut suspects = Suspects::default();
        let many: Vec<Task> = (1_000..1_200).map(task).collect();
        assert_eq!(suspects.look(&host, &many, Instant::now()).len(), SUSPECTS_MAX);
        assert_eq!(suspects.last.len(), SUSPECTS_MAX);
        suspects.look(&host, &many[..1], Instant::now());
        assert_eq!(suspects.last.len(), 1);
    }
}
