//! Where children are forked: by functions whose names the workload knows.
//!
//! Must not know how reapwatch works: only its command line and its outputs.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::support::{GRACE, HOLD_MS, Telling, reapwatch, require_root, validate, workload};

/// The functions of a site, the innermost first, in one text.
fn functions(site: &Value) -> String {
    let frames = site["frames"].as_array().expect("frames");
    let named = frames.iter().map(|frame| {
        let function = frame["function"].as_str().unwrap_or("?");
        format!("{function}:{}", frame["line"].as_u64().unwrap_or(0))
    });
    named.collect::<Vec<_>>().join(" < ")
}

/// The report of `run` with these options on this command.
fn run(options: &[&str], command: &[&str], directory: &Path) -> Value {
    require_root();
    let report = directory.join("r.json");
    let recording = directory.join("f.rec");
    let output = reapwatch()
        .args(["run", "--grace", GRACE, "--format", "json", "--output"])
        .arg(&report)
        .arg("--record")
        .arg(&recording)
        .args(options)
        .arg("--")
        .args(command)
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(&report).expect("a report");
    let replayed = reapwatch().args(["replay", "--format", "json"]).arg(&recording).output().expect("replay");
    assert_eq!(replayed.stdout, bytes, "a replay gives the live report, byte for byte");
    let report = serde_json::from_slice(&bytes).expect("JSON");
    validate("report", &report);
    report
}

/// The stacks of all forks of this command, outermost first, a line each.
fn folded(command: &[&str]) -> String {
    require_root();
    let output = reapwatch()
        .args(["profile", "--format", "folded", "--sample", "forks", "--"])
        .args(command)
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch runs");
    let folded = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{folded}{}", String::from_utf8_lossy(&output.stderr));
    folded
}

/// The site of the one parent with a verdict that is not `healthy`.
fn site(report: &Value) -> &Value {
    let parents = report["parents"].as_array().expect("parents");
    let bad = parents.iter().find(|parent| parent["verdict"] != "healthy");
    &bad.unwrap_or_else(|| panic!("{report:#}"))["fork_site"]
}

#[test]
fn stacks_name_the_function_that_leaves_its_children() {
    let directory = tempfile::tempdir().expect("a directory");
    let workload = workload();
    let command = [workload.to_str().expect("UTF-8"), "fork-places", "--hold-ms", HOLD_MS];
    let report = run(&["--stacks"], &command, directory.path());
    let site = site(&report);
    assert_eq!((&site["forks"], &site["abandoned"]), (&5.into(), &5.into()), "{site:#}");
    let functions = functions(site);
    assert!(functions.contains("careless_place"), "{functions}");
    assert!(functions.contains("main"), "{functions}");
    // The compiler may make several calls of one.
    assert!(site["other_sites"].as_u64().is_some_and(|others| others >= 2), "{site:#}");
    // The other two, reaped: one of them by vfork.
    let folded = reapwatch()
        .args(["profile", "--format", "folded", "--sample", "forks", "--from"])
        .arg(directory.path().join("f.rec"))
        .output()
        .expect("a profile");
    let folded = String::from_utf8_lossy(&folded.stdout).into_owned();
    for (place, forks) in [("careful_place", " 3"), ("vforking_place", " 2"), ("careless_place", " 5")] {
        let line = folded.lines().find(|line| line.contains(place));
        assert!(line.is_some_and(|line| line.ends_with(forks)), "{place}: {folded}");
    }
}

#[test]
fn what_a_signal_interrupted_is_named_below_its_handler() {
    let directory = tempfile::tempdir().expect("a directory");
    let workload = workload();
    let command = [workload.to_str().expect("UTF-8"), "fork-in-handler", "--hold-ms", HOLD_MS];
    let report = run(&["--stacks"], &command, directory.path());
    let site = site(&report);
    let names: Vec<String> = functions(site).split(" < ").map(Into::into).collect();
    let place = |part: &str| names.iter().position(|name| name.contains(part));
    let (handler, interrupted, main) =
        (place("handling_place"), place("interrupted_place"), place("workload::main"));
    assert!(handler.is_some() && handler < interrupted && interrupted < main, "{names:#?}");
    assert_eq!(site["depth"], "whole", "{site:#}");
}

#[test]
fn a_program_whose_main_thread_has_ended_has_sites() {
    let directory = tempfile::tempdir().expect("a directory");
    let workload = workload();
    let command = [workload.to_str().expect("UTF-8"), "leak-without-leader", "--hold-ms", HOLD_MS];
    let report = run(&["--stacks"], &command, directory.path());
    let site = site(&report);
    assert!(functions(site).contains("without_leader"), "{site:#}");
}

#[test]
fn a_healthy_parent_has_no_site_unless_it_is_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let workload = workload();
    let command = [workload.to_str().expect("UTF-8"), "fork-places", "--left", "0"];
    let report = run(&[], &command, directory.path());
    assert!(report["parents"][0].get("fork_site").is_none(), "{report:#}");
}

#[test]
fn where_a_suspect_forks_is_found_out_while_it_leaks() {
    require_root();
    let mut leaker = Command::new(workload())
        .args(["fork-leak-for-ever", "--every-ms", "100"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the workload");
    let output = reapwatch()
        .args(["watch", "--duration", "7s", "--grace", GRACE, "--format", "json"])
        .output()
        .expect("reapwatch runs");
    let _ = leaker.kill();
    let _ = leaker.wait();
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let parents = report["parents"].as_array().expect("parents");
    let own = parents.iter().find(|parent| parent["pid"] == leaker.id()).expect("the leaker");
    let site = &own["fork_site"];
    assert!(functions(site).contains("careless_place"), "{site:#}");
    assert!(site["unreaped"].as_u64().is_some_and(|unreaped| unreaped >= 3), "{site:#}");
}

fn compiled(directory: &Path, options: &[&str]) -> String {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/programs/fork_places.c");
    let program = directory.join("fork_places");
    let done = Command::new("gcc").args(options).arg("-o").arg(&program).arg(source).status().expect("gcc");
    assert!(done.success());
    program.to_str().expect("UTF-8").into()
}

#[test]
fn on_the_host_code_without_frame_pointers_is_followed_to_its_end() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = compiled(directory.path(), &["-O2", "-g", "-fomit-frame-pointer"]);
    for (how, function) in [("fork", "by_fork"), ("vfork", "by_vfork"), ("spawn", "by_spawn")] {
        let report = run(&["--stacks"], &[&program, how], directory.path());
        let site = site(&report);
        let functions = functions(site);
        assert!(functions.contains(&format!("{function}:")), "{how}: {functions}");
        assert!(functions.contains("main:"), "{how}: {functions}");
        assert_eq!(site["depth"], "whole", "{how}: {site:#}");
    }
}

#[test]
fn on_the_host_a_stripped_program_gives_places_in_its_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let program = compiled(directory.path(), &["-O2", "-s", "-fomit-frame-pointer"]);
    let report = run(&["--stacks"], &[&program, "fork"], directory.path());
    let site = site(&report);
    assert_eq!(site["depth"], "whole", "{site:#}");
    let own = site["frames"].as_array().expect("frames").iter().filter(|frame| {
        frame["module"].as_str().is_some_and(|module| module.ends_with("/fork_places"))
            && frame.get("function").is_none()
            && frame["address"].as_str().is_some_and(|address| address.starts_with("0x"))
    });
    assert!(own.count() >= 2, "{site:#}");
}

#[test]
fn on_the_host_python_is_shown_by_function_and_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/programs/agent_tools.py");
    let report = run(&["--stacks"], &["python3", script, "6"], directory.path());
    let site = site(&report);
    let frames = site["frames"].as_array().expect("frames");
    let text = fs::read_to_string(script).expect("the script");
    let line = text.lines().position(|line| line.contains("# forks here")).expect("the mark") as u64 + 1;
    let frame = frames.iter().find(|frame| {
        frame["kind"] == "python"
            && frame["function"].as_str().is_some_and(|name| name.ends_with("start_shell"))
    });
    let frame = frame.unwrap_or_else(|| panic!("{site:#}"));
    assert_eq!(frame["line"], line, "{site:#}");
    assert!(frame["file"].as_str().is_some_and(|file| file.ends_with("agent_tools.py")), "{site:#}");
    assert_eq!(site["forks"], 6, "{site:#}");
}

#[test]
fn on_the_host_python_s_ways_to_fork_are_shown_by_function_and_line() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/programs/python_forks.py");
    let folded = folded(&["python3", script]);
    let text = fs::read_to_string(script).expect("the script");
    let (mut forks_at, mut found) = (0, 0);
    for (line, code) in (1..).zip(text.lines()) {
        if code.contains("os.fork()") {
            forks_at = line;
        }
        let Some((_, caller)) = code.split_once("# calls: ") else { continue };
        found += 1;
        // Before 3.11, a name is without those of the functions around it.
        let caller = caller.rsplit('.').next().expect("a name");
        let place = format!("{caller} (python_forks.py:{line});");
        let next = if caller.ends_with("processing") || caller.ends_with("subprocess") {
            place
        } else {
            format!("{place}leave (python_forks.py:{forks_at});")
        };
        assert!(folded.contains(&next), "{next} is not in\n{folded}");
    }
    assert_eq!(found, 9, "the script has marks");
    assert_eq!(folded.lines().filter(|line| line.contains("main (python_forks.py")).count(), 8, "{folded}");
}

#[test]
fn a_profile_of_one_process_has_no_forks_of_others() {
    require_root();
    let [mut asked_for, mut other] = [(); 2].map(|()| Telling::start(&["fork-leak-for-ever"]));
    let pids = [asked_for.truth()["pid"].to_string(), other.truth()["pid"].to_string()];
    let output = reapwatch()
        .args(["profile", "--format", "folded", "--duration", "2s", "--pid", &pids[0]])
        .stdin(Stdio::null())
        .output()
        .expect("reapwatch runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let of_asked_for = format!("workload ({});", pids[0]);
    assert!(text.lines().all(|line| line.starts_with(&of_asked_for)), "{text}");
    assert!(text.contains("careless_place"), "{text}");
}
