//! The lines of a trace of real processes: what they say of a unit's dead, and the recipes of docs/trace.md, as they stand
//! there, with the real programs.
//!
//! Must not know more of reapwatch than its command line and its documentation.

#[path = "../agent/cgroup.rs"]
#[expect(dead_code, reason = "no limits are needed here")]
mod cgroup;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

use cgroup::Cgroup;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use support::{reapwatch, require_root, until, validate, workload};

const PAGE: &str = include_str!("../../docs/trace.md");
/// The user that one child of the workload becomes, and the code with which it exits.
const UID: u64 = 4_242;
const REASON: &str = "exit code 3";
/// The unit that the workload runs in.
const UNIT: &str = "reapwatch-test-trace.service";

/// A recipe by the name that it is marked with.
fn recipe(name: &str) -> &'static str {
    let mark = format!("<!-- recipe: {name} -->\n```");
    let (_, rest) = PAGE.split_once(&mark).unwrap_or_else(|| panic!("docs/trace.md has no recipe {name}"));
    let (_, rest) = rest.split_once('\n').expect("a line");
    rest.split_once("```").expect("its end").0
}

/// The lines of a trace, and what the workload says of its children.
struct Traced {
    directory: tempfile::TempDir,
    pid: u64,
}

/// Once, for all recipes.
static TRACED: LazyLock<Traced> = LazyLock::new(|| {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let (lines, recording) = (directory.path().join("trace.jsonl"), directory.path().join("t.rec"));
    let mut tracer = reapwatch()
        .args(["trace", "--format", "json", "--duration", "60s", "--record"])
        .arg(&recording)
        .stdout(fs::File::create(&lines).expect("a file"))
        .spawn()
        .expect("reapwatch");
    // The recording is created once the programs are attached.
    until("attached", || recording.exists().then_some(()));
    let cgroup = Cgroup::new(&format!("system.slice/{UNIT}"));
    let output = cgroup.command(workload()).arg("accounts").output().expect("the workload");
    let truth: Value = serde_json::from_slice(&output.stdout).expect("truth");
    let child =
        truth["children"].as_array().expect("children").iter().find(|one| one["expected"]["uid"] == UID);
    let pid = child.expect("another user's")["pid"].as_u64().expect("a pid");
    kill(Pid::from_raw(tracer.id() as i32), Signal::SIGINT).expect("our own child");
    assert!(tracer.wait().expect("our own child").success());
    Traced { directory, pid }
});

impl Traced {
    fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// What a command wrote, which had to succeed.
fn output(command: &mut Command) -> String {
    let output = command.current_dir(TRACED.path()).stdin(Stdio::null()).output().expect("it is installed");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Python with the databases, which `cargo xtask setup` installs.
fn python() -> Command {
    let target = support::binary().ancestors().nth(2).expect("target/").to_owned();
    Command::new(target.join("databases/bin/python"))
}

#[test]
fn every_line_about_a_death_names_the_unit_that_the_dead_was_in() {
    let lines = fs::read_to_string(TRACED.path().join("trace.jsonl")).expect("the lines");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of_the_child = lines.iter().filter(|line| line["process"]["pid"] == TRACED.pid);
    let mut told = Vec::new();
    for line in of_the_child.filter(|line| line["event"] != "fork") {
        validate("event", line);
        assert_eq!(line["life"]["workload"], serde_json::json!({"kind": "unit", "name": UNIT}), "{line}");
        assert_eq!((&line["life"]["reason"], &line["exit"]["code"]), (&REASON.into(), &3.into()), "{line}");
        told.push(line["event"].as_str().expect("an event"));
    }
    assert_eq!(told, ["exit", "zombie", "reap"]);
}

#[test]
fn wide_lines_of_text_say_it_too_and_narrow_ones_do_not() {
    let replay = |wide: &[&str]| {
        let recording = TRACED.path().join("t.rec");
        output(reapwatch().args(["replay", "--as", "trace"]).args(wide).arg(recording))
    };
    let (reaped, says) = (format!(" reap {:>11} workload", TRACED.pid), format!("uid {UID}, "));
    let of_the_child = |text: &str| {
        let line = text.lines().find(|line| line.contains(&reaped));
        line.unwrap_or_else(|| panic!("{reaped}: {text}")).to_owned()
    };
    let (wide, narrow) = (of_the_child(&replay(&["--wide"])), of_the_child(&replay(&[])));
    assert!(wide.contains(&says) && wide.contains(REASON) && wide.contains(UNIT), "{wide}");
    assert!(!narrow.contains(&says) && wide.starts_with(&narrow), "{narrow}");
}

#[test]
fn jq_says_who_failed_and_how() {
    let told = output(Command::new("sh").args(["-c", recipe("jq")]));
    let (pid, uid) = (TRACED.pid.to_string(), UID.to_string());
    let line = told.lines().find(|line| line.split('\t').nth(1) == Some(&pid)).expect(&told);
    let fields: Vec<&str> = line.split('\t').collect();
    assert_eq!((fields[2], fields[3]), (uid.as_str(), REASON));
    assert!(fields[4].ends_with("workload accounts"), "{line}");
}

/// Both databases say the same of the other user's one death.
fn sums_of_the_other_user(table: &str) {
    let rows: Vec<Value> = serde_json::from_str(table).expect(table);
    let row = rows.iter().find(|row| row["uid"] == UID).expect(table);
    assert_eq!((&row["comm"], &row["deaths"]), (&"workload".into(), &1.into()), "{row}");
    assert!(row["cpu_s"].as_f64().expect("seconds") > 0.05, "it burns 60 ms: {row}");
    assert!(row["peak_mib"].as_f64().expect("MiB") > 24.0, "it has 24 MiB: {row}");
}

#[test]
fn duckdb_sums_by_user_and_program() {
    const PROGRAM: &str = "
import duckdb, json, sys
found = duckdb.sql(sys.argv[1])
print(json.dumps([dict(zip(found.columns, row)) for row in found.fetchall()]))";
    sums_of_the_other_user(&output(python().args(["-c", PROGRAM, recipe("duckdb")])));
}

#[test]
fn clickhouse_sums_by_user_and_program() {
    const PROGRAM: &str = "
import chdb, json, sys
print(json.dumps([json.loads(line) for line in str(chdb.query(sys.argv[1], 'JSONEachRow')).splitlines()]))";
    sums_of_the_other_user(&output(python().args(["-c", PROGRAM, recipe("clickhouse")])));
}

/// Killed when dropped.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn rsyslog_writes_failed_processes_into_a_log_of_their_own() {
    let state = tempfile::tempdir().expect("a directory");
    let (config, log): (PathBuf, PathBuf) =
        (state.path().join("rsyslog.conf"), state.path().join("failed.log"));
    let text = recipe("rsyslog")
        .replace("/var/lib/reapwatch/trace.jsonl", &TRACED.path().join("trace.jsonl").display().to_string())
        .replace("/var/lib/reapwatch/failed.log", &log.display().to_string());
    assert!(!text.contains("/var/lib/"), "{text}");
    let first = format!("global(maxMessageSize=\"64k\" workDirectory=\"{}\")\n", state.path().display());
    fs::write(&config, first + &text).expect("a configuration");
    let rsyslog = Command::new("rsyslogd")
        .args(["-n", "-f"])
        .arg(&config)
        .arg("-i")
        .arg(state.path().join("pid"))
        .stdin(Stdio::null())
        .spawn()
        .expect("Debian's package rsyslog, which `cargo xtask setup` installs");
    let _rsyslog = Rsyslog(rsyslog);
    let wanted = format!("pid {} (workload) uid {UID}: {REASON}", TRACED.pid);
    until("the failed process is told", || {
        let told = fs::read_to_string(&log).unwrap_or_default();
        told.lines().any(|line| line.ends_with(&wanted)).then_some(())
    });
    let told = fs::read_to_string(&log).expect("the log");
    assert!(!told.contains("exit code 0"), "{told}");
}
