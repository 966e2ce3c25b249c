//! What replays of the committed recordings give, byte for byte: reports and event lines, as JSON and as text. No root.
//!
//! Must not know how reapwatch works: only its command line, and where the files are.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde_json::Value;

/// Forms of a replay, and what its file's name ends with.
const FORMS: [(&str, &str, &str); 4] = [
    ("report", "json", "report.json"),
    ("report", "text", "report.txt"),
    ("trace", "json", "trace.jsonl"),
    ("trace", "text", "trace.txt"),
];

fn data(what: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(what)
}

/// Where recordings are, and what the names of their golden files begin with: those of the live tests, and the corpus of
/// the fuzz targets, which has older formats, filters, files that were cut off or damaged, and impossible claims.
const SOURCES: [(&str, &str); 2] = [("recordings", ""), ("../../fuzz/corpus/recording", "corpus.")];

/// A recording, and what the names of its golden files begin with.
struct Recording {
    path: PathBuf,
    name: String,
}

fn recordings() -> Vec<Recording> {
    let mut all = Vec::new();
    for (directory, prefix) in SOURCES {
        for entry in fs::read_dir(data(directory)).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            let name = format!("{prefix}{}", path.file_stem().expect("a name").to_string_lossy());
            all.push(Recording { path, name });
        }
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(!all.is_empty(), "recordings are missing: `cargo xtask goldens --record`");
    all
}

/// Standard output, then what is said beside it, then the exit code: all that a user sees.
fn replay(recording: &Recording, view: &str, format: &str) -> Vec<u8> {
    let Recording { path, .. } = recording;
    let output = Command::new(support::binary())
        .args(["replay", "--as", view, "--format", format])
        .arg(path.file_name().expect("a name"))
        .current_dir(path.parent().expect("a directory"))
        .env("TZ", "UTC")
        .env("COLUMNS", "100")
        .env_remove("REAPWATCH_LOG")
        .output()
        .expect("reapwatch");
    let mut seen = output.stdout;
    if !output.stderr.is_empty() || !output.status.success() {
        seen.extend_from_slice(
            format!("--- standard error, exit code {:?}\n", output.status.code()).as_bytes(),
        );
        seen.extend_from_slice(&output.stderr);
    }
    seen
}

/// What is wrong with one form of one recording.
fn difference(recording: &Recording, (view, format, ending): (&str, &str, &str)) -> Option<String> {
    let path = data("golden").join(format!("{}.{ending}", recording.name));
    let seen = replay(recording, view, format);
    if std::env::var_os("REAPWATCH_GOLDEN").is_some() {
        fs::create_dir_all(data("golden")).expect("a directory");
        fs::write(&path, seen).expect("a golden file");
        return None;
    }
    let golden = fs::read(&path).unwrap_or_default();
    if seen == golden {
        return None;
    }
    let (seen, golden) =
        (String::from_utf8_lossy(&seen).into_owned(), String::from_utf8_lossy(&golden).into_owned());
    let line = seen.lines().zip(golden.lines()).position(|(one, other)| one != other);
    let line = line.unwrap_or_else(|| seen.lines().count().min(golden.lines().count()));
    Some(format!(
        "{}:{}: is {:?}, was {:?}",
        path.display(),
        line + 1,
        seen.lines().nth(line).unwrap_or("(the end)"),
        golden.lines().nth(line).unwrap_or("(the end)")
    ))
}

/// Calls `check` for every recording, on as many threads as there are CPUs; what it found.
fn for_all(check: impl Fn(&Recording) -> Vec<String> + Sync) -> Vec<String> {
    let (all, next) = (recordings(), AtomicUsize::new(0));
    let work = || {
        let mut found = Vec::new();
        while let Some(recording) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(check(recording));
        }
        found
    };
    thread::scope(|scope| {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    })
}

#[test]
fn replays_of_all_recordings_are_what_they_were() {
    let found = for_all(|recording| FORMS.iter().filter_map(|form| difference(recording, *form)).collect());
    assert!(
        found.is_empty(),
        "{} outputs changed; where that is meant: `cargo xtask goldens`\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn every_golden_file_is_of_a_recording() {
    let mut expected: Vec<String> = recordings()
        .iter()
        .flat_map(|recording| FORMS.map(|(.., ending)| format!("{}.{ending}", recording.name)))
        .collect();
    expected.sort();
    let mut found: Vec<String> = fs::read_dir(data("golden"))
        .expect("tests/data/golden")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let without: Vec<&String> = found.iter().filter(|name| !expected.contains(name)).collect();
    assert!(without.is_empty(), "their recordings are gone; delete them where that is meant: {without:?}");
    let missing: Vec<&String> = expected.iter().filter(|name| !found.contains(name)).collect();
    assert!(missing.is_empty(), "write them by `cargo xtask goldens`: {missing:?}");
}

/// What of a replay is JSON: what stands before the lines of standard error.
fn json(recording: &Recording, view: &str) -> String {
    let seen = String::from_utf8(replay(recording, view, "json")).expect("UTF-8");
    seen.split("--- standard error").next().unwrap_or_default().to_owned()
}

#[test]
fn every_ledger_of_every_replay_balances_and_every_schema_holds() {
    let lines: Vec<String> = for_all(|recording| {
        let report: Value = serde_json::from_str(&json(recording, "report")).expect("JSON alone");
        support::check_invariants(&report);
        json(recording, "trace").lines().map(str::to_owned).collect()
    });
    support::validate_lines("event", &lines);
}
