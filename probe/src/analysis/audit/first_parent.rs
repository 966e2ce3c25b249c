//! Who started the processes that were orphaned while a recording was made or an agent ran, and how that ended: from events, so it is
//! certain.
//!
//! Owns how a process of a recording is found again in /proc. Must not read the recording, nor decide what is a ghost: that most
//! orphans are left on purpose is as true of those whose history is known.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use crate::{
    analysis::{explain, text, time::rfc3339},
    engine::{Ended, EnrichedEvent, State, View},
    model::{Comm, Identity, ProcessInfo, Session, Stage, Task, Workload},
    report::{
        CommandLines,
        orphans::{FirstParent, ORPHANS_MAX, OrphanHistory, OrphanOrigin, SCHEMA},
        words::{self, called},
    },
};

/// Most ends of processes that are kept until it is known whether they left anybody: of as many as a host has in a second.
const ENDS_MAX: usize = 16_384;
/// /proc says starts in ticks of 10 ms, and rounds.
const TICK_NS: u64 = 10_000_000;
/// Longest command line in a sentence, in characters.
const COMMAND_MAX: usize = 120;

/// The orphans of a recording, by pid.
#[derive(Debug, Default)]
pub struct FirstParents {
    session: Session,
    ends: HashMap<Identity, Arc<Ended>>,
    in_order: VecDeque<Identity>,
    orphans: HashMap<u32, Orphan>,
}

#[derive(Debug)]
struct Orphan {
    start_boottime_ns: u64,
    first: Task,
    /// When that had ended at the latest; 0: not known.
    ended_ns: u64,
    end: Option<Arc<Ended>>,
    info: Option<Arc<ProcessInfo>>,
}

impl FirstParents {
    /// Of a recording with this session.
    pub fn new(session: Session) -> Self {
        Self { session, ..Self::default() }
    }

    /// Takes one event: keeps how a process ended.
    pub fn take(&mut self, enriched: &EnrichedEvent) {
        let EnrichedEvent::Stage { event, ended: Some(ended), .. } = enriched else { return };
        if !matches!(event.stage, Stage::Exit { .. }) {
            return;
        }
        if self.in_order.len() >= ENDS_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.ends.remove(&oldest);
        }
        self.in_order.push_back(event.process.identity);
        self.ends.insert(event.process.identity, ended.clone());
    }

    /// Looks for orphans. To be called so often that ends are still known.
    pub fn look(&mut self, view: &View<'_>) {
        self.orphans.retain(|pid, orphan| {
            let identity = Identity { tgid: *pid, start_boottime_ns: orphan.start_boottime_ns };
            view.process(identity).is_some_and(|process| matches!(process.state, State::Running))
        });
        for process in view.processes() {
            let Some(first) = process.orphaned_by.as_deref() else { continue };
            let Identity { tgid, start_boottime_ns } = process.task.identity;
            let is_known =
                self.orphans.get(&tgid).is_some_and(|known| known.start_boottime_ns == start_boottime_ns);
            if is_known || !matches!(process.state, State::Running) || self.orphans.len() >= ORPHANS_MAX {
                continue;
            }
            let end = self.ends.get(&first.identity).cloned();
            let info = end.as_ref().and_then(|end| end.info.clone());
            let info = info.or_else(|| view.parent(first.identity).and_then(|parent| parent.info.clone()));
            let ended_ns = process.orphaned_ns;
            self.orphans.insert(tgid, Orphan { start_boottime_ns, first: *first, ended_ns, end, info });
        }
    }

    /// What an agent writes down of them, by pid, with so much of command lines.
    pub fn history(&self, command_lines: CommandLines) -> OrphanHistory {
        let origin = |(pid, orphan): (&u32, &Orphan)| {
            let words = orphan.info.iter().flat_map(|info| &info.command_line);
            let mut command_line: Vec<String> = words.map(|word| text(word).into_owned()).collect();
            command_lines.told(&mut command_line);
            let first = &orphan.first;
            OrphanOrigin {
                pid: *pid,
                start_boottime_ns: orphan.start_boottime_ns,
                first_parent: FirstParent {
                    pid: first.identity.tgid,
                    start_boottime_ns: first.identity.start_boottime_ns,
                    comm: first.comm.text().into_owned(),
                    command_line,
                    ended_boottime_ns: orphan.ended_ns,
                },
            }
        };
        let mut orphans: Vec<OrphanOrigin> = self.orphans.iter().map(origin).collect();
        orphans.sort_unstable_by_key(|one| one.pid);
        OrphanHistory {
            schema: SCHEMA.into(),
            realtime_minus_boottime_ns: self.session.anchor.realtime_minus_boottime_ns,
            orphans,
        }
    }

    /// Goes on with what an agent wrote down: no more of it than one would write.
    pub fn remember(&mut self, history: OrphanHistory) {
        for OrphanOrigin { pid, start_boottime_ns, first_parent } in
            history.orphans.into_iter().take(ORPHANS_MAX)
        {
            let FirstParent { pid: tgid, start_boottime_ns: start_ns, comm, command_line, ended_boottime_ns } =
                first_parent;
            let first = Task {
                identity: Identity { tgid, start_boottime_ns: start_ns },
                comm: Comm::from(comm.as_bytes()),
                ..Task::default()
            };
            let command_line = command_line.into_iter().map(String::into_bytes).collect();
            let info = Some(Arc::new(ProcessInfo { command_line, ..ProcessInfo::default() }));
            let ended_ns = ended_boottime_ns;
            self.orphans.insert(pid, Orphan { start_boottime_ns, first, ended_ns, end: None, info });
        }
    }

    /// Who started this process and how that ended, if it was orphaned while the recording was made.
    pub fn sentence(&self, of: Identity) -> Option<String> {
        let orphan = self.orphans.get(&of.tgid)?;
        // Both are told in ns since boot, one of them rounded down.
        if (orphan.start_boottime_ns / TICK_NS).abs_diff(of.start_boottime_ns / TICK_NS) > 1 {
            return None;
        }
        let first = &orphan.first;
        let mut who = format!("{} (pid {})", called(&first.comm.text()), first.identity.tgid);
        if let Some(info) = orphan.info.as_deref().filter(|info| !info.command_line.is_empty()) {
            let words: Vec<_> = info.command_line.iter().map(|word| text(word)).collect();
            let line = words.join(" ");
            let shown: String = line.chars().take(COMMAND_MAX).collect();
            let more = if shown.len() < line.len() { "…" } else { "" };
            who = format!("{who}, `{shown}{more}`");
        }
        let when = |ns| rfc3339(&self.session, ns).get(..19).unwrap_or_default().to_owned();
        let Some(end) = &orphan.end else {
            return Some(match orphan.ended_ns {
                0 => format!("its first parent was {who}, which ended while it ran"),
                ended_ns => format!("its first parent was {who}, which ended at {}Z", when(ended_ns)),
            });
        };
        let when = when(end.exit_ns);
        let how = words::ended(&explain::exit(end.status));
        Some(format!("its first parent was {who}, which ended at {when}Z ({how}){}", place(end)))
    }
}

/// Where the first parent was.
fn place(end: &Ended) -> String {
    let session = end.account.as_ref().and_then(|account| account.session);
    let session = session.map(|session| format!("session {session}"));
    let unit = match end.workload.as_deref() {
        Some(Workload::Unit(unit)) => Some(unit.clone()),
        Some(Workload::Container { id, .. }) => Some(format!("container {id}")),
        Some(Workload::Pod { uid, .. }) => Some(format!("pod {uid}")),
        _ => None,
    };
    let parts: Vec<String> = session.into_iter().chain(unit).collect();
    if parts.is_empty() { String::new() } else { format!("; it was in {}", parts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::audit::{
            Asked, audit,
            tests::{census, resident},
        },
        engine::{Engine, tests::task},
        model::{Account, Begin, Details, Input, LifecycleEvent, Resident, Stream, WaitStatus},
        report::audit::{AuditFinding, Confidence},
    };

    fn life(time_ns: u64, tgid: u32, stage: Stage) -> Input {
        Input::Lifecycle(LifecycleEvent { time_ns, process: task(tgid), stage })
    }

    fn exit(status: u32, session: Option<u32>) -> Stage {
        let account = session.map(|session| Account { session: Some(session), ..Account::default() }.into());
        Stage::Exit {
            parent: task(1),
            status: WaitStatus(status),
            autoreap: false,
            is_clone_child: false,
            account,
        }
    }

    /// 20 and 22 are left by 2, which SIGKILL ended; 21 by 3, of whose end nothing is told. 22 ends.
    fn recorded() -> FirstParents {
        let session = Session { anchor: census(vec![]).anchor, ..Session::default() };
        let mut history = FirstParents::new(session);
        let mut engine = Engine::default();
        let fork = |parent: u32| Stage::Fork { parent: task(parent), creator: task(parent) };
        let orphan = |parent: u32| Stage::Orphan { from: task(parent) };
        let inputs = [
            Input::Begin(Begin { time_ns: 1, ..Begin::default() }),
            life(10, 20, fork(2)),
            life(11, 22, fork(2)),
            life(12, 21, fork(3)),
            life(3_000_000_000, 2, exit(9, Some(77))),
            life(3_000_000_001, 20, orphan(2)),
            life(3_000_000_002, 22, orphan(2)),
            life(3_000_000_003, 21, orphan(3)),
            life(4_000_000_000, 22, exit(0, None)),
        ];
        for input in inputs {
            let mut seen = Vec::new();
            engine.apply(input, &mut seen);
            for event in &seen {
                history.take(event);
            }
            history.look(&engine.view());
        }
        history
    }

    /// A test that a shell left, as /proc shows it.
    fn left(pid: u32, start_boottime_ns: u64) -> Resident {
        let mut one = resident(pid, 1);
        one.identity.start_boottime_ns = start_boottime_ns;
        (one.session, one.group) = (4_000, 4_000);
        one.command_line = ["pytest", "-x"].map(Into::into).to_vec();
        let streams = [Stream::Null, Stream::File, Stream::File];
        one.details = one.details.map(|details| Details { streams, ..details });
        one
    }

    fn found(all: Vec<Resident>) -> Vec<AuditFinding> {
        let (census, history) = (census(all), recorded());
        audit(&census, &census, Asked { history: Some(&history), ..Asked::default() }).findings
    }

    #[test]
    fn of_an_orphan_that_was_recorded_it_is_certain_who_left_it_and_how_that_ended() {
        let found = found(vec![left(20, 0)]);
        assert_eq!((found[0].confidence, found[0].inferred), (Confidence::Certain, false));
        assert_eq!(
            found[0].evidence[0],
            "its first parent was p2 (pid 2), which ended at 1992-03-07T20:26:43Z (killed by SIGKILL); it was in session 77"
        );
        assert!(found[0].evidence.len() > 1, "why it is a ghost is said too");
    }

    #[test]
    fn what_was_not_recorded_is_inferred_as_before() {
        // Another process with that pid; one of whose parent's end nothing is told; one that nobody saw; one that ended.
        for (pid, start_ns, is_inferred) in
            [(20, 50_000_000, true), (21, 0, false), (23, 0, true), (22, 0, true)]
        {
            let found = found(vec![left(pid, start_ns)]);
            assert_eq!((found.len(), found[0].inferred), (1, is_inferred), "{pid}");
        }
        let of_unknown_end = recorded().sentence(task(21).identity).expect("it was recorded");
        assert_eq!(of_unknown_end, "its first parent was p3 (pid 3), which ended at 1992-03-07T20:26:43Z");
    }

    #[test]
    fn what_an_agent_wrote_down_says_the_same_as_what_it_saw() {
        let recorded = recorded();
        let written = recorded.history(CommandLines::Full);
        assert_eq!(written.orphans.iter().map(|one| one.pid).collect::<Vec<_>>(), [20, 21]);
        let mut remembered = FirstParents::new(recorded.session.clone());
        remembered.remember(written.clone());
        assert_eq!(remembered.history(CommandLines::Full), written);
        let identity = task(21).identity;
        assert_eq!(remembered.sentence(identity), recorded.sentence(identity));
        let of_20 = remembered.sentence(task(20).identity).expect("it is in it");
        assert!(of_20.starts_with("its first parent was p2 (pid 2), which ended at 1992-03-07T20:26:43Z"));
        // Those that have ended since are forgotten.
        remembered.look(&Engine::default().view());
        assert_eq!(remembered.history(CommandLines::Full).orphans, []);
    }

    #[test]
    fn a_daemon_that_was_left_on_purpose_is_no_ghost_because_it_was_recorded() {
        let mut daemon = resident(20, 1);
        daemon.identity.start_boottime_ns = 0;
        assert_eq!(found(vec![daemon]).len(), 0);
    }

    #[test]
    fn no_more_ends_are_kept_than_there_is_room_for() {
        let mut history = FirstParents::new(Session::default());
        let mut engine = Engine::default();
        for pid in 10..10 + 2 * ENDS_MAX as u32 {
            let mut seen = Vec::new();
            let parent = task(2);
            engine.apply(life(u64::from(pid), pid, Stage::Fork { parent, creator: parent }), &mut seen);
            engine.apply(life(u64::from(pid) + 1, pid, exit(0, None)), &mut seen);
            for event in &seen {
                history.take(event);
            }
        }
        assert_eq!((history.ends.len(), history.in_order.len()), (ENDS_MAX, ENDS_MAX));
    }
}
