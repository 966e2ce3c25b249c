//! Parents whose calls a stop would cut short or begin anew: `reap` refuses by the name of the call, or waits for a moment at
//! which nothing is disturbed. However often it is called, no call of theirs comes back with less.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    intervention::{Parent, ran},
    support::{is_emulated, until},
};

/// `reap --yes` again and again for this time; the exit code and what it said, of each.
fn reap_again_and_again(pid: &str, lasts: Duration) -> Vec<(Option<i32>, String)> {
    let end = Instant::now() + lasts;
    let mut said = Vec::new();
    while said.len() < 3 || Instant::now() < end {
        let output = ran(&["--yes", "--grace", "0s", pid]);
        said.push((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    said
}

/// Calls without a pause: whatever `reap` does, none of them is cut short.
#[track_caller]
fn never_short(kind: &str, mib: &str, more: &[&str]) {
    let mut parent =
        Parent::start(&[&["blocked-busy", "--kind", kind, "--mib", mib, "--calls", "200"], more].concat());
    let said = reap_again_and_again(&parent.pid(), Duration::from_secs(if is_emulated() { 3 } else { 8 }));
    parent.tell(b"x");
    let truth = parent.truth();
    println!("{}: {} calls, {} times reap: {:?}", kind, truth["calls"], said.len(), said.first());
    assert_eq!(truth["short"], json!([]), "{truth} {said:?}");
    for (code, said) in &said {
        assert!(matches!(code, Some(0 | 3)), "{code:?} {said}");
    }
}

#[test]
fn writes_to_a_pipe_are_never_cut_short() {
    never_short("0", "1", &[]);
}

#[test]
fn sendfile_is_never_cut_short() {
    never_short("1", "64", &[]);
}

#[test]
fn getrandom_is_never_cut_short() {
    never_short("2", "4", &[]);
}

#[test]
fn reads_of_dev_zero_are_never_cut_short() {
    never_short("3", "64", &[]);
}

#[test]
fn fallocate_never_fails() {
    never_short("4", "64", &[]);
}

#[test]
fn writes_between_short_sleeps_are_never_cut_short_and_the_zombies_go() {
    let mut parent =
        Parent::start(&["blocked-busy", "--kind", "0", "--mib", "1", "--calls", "200", "--rest", "2"]);
    let said = reap_again_and_again(&parent.pid(), Duration::from_secs(4));
    parent.tell(b"x");
    let truth = parent.truth();
    assert_eq!(truth["short"], json!([]), "{truth} {said:?}");
    assert!(said.iter().any(|(code, _)| *code == Some(0)), "{said:?}");
}

/// It is refused with these words, and its call ends on time all the same.
#[track_caller]
fn refuses_and_ends_on_time(scenario: &str, words: &[&str], errno: Value) {
    let lasts = Duration::from_secs(if is_emulated() { 16 } else { 6 });
    let parent = Parent::start(&[scenario, "--ms", &lasts.as_millis().to_string()]);
    parent.until_state('S');
    let output = ran(&["--yes", "--grace", "100ms", &parent.pid()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{said}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["errno"]), (&json!(0), &errno), "{truth}");
    let lasted = Duration::from_nanos(truth["lasted_ns"].as_u64().expect("a duration"));
    assert!((lasts..lasts * 5 / 4).contains(&lasted), "{truth}");
}

#[test]
fn an_epoll_wait_with_a_timeout_is_refused() {
    refuses_and_ends_on_time("blocked-timed-epoll", &["in epoll_", "timeout would begin anew"], Value::Null);
}

#[test]
fn a_terminal_with_a_timer_is_refused() {
    refuses_and_ends_on_time("blocked-timed-terminal", &["in read", "VTIME"], Value::Null);
}

#[test]
fn a_call_that_another_process_decides_about_is_refused_and_asked_for_once() {
    let mut supervisor = Parent::start(&["blocked-under-supervision"]);
    assert_eq!(supervisor.next_line()["asked"], 1);
    let pid = supervisor.first["pid"].as_u64().expect("a pid").to_string();
    let output = ran(&["--yes", "--grace", "100ms", &pid]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("seccomp"), "{said}");
    supervisor.tell(b"x");
    let truth = supervisor.truth();
    assert_eq!((&truth["asked"], &truth["result"]), (&json!(1), &json!(7 << 8)), "{truth}");
}

#[test]
fn a_thread_that_cannot_be_stopped_is_refused_and_no_tracer_stays() {
    // Refused before it is touched; that one which is touched is let go is a test of `visit`.
    let mut parent = Parent::start(&["blocked-vfork"]);
    parent.until_state('D');
    let output = ran(&["--yes", "--grace", "100ms", &parent.pid()]);
    assert_eq!(output.status.code(), Some(3));
    let status = format!("/proc/{}/status", parent.pid());
    until("no tracer", || {
        std::fs::read_to_string(&status).ok()?.lines().any(|line| line == "TracerPid:\t0").then_some(())
    });
    parent.tell(b"x");
    assert_eq!(parent.truth()["result"], 1);
}
