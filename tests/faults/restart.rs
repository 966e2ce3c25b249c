//! Killed in the middle of a storm and started again: nothing stays behind, and the second one's books are right.
//!
//! Must not know how reapwatch works: only its command line and JSON, and what the kernel says is loaded.

use super::{
    alone, expect, lasting_storm, leaker,
    support::{Watching, loaded_programs, parent_in, programs_of, until},
};

#[test]
fn one_killed_and_started_again_in_mid_storm_leaves_nothing_attached_and_counts_the_rest() {
    let _alone = alone();
    let (_leaker, leak) = leaker(50);
    let count = 3_000;
    let mut storm = lasting_storm(count, &[]);
    let first = Watching::start(&[]);
    let loaded = programs_of(&first.child);
    assert!(loaded.len() > 5, "{loaded:?}");
    let all = loaded_programs();
    assert!(loaded.iter().all(|id| all.contains(id)), "{loaded:?} in {all:?}");
    // By SIGKILL: it has no chance to tidy up.
    drop(first);
    until("the kernel has let go of every program", || {
        let all = loaded_programs();
        loaded.iter().all(|id| !all.contains(id)).then_some(())
    });
    let second = Watching::start(&[]);
    let truth = storm.truth();
    let report = second.end();
    expect(&report, &leak, &[("exited", 50), ("reaped", 0), ("unreaped", 50)]);
    expect(&report, &truth, &[("unreaped", 0), ("abandoned", 0), ("autoreaped", 0), ("adopted", 0)]);
    let parent = parent_in(&report, &truth["pid"]);
    let number = |field: &str| parent[field].as_u64().expect("a number");
    assert!((1..count).contains(&number("exited")), "the second saw none of the storm, or all: {parent:#}");
    assert_eq!(number("exited"), number("reaped"), "{parent:#}");
    // Births are counted from a moment later than deaths, lest a birth be seen without its death.
    assert!((1..=number("exited")).contains(&number("forked")), "{parent:#}");
    assert_eq!(report["complete"], true, "{:#}", report["lost"]);
}
