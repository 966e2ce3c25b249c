//! Files that are rotated, removed, or cannot be written.

use std::{fs, sync::Arc};

use super::*;
use crate::report::sample;

fn patience() -> Patience {
    Patience { unlimited: false, time_left: || None }
}

fn to_file(path: &Path) -> io::Result<JsonLines> {
    JsonLines::to_file(path, JsonLines::open_file(path)?, patience())
}

fn offer(sink: &mut JsonLines, text: &str) {
    sink.offer(&Delivery::Alert(Arc::new(sample::alert(text))));
}

fn close(sink: JsonLines) -> SinkStatus {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on((Box::new(sink) as Box<dyn Sink>).close(Duration::from_secs(60)))
}

/// The texts in a file, once there are so many.
fn texts(path: &Path, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found: Vec<String> = fs::read_to_string(path)
            .unwrap_or_default()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
            .map(|value| value["text"].as_str().expect("a text").to_owned())
            .collect();
        if found.len() >= count {
            return found;
        }
        assert!(Instant::now() < deadline, "{found:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn lines_are_added_to_what_is_there_and_go_to_a_new_file_after_a_rotation() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, old) = (directory.path().join("a.jsonl"), directory.path().join("a.jsonl.1"));
    fs::write(&path, "{\"text\":\"before\"}\n").expect("a file");
    let mut sink = to_file(&path).expect("a sink");
    offer(&mut sink, "one");
    assert_eq!(texts(&path, 2), ["before", "one"]);
    fs::rename(&path, &old).expect("a rotation");
    offer(&mut sink, "two");
    assert_eq!(texts(&path, 1), ["two"]);
    assert_eq!(texts(&old, 2), ["before", "one"]);
    // What logrotate asks for.
    fs::rename(&path, &old).expect("a rotation");
    sink.reopen();
    assert!(path.exists());
    offer(&mut sink, "three");
    let status = close(sink);
    assert_eq!((status.delivered, status.dropped, status.last_error), (3, Dropped::default(), None));
    assert_eq!(texts(&path, 1), ["three"]);
}

/// Until this is so.
fn wait(sink: &mut JsonLines, is_so: impl Fn(&mut JsonLines) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so(sink) {
        assert!(Instant::now() < deadline, "{:?}", sink.status());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn while_a_file_that_was_removed_cannot_be_made_lines_are_dropped_and_counted_and_then_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("logs");
    fs::create_dir(&inner).expect("a directory");
    let path = inner.join("a.jsonl");
    let mut sink = to_file(&path).expect("a sink");
    offer(&mut sink, "one");
    assert_eq!(texts(&path, 1), ["one"]);
    fs::remove_dir_all(&inner).expect("removed");
    let first_try = sink.next_try;
    for _ in 0..3 {
        offer(&mut sink, "lost");
    }
    assert_eq!(sink.status().dropped.ended, 3);
    assert!(sink.status().last_error.is_some_and(|error| error.contains("No such file")));
    assert!(sink.next_try > first_try && sink.is_failing, "it was tried once, and told");
    fs::create_dir(&inner).expect("a directory");
    wait(&mut sink, |sink| Instant::now() >= sink.next_try);
    offer(&mut sink, "two");
    assert_eq!(texts(&path, 1), ["two"]);
    wait(&mut sink, |sink| sink.status().delivered == 2);
    offer(&mut sink, "three");
    assert_eq!(texts(&path, 2), ["two", "three"]);
    assert!(sink.status().last_error.is_none() && !sink.is_failing, "it goes on, which is told");
    let status = close(sink);
    assert_eq!((status.delivered, status.dropped.ended), (3, 3));
}

#[test]
fn while_no_new_file_can_be_made_lines_go_to_the_one_that_had_its_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let (inner, away) = (directory.path().join("logs"), directory.path().join("away"));
    fs::create_dir(&inner).expect("a directory");
    let mut sink = to_file(&inner.join("a.jsonl")).expect("a sink");
    fs::rename(&inner, &away).expect("renamed");
    for text in ["one", "two", "three"] {
        offer(&mut sink, text);
    }
    assert_eq!(texts(&away.join("a.jsonl"), 3), ["one", "two", "three"]);
    assert!(sink.is_failing && sink.status().last_error.is_some());
    fs::rename(&away, &inner).expect("renamed");
    offer(&mut sink, "four");
    assert_eq!(texts(&inner.join("a.jsonl"), 4).len(), 4);
    wait(&mut sink, |sink| {
        sink.mend();
        !sink.is_failing
    });
    assert_eq!(close(sink).dropped, Dropped::default());
}

#[test]
fn a_device_that_is_full_loses_lines_which_are_counted_and_nothing_else() {
    let mut sink = to_file(Path::new("/dev/full")).expect("a sink");
    let deadline = Instant::now() + Duration::from_secs(60);
    while sink.status().dropped.ended < 3 {
        offer(&mut sink, "lost");
        assert!(Instant::now() < deadline, "{:?}", sink.status());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(sink.status().last_error.is_some_and(|error| error.contains("No space left")));
    // That it can be opened is no success.
    wait(&mut sink, |sink| Instant::now() >= sink.next_try);
    offer(&mut sink, "lost");
    wait(&mut sink, |sink| {
        offer(sink, "lost");
        sink.writer.is_none()
    });
    assert!(sink.next_try > Instant::now() + Duration::from_millis(1_500), "the second wait is longer");
}

#[test]
fn a_file_that_cannot_be_made_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(to_file(&directory.path().join("no/such")).is_err());
    assert!(to_file(directory.path()).is_err());
}
