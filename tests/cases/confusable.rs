//! Parents that look as if they had a cause that they do not have: it must not be named, whatever else is.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use super::case::Case;

/// A parent of `confusable.c`, and the kind that is false of it.
const FALSE: [(&str, &str); 10] = [
    ("blocked_and_waits_by_pid", "sigchld_blocked"),
    ("blocked_and_polls_slowly", "sigchld_blocked"),
    ("counts_its_waits", "one_wait_per_sigchld"),
    ("in_the_group_and_waited_for_once", "waits_only_for_its_process_group"),
    ("one_thread_waits_too_early", "wait_flags_exclude_children"),
    ("waits_with_all_flags_for_one", "wait_flags_exclude_children"),
    ("looks_at_another", "looks_without_reaping"),
    ("reads_a_log", "waits_after_end_of_pipe"),
    ("execs_and_asks_for_any", "children_inherited_through_exec"),
    ("waits_at_the_next_birth_and_forgets_others", "reaps_only_when_it_spawns"),
];

#[test]
fn a_cause_that_only_seems_to_be_one_is_not_named() {
    let case = Case::new("confusable.c");
    std::thread::scope(|scope| {
        for (name, kind) in FALSE {
            let case = &case;
            scope.spawn(move || {
                let seen = case.run(&[name]);
                let parent = seen.parent();
                assert_ne!(parent["verdict"], "healthy", "{name} was not exercised: {parent:#}");
                let causes = parent["causes"].as_array().expect("causes");
                assert!(causes.iter().all(|cause| cause["kind"] != kind), "{name}: {parent:#}");
            });
        }
    });
}
