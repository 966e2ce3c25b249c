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

#[test]
fn while_a_file_cannot_be_opened_lines_are_dropped_and_counted_and_then_go_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let inner = directory.path().join("logs");
    fs::create_dir(&inner).expect("a directory");
    let path = inner.join("a.jsonl");
    let mut sink = to_file(&path).expect("a sink");
    offer(&mut sink, "one");
    assert_eq!(texts(&path, 1), ["one"]);
    fs::remove_dir_all(&inner).expect("removed");
    // The file that is open takes them until another one can be opened.
    offer(&mut sink, "two");
    assert!(sink.status().last_error.is_some_and(|error| error.contains("No such file")));
    fs::create_dir(&inner).expect("a directory");
    offer(&mut sink, "three");
    assert_eq!(texts(&path, 1), ["three"]);
    assert_eq!(sink.status().last_error, None);
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
}

#[test]
fn a_file_that_cannot_be_made_is_an_error_at_the_start() {
    let directory = tempfile::tempdir().expect("a directory");
    assert!(to_file(&directory.path().join("no/such")).is_err());
    assert!(to_file(directory.path()).is_err());
}
