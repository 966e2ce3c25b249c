//! `reap` on parents that sleep, wait and compute: their zombies are gone, and what they did ends as it would have.
//!
//! The parent says by itself how its call ended. Must not know how it is made to reap.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use super::support::{is_emulated, reapwatch, require_root, signal, until, validate, workload};

/// How long the parents' calls last; emulation is slow, and `reap` is to come before their end.
fn lasts() -> Duration {
    Duration::from_secs(if is_emulated() { 16 } else { 4 })
}

/// `--ms` of the workload.
fn lasts_ms() -> String {
    lasts().as_millis().to_string()
}

/// `reap` comes after half of that: a call that began anew ends too late by so much.
fn late() -> String {
    format!("{}ms", lasts().as_millis() / 2)
}

/// A parent with its zombies. Killed if the test fails meanwhile.
pub struct Parent {
    pub child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub first: Value,
}

impl Parent {
    pub fn start(scenario: &[&str]) -> Self {
        require_root();
        let mut child = Command::new(workload())
            .args(scenario)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the workload");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let first = lines.next().expect("a line").expect("UTF-8");
        Self { first: serde_json::from_str(&first).expect("JSON"), child, lines }
    }

    pub fn pid(&self) -> String {
        self.child.id().to_string()
    }

    /// Waits until /proc says this of its main thread.
    pub fn until_state(&self, state: char) {
        until("the state of the parent", || (self.state() == state).then_some(()));
    }

    pub fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("it lives");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).expect("a state")
    }

    pub fn tell(&mut self, what: &[u8]) {
        self.child.stdin.as_mut().expect("piped").write_all(what).expect("it reads");
    }

    pub fn next_line(&mut self) -> Value {
        let line = self.lines.next().expect("a line").expect("UTF-8");
        serde_json::from_str(&line).expect("JSON")
    }

    /// Its last line, after which it ends well.
    pub fn truth(mut self) -> Value {
        let line = self.next_line();
        drop(self.child.stdin.take());
        let status = self.child.wait().expect("our own child");
        assert!(status.success(), "{status} after {line}");
        line
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn ran(arguments: &[&str]) -> Output {
    reapwatch().arg("reap").args(arguments).stdin(Stdio::null()).output().expect("reapwatch")
}

/// `reap --yes` with JSON; checks what holds wherever all are reaped.
pub fn reap(parent: &Parent, grace: &str) -> Value {
    let output = ran(&["--yes", "--format", "json", "--grace", grace, &parent.pid()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("reap", &report);
    println!("{} {}", parent.state(), report["stops"]);
    report
}

/// The same; all zombies of the parent are gone.
fn reap_all(parent: &Parent, grace: &str) -> Value {
    let report = reap(parent, grace);
    let zombies = &parent.first["zombies"];
    assert_eq!(
        [&report["zombies_before"], &report["past_grace"], &report["reaped"]],
        [zombies, zombies, zombies],
        "{report:#}"
    );
    assert_eq!(report["zombies_after"], 0, "{report:#}");
    report
}

fn lasted(truth: &Value) -> Duration {
    Duration::from_nanos(truth["lasted_ns"].as_u64().expect("a duration"))
}

/// A call that times out: it is not cut short, and does not begin anew.
#[track_caller]
fn ends_on_time(scenario: &[&str], result: i64, errno: Value) {
    let parent = Parent::start(&[scenario, &["--ms", &lasts_ms()]].concat());
    reap_all(&parent, &late());
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["errno"]), (&json!(result), &errno), "{truth}");
    assert!((lasts()..lasts() * 11 / 8).contains(&lasted(&truth)), "{truth}");
}

#[test]
fn a_sleep_goes_on_and_ends_on_time() {
    ends_on_time(&["blocked-sleep"], 0, Value::Null);
}

#[test]
fn a_sleep_to_a_point_in_time_goes_on_and_ends_on_time() {
    let parent = Parent::start(&["blocked-sleep", "--absolute", "1", "--ms", &lasts_ms()]);
    reap_all(&parent, &late());
    let truth = parent.truth();
    assert_eq!(truth["result"], 0, "{truth}");
    // The point lies up to a moment after the beginning of the measurement.
    assert!((lasts() - Duration::from_millis(5)..lasts() * 11 / 8).contains(&lasted(&truth)), "{truth}");
}

#[test]
fn a_poll_goes_on_and_ends_on_time() {
    ends_on_time(&["blocked-poll"], 0, Value::Null);
}

#[test]
fn a_ppoll_goes_on_with_what_is_left_of_its_time() {
    ends_on_time(&["blocked-ppoll"], 0, Value::Null);
}

#[test]
fn a_futex_goes_on_and_ends_on_time() {
    ends_on_time(&["blocked-futex"], -1, json!(libc::ETIMEDOUT));
}

#[test]
fn a_sleep_in_a_signal_handler_goes_on_and_the_handler_returns() {
    let parent = Parent::start(&["blocked-in-handler", "--ms", &lasts_ms()]);
    parent.until_state('S');
    reap_all(&parent, "100ms");
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["signals"]), (&json!(0), &json!(1)), "{truth}");
}

#[test]
fn a_read_gets_what_comes_afterwards() {
    let mut parent = Parent::start(&["blocked-read"]);
    parent.until_state('S');
    // Twice: the second time there is nothing to do, and the read is not even stopped.
    let report = reap_all(&parent, "100ms");
    assert!(report["stops"].as_array().is_some_and(|stops| !stops.is_empty()), "{report:#}");
    let report = reap(&parent, "100ms");
    assert_eq!((&report["past_grace"], &report["stops"]), (&json!(0), &json!([])));
    parent.tell(b"the right bytes");
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["bytes"]), (&json!(15), &json!("the right bytes")), "{truth}");
}

#[test]
fn an_epoll_wait_which_the_kernel_never_restarts_is_made_anew() {
    let mut parent = Parent::start(&["blocked-epoll"]);
    parent.until_state('S');
    reap_all(&parent, "100ms");
    parent.tell(b"x");
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["event"]), (&json!(1), &json!(7)), "{truth}");
}

#[test]
fn a_sigsuspend_keeps_its_mask_and_ends_with_its_signal() {
    let parent = Parent::start(&["blocked-sigsuspend"]);
    parent.until_state('S');
    reap_all(&parent, "100ms");
    parent.until_state('S');
    signal(&parent.child, libc::SIGUSR1);
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["errno"]), (&json!(-1), &json!(libc::EINTR)), "{truth}");
    assert_eq!((&truth["signals"], &truth["same_mask"]), (&json!(1), &json!(true)), "{truth}");
}

#[test]
fn a_computation_goes_on_with_the_same_numbers() {
    let parent = Parent::start(&["blocked-spin", "--ms", &lasts_ms()]);
    // Each stop is at another place of it.
    reap_all(&parent, "100ms");
    let truth = parent.truth();
    assert_eq!(truth["wrong"], 0, "{truth}");
    assert!(truth["rounds"].as_u64() > Some(0), "{truth}");
}

#[test]
fn one_of_many_threads_is_asked_and_all_sleep_to_their_end() {
    let parent = Parent::start(&["blocked-threads", "--threads", "40", "--ms", &lasts_ms()]);
    reap_all(&parent, "100ms");
    assert_eq!(parent.truth()["slept"], 40);
}

#[test]
fn a_stopped_parent_is_still_stopped_afterwards() {
    let mut parent = Parent::start(&["blocked-read"]);
    parent.until_state('S');
    signal(&parent.child, libc::SIGSTOP);
    parent.until_state('T');
    reap_all(&parent, "100ms");
    parent.until_state('T');
    parent.tell(b"afterwards");
    assert_eq!(parent.state(), 'T');
    signal(&parent.child, libc::SIGCONT);
    assert_eq!(parent.truth()["bytes"], "afterwards");
}

#[test]
fn no_signal_that_comes_meanwhile_is_lost() {
    let mut parent = Parent::start(&["blocked-counting-signals", "--count", "300"]);
    parent.until_state('S');
    let pid = parent.child.id() as i32;
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let sender = std::thread::spawn(move || {
        let mut sent = 0;
        while stopped.try_recv().is_err() {
            // SAFETY: plain numbers; our own child, which lives until it is told to end.
            let queued = unsafe { libc::kill(pid, libc::SIGRTMIN()) } == 0;
            sent += u64::from(queued);
            std::thread::sleep(Duration::from_micros(500));
        }
        sent
    });
    reap_all(&parent, "100ms");
    stop.send(()).expect("the sender waits for it");
    let sent = sender.join().expect("the sender");
    parent.tell(b"x");
    let truth = parent.truth();
    assert_eq!((&truth["signals"], &truth["result"]), (&json!(sent), &json!(1)), "{truth}");
}

#[test]
fn thousands_are_reaped_in_several_short_stops() {
    let mut parent = Parent::start(&["blocked-read", "--count", "2500"]);
    parent.until_state('S');
    let report = reap_all(&parent, "100ms");
    assert!(report["stops"].as_array().is_some_and(|stops| stops.len() > 1), "{report:#}");
    parent.tell(b"x");
    assert_eq!(parent.truth()["bytes"], "x");
}

#[test]
fn a_parent_in_a_pid_namespace_is_asked_by_the_pids_it_knows() {
    require_root();
    let program = workload();
    let program = program.to_str().expect("UTF-8");
    let mut outside = Parent::start(&["in-pid-namespace", program, "blocked-read"]);
    assert_eq!(outside.first["pid"], 1);
    let children = format!("/proc/{0}/task/{0}/children", outside.child.id());
    let inside = until("its child", || {
        let inside = std::fs::read_to_string(&children).ok()?;
        inside.split_whitespace().next().map(str::to_owned)
    });
    let output = ran(&["--yes", "--format", "json", "--grace", "100ms", &inside]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&report["reaped"], &report["zombies_after"]), (&outside.first["zombies"], &json!(0)));
    outside.tell(b"x");
    assert_eq!(outside.truth()["bytes"], "x");
}

#[test]
fn what_a_tracer_holds_is_named_with_its_tracer() {
    let mut parent = Parent::start(&["blocked-held"]);
    parent.until_state('S');
    let report = reap(&parent, "100ms");
    let more = &parent.first["more"];
    assert_eq!(report["reaped"], parent.first["zombies"], "{report:#}");
    let held = &report["held"];
    assert_eq!((&held[0]["pid"], &held[0]["tracer"]), (&more["held"], &more["tracer"]), "{report:#}");
    assert_eq!(report["zombies_after"], 1, "{report:#}");
    parent.tell(b"x");
    parent.truth();
}

#[test]
fn a_dead_leader_is_no_zombie_and_stays() {
    let mut parent = Parent::start(&["blocked-with-dead-leader"]);
    parent.until_state('S');
    reap_all(&parent, "100ms");
    parent.tell(b"x");
    assert_eq!(parent.truth()["status"], 0, "its own wait found it");
}

#[test]
fn a_parent_whose_main_thread_has_ended_reaps_by_another_one() {
    let mut parent = Parent::start(&["blocked-without-leader"]);
    parent.until_state('Z');
    let report = reap_all(&parent, "100ms");
    assert_ne!(report["stops"][0]["thread"], parent.child.id(), "{report:#}");
    parent.tell(b"x");
    let truth = parent.truth();
    assert_eq!((&truth["result"], &truth["errno"]), (&json!(1), &Value::Null), "its read went on: {truth}");
}

#[test]
fn a_nudge_makes_a_late_handler_reap() {
    let mut parent = Parent::start(&["blocked-with-late-handler"]);
    parent.until_state('S');
    let output = ran(&["--yes", "--nudge", "--format", "json", "--grace", "100ms", &parent.pid()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("reap", &report);
    assert_eq!((&report["reaped"], &report["zombies_after"]), (&parent.first["zombies"], &json!(0)));
    parent.tell(b"x");
    let truth = parent.truth();
    assert_eq!(truth["reaped"], report["reaped"], "{truth}");
    assert_eq!(truth["read"]["result"], 1, "its read was restarted");
}
