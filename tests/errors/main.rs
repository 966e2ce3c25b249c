//! Bad usage and bad recordings: a clear message, the documented exit code, never a panic. Needs no root; the tests
//! that do are in `refusals.rs`.

#[cfg(feature = "live")]
mod refusals;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use support::{check_invariants, reapwatch};

fn ran(arguments: &[&str]) -> Output {
    reapwatch().args(arguments).stdin(Stdio::null()).output().expect("reapwatch")
}

#[track_caller]
fn fails(output: &Output, code: i32, message: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert!(errors.contains(message), "{message:?} is not in {errors}");
    assert!(!errors.contains("panicked"), "{errors}");
}

#[test]
fn bad_usage_is_exit_code_2() {
    fails(&ran(&["--no-such-flag"]), 2, "--no-such-flag");
    fails(&ran(&["no-such-command"]), 2, "no-such-command");
    fails(&ran(&["run"]), 2, "CMD");
    fails(&ran(&["watch"]), 2, "--duration");
    fails(&ran(&["watch", "--duration", "fast"]), 2, "fast");
    for command in [&["trace", "--pid"][..], &["profile", "--pid"], &["explain"], &["reap"]] {
        for pid in ["abc", "0"] {
            fails(&ran(&[command, &[pid]].concat()), 2, &format!("{pid} is no process ID"));
        }
    }
    let output = ran(&["record", "--output", "/tmp/x.rec", "--pid", "1"]);
    fails(&output, 2, "'reapwatch trace --pid PID --record FILE'");
    for arguments in [&["record", "--pid", "1"][..], &["run", "--pid", "1"], &["profile", "--comand"]] {
        let output = ran(arguments);
        fails(&output, 2, "unexpected argument");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("'-- --"), "{output:?}");
    }
}

#[test]
fn a_configuration_is_checked_and_printed_without_root() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("agent.toml");
    let with = |text: &str, what: &str| {
        fs::write(&path, text).expect("a file");
        ran(&["agent", "--config", path.to_str().expect("UTF-8"), what])
    };
    assert_eq!(with("interval = \"5s\"\n", "--check-config").status.code(), Some(0));
    let wrong = with("interval = \"5s\"\ngrce = \"1s\"\n", "--check-config");
    fails(&wrong, 2, "agent.toml:2: unknown key `grce`");
    fails(&with("[workloads]\nmax = 0\n", "--print-config"), 2, "agent.toml:2: max: 0 is not possible");
    fails(&ran(&["agent", "--config", "/nonexistent"]), 2, "/nonexistent: cannot be read");
    let unlikely = with("[[alerts.silence]]\ncause = \"never_wait\"\n", "--check-config");
    fails(&unlikely, 2, "did you mean `never_waits`?");
    // That may be so on this host alone: it is good, with a warning.
    let warns = |text: &str| {
        let output = with(text, "--check-config");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.contains("/nodir is no directory"), "{said}");
    };
    warns("[alerts]\noutput = \"/nodir/a\"\n");
    fails(&with("[alerts]\noutput = \"/tmp\"\n", "--check-config"), 2, "it is a directory");
    warns("[profiles]\ndirectory = \"/nodir\"\n");
    assert_eq!(with("[alerts]\noutput = \"/tmp/a\"\n", "--check-config").status.code(), Some(0));
    let printed = with("grace = \"1s\"\n", "--print-config");
    let printed = String::from_utf8(printed.stdout).expect("UTF-8");
    assert!(
        printed.contains("grace = \"1s\"") && printed.contains("listen = \"127.0.0.1:9779\""),
        "{printed}"
    );
    // The environment comes before the file, an option before both.
    let overridden = reapwatch()
        .args(["agent", "--interval", "3s", "--print-config"])
        .env("REAPWATCH_CONFIG", &path)
        .env("REAPWATCH_INTERVAL", "4s")
        .env("REAPWATCH_LISTEN", "none")
        .output()
        .expect("reapwatch");
    let overridden = String::from_utf8(overridden.stdout).expect("UTF-8");
    for line in ["interval = \"3s\"", "grace = \"1s\"", "listen = \"none\""] {
        assert!(overridden.contains(line), "{line} is not in {overridden}");
    }
}

#[test]
fn help_version_and_the_bare_command_are_good() {
    for arguments in [&["--help"][..], &["--version"], &[], &["run", "--help"]] {
        let output = ran(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(!output.stdout.is_empty());
        let says_why = String::from_utf8_lossy(&output.stderr).contains("no terminal: ");
        assert_eq!(says_why, arguments.is_empty(), "{output:?}");
    }
}

#[test]
fn a_file_of_suppressions_that_does_not_exist_is_said_to_be_missing_and_how_to_make_one() {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/night.rec");
    let recording = recording.to_str().expect("UTF-8");
    for (arguments, maker) in [
        (&["replay", recording][..], "`reapwatch run --gen-suppressions=FILE -- CMD`"),
        (&["audit"], "`reapwatch audit --gen-suppressions=FILE`"),
    ] {
        let output = ran(&[arguments, &["--suppressions", "/nonexistent.toml"]].concat());
        fails(&output, 2, "/nonexistent.toml: cannot be read: the file does not exist");
        fails(&output, 2, maker);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("every key"), "{output:?}");
    }
}

#[test]
fn recordings_that_are_none_are_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x");
    fails(&ran(&["replay", path.to_str().expect("UTF-8")]), 1, "No such file");
    fs::write(&path, "not a recording at all").expect("written");
    fails(&ran(&["replay", path.to_str().expect("UTF-8")]), 1, "not a reapwatch recording");
    fails(&ran(&["replay", "/"]), 1, "directory");
}

#[test]
fn a_torn_recording_gives_what_it_has_and_says_what_it_has_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("f.rec");
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/recording/every_event_tree");
    let whole = fs::read(whole).expect("a recording");
    fs::write(&path, &whole[..whole.len() - 40]).expect("written");
    let output = ran(&["replay", "--format", "json", path.to_str().expect("UTF-8")]);
    fails(&output, 0, "the end of the window is missing");
    check_invariants(&serde_json::from_slice(&output.stdout).expect("a report"));
    fs::write(&path, &whole[..14]).expect("written");
    fails(&ran(&["replay", path.to_str().expect("UTF-8")]), 1, "damaged");
}
