//! How a parent waits, and which of its signals were merged, is counted as the parent itself counts it. Part of the live
//! tests.

use std::fs;

use probe::{
    model::{Counters, Input, WaitCalls},
    recording::Reader,
};
use serde_json::Value;

use super::support::{Ran, run};

/// What the kernel counted last for a process.
fn counted(ran: &Ran, pid: u64) -> Counters {
    let recording = fs::File::open(ran.directory.path().join("f.rec")).expect("a recording");
    let counters = Reader::open(recording).expect("a recording").filter_map(|input| match input {
        Input::Counters(counters) if u64::from(counters.parent.identity.tgid) == pid => Some(*counters),
        _ => None,
    });
    counters.last().unwrap_or_else(|| panic!("nothing was counted for {pid}"))
}

fn expected(truth: &Value) -> (WaitCalls, Option<u64>) {
    let number = |name: &str| truth[name].as_u64().unwrap_or_else(|| panic!("{name} in {truth}"));
    let calls = WaitCalls {
        any: number("any"),
        specific: number("specific"),
        read: number("read"),
        unread: number("unread"),
        group: number("group"),
        absent: number("absent"),
        peeking: number("peeking"),
        own_thread: number("own_thread"),
        clone_only: number("clone_only"),
    };
    (calls, Some(number("coalesced")))
}

#[test]
fn how_each_parent_waits_and_what_was_merged_is_counted_exactly() {
    let ran = run(&["wait-kinds"]);
    for truth in ran.truth["parents"].as_array().expect("parents") {
        let counters = counted(&ran, truth["pid"].as_u64().expect("a pid"));
        assert_eq!((counters.waits, counters.coalesced), expected(truth), "{}", truth["name"]);
        let told = &ran.parent(&truth["pid"])["waits"];
        assert_eq!((&told["any"], &told["specific"]), (&truth["any"], &truth["specific"]), "{told}");
    }
}
