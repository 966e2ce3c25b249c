//! Shells and terminal multiplexers: children inherited through `exec`, and shells that a server leaves.
//!
//! Must not know how reapwatch works: only its command line and JSON.

use super::{
    case::{Case, Expected, needed},
    leaks,
};

#[test]
fn bash_execs_over_a_process_substitution() {
    leaks(
        "bash_procsub_exec.sh",
        &Expected {
            came_to: &[("left", 1)],
            verdict: "never_reaps",
            causes: &["children_inherited_through_exec"],
            causes_afterwards: &["children_inherited_through_exec"],
        },
    );
}

#[test]
fn a_shell_execs_over_its_background_jobs() {
    leaks(
        "exec_inherits_plain.sh",
        &Expected {
            came_to: &[("left", 3)],
            verdict: "never_reaps",
            causes: &["children_inherited_through_exec"],
            causes_afterwards: &["children_inherited_through_exec"],
        },
    );
}

#[test]
fn a_tmux_server_is_judged_by_the_shells_it_leaves() {
    needed("tmux");
    let case = Case::new("tmux_real.sh");
    let seen = case.run(&[case.directory().to_str().expect("UTF-8")]);
    let (server, zombies) = (seen.parent(), seen.truth()["zombies"]);
    let left = server["abandoned"].as_u64().expect("a number");
    assert!(server["reaped"].as_u64() >= Some(8 - zombies), "{server:#}");
    assert_eq!(server["unreaped"], 0, "it is dead: {server:#}");
    // What its end leaves behind besides has not waited.
    let leaks = server["verdict"] == "leaking";
    assert!(leaks == (zombies > 0) && left >= zombies, "{zombies} zombies: {server:#}");
}
