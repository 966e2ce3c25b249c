//! Processes that run on though what started them has ended, and that nobody keeps.
//!
//! Owns how that is concluded from what the kernel still says. Nobody watched when the first parent ended; but a process has
//! the session of its parent unless it begins one of its own. So one whose session is neither its own nor its parent's was
//! born to another parent, which has ended.
//!
//! Much of that is on purpose. Never found are: services, by their cgroup; who leads a session of its own, as daemons do, unless
//! its output leads nowhere; who has a terminal; programs with windows, which somebody looks at; daemons that fork twice, known
//! by streams that lead to no terminal and no pipe.

use super::{
    Finding,
    scene::{Scene, named, others},
    tool::{runs_on_purpose, tool},
    ways,
};
use crate::{
    model::{Resident, Stream, Workload},
    report::audit::{Confidence, GhostKind, Role},
};

/// Programs other than an init that receive orphans.
const REAPERS: [&str; 9] = [
    "systemd",
    "containerd-shim",
    "conmon",
    "tini",
    "dumb-init",
    "catatonit",
    "docker-init",
    "s6-svscan",
    "gnome-session",
];
/// Streams by their numbers.
const STREAM_NAMES: [&str; 3] = ["standard input", "standard output", "standard error"];

pub fn find(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    for one in scene.residents().filter(|one| may_be(one)) {
        let Some(parent) = scene.parent(one) else { continue };
        let judged = if one.session == one.identity.tgid {
            leads_its_session(scene, one, parent)
        } else {
            is_in_a_session(scene, one, parent)
        };
        if let Some((confidence, evidence)) = judged {
            found.push(finding(scene, one, confidence, evidence));
        }
    }
}

fn may_be(one: &Resident) -> bool {
    let is_process = one.lives() && one.identity.tgid != 1 && !one.is_namespace_init;
    is_process && one.terminal == 0 && !runs_on_purpose(one) && !has_windows(one)
}

type Judged = Option<(Confidence, Vec<String>)>;

/// One that never began a session.
fn is_in_a_session(scene: &Scene<'_>, one: &Resident, parent: &Resident) -> Judged {
    if one.session == 0 || one.session == parent.session {
        return None;
    }
    // Where others are hidden, the leader may be too.
    let leader = scene.with_pid(one.session).filter(|leader| leader.lives());
    if leader.is_none() && scene.last.unseen.others_are_hidden {
        return None;
    }
    let mut evidence = vec![format!(
        "what started it has ended: its session is {}, that of its parent now, {}, is another, and it did not begin one",
        one.session,
        named(parent)
    )];
    let is_tool = tool(one).map(|tool| format!("{} ends by itself, and is no service", tool.name));
    if is_kept(one) || leader.is_some() {
        // Its service or its session is still there, and may have left it on purpose, but no test.
        evidence.push(is_tool?);
        if let Some(leader) = leader {
            evidence.push(format!("the leader of its session, {}, still runs", named(leader)));
        }
        return Some((Confidence::Possible, evidence));
    }
    evidence.push(format!("its session has ended too: process {}, which led it, is gone", one.session));
    let is_job = one.group == one.identity.tgid;
    if is_job {
        evidence.push(
            "it was a job of an interactive shell: it leads a process group within that session".into(),
        );
    }
    let signs = evidence.len() - usize::from(is_job);
    evidence.extend(is_tool);
    evidence.extend(dead_streams(one));
    evidence.extend(dead_agent(scene, one));
    (is_job || evidence.len() > signs).then_some((Confidence::Likely, evidence))
}

/// One that leads a session, as daemons do.
fn leads_its_session(scene: &Scene<'_>, one: &Resident, parent: &Resident) -> Judged {
    let is_init = parent.identity.tgid == 1 || parent.is_namespace_init;
    let is_reaper = is_init || REAPERS.iter().any(|known| parent.comm.bytes().starts_with(known.as_bytes()));
    if !is_reaper || is_kept(one) || one.session == parent.session {
        return None;
    }
    let mut evidence =
        vec![format!("its parent is {}, which takes in processes whose parent has ended", named(parent))];
    // An init of a container may have been told to run just this.
    if parent.identity.tgid == 1 && !scene.last.unseen.is_namespace {
        evidence.extend(tool(one).map(|tool| format!("{} ends by itself, and is no service", tool.name)));
    }
    evidence.extend(dead_streams(one));
    evidence.extend(dead_agent(scene, one));
    (evidence.len() > 1).then_some((Confidence::Likely, evidence))
}

/// Whether a service manager keeps it.
fn is_kept(one: &Resident) -> bool {
    one.user_service.is_some() || matches!(one.workload, Some(Workload::Unit(_)))
}

/// A browser that is told to show none is a tool of a test.
fn has_windows(one: &Resident) -> bool {
    one.details.as_ref().is_some_and(|details| details.shows_windows)
        && !one.command_line.iter().any(|argument| argument.starts_with(b"--headless"))
        && tool(one).is_none()
}

/// Where its output goes to nobody.
fn dead_streams(one: &Resident) -> Vec<String> {
    let Some(details) = &one.details else { return Vec::new() };
    let named = details.streams.iter().zip(STREAM_NAMES).enumerate();
    let dead = named.filter_map(|(number, (stream, name))| match stream {
        Stream::DeadTerminal => Some(format!("its {name} is a terminal that was closed")),
        Stream::Pipe { has_reader: Some(false), .. } if number > 0 => {
            Some(format!("its {name} is a pipe that no process reads"))
        }
        _ => None,
    });
    dead.collect()
}

/// Whether the agent that says it started it has ended. Pids are given out again, but not to an older process.
fn dead_agent(scene: &Scene<'_>, one: &Resident) -> Option<String> {
    let pid = one.details.as_ref()?.origin.agent_pid?;
    let agent = scene
        .with_pid(pid)
        .filter(|agent| agent.lives() && agent.identity.start_boottime_ns <= one.identity.start_boottime_ns);
    let is_known = agent.is_none() && !scene.last.unseen.others_are_hidden && !scene.last.unseen.is_namespace;
    is_known.then(|| format!("the agent that started it, process {pid} by its AGENT_SESSION_PID, has ended"))
}

fn finding(scene: &Scene<'_>, one: &Resident, confidence: Confidence, mut evidence: Vec<String>) -> Finding {
    let origin = one.details.as_ref().map(|details| details.origin.variables.join(", ")).unwrap_or_default();
    if !origin.is_empty() {
        evidence.push(format!("where it was started, its environment says: {origin}"));
    }
    let descendants = scene.descendants(one);
    let commands = match confidence {
        Confidence::Possible => ways::look_and_end(scene, one),
        _ => ways::end(scene, one),
    };
    Finding {
        kind: GhostKind::Orphan,
        confidence,
        inferred: true,
        about: one.identity,
        takes_long: false,
        count: 1 + descendants.len() as u64,
        related: others(Role::Descendant, &descendants),
        evidence,
        commands,
    }
}

#[cfg(test)]
#[path = "orphan_tests.rs"]
mod tests;
