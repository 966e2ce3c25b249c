//! Holding still for a stated time: part of a scenario, never a way to wait for something.

use std::{thread, time::Duration};

pub fn hold(ms: u64) {
    thread::sleep(Duration::from_millis(ms));
}
