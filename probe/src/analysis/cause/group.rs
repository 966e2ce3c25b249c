//! `waits_only_for_its_process_group`: it waits for a process group, which these children have left (setsid, setpgid).
//!
//! Confusable with `waits_only_for_specific_children`: the kernel's hook tells a group from a child only by the arguments
//! of the call. Must not know the other rules, nor verdicts.

use super::{Case, Explains, Finding, Fix, Rule, words::wait_calls};
use crate::report::CauseKind;

/// So many calls came back without a child, at least.
const IN_VAIN_MIN: u64 = 8;

pub const RULE: Rule = Rule {
    kind: CauseKind::WaitsOnlyForItsProcessGroup,
    explains: Explains::Own,
    check,
    fix: |case| {
        Fix::new(
            case.free_now(),
            "wait for any child (waitpid(-1, …) instead of 0 or -PGID), or for each by pid: a child that calls setsid or \
             setpgid leaves the group",
        )
    },
};

fn check(case: &Case) -> Finding {
    let Some(waits) = case.waits else { return Finding::No };
    if case.own_left() == 0 || case.asks_for_any() || waits.group == 0 {
        return Finding::No;
    }
    if waits.absent > 0 || waits.group < waits.read || case.own_left() <= case.unreaped.older {
        return Finding::No;
    }
    // A child of the group would have been taken by one of those that came back with nothing.
    let since = case.while_left();
    if since.any + since.specific < since.reaped + IN_VAIN_MIN {
        return Finding::No;
    }
    Finding::Yes(vec![format!(
        "{} it began {} for certain children; {} whose arguments were read named a process group, not a child",
        case.since(),
        wait_calls(waits.any + waits.specific),
        if waits.read == 1 { "the one".into() } else { format!("each of the {}", waits.read) }
    )])
}
