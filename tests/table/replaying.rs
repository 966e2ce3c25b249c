//! A recording as a table.

use std::{path::PathBuf, process::Stdio};

use super::{
    support::{HOLD_MS, reapwatch, run_command, workload},
    terminal::Terminal,
};

/// A recording of a leak, and the pid of who leaks.
fn recording(directory: &std::path::Path) -> (PathBuf, String) {
    let workload = workload();
    let ran =
        run_command(&[workload.to_str().expect("UTF-8"), "leak-all", "--count", "7", "--hold-ms", HOLD_MS]);
    let path = directory.join("kept.rec");
    std::fs::copy(ran.directory.path().join("f.rec"), &path).expect("a recording");
    (path, ran.truth["pid"].to_string())
}

#[test]
fn a_recording_is_paused_sped_up_and_gone_back_in() {
    let terminal = Terminal::open(100, 30);
    let (path, pid) = recording(&terminal.directory());
    terminal.start(&format!("replay {} --as table", path.display()));
    // At its own pace to its end, where it stays.
    let has_row =
        |shown: &str| shown.lines().any(|line| line.starts_with("never reaps") && line.contains(&pid));
    terminal.until("the leak", has_row);
    terminal.types("p");
    terminal.until_it_shows("paused");
    terminal.types("+");
    terminal.until_it_shows("×2");
    terminal.types("[");
    terminal.until("the begin", |shown| shown.contains("paused 0 ns of") && !has_row(shown));
    terminal.types("]");
    terminal.until("the end again", has_row);
    terminal.types("r");
    terminal.until_it_shows("a recording cannot be changed");
    terminal.types("-p");
    terminal.until_it_shows("▶");
    terminal.types("q");
    terminal.until_it_shows("as it was, code 0");
}

#[test]
fn without_a_terminal_the_last_frame_is_printed() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, pid) = recording(directory.path());
    let output = reapwatch().arg("replay").arg(&path).args(["--as", "table"]).stdin(Stdio::null()).output();
    let output = output.expect("reapwatch");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.lines().count(), 24, "{text}");
    assert!(text.contains(&pid) && text.contains("never reaps"), "{text}");
}
