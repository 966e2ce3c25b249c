//! Tells nothing to anybody but its TRUTH line; must not know reapwatch.
// source: hniksic/rust-subprocess#70, herdrdev/herdr#1360 (fire-and-forget children of the server), std::process::Child docs
// mechanism: std::process::Command::spawn(), Child dropped without wait
// truth: 5 spawned, 0 reaped, 5 left, never_reaps; cause never waits
use std::{process::Command, thread, time::Duration};

fn main() {
    for _ in 0..5 {
        drop(Command::new("/bin/true").spawn().expect("/bin/true"));
    }
    eprintln!("TRUTH pid={} exited=5 reaped=0 left=5", std::process::id());
    let ms = std::env::args().nth(1).and_then(|ms| ms.parse().ok()).expect("ms");
    thread::sleep(Duration::from_millis(ms));
}
