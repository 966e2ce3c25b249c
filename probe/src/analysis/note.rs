//! Notes: what explains a parent's children without accusing the parent.
//!
//! Must not know verdicts or causes.

use crate::{
    engine::Parent,
    report::{Note, NoteKind, words},
};

/// All that apply.
pub fn notes(parent: &Parent) -> Vec<Note> {
    statuses_lost(parent).into_iter().collect()
}

/// It waits for children that the kernel reaps at once, so that its calls get no status. A program inherits an ignored
/// SIGCHLD through exec, often without knowing.
fn statuses_lost(parent: &Parent) -> Option<Note> {
    let autoreaped = parent.ledger.counts.autoreaped;
    let calls = parent.waits.map_or(0, |waits| waits.any + waits.specific);
    (autoreaped > 0 && calls > 0).then(|| Note {
        kind: NoteKind::ExitStatusesLost,
        text: format!(
            "the kernel reaped {} at once, because SIGCHLD is ignored (or SA_NOCLDWAIT set): no wait call gets their exit \
             status, it fails with ECHILD. Where nobody meant that, the process inherited it: set SIGCHLD to its default at \
             the start",
            words::children(autoreaped, "dead ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ChildCounts, Task, WaitCalls};

    #[test]
    fn a_status_is_lost_only_to_who_asks_for_it() {
        let kinds = |autoreaped, specific| {
            let mut parent = Parent::new(Task::default());
            parent.ledger.counts = ChildCounts { autoreaped, ..ChildCounts::default() };
            parent.waits = Some(WaitCalls { specific, ..WaitCalls::default() });
            notes(&parent).into_iter().map(|note| note.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(5, 5), [NoteKind::ExitStatusesLost]);
        assert!(kinds(5, 0).is_empty() && kinds(0, 5).is_empty());
    }
}
