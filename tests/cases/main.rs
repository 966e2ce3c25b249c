//! Programs made after public bug reports, some with the real program (node, php, tini, bwrap, tmux): exact counts, the
//! right verdict, and never a false cause. Each program says on top where it comes from, how it leaks and what is true.
//!
//! Must not know how reapwatch works: only its command line and JSON.

mod case;
mod inits;
mod runtimes;
mod shells;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod waits;

use case::{Case, Cause, Expected, HOLD_MS, Seen};

const NEVER_WAITS: &str = "never_waits";
const SPECIFIC: &str = "waits_only_for_specific_children";
const INHERITED: &str = "children_inherited_through_exec";
const ADOPTED: &str = "init_does_not_reap_orphans";
const HELD: &str = "held_by_tracer";

/// A leak: the same in `run`, in a `watch` begun before it and in one begun after it.
fn leaks(program: &str, expected: &Expected) {
    let in_watch: Vec<&str> = match expected.cause {
        // What `run` cannot tell yet, `watch` cannot either.
        Cause::StillFalse(kind) => {
            expected.false_causes.iter().filter(|one| **one != kind).copied().collect()
        }
        _ => expected.false_causes.to_vec(),
    };
    leaks_otherwise(program, expected, &in_watch);
}

/// The same, but that `watch` begun before it gives a false cause still, which it cannot tell yet: these are the others.
fn leaks_otherwise(program: &str, expected: &Expected, false_in_watch: &[&str]) {
    let case = Case::new(program);
    // Both wait for the grace to pass, most of the time.
    std::thread::scope(|scope| {
        scope.spawn(|| case.run(&[HOLD_MS]).check(expected));
        case.watch().check(&Expected { false_causes: false_in_watch, ..*expected });
    });
}

/// A leak that tells its truth at its end: `run` alone.
fn leaks_in_run(program: &str, expected: &Expected) {
    Case::new(program).run(&[HOLD_MS]).check(expected);
}

fn healthy(program: &str, arguments: &[&str], came_to: &[(&str, u64)]) -> Seen {
    let seen = Case::new(program).run(arguments);
    seen.check(&Expected { came_to, verdict: "healthy", false_causes: &[], cause: Cause::NotFalse });
    seen
}
