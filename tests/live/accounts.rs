//! Who the dead were and what they used, against what wait4 told their parent.

use crate::{support::run, trace_of};

/// wait4 gives user and system time in µs, both cut.
const CUT_NS: u64 = 2_000;

#[test]
fn accounts_of_the_dead_are_those_that_wait4_gave_their_parent() {
    // The programs copy 256 bytes of arguments and environment: at the end of a stack with less, as in a guest, they can copy
    // none.
    let filler = format!("--{}", "filler".repeat(42));
    let ran = run(&["accounts", &filler, "0"]);
    let children = ran.truth["children"].as_array().expect("children");
    assert_eq!(children.len(), 4);
    for child in children {
        let exits = trace_of(&ran, "exit", &child["pid"]);
        assert_eq!(exits.len(), 1, "{child}");
        let life = &exits[0]["life"];
        let told = |field: &str| life[field].as_u64().unwrap_or_else(|| panic!("{field} of {child}: {life}"));
        let truth = |field: &str| child[field].as_u64().expect("a number");
        for (field, expected) in child["expected"].as_object().expect("fields") {
            assert_eq!(life[field], *expected, "{field} of {child}: {life}");
        }
        assert_eq!(told("peak_rss_bytes"), truth("peak_rss_bytes"), "{child}: {life}");
        // What it ran after the scheduler had booked it last is not in it: at most as long as it took to end.
        let (cpu_ns, upper_ns) = (told("cpu_ns"), truth("cpu_ns") + CUT_NS);
        assert!(cpu_ns <= upper_ns, "{child}: {life}");
        assert!(cpu_ns + truth("tail_ns") >= truth("cpu_ns"), "{child}: {life}");
        assert!(told("lifetime_ns") + CUT_NS >= cpu_ns / 4, "four CPUs' worth at most: {child}: {life}");
        assert!(told("cgroup_id") > 0, "{life}");
        if let Some(id) = ran.truth["cgroup_id"].as_u64() {
            assert_eq!(told("cgroup_id"), id, "{life}");
        }
        assert_eq!(life["command_line"][1], "accounts", "{life}");
        // Later lines about the same process have it too.
        let reaps = trace_of(&ran, "reap", &child["pid"]);
        assert_eq!(reaps.len(), 1, "{child}");
        assert_eq!(reaps[0]["life"], *life);
        assert_eq!(reaps[0]["exit"], exits[0]["exit"]);
    }
    let burnt = children.iter().map(|child| child["cpu_ns"].as_u64().expect("ns")).max();
    assert!(burnt >= Some(60_000_000), "the workload burnt next to nothing: {children:?}");
}
