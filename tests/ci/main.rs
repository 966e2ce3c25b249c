//! reapwatch in a CI: exit codes, suppressions, JUnit XML, annotations, what is left running, labels, pytest and the page, each
//! beside its real counterpart. `cargo xtask setup` installs those.
//!
//! Must not know how reapwatch works: only its command line and its outputs.

mod ending;
mod judging;
mod labels;
mod page;
mod pytest;
#[path = "../support/mod.rs"]
mod support;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// What `cargo xtask setup` installed under target/python.
fn installed(what: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    let path = target.join("python").join(what);
    assert!(path.exists(), "{} is missing: run `cargo xtask setup`", path.display());
    path
}

/// A program of tests/programs.
fn program(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/programs").join(name);
    path.to_str().expect("UTF-8").to_owned()
}

/// `reapwatch run` with these options on this command.
fn run(options: &[&str], command: &[&str]) -> Output {
    support::require_root();
    support::reapwatch()
        .args(["run", "--grace", support::GRACE])
        .args(options)
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch")
}

/// Its report, which these options make it write to standard error.
fn report_of(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    let json = text.lines().find(|line| line.starts_with("{\"schema\"")).unwrap_or_else(|| panic!("{text}"));
    let report = serde_json::from_str(json).expect("a report");
    support::check_invariants(&report);
    report
}

/// Runs a program that checks something; what it said, where it is satisfied.
#[track_caller]
fn satisfied(command: &mut Command) -> String {
    let output = command.output().expect("it is installed: `cargo xtask setup`");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {said}");
    said
}
