//! Old code, and beside each what it is mistaken for.

use super::*;
use crate::{
    analysis::audit::tests::{census, only, resident},
    model::{Checkout, Library, Move, Script},
};

fn with(change: impl FnOnce(&mut Details)) -> Resident {
    let mut one = resident(8, 1);
    change(one.details.as_mut().expect("readable"));
    one
}

fn judged(one: Resident) -> Option<Confidence> {
    judged_in(one, Vec::new())
}

fn judged_in(one: Resident, checkouts: Vec<Checkout>) -> Option<Confidence> {
    let census = crate::model::Census { checkouts, ..census(vec![one]) };
    only(&census, &census, GhostKind::Stale);
    let mut found = Vec::new();
    find(&Scene::new(&census, &census), &mut found);
    found.pop().map(|one| one.confidence)
}

fn program_at(path: &str, at_path: AtPath) -> Resident {
    with(|details| {
        let program = details.program.as_mut().expect("a program");
        (program.path, program.at_path) = (path.into(), at_path);
    })
}

#[test]
fn a_program_that_was_replaced_is_found_and_one_that_never_had_a_file_is_not() {
    assert_eq!(judged(program_at("/srv/bot", AtPath::Other)), Some(Confidence::Certain));
    assert_eq!(judged(program_at("/srv/bot", AtPath::Gone)), Some(Confidence::Likely));
    assert_eq!(judged(program_at("/tmp/.mount_x/app", AtPath::Gone)), None, "unpacked for one run");
    assert_eq!(judged(program_at("/memfd:runc", AtPath::Unknown)), None);
    assert_eq!(judged(program_at("/srv/bot", AtPath::Same)), None);
}

#[test]
fn libraries_that_were_replaced_are_found_and_those_that_were_only_unpacked_are_not() {
    let using = |path: &str, at_path| {
        with(|details| details.libraries = vec![Library { path: path.into(), at_path }])
    };
    assert_eq!(judged(using("/usr/lib/libssl.so.3", AtPath::Other)), Some(Confidence::Certain));
    assert_eq!(judged(using("/usr/lib/libssl.so.3.0.1", AtPath::Gone)), Some(Confidence::Likely));
    assert_eq!(judged(using("/tmp/libnetty_transport123.so", AtPath::Gone)), None);
}

/// How long before now the process started, in ns since the epoch.
fn started_ns() -> i128 {
    let census = census(vec![resident(8, 1)]);
    Scene::new(&census, &census).started_ns(&census.residents[0])
}

#[test]
fn a_script_that_was_changed_since_is_found_and_one_from_before_is_not() {
    let running = |modified_ns, is_relative| {
        with(|details| {
            details.script =
                Some(Script { path: b"/srv/main.py".into(), modified_ns, is_relative, ..Script::default() });
        })
    };
    let after = started_ns() + 60 * 1_000_000_000;
    assert_eq!(judged(running(after, false)), Some(Confidence::Certain));
    assert_eq!(judged(running(after, true)), Some(Confidence::Likely));
    // Written and started at once: the clocks differ by some ms.
    assert_eq!(judged(running(started_ns() + 20_000_000, false)), None);
    assert_eq!(judged(running(0, false)), None);
}

#[test]
fn a_checkout_that_moved_is_found_and_a_commit_made_in_it_is_not() {
    let at = |seconds: i64, from: u8, to: u8, by| Move {
        time_s: (started_ns() / 1_000_000_000) as i64 + seconds,
        from: [from; 12],
        to: [to; 12],
        by,
    };
    let moved = |moves: Vec<Move>| {
        let checkout = Checkout { root: b"/srv".into(), moves };
        judged_in(with(|details| details.checkout = Some(0)), vec![checkout])
    };
    let before = at(-60, b'0', b'1', MovedBy::Other);
    assert_eq!(moved(vec![before, at(60, b'1', b'2', MovedBy::Other)]), Some(Confidence::Likely));
    assert_eq!(moved(vec![before]), None);
    assert_eq!(moved(vec![before, at(60, b'1', b'2', MovedBy::Commit)]), None);
    let there_and_back = vec![at(60, b'1', b'2', MovedBy::Other), at(70, b'2', b'1', MovedBy::Other)];
    assert_eq!(moved(there_and_back), None, "the same code as before");
    assert_eq!(moved(vec![at(60, b'1', b'1', MovedBy::Other)]), None, "a checkout of where it was");
    assert_eq!(moved(vec![]), None);
}

#[test]
fn what_is_unreadable_is_none() {
    assert_eq!(judged(Resident { details: None, ..resident(8, 1) }), None);
}
