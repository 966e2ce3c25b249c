//! The plugin for pytest, in a real pytest: each child is attributed to the test that started it, also with several workers.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{installed, support};

/// Tests whose names say what they leave.
const TESTS: &str = r#"
import os, subprocess, time
import pytest

KEPT = []

def test_reaps():
    assert subprocess.run(["true"]).returncode == 0

@pytest.mark.parametrize("number", [1, 2])
def test_leaves_zombies(number):
    for _ in range(number):
        if os.fork() == 0:
            os._exit(0)

def test_polls_only_at_the_end():
    KEPT.append(subprocess.Popen(["sleep", "0.05"]))

def test_leaves_a_grandchild_running():
    subprocess.run(["sh", "-c", "setsid sleep 3609 >/dev/null 2>&1 &"])

def test_is_labelled():
    environment = subprocess.check_output(["env"], text=True)
    assert "REAPWATCH_LABEL=test_children.py::test_is_labelled" in environment

def test_takes_its_time():
    time.sleep(1)
"#;

/// The result, and the exit status, of pytest with these options.
fn pytest(options: &[&str]) -> (Value, Option<i32>, String) {
    support::require_root();
    let directory = tempfile::tempdir().expect("a directory");
    fs::write(directory.path().join("test_children.py"), TESTS).expect("a file");
    let output = Command::new(installed("venv/bin/python"))
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "--reapwatch", "--reapwatch-grace", "300ms"])
        .arg("--reapwatch-command")
        .arg(support::binary())
        .args(["--reapwatch-args=--left-running kill", "--reapwatch-json", "left.json"])
        .args(options)
        .current_dir(directory.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("REAPWATCH_LABEL")
        .output()
        .expect("python");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let json = fs::read(directory.path().join("left.json")).unwrap_or_else(|error| panic!("{error}: {said}"));
    (serde_json::from_slice(&json).expect("JSON"), output.status.code(), said)
}

fn counts(result: &Value) -> Vec<(String, [usize; 3])> {
    let of =
        |test: &Value| ["unreaped", "late", "running"].map(|kind| test[kind].as_array().map_or(0, Vec::len));
    let tests = result["tests"].as_array().expect("tests").iter();
    tests
        .map(|test| (test["test"].as_str().unwrap_or("none").replace("test_children.py::", ""), of(test)))
        .collect()
}

#[test]
fn each_child_belongs_to_the_test_that_started_it() {
    for options in [&[][..], &["-n", "2"]] {
        let (result, code, said) = pytest(options);
        assert_eq!(result["complete"], json!(true), "{said}");
        assert_eq!(
            counts(&result),
            [
                ("test_leaves_a_grandchild_running".to_owned(), [0, 0, 1]),
                ("test_leaves_zombies[1]".to_owned(), [1, 0, 0]),
                ("test_leaves_zombies[2]".to_owned(), [2, 0, 0]),
                ("test_polls_only_at_the_end".to_owned(), [0, 1, 0]),
            ],
            "{options:?}: {said}"
        );
        assert!(said.contains("7 passed"), "{said}");
        assert_eq!(code, Some(1), "the tests passed, and left zombies: {said}");
        assert!(
            said.contains("test_children.py::test_leaves_zombies[2]: 2 dead children were never reaped"),
            "{said}"
        );
    }
}

#[test]
fn the_exit_status_is_pytests_where_nothing_is_to_fail_or_a_test_has() {
    let (_, code, said) = pytest(&["--reapwatch-fail", "nothing"]);
    assert_eq!(code, Some(0), "{said}");
    let (result, code, said) = pytest(&["-k", "test_reaps"]);
    assert_eq!((counts(&result), code), (vec![], Some(0)), "{said}");
    assert!(said.contains("none: every dead child was reaped"), "{said}");
    let (_, code, said) = pytest(&["-k", "no_such_test"]);
    assert_eq!(code, Some(5), "no test was collected: {said}");
}

#[test]
fn what_cannot_be_watched_is_said() {
    let run = |options: &[&str]| {
        let output = Command::new(installed("venv/bin/python"))
            .args(["-m", "pytest", "--reapwatch"])
            .args(options)
            .output()
            .expect("python");
        (
            output.status.code(),
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)),
        )
    };
    let (code, said) = run(&["--reapwatch-command", "/nonexistent/reapwatch"]);
    assert!(code == Some(4) && said.contains("cannot start /nonexistent/reapwatch"), "{code:?} {said}");
    let (code, said) = run(&["--reapwatch-grace", "soon"]);
    assert!(code == Some(4) && said.contains("not a duration"), "{code:?} {said}");
}

#[test]
fn attribution_is_right_for_lines_made_by_hand() {
    let tests = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../integrations/pytest/tests");
    let mut pytest = Command::new(installed("venv/bin/python"));
    pytest
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider"])
        .arg(tests)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let said = super::satisfied(&mut pytest);
    assert!(said.contains("passed") && !said.contains("skipped"), "{said}");
}
