//! Asked to end: the first INT, TERM or HUP gives the report, a second one ends at once, and nothing is waited for that may
//! never come.
//!
//! Must not know how reapwatch works: only its command line, its JSON, and what the kernel says of the process.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    complaint, ended, storm_alone,
    support::{check_invariants, reapwatch, require_root, signal, until, until_it_watches, workload},
    trace_into,
};

/// Longer than a signal may be waited for, and much shorter than what would have to be waited for otherwise.
const SOON: Duration = Duration::from_secs(10);

/// Ends by itself after a minute, hears no signal, tells its pid, and does not keep standard error open.
const DEAF: &str = "trap '' TERM INT HUP; echo $$; exec sleep 60 2>/dev/null";

fn report_at(path: &Path) -> Value {
    let report = serde_json::from_slice(&std::fs::read(path).expect("a report")).expect("JSON");
    check_invariants(&report);
    report
}

/// Its exit code, which it has to come to soon.
fn soon(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    let code = ended(child).code();
    assert!(began.elapsed() < SOON, "it ended only after {:?}", began.elapsed());
    code
}

/// A command that has told its pid. Killed when dropped.
struct DeafCommand(i32);

impl DeafCommand {
    fn of(child: &mut Child) -> Self {
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("its pid");
        Self(line.trim().parse().expect("a pid"))
    }

    fn lives(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.0)).is_ok_and(|stat| !stat.contains(") Z "))
    }
}

impl Drop for DeafCommand {
    fn drop(&mut self) {
        // SAFETY: the command started by the test, which lives for a minute.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
    }
}

fn run_deaf(arguments: &[&str], path: &Path) -> Child {
    let mut child = reapwatch()
        .args(arguments)
        .arg(path)
        .args(["--", "sh", "-c", DEAF])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    child
}

#[test]
fn a_command_that_does_not_end_is_left_running_and_told_of() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let mut child = run_deaf(&["run", "--format", "json", "--output"], &path);
        let command = DeafCommand::of(&mut child);
        signal(&child, number);
        assert_eq!(soon(&mut child), Some(128 + number), "{}", complaint(&mut child));
        assert!(command.lives(), "the command was ended");
        let said = complaint(&mut child);
        assert!(said.contains("left running") && said.contains(&command.0.to_string()), "{said}");
        let report = report_at(&path);
        let left = report["left_running"].as_array().expect("a list");
        assert!(left.iter().any(|one| one["pid"] == command.0), "{left:?}");
    }
}

#[test]
fn a_command_that_ends_on_a_signal_is_given_it() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    for (name, number) in [("INT", libc::SIGINT), ("TERM", libc::SIGTERM), ("HUP", libc::SIGHUP)] {
        let script =
            format!("trap 'echo heard {name}; exit 0' {name}; echo ready; while :; do sleep 0.1; done");
        let mut child = reapwatch()
            .args(["run", "--format", "json", "--output"])
            .arg(&path)
            .args(["--", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("reapwatch");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        lines.read_line(&mut String::new()).expect("ready");
        signal(&child, number);
        let mut heard = String::new();
        lines.read_to_string(&mut heard).expect("text");
        assert_eq!(heard.trim(), format!("heard {name}"), "once, and not twice");
        assert_eq!(soon(&mut child), Some(128 + number));
        assert_eq!(report_at(&path)["left_running"].as_array().map(Vec::len), Some(0));
    }
}

#[test]
fn the_first_signal_gives_the_report_of_a_watch_and_the_end_of_a_recording() {
    require_root();
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        for command in [&["watch", "--duration", "5m", "--format", "json"][..], &["record"]] {
            let directory = tempfile::tempdir().expect("a directory");
            let path = directory.path().join("f");
            let mut child = reapwatch().args(command).arg("--output").arg(&path).spawn().expect("reapwatch");
            until_it_watches(&mut child);
            signal(&child, number);
            assert_eq!(soon(&mut child), Some(0));
            if command[0] == "watch" {
                report_at(&path);
            } else {
                let replayed =
                    reapwatch().args(["replay", "--format", "json"]).arg(&path).output().expect("a replay");
                assert_eq!(String::from_utf8_lossy(&replayed.stderr), "");
                assert!(replayed.status.success());
            }
        }
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    std::fs::write(&path, "the last report").expect("written");
    for (first, second) in [(libc::SIGTERM, libc::SIGINT), (libc::SIGINT, libc::SIGHUP)] {
        let mut child = run_deaf(&["run", "--output"], &path);
        let command = DeafCommand::of(&mut child);
        signal(&child, first);
        until("it is taken", || (!has(signals(child.id(), "ShdPnd"), first)).then_some(()));
        // Not a wait for anything: a person's two signals are not one request.
        std::thread::sleep(Duration::from_millis(150));
        signal(&child, second);
        assert_eq!(soon(&mut child), Some(128 + second));
        let said = complaint(&mut child);
        assert!(said.contains("second signal"), "{said}");
        assert!(command.lives());
        assert_eq!(std::fs::read(&path).expect("still there"), b"the last report");
        assert_eq!(std::fs::read_dir(&directory).expect("a directory").count(), 1, "litter");
    }
}

#[test]
fn two_signals_of_one_request_are_one() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let mut child = reapwatch()
        .args(["watch", "--duration", "5m", "--format", "json", "--output"])
        .arg(&path)
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    // `timeout` sends one to the process and one to its process group.
    signal(&child, libc::SIGTERM);
    signal(&child, libc::SIGTERM);
    assert_eq!(soon(&mut child), Some(0));
    report_at(&path);
}

#[test]
fn a_duration_that_is_over_does_not_wait_for_the_command() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("f.rec");
    let mut child = run_deaf(&["record", "--duration", "300ms", "--output"], &path);
    let command = DeafCommand::of(&mut child);
    assert_eq!(soon(&mut child), Some(0));
    let said = complaint(&mut child);
    assert!(said.contains("left running") && said.contains(&command.0.to_string()), "{said}");
    assert!(command.lives());
    let replayed = reapwatch().args(["replay", "--format", "json"]).arg(&path).output().expect("a replay");
    assert!(replayed.status.success());
}

#[test]
fn a_trace_does_not_wait_for_a_slow_reader_once_it_is_to_end() {
    require_root();
    let mut child = trace_into(Stdio::piped());
    let mut pipe = child.stdout.take().expect("piped");
    storm_alone(1_000);
    // It always moves, and would take minutes for what waits.
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let reader = std::thread::spawn(move || {
        let mut some = [0; 4_096];
        while stopped.recv_timeout(Duration::from_millis(100)) == Err(RecvTimeoutError::Timeout) {
            if pipe.read(&mut some).expect("a pipe") == 0 {
                return;
            }
        }
    });
    signal(&child, libc::SIGINT);
    assert_eq!(soon(&mut child), Some(1));
    let said = complaint(&mut child);
    assert!(said.contains("were not written"), "{said}");
    drop(stop);
    reader.join().expect("the reader");
}

#[test]
fn a_reader_that_takes_no_report_does_not_keep_a_watch_that_is_to_end() {
    require_root();
    // A pipe that is full already.
    let (unread, full) = std::io::pipe().expect("a pipe");
    nix::fcntl::fcntl(&full, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4_096)).expect("smaller");
    std::io::Write::write_all(&mut &full, &[0; 4_096]).expect("room");
    let mut child = reapwatch()
        .args(["watch", "--duration", "200ms"])
        .stdout(full)
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    let waits = format!("/proc/{}/wchan", child.id());
    until("it waits for the reader", || {
        std::fs::read_to_string(&waits).is_ok_and(|place| place.contains("poll_schedule")).then_some(())
    });
    signal(&child, libc::SIGINT);
    assert_eq!(soon(&mut child), Some(1));
    let said = complaint(&mut child);
    assert!(said.contains("standard output") && said.contains("its reader takes nothing"), "{said}");
    drop(unread);
}

/// A set of signals in /proc/PID/status.
fn signals(pid: u32, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("our own child");
    let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("a field");
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).expect("a set of signals")
}

fn has(set: u64, number: i32) -> bool {
    set >> (number - 1) & 1 == 1
}

fn ignoring(mut command: Command, numbers: &'static [i32]) -> Command {
    // SAFETY: signal(2) may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for number in numbers {
                libc::signal(*number, libc::SIG_IGN);
            }
            Ok(())
        })
    };
    command
}

#[test]
fn a_hangup_that_was_ignored_at_the_start_stays_ignored_and_an_interrupt_does_not() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let mut command = ignoring(reapwatch(), &[libc::SIGHUP, libc::SIGINT]);
    command.args(["watch", "--duration", "5m", "--format", "json", "--output"]).arg(&path);
    let mut child = command.spawn().expect("reapwatch");
    until_it_watches(&mut child);
    assert!(has(signals(child.id(), "SigIgn"), libc::SIGHUP), "as nohup wants it");
    signal(&child, libc::SIGHUP);
    // As a script does with whom it has started in the background, where shells ignore INT.
    signal(&child, libc::SIGINT);
    assert_eq!(soon(&mut child), Some(0));
    report_at(&path);
}

#[test]
fn a_signal_before_everything_is_attached_is_heard() {
    require_root();
    for _ in 0..5 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = reapwatch()
            .current_dir(&directory)
            .args(["run", "--record", "f.rec", "--output", "r", "--", "sleep", "60"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("reapwatch");
        until("it hears signals", || has(signals(child.id(), "SigCgt"), libc::SIGTERM).then_some(()));
        signal(&child, libc::SIGTERM);
        assert_eq!(soon(&mut child), Some(128 + libc::SIGTERM), "{}", complaint(&mut child));
        // Either the command was not started, and nothing is there, or everything is.
        let said = complaint(&mut child);
        let files = std::fs::read_dir(&directory).expect("a directory").count();
        assert_eq!(files, if said.contains("was not started") { 0 } else { 2 }, "{said}");
    }
}

#[test]
fn stopped_and_continued_it_goes_on() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("r.json");
    let mut child = reapwatch()
        .args(["run", "--format", "json", "--output"])
        .arg(&path)
        .arg("--")
        .arg(workload())
        .args(["storm", "--count", "300", "--tell-first", "1", "--hold-ms", "1000"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    // As ^Z would; but the kernel ignores that one's signal in a process group whose session has no shell any more.
    signal(&child, libc::SIGSTOP);
    let stat = format!("/proc/{}/stat", child.id());
    until("it is stopped", || std::fs::read_to_string(&stat).ok()?.contains(") T ").then_some(()));
    signal(&child, libc::SIGCONT);
    let output = child.wait_with_output().expect("our own child");
    assert!(output.status.success());
    let truths = String::from_utf8_lossy(&output.stdout).into_owned();
    let truth: Value = serde_json::from_str(truths.lines().next().expect("a line")).expect("truth");
    super::expect(&report_at(&path), &truth, &[("exited", 300), ("reaped", 300)]);
}
