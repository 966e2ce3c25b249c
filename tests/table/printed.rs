//! Frames for who has no terminal.

use std::process::Stdio;

use super::support::{GRACE, Telling, reapwatch, require_root};

#[test]
fn one_frame_is_printed_and_names_who_leaks() {
    require_root();
    let mut parent =
        Telling::start(&["leak-all", "--count", "10", "--tell-first", "1", "--hold-ms", "60000"]);
    let pid = parent.truth()["pid"].to_string();
    let output = reapwatch()
        .args(["--once", "--grace", GRACE])
        .env("COLUMNS", "132")
        .env("LINES", "60")
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(text.lines().count(), 60, "{text}");
    assert!(!text.contains('\u{1b}'), "plain text: {text:?}");
    let row =
        text.lines().find(|line| line.contains(&format!(" {pid} "))).unwrap_or_else(|| panic!("{text}"));
    assert!(row.starts_with("leaking") && row.contains(" 10 "), "{row}");
}

#[test]
fn where_nobody_can_look_the_help_is_printed() {
    let output = reapwatch().stdin(Stdio::null()).output().expect("reapwatch");
    assert_eq!(output.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Usage: reapwatch"));
}

#[test]
fn an_option_of_the_table_is_none_of_a_command() {
    let output = reapwatch().args(["--once", "doctor"]).output().expect("reapwatch");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--once is an option of the live table"));
}
