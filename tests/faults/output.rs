//! Where the output cannot go: a reader that leaves, a full disk. Told clearly, or a normal end; never a panic.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    process::{Child, Stdio},
};

use super::{
    SmallDisk, alone, complaint, ended, leaker, storm_alone,
    support::{reapwatch, until, until_it_watches, workload},
    trace_into,
};

fn full() -> File {
    OpenOptions::new().write(true).open("/dev/full").expect("/dev/full")
}

/// Its code once it has ended, and what it said.
fn end_of(child: &mut Child) -> (Option<i32>, String) {
    let code = ended(child).code();
    let said = complaint(child);
    assert!(!said.contains("panicked"), "{said}");
    (code, said)
}

#[test]
fn a_reader_that_has_seen_enough_is_a_normal_end() {
    let _alone = alone();
    let mut child = trace_into(Stdio::piped());
    let mut reader = BufReader::new(child.stdout.take().expect("piped"));
    storm_alone(20);
    reader.read_line(&mut String::new()).expect("a line");
    drop(reader);
    until("it notices", || {
        storm_alone(1);
        child.try_wait().expect("our own child")
    });
    let (code, said) = end_of(&mut child);
    assert_eq!((code, &said[..]), (Some(0), ""));

    let mut child = reapwatch()
        .args(["watch", "--duration", "300ms"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    drop(child.stdout.take());
    let (code, said) = end_of(&mut child);
    assert_eq!((code, &said[..]), (Some(0), ""));
}

#[test]
fn a_full_disk_under_the_event_lines_is_a_failure_that_says_so() {
    let _alone = alone();
    let mut child = trace_into(full());
    until("it notices", || {
        storm_alone(1);
        child.try_wait().expect("our own child")
    });
    let (code, said) = end_of(&mut child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("standard output") && said.contains("No space left"), "{said}");
}

#[test]
fn a_full_disk_under_the_report_is_a_failure_that_says_so_and_leaves_no_half_report() {
    let _alone = alone();
    let disk = SmallDisk::new();
    let path = disk.0.path().join("r.json");
    let mut filler = File::create(disk.0.path().join("filler")).expect("a file");
    // A page is left: less than the reports need, which have some parents to tell of, but something to begin with.
    while filler.metadata().expect("a file").len() < 60 * 1024 {
        filler.write_all(&[0; 4096]).expect("room");
    }
    let _leakers: Vec<_> = (0..10).map(|_| leaker(1)).collect();
    let workload = workload();
    let workload = workload.to_str().expect("text");
    let watch: &[&str] = &["watch", "--duration", "300ms"];
    for command in [watch, &["run", "--", workload, "load", "--parents", "1", "--count", "20"]] {
        let (name, rest) = command.split_first().expect("a command");
        let mut child = reapwatch()
            .args([name, "--format", "json", "--output"])
            .arg(&path)
            .args(rest)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("reapwatch");
        let (code, said) = end_of(&mut child);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("r.json") && said.contains("No space left"), "{said}");
        let names = std::fs::read_dir(disk.0.path()).expect("a directory");
        assert_eq!(names.count(), 1, "half a report stays");
    }
}

#[test]
fn a_full_disk_under_standard_output_is_a_failure_that_says_so() {
    let _alone = alone();
    let mut child = reapwatch()
        .args(["watch", "--duration", "300ms"])
        .stdout(full())
        .stderr(Stdio::piped())
        .spawn()
        .expect("reapwatch");
    until_it_watches(&mut child);
    let (code, said) = end_of(&mut child);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("standard output") && said.contains("No space left"), "{said}");
}
