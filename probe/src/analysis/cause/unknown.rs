//! `unknown`: what is known all the same, and what is missing.
//!
//! Must not know the rules: it gets what they missed.

use super::{
    Case, parent_state,
    words::{
        AFTER_READING, END_OF_PIPE, END_OF_SOME_PIPE, FLAGS, IN_TURN, IN_WAIT, LIBUV, PERHAPS_END_OF_PIPE,
        dead_children, of_its,
    },
};
use crate::report::{Cause, CauseKind};

/// What is said also of who waited before: why it may still come to those left.
const MAY_COME: [&str; 8] =
    [END_OF_PIPE, PERHAPS_END_OF_PIPE, END_OF_SOME_PIPE, IN_WAIT, IN_TURN, AFTER_READING, LIBUV, FLAGS];

/// `missing`: what the rules would have had to know.
pub fn cause(case: &Case, missing: &[&str]) -> Cause {
    let (parent, unreaped) = (case.parent, case.unreaped);
    let mut evidence = Vec::new();
    let waits = case.waits.map(|waits| waits.any + waits.specific);
    let reaped = case.reaped();
    if unreaped.older > 0 && unreaped.older == case.left {
        let them = if case.left == 1 { "its dead child is" } else { "all its dead children are" };
        evidence.push(format!("{them} older than the watch: how it waited before is not known"));
        evidence.extend(may_come(missing));
    } else if case.left > 0 && waits == Some(0) && reaped > 0 {
        evidence.push(format!(
            "it reaped {} though no wait call of it was seen to begin: it waits by other means (such as io_uring), or in a \
             call that began earlier",
            dead_children(reaped)
        ));
    } else if case.left > 0 {
        evidence.extend(case.waits_counted().map(|counted| match waits {
            Some(0) if case.are_waits_known() => format!("{counted}, and {}", case.stayed(case.left)),
            Some(0) => format!("{counted}; how it waited before is not known"),
            _ => format!("{counted}, and {}", case.stayed(case.left)),
        }));
        if waits == Some(0) && case.are_waits_known() {
            evidence.extend(missing.first().map(|missing| (*missing).to_owned()));
        } else {
            evidence.extend(may_come(missing));
        }
    } else if reaped > 0 {
        evidence.push(format!("it reaped {}, at least one later than the grace", dead_children(reaped)));
    } else if parent.reaped_before_exec > 0 {
        evidence.push(format!(
            "the program that it ran before its last exec reaped {}, at least one later than the grace",
            dead_children(parent.reaped_before_exec)
        ));
    }
    match case.adopted_left() {
        0 if case.left > 0 && case.is_reaper() => {
            let adopted = case.adopted_alive().saturating_add(parent.ledger.counts.adopted);
            if adopted == 0 && unreaped.older > 0 && parent.is_namespace_init() {
                evidence.push(
                    "it is PID 1 of a PID namespace, which gets every orphan in it; whether those left are orphans is not known"
                        .into(),
                );
            }
            if adopted > 0 {
                evidence.push(format!(
                    "it adopts: {adopted} or more of those that died came to it from processes that died before; whether \
                     those left did is not known"
                ));
            }
        }
        0 => {}
        adopted => evidence.push(format!(
            "{} to it from processes that died before",
            of_its(adopted, case.left, "came", "came")
        )),
    }
    if evidence.is_empty() {
        evidence.push(match missing.first() {
            Some(missing) => format!("nothing that was seen tells why: {missing}"),
            None => "nothing that was seen tells why".into(),
        });
    }
    // Whoever cannot go on is not helped by having it reap: it may be about to.
    let now = match parent_state::found_now(case) {
        Some((found, now)) => {
            evidence.extend(
                found.into_iter().map(|one| format!("now {one}; whether it would reap is not known")),
            );
            now
        }
        None => case.free_if_they_stay(),
    };
    Cause {
        kind: CauseKind::Unknown,
        evidence,
        now,
        fix: if missing.contains(&LIBUV) {
            case.runtime.wait_for_each().into()
        } else if unreaped.older > 0 && unreaped.older == case.left {
            "watch it until another child of it has died, or from its start (reapwatch run): then how it waits is seen".into()
        } else {
            "look at where it starts children and where it waits for them".into()
        },
    }
}

/// Why it may still come to those left, in the first of those words.
fn may_come(missing: &[&str]) -> Option<String> {
    MAY_COME.into_iter().find(|one| missing.contains(one)).map(str::to_owned)
}
