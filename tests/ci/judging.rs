//! Suppressions, JUnit XML and annotations: each makes the same of a leak as the exit code.

use std::{fs, process::Command};

use serde_json::json;

use super::{installed, program, report_of, run, satisfied, support};

fn leak() -> [String; 3] {
    ["python3".into(), program("agent_tools.py"), "4".into()]
}

#[test]
fn rules_that_were_printed_suppress_what_they_were_printed_for_and_nothing_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let rules = directory.path().join("leaks.toml");
    let rules = rules.to_str().expect("UTF-8");
    let leak = leak();
    let leak: Vec<&str> = leak.iter().map(String::as_str).collect();
    let json = ["--format", "json", "--error-exitcode", "9", "--stacks"];
    let output = run(&[&json[..], &[&format!("--gen-suppressions={rules}")]].concat(), &leak);
    assert_eq!(output.status.code(), Some(9));
    let found = report_of(&output);
    assert_eq!(found["check"], json!({"failed": true, "failures": ["leak"], "exit_code": 9}));
    let printed = fs::read_to_string(rules).expect("rules");
    assert!(printed.contains("finding = \"never_reaps\""), "{printed}");
    // The program's own function, not that of the library below it.
    assert!(printed.contains("function = \"start_shell\""), "{printed}");
    fs::write(rules, format!("{printed}\n[[suppression]]\nname = \"old\"\ncommand = \"gone\"\n"))
        .expect("a file");
    let output = run(&[&json[..], &["--suppressions", rules]].concat(), &leak);
    let report = report_of(&output);
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!((&report["finding"], &report["check"]["failed"]), (&json!("none"), &json!(false)));
    let suppressed = report["parents"].as_array().expect("parents").iter();
    let suppressed: Vec<_> = suppressed.filter(|parent| parent["suppressed_by"].is_string()).collect();
    assert_eq!(suppressed.len(), 1, "{report:#}");
    assert_eq!(suppressed[0]["verdict"], "never_reaps");
    assert_eq!(suppressed[0]["abandoned"], found["parents"][0]["abandoned"], "still counted");
    let uses = report["suppressions"].as_array().expect("uses");
    assert_eq!(
        (&uses[0]["parents"], &uses[1]["name"], &uses[1]["parents"]),
        (&json!(1), &json!("old"), &json!(0))
    );
    // Another leak is none of theirs.
    let workload = support::workload();
    let other = [workload.to_str().expect("UTF-8"), "leak-all", "--hold-ms", support::HOLD_MS];
    let output = run(&[&json[..], &["--suppressions", rules]].concat(), &other);
    assert_eq!(output.status.code(), Some(9));
    // In text, what is suppressed and what is not used is said.
    let output = run(&["--suppressions", rules, "--stacks"], &leak);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("Suppressed by \"python3: never reaps\": 1 parent with 4 dead children."),
        "{text}"
    );
    assert!(text.contains("the suppression \"old\" was not used"), "{text}");
}

#[test]
fn a_wrong_rule_is_wrong_usage_and_nothing_is_started() {
    let directory = tempfile::tempdir().expect("a directory");
    let (rules, mark) = (directory.path().join("leaks.toml"), directory.path().join("started"));
    fs::write(&rules, "[[suppression]]\nname = \"all\"\n").expect("a file");
    let output =
        run(&["--suppressions", rules.to_str().expect("UTF-8")], &["touch", mark.to_str().expect("UTF-8")]);
    support::check_refused(&output, 2, "would suppress everything");
    assert!(!mark.exists());
}

#[test]
fn junit_xml_is_valid_for_the_schema_of_jenkins_and_hostile_names_are_text_in_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let junit = directory.path().join("reap.xml");
    let path = junit.to_str().expect("UTF-8");
    let leak = leak();
    let leak: Vec<&str> = leak.iter().map(String::as_str).collect();
    // Named so that it would end the document, and full of what XML cannot hold.
    let evil = directory.path().join("]]>\"<x>&'\u{1}\u{b}\u{202e}");
    fs::copy(support::workload(), &evil).expect("a copy");
    let evil = [evil.to_str().expect("UTF-8"), "leak-all", "--hold-ms", support::HOLD_MS];
    for (command, failures) in [(&leak[..], 2), (&evil[..], 2), (&["true"][..], 0)] {
        run(&["--junit", path, "--output", "/dev/null"], command);
        satisfied(
            Command::new("xmllint")
                .args(["--noout", "--nonet", "--schema"])
                .arg(installed("junit-10.xsd"))
                .arg(path),
        );
        let ask =
            |what: &str| satisfied(Command::new("xmllint").args(["--xpath", what, path])).trim().to_owned();
        assert_eq!(ask("string(//testsuite/@failures)"), failures.to_string(), "{command:?}");
        assert_eq!(ask("count(//failure)"), failures.to_string(), "{command:?}");
        assert_eq!(ask("count(//testcase)"), failures.max(1).to_string(), "{command:?}");
    }
}

#[test]
fn annotations_name_the_line_that_forks_within_the_workspace() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("a path");
    let output = support::reapwatch()
        .args(["run", "--grace", support::GRACE, "--github", "--error-exitcode", "9", "--", "python3"])
        .arg(root.join("tests/programs/agent_tools.py"))
        .arg("3")
        .env("GITHUB_WORKSPACE", &root)
        .output()
        .expect("reapwatch");
    assert_eq!(output.status.code(), Some(9));
    let text = String::from_utf8_lossy(&output.stdout);
    let source = fs::read_to_string(root.join("tests/programs/agent_tools.py")).expect("the program");
    let line = source.lines().position(|line| line.contains("# forks here")).expect("its line") + 1;
    let expected = format!(
        "::error file=tests/programs/agent_tools.py,line={line},title=reapwatch%3A python3 never reaps::"
    );
    assert!(text.lines().any(|line| line.starts_with(&expected)), "{expected} is not in {text}");
}

#[test]
fn a_replay_judges_as_the_live_run_did() {
    let directory = tempfile::tempdir().expect("a directory");
    let recording = directory.path().join("f.rec");
    let recording = recording.to_str().expect("UTF-8");
    let leak = leak();
    let leak: Vec<&str> = leak.iter().map(String::as_str).collect();
    let options = ["--format", "json", "--error-exitcode", "9"];
    let output = run(&[&options[..], &["--record", recording]].concat(), &leak);
    let replayed = support::reapwatch().arg("replay").args(options).arg(recording).output().expect("replay");
    assert_eq!((output.status.code(), replayed.status.code()), (Some(9), Some(9)));
    assert_eq!(output.stderr, replayed.stdout, "byte for byte");
}
