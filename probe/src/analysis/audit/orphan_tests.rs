//! Orphans, and beside each what it is mistaken for.

use super::*;
use crate::{
    analysis::audit::tests::{census, resident},
    model::{Census, Origin, Runtime, Unseen},
};

/// A process that a shell without job control left behind: its session is gone.
fn left(pid: u32) -> Resident {
    let mut one = resident(pid, 1);
    (one.session, one.group) = (4_000, 4_000);
    one.details.as_mut().expect("readable").streams = [Stream::Null, Stream::File, Stream::File];
    one
}

/// The same of a shell with job control.
fn job(pid: u32) -> Resident {
    Resident { group: pid, ..left(pid) }
}

fn pytest(mut one: Resident) -> Resident {
    one.command_line = ["pytest", "-x"].map(Into::into).to_vec();
    one
}

fn with_output(mut one: Resident, output: Stream) -> Resident {
    one.details.as_mut().expect("readable").streams[1] = output;
    one
}

const UNREAD: Stream = Stream::Pipe { inode: 7, has_reader: Some(false) };

fn judged(all: Vec<Resident>) -> Vec<Confidence> {
    judged_in(census(all))
}

fn judged_in(census: Census) -> Vec<Confidence> {
    let mut found = Vec::new();
    find(&Scene::new(&census, &census), &mut found);
    found.into_iter().map(|one| one.confidence).collect()
}

#[test]
fn a_job_of_a_shell_that_is_gone_is_found_and_one_of_a_shell_that_lives_is_not() {
    assert_eq!(judged(vec![job(8)]), [Confidence::Likely]);
    let shell = Resident { terminal: 34_816, ..resident(4_000, 1) };
    assert_eq!(judged(vec![job(8), shell.clone()]), []);
    // A test of it is, unless it is on the terminal.
    assert_eq!(judged(vec![pytest(job(8)), shell.clone()]), [Confidence::Possible]);
    assert_eq!(judged(vec![Resident { terminal: 34_816, ..pytest(job(8)) }, shell]), []);
}

#[test]
fn a_leader_that_is_a_zombie_is_gone() {
    let leader = Resident { state: b'Z', details: None, ..resident(4_000, 1) };
    assert_eq!(judged(vec![job(8), leader]), [Confidence::Likely]);
}

#[test]
fn a_test_that_a_script_left_is_found_and_a_daemon_that_forked_twice_is_not() {
    assert_eq!(judged(vec![pytest(left(8))]), [Confidence::Likely]);
    assert_eq!(judged(vec![left(8)]), []);
    assert_eq!(judged(vec![with_output(left(8), Stream::Socket)]), []);
}

#[test]
fn output_that_nobody_reads_is_a_sign_and_output_that_somebody_may_read_is_none() {
    for dead in [UNREAD, Stream::DeadTerminal] {
        assert_eq!(judged(vec![with_output(left(8), dead)]), [Confidence::Likely], "{dead:?}");
        assert_eq!(judged(vec![with_output(resident(8, 1), dead)]), [Confidence::Likely], "{dead:?}");
    }
    for has_reader in [Some(true), None] {
        let pipe = Stream::Pipe { inode: 7, has_reader };
        assert_eq!(judged(vec![with_output(left(8), pipe)]), [], "{pipe:?}");
        assert_eq!(judged(vec![with_output(resident(8, 1), pipe)]), [], "{pipe:?}");
    }
}

#[test]
fn a_daemon_in_a_session_of_its_own_is_none_and_a_test_in_one_is() {
    assert_eq!(judged(vec![resident(8, 1)]), []);
    assert_eq!(judged(vec![pytest(resident(8, 1))]), [Confidence::Likely]);
    // The init of a container may have been told to run it.
    let init = Resident { is_namespace_init: true, session: 5, ..resident(5, 1) };
    assert_eq!(judged(vec![init, pytest(resident(8, 5))]), []);
}

#[test]
fn services_are_none_and_a_test_in_one_is_possibly() {
    let unit = Some(Workload::Unit("cron.service".into()));
    assert_eq!(judged(vec![Resident { workload: unit.clone(), ..job(8) }]), []);
    assert_eq!(judged(vec![Resident { workload: unit.clone(), ..with_output(resident(8, 1), UNREAD) }]), []);
    assert_eq!(judged(vec![Resident { workload: unit.clone(), ..pytest(job(8)) }]), [Confidence::Possible]);
    // systemd-run pytest.
    assert_eq!(judged(vec![Resident { workload: unit, ..pytest(resident(8, 1)) }]), []);
    let users = Resident { user_service: Some("bot.service".into()), ..job(8) };
    assert_eq!(judged(vec![users]), []);
}

#[test]
fn what_was_born_to_its_parent_is_none() {
    // By an entrypoint: all are of the session of the init.
    let init = Resident { is_namespace_init: true, ..resident(4_000, 1) };
    let child = Resident { parent: 4_000, ..pytest(left(8)) };
    assert_eq!(judged(vec![init.clone(), child.clone()]), []);
    // docker exec began another session, which is over.
    let of_exec = Resident { session: 4_001, group: 4_001, ..child };
    let container = Some(Workload::Container { runtime: Runtime::Docker, id: "x".into() });
    assert_eq!(judged(vec![init, Resident { workload: container, ..of_exec }]), [Confidence::Likely]);
    // Led from outside of our PID namespace.
    assert_eq!(judged(vec![Resident { session: 0, ..pytest(job(8)) }]), []);
    assert_eq!(judged(vec![Resident { parent: 0, ..pytest(job(8)) }]), []);
}

#[test]
fn what_runs_on_on_purpose_is_none() {
    let mut shim = job(8);
    shim.comm = (&b"containerd-shim"[..]).into();
    assert_eq!(judged(vec![shim]), []);
    let mut agent = job(8);
    agent.command_line = vec![b"/usr/bin/ssh-agent".to_vec()];
    assert_eq!(judged(vec![agent]), []);
}

#[test]
fn a_browser_that_somebody_looks_at_is_none_and_one_without_windows_is() {
    let mut browser = job(8);
    browser.details.as_mut().expect("readable").shows_windows = true;
    assert_eq!(judged(vec![browser.clone()]), []);
    browser.command_line.push(b"--headless=new".to_vec());
    assert_eq!(judged(vec![browser]), [Confidence::Likely]);
}

#[test]
fn the_agent_that_started_it_is_asked_for() {
    let mut one = left(8);
    one.details.as_mut().expect("readable").origin =
        Origin { variables: vec!["AGENT_SESSION_PID"], agent_pid: Some(3_999) };
    assert_eq!(judged(vec![one.clone()]), [Confidence::Likely]);
    let agent = resident(3_999, 1);
    assert_eq!(judged(vec![one.clone(), agent.clone()]), []);
    let mut reused = agent;
    reused.identity.start_boottime_ns = one.identity.start_boottime_ns + 1;
    assert_eq!(judged(vec![one, reused]), [Confidence::Likely]);
}

#[test]
fn where_others_are_hidden_nobody_is_taken_for_gone() {
    let mut hidden = census(vec![job(8)]);
    hidden.unseen = Unseen { others_are_hidden: true, ..Unseen::default() };
    assert_eq!(judged_in(hidden), []);
}

#[test]
fn descendants_are_part_of_it_and_no_orphans_themselves() {
    let worker = |pid, parent| Resident { group: 8, parent, ..job(pid) };
    let census = census(vec![pytest(job(8)), worker(9, 8), worker(10, 9)]);
    let mut found = Vec::new();
    find(&Scene::new(&census, &census), &mut found);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].count, found[0].related.len()), (3, 2));
    assert_eq!(found[0].commands[0].command, "kill -TERM -- -8");
}
