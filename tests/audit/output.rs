//! Formats, files, exit codes, suppressions, and what an ordinary user gets.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::process::CommandExt, process::Command};

use super::{
    support::{binary, reapwatch, require_root, validate},
    world::World,
};

/// A world with one orphan, and its pid.
fn with_orphan() -> (World, u64) {
    let world = World::new();
    world.run_session("(exec -a pytest sleep 600.5) &");
    let pid = world.pid("pytest 600.5");
    (world, pid)
}

#[test]
fn text_says_what_to_do_and_the_exit_code_is_for_cron() {
    let (world, pid) = with_orphan();
    let output = reapwatch().args(["audit", "--error-exitcode", "9"]).output().expect("reapwatch");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(9), "{text}");
    assert!(text.contains("ORPHAN (likely)") && text.contains(&format!("kill {pid}")), "{text}");
    assert!(text.lines().next().is_some_and(|line| line.contains("among")), "{text}");
    // Without the option, to find something is to have done its work.
    let file = world.path().join("found.json");
    let output =
        reapwatch().args(["audit", "--format", "json", "--output"]).arg(&file).output().expect("reapwatch");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let report = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    validate("audit", &report);
}

#[test]
fn what_was_found_once_can_be_suppressed_until_a_time_and_is_counted() {
    let (world, pid) = with_orphan();
    let file = world.path().join("known.toml");
    let generated = |arguments: &[&str]| {
        let output = reapwatch().arg("audit").args(arguments).output().expect("reapwatch");
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let to_file = format!("--gen-suppressions={}", file.display());
    assert!(generated(&[&to_file]).contains("ORPHAN"), "the findings are shown too");
    let rules = fs::read_to_string(&file).expect("a file");
    let printed = generated(&["--gen-suppressions"]);
    assert!(printed.contains("pytest 600.5") && !printed.contains("ORPHAN"), "{printed}");
    assert!(rules.contains("kind = \"orphan\"") && rules.contains("pytest 600.5"), "{rules}");
    let path = file.to_str().expect("UTF-8");
    let (found, report) = world.audit(&["--suppressions", path]);
    assert!(found.is_empty() && report["suppressed"].as_u64() > Some(0), "{report:#}");
    fs::write(&file, rules.replace("[[suppression]]", "[[suppress]]\nuntil = \"2020-01-01T00:00:00Z\""))
        .expect("a file");
    let (found, report) = world.audit(&["--suppressions", path]);
    assert!(found.contains(&("orphan".into(), pid)), "{report:#}");
}

#[test]
fn only_those_that_started_within_the_time_asked_for_are_listed() {
    let (world, pid) = with_orphan();
    let (found, _) = world.audit(&["--since", "1h"]);
    assert!(found.contains(&("orphan".into(), pid)));
    let (found, report) = world.audit(&["--since", "1ms"]);
    assert!(found.is_empty() && report["older"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn hostile_names_are_escaped_everywhere() {
    let world = World::new();
    let directory = world.path().join("a\u{1b}[2J\n\u{202e}b");
    fs::create_dir(&directory).expect("a directory");
    fs::copy("/bin/sleep", directory.join("pytest")).expect("a copy");
    world.run_session("for directory in a*; do cd \"$directory\"; ./pytest 600.7 & done");
    let pid = world.pid("./pytest 600.7");
    fs::remove_file(directory.join("pytest")).expect("removed");
    for format in ["text", "json"] {
        let output = reapwatch().args(["audit", "--format", format]).output().expect("reapwatch");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(text.contains(&pid.to_string()), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text}");
    }
}

#[test]
fn an_ordinary_user_is_told_what_it_cannot_see() {
    require_root();
    let world = World::new();
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let copy = world.path().join("reapwatch");
    fs::copy(binary(), &copy).expect("a copy others can run");
    let output = Command::new(&copy)
        .args(["audit", "--format", "json"])
        .uid(65_534)
        .gid(65_534)
        .current_dir("/")
        .output()
        .expect("reapwatch");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    validate("audit", &report);
    let not_seen = report["not_seen"].as_array().expect("sentences");
    let says = |part: &str| not_seen.iter().any(|one| one.as_str().is_some_and(|one| one.contains(part)));
    assert!(says("may not be read"), "{report:#}");
}

#[test]
fn in_a_pid_namespace_it_sees_that_and_all_that_is_found_there_is_what_was_made() {
    require_root();
    // A whole host of its own: an init, a daemon, a shell at work, and one orphan.
    let script = "setsid sleep 600.8 & bash -c 'sleep 600.9; true' & \
        setsid --wait bash -c '(exec -a pytest sleep 601.1) &'; \
        until grep -aqs '^pytest' /proc/[0-9]*/cmdline; do sleep 0.05; done; \"$0\" audit --format json";
    let output = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", script])
        .arg(binary())
        .output()
        .expect("unshare");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    validate("audit", &report);
    let findings = report["findings"].as_array().expect("findings");
    assert_eq!(findings.len(), 1, "{report:#}");
    assert_eq!(findings[0]["kind"], "orphan");
    assert_eq!(findings[0]["process"]["command_line"], serde_json::json!(["pytest", "601.1"]));
    let not_seen = report["not_seen"].as_array().expect("sentences");
    assert!(
        not_seen.iter().any(|one| one.as_str().is_some_and(|one| one.contains("PID namespace"))),
        "{report:#}"
    );
}

#[test]
fn a_bad_file_of_suppressions_is_wrong_usage() {
    let world = World::new();
    let file = world.write("wrong.toml", "[[suppress]]\nkind = \"orphan\"\n");
    let output = reapwatch().args(["audit", "--suppressions"]).arg(&file).output().expect("reapwatch");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("must name a command or a unit") && said.contains("docs/audit.md"), "{said}");
}
