//! Who is ended, how, and who is left alone.

use std::process::{Child, Command, Stdio};

use super::*;

fn patience(terminated: Duration) -> Patience {
    Patience { terminated, killed: Duration::from_secs(10) }
}

/// A shell that says when it is ready, and then runs the rest.
struct Shell(Child);

impl Shell {
    fn start(script: &str) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        Self::ready(command)
    }

    fn ready(mut command: Command) -> Self {
        use std::io::{BufRead, BufReader};
        let mut child = command.spawn().expect("a shell");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("its word");
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn doomed(&self) -> Doomed {
        let process = Process::open(self.0.id()).expect("our own child");
        Doomed { pid: process.pid, start_ticks: process.start_ticks }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn sigterm_ends_it_and_sigkill_what_ignores_that() {
    let gentle = Shell::start("echo ready; exec sleep 60");
    let stubborn = Shell::start("trap '' TERM; echo ready; while :; do sleep 0.05; done");
    let ended = end(&[gentle.doomed(), stubborn.doomed()], patience(Duration::from_millis(300)));
    assert_eq!(ended.named, [Fate::Terminated, Fate::Killed]);
}

#[test]
fn what_is_stopped_ends_too() {
    let mut stopped = Shell::start("echo ready; kill -STOP $$; sleep 60");
    let process = Process::open(stopped.0.id()).expect("our own child");
    let deadline = Instant::now() + Duration::from_secs(10);
    while process.stat().is_none_or(|stat| stat.state != 'T') {
        assert!(Instant::now() < deadline, "it does not stop");
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(end(&[stopped.doomed()], patience(Duration::from_secs(5))).named, [Fate::Terminated]);
    assert!(!stopped.0.wait().expect("our own child").success());
}

#[test]
fn its_children_end_with_it_and_the_rest_of_a_group_that_it_does_not_lead_is_left_alone() {
    let leader = Shell::start("sleep 60 & echo ready; wait");
    let process = Process::open(leader.0.id()).expect("our own child");
    // SAFETY: asks for a number.
    let own_group = unsafe { libc::getpgrp() };
    assert_eq!(process.stat().map(|stat| stat.group), Some(own_group as u32), "it leads no group");
    let ended = end(&[leader.doomed()], patience(Duration::from_secs(5)));
    assert_eq!(ended.named, [Fate::Terminated]);
    // The group is that of the tests, so only its child was found.
    assert_eq!(ended.newcomers.len(), 1, "{ended:?}");
    assert_eq!((ended.newcomers[0].parent, ended.newcomers[0].fate), (leader.0.id(), Fate::Terminated));
}

#[test]
fn members_of_a_group_that_it_leads_end_whoever_their_parent_is() {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("sh");
    command.args(["-c", "(sleep 61 & echo ready); sleep 60"]).process_group(0).stdout(Stdio::piped());
    let leader = Shell::ready(command);
    let ended = end(&[leader.doomed()], patience(Duration::from_secs(5)));
    assert_eq!(ended.named, [Fate::Terminated]);
    // Its middle one has gone, so another has adopted it.
    let orphan = ended.newcomers.iter().find(|one| one.parent != leader.0.id());
    assert!(orphan.is_some_and(|one| one.fate == Fate::Terminated), "{ended:?}");
}

#[test]
fn whoever_has_the_pid_of_another_is_left_alone() {
    let mut bystander = Shell::start("echo ready; exec sleep 60");
    let doomed = bystander.doomed();
    let earlier = Doomed { start_ticks: doomed.start_ticks - 100, ..doomed };
    assert_eq!(end(&[earlier], patience(Duration::from_secs(1))).named, [Fate::ByItself]);
    assert!(bystander.0.try_wait().expect("our own child").is_none(), "it was hit");
    let own = Process::open(std::process::id()).expect("we are here");
    let us = Doomed { pid: own.pid, start_ticks: own.start_ticks };
    assert_eq!(end(&[us], patience(Duration::from_secs(1))).named, [Fate::ByItself], "never ourselves");
}
