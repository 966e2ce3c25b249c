//! Processes that look dead and are no zombies: stuck in their exit, or without their main thread.
//!
//! Must not judge their parents, which cannot do anything about them.

use std::cmp::Reverse;

use super::{command_line, ns_pid, owned};
use crate::{
    engine::{State, View},
    model::{Scope, Session, Task},
    report::{LookingDead, LookingDeadKind},
};

/// More are not listed.
const LISTED_MAX: usize = 64;

/// Those that the last walk of the task list found so, and that have been so for longer than the grace.
pub fn looking_dead(view: &View<'_>, session: &Session) -> Vec<LookingDead> {
    let (_, end_ns) = view.window();
    let mut found: Vec<LookingDead> = view
        .looking_dead()
        .filter(|(process, _)| match &view.begin().scope {
            Scope::Host => true,
            Scope::Tree(_) => process.in_tree,
            Scope::Pids(pids) => {
                [process.task.identity, process.parent].iter().any(|one| pids.contains(&one.tgid))
            }
        })
        .map(|(process, looks)| {
            let exit_ns = match process.state {
                State::Exited { exit_ns, .. } if exit_ns != 0 && !looks.is_leader_alone => Some(exit_ns),
                _ => None,
            };
            let ns_pid = ns_pid(&process.task);
            let parent = view
                .parent(process.parent)
                .map_or_else(|| Task { identity: process.parent, ..Task::default() }, |parent| parent.task);
            LookingDead {
                kind: match (looks.is_leader_alone, ns_pid) {
                    (true, _) => LookingDeadKind::DeadLeader,
                    (false, Some(1)) => LookingDeadKind::NamespaceEndBlocked,
                    (false, _) => LookingDeadKind::StuckInTeardown,
                },
                pid: process.task.identity.tgid,
                ns_pid,
                comm: process.task.comm.text().into_owned(),
                command_line: process.info.as_deref().map(command_line).unwrap_or_default(),
                parent: owned(&parent),
                since_ns: end_ns.saturating_sub(exit_ns.unwrap_or(looks.first_ns)),
                at_least: exit_ns.is_none(),
            }
        })
        .filter(|found| found.since_ns > session.grace_ns)
        .collect();
    found.sort_by_key(|found| (Reverse(found.since_ns), found.pid));
    found.truncate(LISTED_MAX);
    found
}
