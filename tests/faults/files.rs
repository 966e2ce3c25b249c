//! Files for output: what was there stays until something better is there, one file serves one purpose, and what somebody
//! else has put in the way is left alone.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, lchown, symlink},
        process::CommandExt,
    },
    path::Path,
    process::{Command, Output, Stdio},
};

use super::{
    end,
    support::{reapwatch, require_root, until, until_it_watches},
};

const NOBODY: u32 = 65_534;

/// `reapwatch` in a directory; its words are separated by spaces.
fn ran(directory: &Path, line: &str) -> Output {
    reapwatch().current_dir(directory).args(line.split(' ')).stdin(Stdio::null()).output().expect("reapwatch")
}

#[track_caller]
fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[track_caller]
fn fails(output: &Output, code: i32, message: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(message), "{message:?} is not in {said}");
}

/// The names in a directory, in order.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o7777
}

fn is_report(path: &Path) -> bool {
    fs::read_to_string(path).expect("a report").contains("reapwatch.report/1")
}

const WATCH: &str = "watch --duration 100ms --format json";

#[test]
fn a_start_that_fails_leaves_what_was_there_and_nothing_else() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    fs::write(at.join("r.json"), "the last report").expect("written");
    fs::write(at.join("f.rec"), "the last recording").expect("written");
    for (line, code, message) in [
        ("--btf /nonexistent watch --duration 1s --output r.json --record f.rec", 3, "BTF"),
        ("--btf /nonexistent watch --duration 1s --output new.json --record new.rec", 3, "BTF"),
        ("run --output r.json --record f.rec -- /no/such/program", 1, "/no/such/program"),
        ("record --output f.rec -- /no/such/program", 1, "/no/such/program"),
        ("record --output new.rec -- /no/such/program", 1, "/no/such/program"),
    ] {
        fails(&ran(at, line), code, message);
        assert_eq!(names(at), ["f.rec", "r.json"], "{line}");
        assert_eq!(fs::read(at.join("r.json")).expect("there"), b"the last report", "{line}");
        assert_eq!(fs::read(at.join("f.rec")).expect("there"), b"the last recording", "{line}");
    }
}

#[test]
fn recordings_are_for_their_owner_and_reports_keep_the_mode_they_had() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    fs::write(at.join("old.json"), "the last report").expect("written");
    fs::set_permissions(at.join("old.json"), fs::Permissions::from_mode(0o640)).expect("chmod");
    fs::write(at.join("f.rec"), "the last recording").expect("written");
    fs::set_permissions(at.join("f.rec"), fs::Permissions::from_mode(0o644)).expect("chmod");
    chown(at.join("old.json"), Some(NOBODY), Some(NOBODY)).expect("chown");
    succeeds(&ran(at, &format!("{WATCH} --output old.json --record f.rec")));
    succeeds(&ran(at, &format!("{WATCH} --output new.json --record new.rec")));
    assert_eq!(names(at), ["f.rec", "f.rec.old", "new.json", "new.rec", "old.json"]);
    assert_eq!((mode(&at.join("old.json")), mode(&at.join("new.json"))), (0o640, 0o644));
    assert_eq!((mode(&at.join("f.rec")), mode(&at.join("new.rec"))), (0o600, 0o600));
    assert_eq!(fs::metadata(at.join("old.json")).expect("there").uid(), NOBODY, "whoever had it keeps it");
    assert!(is_report(&at.join("old.json")) && is_report(&at.join("new.json")));
    for recording in ["f.rec", "new.rec"] {
        succeeds(&ran(at, &format!("replay {recording}")));
    }
}

#[test]
fn one_file_does_not_serve_two_purposes() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    for line in [
        "run --output X --record X -- true",
        "watch --duration 1s --output X --record X",
        "replay X --output X",
    ] {
        fails(&ran(at, line), 2, "same file");
    }
    fs::write(at.join("one"), "kept").expect("written");
    fs::hard_link(at.join("one"), at.join("other")).expect("a link");
    symlink("not/../new", at.join("link")).expect("a link");
    fs::create_dir(at.join("not")).expect("a directory");
    for line in [
        "watch --duration 1s --output one --record ./one",
        "watch --duration 1s --output one --record other",
        "watch --duration 1s --output new --record ./new",
        "run --output new --record link -- true",
    ] {
        fails(&ran(at, line), 1, "same file");
    }
    assert_eq!(fs::read(at.join("one")).expect("there"), b"kept");
    assert_eq!(names(at), ["link", "not", "one", "other"]);

    succeeds(&ran(at, "record --output f.rec -- true"));
    let recorded = fs::read(at.join("f.rec")).expect("a recording");
    fails(&ran(at, "replay f.rec --output ./f.rec"), 1, "the recording itself");
    fails(&ran(at, "replay f.rec --as trace --output ./f.rec"), 1, "the recording itself");
    assert_eq!(fs::read(at.join("f.rec")).expect("a recording"), recorded);

    // Standard output is a file too.
    let out = fs::File::create(at.join("out")).expect("a file");
    let mut command = reapwatch();
    command.current_dir(at).args("watch --duration 1s --record out".split(' ')).stdout(out);
    fails(&command.output().expect("reapwatch"), 1, "same file");
    succeeds(&ran(at, &format!("{WATCH} --output /dev/null --record /dev/null")));
}

#[test]
fn a_replayed_trace_goes_to_its_file() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    succeeds(&ran(at, "record --output f.rec -- sh -c true;true"));
    let to_stdout = ran(at, "replay f.rec --as trace --format json");
    let to_file = ran(at, "replay f.rec --as trace --format json --output lines");
    succeeds(&to_stdout);
    succeeds(&to_file);
    assert!(!to_stdout.stdout.is_empty() && to_file.stdout.is_empty());
    assert_eq!(fs::read(at.join("lines")).expect("lines"), to_stdout.stdout);
}

#[test]
fn pipes_devices_and_descriptors_are_written_to_directly() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let own = ran(at, &format!("{WATCH} --output /dev/stdout"));
    succeeds(&own);
    assert!(String::from_utf8_lossy(&own.stdout).contains("reapwatch.report/1"));
    let binary = reapwatch();
    let binary = binary.get_program();
    let shell = |script: &str| {
        let output = Command::new("bash").current_dir(at).args(["-c", script]).arg(binary).output();
        let output = output.expect("bash");
        succeeds(&output);
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    // What is appended to is appended to, process substitution is a pipe, a FIFO waits for its reader.
    let appended = "for _ in 1 2; do \"$0\" watch --duration 100ms --format json --output /proc/self/fd/1 >>log; done; \
         grep -c reapwatch.report log";
    assert_eq!(shell(appended), "2");
    let substituted =
        "\"$0\" watch --duration 100ms --format json --output >(grep -c reapwatch.report; echo)|cat";
    assert_eq!(shell(substituted), "1");
    let fifo = "mkfifo f; (sleep 0.2; exec grep -c reapwatch.report <f)& \
                \"$0\" watch --duration 100ms --format json --output f && wait";
    assert_eq!(shell(fifo), "1");
    let recorded = "\"$0\" record --output /dev/stdout -- true | cat >piped.rec; \"$0\" replay piped.rec >/dev/null; \
                    echo $?";
    assert_eq!(shell(recorded), "0");
}

#[test]
fn a_link_of_our_own_leads_to_its_target_and_stays() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    fs::create_dir(at.join("elsewhere")).expect("a directory");
    for (link, target) in [("report", "elsewhere/r.json"), ("recording", "elsewhere/f.rec")] {
        symlink(target, at.join(link)).expect("a link");
    }
    succeeds(&ran(at, &format!("{WATCH} --output report --record recording")));
    assert_eq!(names(at), ["elsewhere", "recording", "report"]);
    assert_eq!(names(&at.join("elsewhere")), ["f.rec", "r.json"]);
    assert!(fs::symlink_metadata(at.join("report")).expect("there").is_symlink());
    symlink("circle", at.join("circle")).expect("a link");
    fails(&ran(at, &format!("{WATCH} --output circle")), 1, "circle");
}

#[test]
fn what_another_user_has_put_into_a_directory_open_to_all_is_left_alone() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let open = at.join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).expect("chmod");
    fs::write(at.join("victim"), "kept").expect("written");
    symlink("../victim", open.join("link")).expect("a link");
    lchown(open.join("link"), Some(NOBODY), None).expect("chown");
    fs::write(open.join("file"), "theirs").expect("written");
    chown(open.join("file"), Some(NOBODY), None).expect("chown");
    for name in ["open/link", "open/file"] {
        fails(&ran(at, &format!("{WATCH} --output {name}")), 1, "belongs to another user");
        fails(&ran(at, &format!("record --output {name} -- true")), 1, "belongs to another user");
    }
    assert_eq!(fs::read(at.join("victim")).expect("there"), b"kept");
    assert_eq!(fs::read(open.join("file")).expect("there"), b"theirs");
    // What is ours there is replaced.
    fs::write(open.join("ours"), "old").expect("written");
    succeeds(&ran(at, &format!("{WATCH} --output open/ours")));
    assert!(is_report(&open.join("ours")));
    assert_eq!(names(&open), ["file", "link", "ours"]);
}

/// `sudo reapwatch … --output FILE` in one's own directory: root without privileges may make nothing there at the end.
#[test]
fn a_directory_of_another_user_is_written_to_all_the_same() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).expect("chmod");
    chown(at, Some(NOBODY), Some(NOBODY)).expect("chown");
    fs::write(at.join("old.json"), "x".repeat(1 << 20)).expect("written");
    chown(at.join("old.json"), Some(NOBODY), Some(NOBODY)).expect("chown");
    succeeds(&ran(at, &format!("{WATCH} --output old.json --record f.rec")));
    succeeds(&ran(at, &format!("{WATCH} --output new.json")));
    assert!(fs::metadata(at.join("old.json")).expect("there").len() < 1 << 20);
    assert!(is_report(&at.join("old.json")) && is_report(&at.join("new.json")));
    fails(&ran(at, "--btf /nonexistent watch --duration 1s --output never.json"), 3, "BTF");
    assert_eq!(names(at), ["f.rec", "new.json", "old.json"]);
}

#[test]
fn a_killed_recorder_leaves_what_it_recorded_under_its_name() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    fs::write(at.join("f.rec"), "the last recording").expect("written");
    let mut child = reapwatch()
        .current_dir(at)
        .args(["record", "--output", "f.rec", "--", "sh", "-c"])
        // A death, and then quiet: nothing more fills a buffer.
        .arg("sh -c 'exit 7'; exec sleep 60")
        .process_group(0)
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    until("the death is in the file", || {
        let replayed = ran(at, "replay f.rec --as trace --format json");
        String::from_utf8_lossy(&replayed.stdout).contains("\"code\":7").then_some(())
    });
    let group = child.id() as i32;
    end(child);
    // SAFETY: the process group of this test's own.
    unsafe { libc::kill(-group, libc::SIGKILL) };
    let replayed = ran(at, "replay f.rec --format json");
    fails(&replayed, 0, "the end of the window is missing");
    assert_eq!(names(at), ["f.rec", "f.rec.old"]);
}

/// What happened then does not happen again.
#[test]
fn an_older_recording_is_kept_beside_the_new_one_and_never_lost() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let record = || ran(at, "record --output f.rec -- true");
    let read = |name: &str| fs::read(at.join(name)).expect("a recording");
    fs::write(at.join("f.rec"), "").expect("written");
    let first = record();
    succeeds(&first);
    assert!(!String::from_utf8_lossy(&first.stderr).contains(".old"), "there was nothing to keep");
    for _ in 0..2 {
        let older = read("f.rec");
        let again = record();
        succeeds(&again);
        let said = String::from_utf8_lossy(&again.stderr);
        assert!(said.contains("what was in f.rec is in f.rec.old now"), "{said}");
        assert_eq!(names(at), ["f.rec", "f.rec.old"]);
        assert!(read("f.rec.old") == older && read("f.rec") != older);
    }
    // Where it cannot be kept, it stays, and the new one has another name.
    fs::remove_file(at.join("f.rec.old")).expect("removed");
    fs::create_dir(at.join("f.rec.old")).expect("a directory");
    let older = read("f.rec");
    let refused = record();
    fails(&refused, 1, "cannot be kept as");
    assert_eq!(read("f.rec"), older);
    let names = names(at);
    let new = names.iter().find(|name| name.starts_with(".reapwatch-")).expect("the new one is there");
    succeeds(&ran(at, &format!("replay {new}")));
}

#[test]
fn names_that_cannot_be_files_are_refused_before_anything_is_attached() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let long = "n".repeat(255);
    for (name, message) in
        [("/", "directory"), (".", "directory"), ("no/such", "No such file"), ("x/", "directory")]
    {
        fails(&ran(at, &format!("--btf /nonexistent {WATCH} --output {name}")), 1, message);
        fails(&ran(at, &format!("--btf /nonexistent record --output {name}")), 1, message);
    }
    // As long as names may be.
    succeeds(&ran(at, &format!("{WATCH} --output {long}")));
    assert_eq!(names(at), [long]);
}

#[test]
fn a_hyphen_is_standard_output_and_no_file() {
    require_root();
    let directory = tempfile::tempdir().expect("a directory");
    let at = directory.path();
    let recorded = ran(at, "record --duration 100ms --output -");
    succeeds(&recorded);
    fs::write(at.join("f.rec"), &recorded.stdout).expect("written");
    let watched = ran(at, &format!("{WATCH} --output -"));
    let replayed = ran(at, "replay f.rec --format json --output -");
    for output in [&watched, &replayed] {
        succeeds(output);
        assert!(String::from_utf8_lossy(&output.stdout).contains("reapwatch.report/1"));
    }
    let profile = ran(at, "profile --from f.rec --output -");
    succeeds(&profile);
    assert!(profile.stdout.starts_with(b"\x1f\x8b"), "{profile:?}");
    fails(&ran(at, &format!("{WATCH} --record -")), 1, "same file");
    assert_eq!(names(at), ["f.rec"]);
    succeeds(&ran(at, "profile --from f.rec --output ./-"));
    assert_eq!(fs::read(at.join("-")).expect("a profile"), profile.stdout);
}
