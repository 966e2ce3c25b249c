//! Programs made after public bug reports, some with the real program (node, php, tini, bwrap, tmux): exact counts, the
//! right verdict, and never a false cause. Each program says on top where it comes from, how it leaks and what is true.
//!
//! Must not know how reapwatch works: only its command line and JSON.

mod case;
mod confusable;
mod fork_sites;
mod healthy;
mod inits;
mod profile;
mod runtimes;
mod shells;
mod states;
#[path = "../support/mod.rs"]
mod support;
mod waits;

use case::{Case, Expected, HOLD_MS, Seen};

/// The same in `run`, in a `watch` begun before it and, as far as that can still tell, in one begun after it.
fn leaks(program: &str, expected: &Expected) {
    let case = Case::new(program);
    // Both wait for the grace to pass, most of the time.
    std::thread::scope(|scope| {
        scope.spawn(|| case.run(&[HOLD_MS]).check(expected));
        case.watch().check(expected);
    });
}

/// A leak that tells its truth at its end: `run` alone.
fn leaks_in_run(program: &str, expected: &Expected) {
    Case::new(program).run(&[HOLD_MS]).check(expected);
}

fn healthy(program: &str, arguments: &[&str], came_to: &[(&str, u64)]) -> Seen {
    let seen = Case::new(program).run(arguments);
    seen.check(&Expected { came_to, verdict: "healthy", causes: &[], causes_afterwards: &[] });
    seen
}
