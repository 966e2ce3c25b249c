//! From the engine's state to a profile of forks.
//!
//! Must not know how a profile is written.

use super::{fork_site, text};
use crate::{
    engine::{Parent as Known, View},
    model::{Scope, Session},
    report::{
        SiteDepth, SiteFrame,
        profile::{Profile, Stack},
        words,
    },
};

/// Names of scopes of containers, as their managers begin them.
const CONTAINERS: &[&str] = &["docker-", "cri-containerd-", "crio-", "libpod-"];

/// The forks of all parents that the window is about.
pub fn profile(view: &View<'_>, session: &Session) -> Profile {
    let (start_ns, end_ns) = view.window();
    // Where certain processes are asked for, everybody is counted all the same.
    let is_asked_for = |known: &&Known| match &view.begin().scope {
        Scope::Pids(pids) => pids.contains(&known.task.identity.tgid),
        Scope::Host | Scope::Tree(_) => true,
    };
    let asked_for = view.parents_asked_for().filter(is_asked_for);
    let mut stacks: Vec<Stack> = asked_for.flat_map(|known| of_parent(view, known)).collect();
    stacks.sort_by(|one, other| {
        other.values.cmp(&one.values).then_with(|| (one.pid, &one.parent).cmp(&(other.pid, &other.parent)))
    });
    Profile {
        time_ns: session.anchor.realtime_minus_boottime_ns.saturating_add_unsigned(start_ns),
        duration_ns: end_ns.saturating_sub(start_ns),
        missed: view.fork_sites_missed(),
        stacks,
    }
}

fn of_parent(view: &View<'_>, known: &Known) -> Vec<Stack> {
    let unit = known.info.as_ref().map(|info| text(&info.unit).into_owned()).unwrap_or_default();
    let comm = known.task.comm.text();
    let blank = Stack {
        parent: format!("{} ({})", words::called(&comm), known.task.identity.tgid),
        pid: known.task.identity.tgid,
        container: container(&unit).to_owned(),
        unit,
        ..Stack::default()
    };
    let mut stacks = Vec::new();
    let mut unreaped = known.zombies.len() as u64;
    for at in view.fork_sites(known) {
        unreaped = unreaped.saturating_sub(at.unreaped);
        let site = fork_site::published(&at, 0);
        let mut frames = site.frames;
        match site.depth {
            SiteDepth::Whole => {}
            // At the inner end.
            SiteDepth::Scanned => frames.insert(0, missing(site.depth.words())),
            _ => frames.push(missing(site.depth.words())),
        }
        // A parent that has died did not reap what it left behind.
        let left = at.unreaped.saturating_add(at.abandoned);
        let values = [left, at.zombie_time_ns, at.reap_latency_ns, at.forks];
        stacks.push(Stack { frames, values, ..blank.clone() });
    }
    if unreaped > 0 {
        let frames = vec![missing("forked before the profile began, or not by this parent")];
        stacks.push(Stack { frames, values: [unreaped, 0, 0, 0], ..blank });
    }
    stacks
}

/// A frame that says what is missing.
fn missing(what: &str) -> SiteFrame {
    SiteFrame { function: Some(format!("[{what}]")), ..SiteFrame::default() }
}

/// The id of a container, by the scope that holds it.
fn container(unit: &str) -> &str {
    let inner = CONTAINERS.iter().find_map(|prefix| unit.strip_prefix(prefix));
    inner.and_then(|inner| inner.strip_suffix(".scope")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_scope() {
        assert_eq!(container("docker-0123abcd.scope"), "0123abcd");
        assert_eq!(container("cri-containerd-77.scope"), "77");
        for none in ["docker.service", "nginx.service", "session-3.scope", ""] {
            assert_eq!(container(none), "");
        }
    }
}
