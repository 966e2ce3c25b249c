//! A parent whose threads wait, or do not, when its children die: children die once the parent is where it should be.

use std::{thread, time::Duration};

use serde_json::{Value, json};

use crate::process::*;

/// State of a thread, as /proc says; `None`: it is gone.
fn state(process: Pid, thread: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Until the thread sleeps, which it does nowhere but in a wait call.
fn until_asleep(process: Pid, thread: Pid) {
    while state(process, thread) != Some('S') {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A child that ends once the main thread of this process sleeps.
fn ends_when_waited() -> Pid {
    let parent = own_pid();
    fork(move || {
        until_asleep(parent, parent);
        0
    })
}

/// One child after the other, each with what the parent's threads did when it died.
pub fn readiness() -> Value {
    let mut children = Vec::new();
    let mut is = |pid: Pid, readiness: &str| children.push(json!({"pid": pid, "readiness": readiness}));

    let any = ends_when_waited();
    wait(-1);
    is(any, "waiting_for_it");
    let this = ends_when_waited();
    wait(this);
    is(this, "waiting_for_it");

    let alone = fork(|| 0);
    while state(alone, alone) != Some('Z') {
        thread::yield_now();
    }
    wait(alone);
    is(alone, "not_waiting");

    let other = ends_when_waited();
    let first = fork(move || {
        while state(other, other) != Some('Z') {
            thread::sleep(Duration::from_millis(1));
        }
        0
    });
    wait(first);
    is(first, "waiting_for_it");
    wait(other);
    is(other, "waiting_otherwise");

    is(waited_for_by_a_second_thread(), "waiting_for_it");
    json!({"pid": own_pid(), "children": children})
}

/// A child that dies while one thread waits for it, and then another thread for another child.
fn waited_for_by_a_second_thread() -> Pid {
    let mut ends = [0; 2];
    // SAFETY: two descriptors of ours to write.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
    let [read, write] = ends;
    let sleeper = fork_sleeper();
    let child = fork(move || {
        // SAFETY: one byte of ours to write.
        unsafe { libc::read(read, [0_u8].as_mut_ptr().cast(), 1) };
        0
    });
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = [child, sleeper].map(|pid| {
        let tell = tell.clone();
        let thread = thread::spawn(move || {
            // SAFETY: no arguments.
            tell.send(unsafe { libc::gettid() }).expect("it is received");
            wait(pid);
        });
        until_asleep(own_pid(), told.recv().expect("it is sent"));
        thread
    });
    // SAFETY: one byte of ours.
    assert_eq!(unsafe { libc::write(write, [0_u8].as_ptr().cast(), 1) }, 1);
    let [for_it, for_other] = waiting;
    for_it.join().expect("it ends");
    kill(sleeper, libc::SIGKILL);
    for_other.join().expect("it ends");
    close(read);
    close(write);
    child
}
