//! What a hostile or merely unusual program may do changes no count and hides no leak.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use serde_json::Value;

use super::{
    support::{HOLD_MS, Ran, Telling, Watching, parent_in, reapwatch, run, until},
    trace_of,
};

/// Its books against the workload's own, and that what it left is called by its name.
fn leaves(scenario: &[&str], verdict: &str) -> Ran {
    let ran = run(&[scenario, &["--hold-ms", HOLD_MS]].concat());
    let number = |field: &str| ran.truth[field].as_u64().expect("a number");
    let own = [
        ("exited", number("exited")),
        ("reaped", number("reaped")),
        ("abandoned", number("left")),
        ("unreaped", 0),
        ("autoreaped", 0),
        ("adopted", 0),
    ];
    let of = if ran.truth["init"].is_u64() { &ran.truth["init"] } else { &ran.truth["pid"] };
    ran.expect(of, &own);
    assert_eq!(ran.parent(of)["verdict"], verdict, "{:#}", ran.parent(of));
    ran
}

#[test]
fn hostile_exit_signals_hide_no_leak_and_no_reap() {
    leaves(&["exit-signals"], "never_reaps");
    leaves(&["exit-signals", "--reap", "1"], "healthy");
}

#[test]
fn hostile_a_dead_leader_whose_thread_lives_on_leaks_what_it_left() {
    leaves(&["leader-dies-leaking"], "never_reaps");
    // It is alive, whatever `ps` shows.
    let watching = Watching::start(&[]);
    let mut leaker = Telling::start(&["leader-dies-leaking", "--hold-ms", "120000"]);
    let truth = leaker.truth();
    until("it shows as Z", || {
        let stat = std::fs::read(format!("/proc/{}/stat", leaker.child.id())).expect("it lives");
        String::from_utf8_lossy(&stat).contains(") Z ").then_some(())
    });
    let after = Watching::start_for("700ms", &[]).report();
    for report in [watching.end(), after] {
        let parent = parent_in(&report, &truth["pid"]);
        assert_eq!((&parent["alive"], &parent["unreaped"]), (&true.into(), &5.into()), "{parent:#}");
    }
}

#[test]
fn hostile_children_of_ten_threads_are_their_processs() {
    leaves(&["thread-leak"], "never_reaps");
}

#[test]
fn hostile_a_name_that_changes_all_the_while_hides_nothing() {
    let ran = leaves(&["renaming"], "never_reaps");
    let recording = ran.directory.path().join("f.rec");
    let text = reapwatch().arg("replay").arg(&recording).output().expect("replay");
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    assert!(!text.chars().any(|one| (one.is_control() && one != '\n') || one == '\u{202e}'), "{text:?}");
}

#[test]
fn hostile_execs_of_other_threads_are_no_deaths() {
    leaves(&["thread-execs"], "healthy");
}

#[test]
fn hostile_threads_are_no_children() {
    let ran = run(&["load", "--storm-threads", "1", "--count", "500"]);
    let totals = &ran.report["totals"];
    assert_eq!((&totals["forked"], &totals["exited"]), (&0.into(), &0.into()), "{totals}");
}

#[test]
fn hostile_namespaces_in_namespaces_hide_no_leak() {
    let ran = leaves(&["nested-pidns", "--levels", "20"], "leaking");
    assert_eq!(ran.parent(&ran.truth["init"])["ns_pid"], 1, "{:#}", ran.report);
}

#[test]
fn hostile_two_hundred_execs_lose_no_child() {
    let ran = leaves(&["exec-loop", "--count", "200"], "never_reaps");
    assert_eq!(ran.truth["left"], 4);
}

#[test]
fn hostile_a_chain_of_parents_that_die_at_once_is_nobodys_leak() {
    let ran = run(&["chain", "--count", "100"]);
    ran.expect(&ran.truth["pid"], &[("exited", 1), ("reaped", 1)]);
    assert_eq!(ran.report["totals"]["forked"], ran.truth["births"], "{:#}", ran.report["totals"]);
    assert_eq!(ran.report["left_running"].as_array().map(Vec::len), Some(0), "{:#}", ran.report);
    let parents = ran.report["parents"].as_array().expect("parents");
    let leaks = |parent: &&Value| parent["verdict"] == "leaking" || parent["verdict"] == "never_reaps";
    assert_eq!(parents.iter().find(leaks), None, "{:#}", ran.report);
}

#[test]
fn hostile_children_traced_by_their_own_parent_are_reaped_by_it() {
    leaves(&["traced-by-parent"], "healthy");
}

#[test]
fn hostile_a_tracer_that_dies_over_a_dead_child_leaves_it_to_its_parent() {
    let ran = leaves(&["tracer-dies"], "healthy");
    let zombies = trace_of(&ran, "zombie", &ran.truth["child"]);
    assert_eq!(zombies[0]["held_by"]["pid"], ran.truth["tracer"], "{zombies:#?}");
}

#[test]
fn hostile_children_by_vfork_are_counted() {
    leaves(&["vfork-leak", "--count", "50"], "never_reaps");
}

#[test]
fn hostile_two_megabytes_of_arguments_are_cut_and_harmless() {
    let ran = leaves(&["big-arguments"], "never_reaps");
    let own = ran.own();
    let arguments: Vec<&str> =
        own["command_line"].as_array().expect("arguments").iter().filter_map(Value::as_str).collect();
    assert_eq!(arguments[..3], ["big", "big-arguments", "--inner"], "{own:#}");
    let length: usize = arguments.iter().map(|argument| argument.len()).sum();
    assert!(length <= 16_384, "{length} bytes of a command line");
    let text = reapwatch().arg("replay").arg(ran.directory.path().join("f.rec")).output().expect("replay");
    assert!(text.stdout.len() < 32_768, "{} bytes of text", text.stdout.len());
    let text = String::from_utf8(text.stdout).expect("UTF-8");
    assert!(!text.chars().any(|one| one.is_control() && one != '\n'), "{text:?}");
}

#[test]
fn hostile_names_do_no_harm() {
    let ran = run(&["hostile-names", "--hold-ms", HOLD_MS]);
    ran.expect(&ran.truth["pid"], &[("exited", 3), ("abandoned", 3)]);
    let recording = ran.directory.path().join("f.rec");
    for arguments in [["--as", "report"], ["--as", "trace"]] {
        let text = reapwatch().arg("replay").args(arguments).arg(&recording).output().expect("replay");
        let text = String::from_utf8(text.stdout).expect("UTF-8");
        assert!(text.contains("\\x1b"), "{text}");
        assert!(!text.chars().any(|one| (one.is_control() && one != '\n') || one == '\u{202e}'), "{text:?}");
    }
}
