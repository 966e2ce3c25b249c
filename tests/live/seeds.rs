//! The three services that leaked in production (`tests/programs`): each is found with its count and its cause.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::process::Command;

use serde_json::json;

use super::support::run_command;

fn program(name: &str) -> String {
    format!("{}/../tests/programs/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn the_seeds_worker_manager_never_reaps() {
    let ran = run_command(&[
        "/usr/bin/env",
        "WORKERS=100",
        "WORKER_SECONDS=0.1",
        "HOLD_SECONDS=2",
        "python3",
        &program("worker_manager.py"),
    ]);
    let worst = &ran.report["parents"][0];
    assert_eq!((&worst["verdict"], &worst["abandoned"]), (&json!("never_reaps"), &json!(100)), "{worst:#}");
    assert!(worst["comm"].as_str().is_some_and(|comm| comm.starts_with("python3")), "{worst:#}");
}

#[test]
fn the_seeds_broken_daemon_never_reaps() {
    let directory = tempfile::tempdir().expect("a directory");
    let daemon = directory.path().join("broken_daemon");
    let compiled =
        Command::new("cc").arg("-o").arg(&daemon).arg(program("broken_daemon.c")).status().expect("cc");
    assert!(compiled.success());
    let ran = run_command(&[daemon.to_str().expect("UTF-8"), "50", "1"]);
    let worst = &ran.report["parents"][0];
    assert_eq!(
        (&worst["verdict"], &worst["abandoned"], &worst["exited"]),
        (&json!("never_reaps"), &json!(50), &json!(50))
    );
}

#[test]
fn the_seeds_backgrounder_leaks_only_where_it_execs() {
    let script = program("bash_backgrounder.sh");
    let ran = run_command(&["/bin/bash", &script, "execs", "20", "1.5"]);
    let worst = &ran.report["parents"][0];
    assert_eq!((&worst["verdict"], &worst["abandoned"]), (&json!("never_reaps"), &json!(20)), "{worst:#}");
    assert_eq!(worst["causes"][0]["kind"], "children_inherited_through_exec");
    for form in ["reaps", "loops"] {
        let ran = run_command(&["/bin/bash", &script, form, "20", "0.5"]);
        let script_parent = ran.report["parents"]
            .as_array()
            .and_then(|parents| parents.iter().max_by_key(|parent| parent["exited"].as_u64()))
            .expect("the script");
        assert_eq!(script_parent["verdict"], "healthy", "{form}: {script_parent:#}");
        assert_eq!(script_parent["abandoned"], 0, "{form}");
    }
}
