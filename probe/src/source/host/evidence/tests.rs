//! Looks at processes that need no root: this one, and children of its.

use std::{
    process::{Child, Command, Stdio},
    time::Instant,
};

use super::*;
use crate::{model::SignalMasks, source::host::process_directory::tests::own_task};

fn child(program: &str, arguments: &[&str]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("a program of every host")
}

/// Looks until it is as it has to be.
fn until(reader: &Reader, child: &Child, is_it: impl Fn(&Evidence) -> bool) -> Evidence {
    let process = Process::new(child.id() as i32).expect("our own child");
    let task = reader.task(&process).expect("our own child");
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let evidence = reader.look(&task);
        match evidence {
            Some(evidence) if is_it(&evidence) => return evidence,
            other => assert!(Instant::now() < deadline, "{other:?}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_look_is_at_the_process_asked_about_alone() {
    let (reader, own) = (Reader::open(), own_task());
    let evidence = reader.look(&own).expect("we are here");
    // Rust ignores SIGPIPE before main.
    assert_eq!(evidence.signals.ignored >> 12 & 1, 1);
    assert!(evidence.threads >= 2, "the harness has a thread, and the test too: {evidence:?}");
    assert_eq!(evidence.threads_read.min(64), evidence.threads_read);
    assert!(!matches!(evidence.blocked, Blocked::Vfork | Blocked::Wait(_)) || evidence.threads > 2);
    let identity = Identity {
        start_boottime_ns: own.identity.start_boottime_ns.saturating_sub(1_000_000_000),
        ..own.identity
    };
    assert_eq!(reader.look(&Task { identity, ..own }), None, "the same pid before us");
}

#[test]
fn a_reader_of_a_pipe_and_a_sleeper_are_told_apart_and_the_dead_give_nothing() {
    let reader = Reader::open();
    let mut reads = child("cat", &[]);
    // Its state is read before its call: it may still have been on its way there.
    let evidence = until(&reader, &reads, |evidence| {
        evidence.state == b'S' && matches!(evidence.blocked, Blocked::PipeRead(_))
    });
    let Blocked::PipeRead(read) = &evidence.blocked else { unreachable!() };
    assert_eq!((read.fd, evidence.threads, evidence.threads_read), (0, 1, 1));
    assert_eq!((evidence.tracer, evidence.blocked_by_all), (Tracer::None, Some(evidence.signals.blocked)));
    assert_ne!(evidence.signals, SignalMasks { blocked: u64::MAX, ..SignalMasks::default() });
    // On a busy machine the time for a walk of /proc may be over before it comes to us.
    let deadline = Instant::now() + Duration::from_secs(20);
    let is_ours = |task: &_| reader.directories.number(task) == std::process::id();
    let found = || reader.pipe_writers(&[read.pipe], &[]).get(&read.pipe).cloned();
    while !found().is_some_and(|writers| writers.tasks.iter().any(is_ours)) {
        assert!(Instant::now() < deadline, "we hold the writing end");
    }
    let mut sleeps = child("sleep", &["100"]);
    until(&reader, &sleeps, |evidence| evidence.blocked == Blocked::Call(Call::Sleep));
    let process = Process::new(sleeps.id() as i32).expect("our own child");
    let task = reader.task(&process).expect("our own child");
    for child in [&mut reads, &mut sleeps] {
        child.kill().expect("our own child");
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    while reader.look(&task).is_some() {
        assert!(Instant::now() < deadline, "a zombie is not looked at");
    }
    for child in [&mut reads, &mut sleeps] {
        child.wait().expect("our own child");
    }
}

#[test]
fn a_wait_channel_is_a_name_or_nothing() {
    assert_eq!(wait_channel(b"do_wait"), b"do_wait");
    assert_eq!(wait_channel(b"zap.isra.0\n"), b"zap.isra.0");
    for nothing in [&b""[..], b"0", b"a b", b"\x1b[2J", &[b'a'; WAIT_CHANNEL_MAX + 1]] {
        assert_eq!(wait_channel(nothing), b"");
    }
}
