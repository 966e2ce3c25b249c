//! Outside input that is hostile or broken: the corpus of the fuzz targets through the same bodies, and the files that
//! once broke something through the program, by name, with what is to come of them.

#[path = "../fuzz/bodies.rs"]
mod bodies;
mod support;

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use probe::render::terminal::is_hidden;
use serde_json::Value;
use support::{reapwatch, validate};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target)
}

fn files(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus(target)).expect("a corpus");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    files
}

fn each(target: &str, body: fn(&[u8])) {
    for path in files(target) {
        // Says where it was if the body panics.
        println!("{}", path.display());
        body(&fs::read(path).expect("a file"));
    }
}

#[test]
fn recordings_come_to_an_end() {
    each("recording", bodies::recording);
}

#[test]
fn kernel_types_come_to_an_end() {
    each("btf", bodies::btf);
    for entry in fs::read_dir(corpus("../../tests/data/btf")).expect("frozen BTF") {
        bodies::btf(&fs::read(entry.expect("an entry").path()).expect("a file"));
    }
}

#[test]
fn format_files_come_to_an_end() {
    each("tracefs", bodies::tracefs);
}

#[test]
fn what_proc_says_comes_to_an_end() {
    each("proc", bodies::proc);
}

#[test]
fn what_the_programs_write_comes_to_an_end() {
    each("wire", bodies::wire);
}

/// It did not panic, and neither stream has anything that a terminal obeys or hides.
#[track_caller]
fn is_clean(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (said, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(!errors.contains("panicked"), "{errors}");
    for stream in [&said, &errors] {
        let hidden = stream.chars().find(|one| *one != '\n' && is_hidden(*one));
        assert_eq!(hidden, None, "in {stream}");
    }
    (said, errors)
}

/// Replays it in every way; its report, and what standard error said each time.
#[track_caller]
fn replayed(path: &Path) -> (Value, String) {
    let run = |view: &str, format: &str| {
        let mut replay = reapwatch();
        replay.args(["replay", "--as", view, "--format", format]).arg(path).stdin(Stdio::null());
        // No memory beyond what the file is worth.
        let file_len = fs::metadata(path).expect("a file").len();
        // SAFETY: setrlimit alone, which may be called between fork and exec.
        unsafe {
            replay.pre_exec(move || {
                let limit = 256 * 1024 * 1024 + 3 * file_len;
                nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_AS, limit, limit)?;
                Ok(())
            })
        };
        let output = replay.output().expect("reapwatch");
        let (said, errors) = is_clean(&output);
        assert_eq!(output.status.code(), Some(0), "{view} {format} of {}: {errors}", path.display());
        (said, errors)
    };
    let (report, errors) = run("report", "json");
    for (view, format) in [("report", "text"), ("trace", "text"), ("trace", "json")] {
        let (said, errors_too) = run(view, format);
        assert_eq!(errors, errors_too, "{view} {format}");
        if (view, format) == ("trace", "json") {
            for line in said.lines() {
                validate("event", &serde_json::from_str(line).expect("JSON"));
            }
        }
    }
    let report = serde_json::from_str(&report).expect("JSON");
    validate("report", &report);
    (report, errors)
}

/// Of each recording that once broke something: how many of its frames say what cannot be, and whether its end is one of
/// them.
const IMPOSSIBLE: &[(&str, u64, bool)] = &[
    ("bucket_65535.rec", 1, false),
    ("bucket_overflow.rec", 1, false),
    ("counts_overflow.rec", 1, false),
    ("latency_absurd.rec", 2, true),
    ("losses_overflow.rec", 1, false),
    ("self_parent.rec", 5, false),
    ("settled_overflow.rec", 3, false),
    ("tgid_high.rec", 2, false),
    ("times_absurd.rec", 3, false),
    ("times_absurd2.rec", 1, true),
    ("upkeep_overflow.rec", 1, false),
    ("many_arguments", 1, false),
    ("own_tracer", 1, false),
];

#[test]
fn what_cannot_be_is_left_out_and_the_report_is_not_complete() {
    for (name, impossible, no_end) in IMPOSSIBLE {
        let (report, errors) = replayed(&corpus("recording").join(name));
        let said = format!("frames left out because what they say is impossible: {impossible}");
        assert!(errors.contains(&said), "{name}: {errors}");
        assert_eq!(errors.contains("the end of the window is missing"), *no_end, "{name}: {errors}");
        assert_eq!(report["complete"], false, "{name}");
        assert_eq!(report["lost"]["damaged"], *impossible, "{name}");
    }
}

#[test]
fn a_minimum_above_the_maximum_is_put_right_by_the_buckets() {
    let (report, errors) = replayed(&corpus("recording").join("min_gt_max.rec"));
    assert_eq!(errors, "");
    assert_eq!(report["complete"], true);
    let latency = &report["parents"][0]["reap_latency"];
    let at = |field: &str| latency[field].as_u64().expect("known");
    assert_eq!(at("count"), 1);
    assert!(at("min_ns") <= at("p50_ns") && at("p50_ns") <= at("max_ns"), "{latency}");
    assert!((3_072..4_096).contains(&at("p50_ns")), "{latency}");
}

#[test]
fn quantiles_of_a_bucket_that_wrapped_are_not_made_up() {
    let (report, errors) = replayed(&corpus("recording").join("bucket_wrap.rec"));
    assert_eq!(errors, "");
    let latency = &report["parents"][0]["reap_latency"];
    assert_eq!(latency["count"], 4_294_967_306_u64);
    assert_eq!(latency["mean_ns"], 4_999);
    for quantile in ["p50_ns", "p90_ns", "p99_ns"] {
        assert_eq!(latency[quantile], Value::Null, "{latency}");
    }
}

#[test]
fn escapes_in_the_names_of_hooks_are_shown_and_not_obeyed() {
    let path = corpus("recording").join("hooks_escape.rec");
    let (report, errors) = replayed(&path);
    assert_eq!(errors, "");
    assert_eq!(report["hooks"]["reap"], "\u{1b}[2J\nreap\u{7}");
    let text = reapwatch().arg("replay").arg(&path).output().expect("reapwatch");
    assert!(is_clean(&text).0.contains(r"reaps exact (\x1b[2J\x0areap\x07)"));
}

#[test]
fn a_good_recording_is_complete_whatever_its_format() {
    for name in ["every_event_host", "every_event_tree", "exceptions", "format_2", "circle"] {
        let (report, errors) = replayed(&corpus("recording").join(name));
        assert_eq!(errors, "", "{name}");
        assert_eq!(report["lost"]["damaged"], 0, "{name}");
    }
}

#[test]
fn damage_is_measured_and_a_torn_end_is_told_from_it() {
    let (report, errors) = replayed(&corpus("recording").join("markers_64k.rec"));
    assert!(errors.contains("damaged bytes left out: 63999 (places: 1)"), "{errors}");
    assert_eq!((&report["complete"], &report["lost"]["damaged"]), (&false.into(), &1.into()));
    let (_, errors) = replayed(&corpus("recording").join("flipped"));
    assert!(errors.contains("(places: 1)") && !errors.contains("it ends"), "{errors}");
    let (report, errors) = replayed(&corpus("recording").join("torn"));
    assert!(
        errors.contains("it ends in the middle of a frame; the end of the window is missing"),
        "{errors}"
    );
    assert_eq!((&report["complete"], &report["lost"]["damaged"]), (&false.into(), &1.into()));
    assert_ne!(report["finding"], "none");
}

/// A recording that begins well: the head of one from the corpus, up to the begin of the window.
fn head() -> Vec<u8> {
    let whole = fs::read(corpus("recording").join("losses_overflow.rec")).expect("a recording");
    whole[..12 + 13 + 37 + 13 + 21].to_vec()
}

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let hashed = [&[kind][..], &(payload.len() as u32).to_le_bytes(), payload].concat();
    [b"\xf7RW\n", &hashed[..], &crc32fast::hash(&hashed).to_le_bytes()].concat()
}

#[test]
fn a_million_false_markers_and_sixteen_million_arguments_cost_no_more_than_their_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("large.rec");
    let end = frame(8, &9_u64.to_le_bytes());
    let count = 1_000_000;
    let marker = [b"\xf7RW\n\x02", &(8_000_000_u32).to_le_bytes()[..]].concat();
    fs::write(&path, [head(), marker.repeat(count), end.clone()].concat()).expect("written");
    let (_, errors) = replayed(&path);
    assert!(errors.contains(&format!("damaged bytes left out: {} (places: 1)", 9 * count)), "{errors}");

    let arguments = 16_000_000_u32;
    let identity = [&2_u32.to_le_bytes()[..], &1_u64.to_le_bytes()].concat();
    let payload = [&identity[..], &arguments.to_le_bytes(), &vec![0; 4 * arguments as usize + 8]].concat();
    fs::write(&path, [head(), frame(3, &payload), end].concat()).expect("written");
    let (_, errors) = replayed(&path);
    assert!(errors.contains("impossible: 1"), "{errors}");
}

#[test]
fn what_is_no_recording_is_refused_at_its_first_bytes() {
    let mut replay = Command::new("timeout");
    let output =
        replay.arg("60").arg(support::binary()).args(["replay", "/dev/zero"]).output().expect("timeout");
    let (_, errors) = is_clean(&output);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("not a reapwatch recording"), "{errors}");
}

#[test]
fn file_names_are_escaped_in_messages() {
    let directory = tempfile::tempdir().expect("a directory");
    let name = "a\u{1b}[31m\n\u{202e}b";
    let path = directory.path().join(name);
    for (contents, code) in [(&b"none"[..], 1), (&[head(), vec![0; 9]].concat(), 0)] {
        fs::write(&path, contents).expect("written");
        let output = reapwatch().arg("replay").arg(&path).output().expect("reapwatch");
        let (_, errors) = is_clean(&output);
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(r"a\x1b[31m\x0a\u{202e}b"), "{errors}");
    }
    let missing = reapwatch().arg("replay").arg(directory.path().join("x\u{7}")).output().expect("reapwatch");
    assert!(is_clean(&missing).1.contains(r"x\x07"));
}

#[cfg(feature = "live")]
#[test]
fn types_of_no_kernel_are_exit_code_3_of_the_doctor_and_of_a_watch() {
    support::require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let endless = PathBuf::from("/dev/zero");
    let named = directory.path().join("b\u{1b}[2Jtf");
    fs::copy(corpus("btf").join("btf_self_struct.btf"), &named).expect("a copy");
    let faults = ["btf_exponential.btf", "btf_self_struct.btf", "btf_typedef_cycle.btf"];
    for path in faults.map(|name| corpus("btf").join(name)).into_iter().chain([endless.clone(), named]) {
        let because = if path == endless { "no BTF of this machine" } else { "no kernel's" };
        for (format, command) in [("text", "doctor"), ("json", "doctor"), ("text", "watch")] {
            let mut reapwatch = reapwatch();
            reapwatch.arg("--btf").arg(&path).args([command, "--format", format]);
            if command == "watch" {
                reapwatch.args(["--duration", "1s"]);
            }
            let output = reapwatch.output().expect("reapwatch");
            let (said, errors) = is_clean(&output);
            assert_eq!(output.status.code(), Some(3), "{} {command}: {errors}", path.display());
            let told = if command == "doctor" { said } else { errors };
            // Text is broken into lines.
            let told: Vec<&str> = told.split_whitespace().collect();
            assert!(told.join(" ").contains(because), "{}: {told:?}", path.display());
        }
    }
}
