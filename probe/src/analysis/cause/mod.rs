//! Why a parent leaks, as far as what was seen can tell: a table of rules, each of which looks at one parent.
//!
//! A wrong cause is worse than none. A rule says yes only where what was seen leaves no other explanation; where
//! something is missing it says what. Must not know the sources of what was seen, nor verdicts.

mod case;
mod end_of_pipe;
mod flags;
mod group;
mod held;
mod inherited;
mod never_waits;
mod one_wait;
mod orphans;
mod parent_state;
mod runtime;
mod sigchld;
mod so_far;
mod spawning;
mod specific;
mod unknown;
mod words;

pub use runtime::Runtime;

use super::unreaped::Unreaped;
use crate::{
    engine::Parent,
    report::{Cause, CauseKind},
};
use case::Case;

/// What a rule finds.
enum Finding {
    No,
    /// The evidence, a sentence each, the strongest first.
    Yes(Vec<String>),
    /// Something was not seen without which it could be either: what.
    CannotTell(&'static str),
}

/// Which dead children a cause explains.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Explains {
    /// Those of one provenance, or in other hands: other causes may explain the rest.
    Some,
    /// All that the program itself forked: no second cause of that kind is looked for.
    Own,
    /// All that no tracer holds: while it lasts the parent cannot reap whatever its program does.
    All,
}

/// How one cause is recognised.
struct Rule {
    kind: CauseKind,
    explains: Explains,
    check: fn(&Case) -> Finding,
    /// What to do: now, and in the code or deployment, in words of what the parent is.
    fix: fn(&Case) -> Fix,
}

struct Fix {
    /// Empty where nothing helps at once.
    now: String,
    in_code: String,
}

impl Fix {
    fn new(now: impl Into<String>, in_code: impl Into<String>) -> Self {
        Self { now: now.into(), in_code: in_code.into() }
    }
}

/// The more special before the more general: of those that explain the same children the first one counts.
const RULES: &[Rule] = &[
    parent_state::STOPPED,
    parent_state::FROZEN,
    end_of_pipe::RULE,
    parent_state::BLOCKED,
    sigchld::BLOCKED,
    inherited::RULE,
    orphans::INIT,
    orphans::SUBREAPER,
    flags::EXCLUDE,
    flags::PEEK,
    sigchld::IGNORED_TOO_LATE,
    one_wait::RULE,
    spawning::RULE,
    group::RULE,
    specific::RULE,
    never_waits::RULE,
    held::RULE,
];

/// All that apply, the strongest first; never empty. `window`: when it began and ended, in ns.
pub fn causes(parent: &Parent, unreaped: &Unreaped, window: (u64, u64)) -> Vec<Cause> {
    let case = Case::new(parent, unreaped, window);
    let mut found: Vec<Cause> = Vec::new();
    let (mut is_own_explained, mut is_all_explained, mut are_own_found) = (false, false, false);
    let mut missing = Vec::new();
    for rule in RULES {
        let is_explained = match rule.explains {
            _ if rule.kind == CauseKind::HeldByTracer => false,
            Explains::Some => is_all_explained,
            Explains::Own | Explains::All => is_own_explained || is_all_explained,
        };
        if is_explained {
            continue;
        }
        match (rule.check)(&case) {
            Finding::No => {}
            Finding::Yes(mut evidence) => {
                is_own_explained |= rule.explains == Explains::Own;
                is_all_explained |= rule.explains == Explains::All;
                are_own_found |= rule.explains != Explains::Some;
                let Fix { now, in_code } = (rule.fix)(&case);
                let is_over = case.left == 0 || case.parent.died_ns.is_some();
                let (now, so_far) = match rule.kind {
                    CauseKind::HeldByTracer => (now, None),
                    CauseKind::ParentStopped | CauseKind::ParentFrozen | CauseKind::ParentBlocked => {
                        (if is_over { String::new() } else { now }, case.around_stop())
                    }
                    _ => (now, case.so_far()),
                };
                evidence.extend(so_far);
                found.push(Cause { kind: rule.kind, evidence, now, fix: in_code });
            }
            Finding::CannotTell(what) => {
                // What may explain all leaves nothing else certain.
                is_own_explained |= rule.explains == Explains::All;
                missing.push(what);
            }
        }
    }
    // What the tracers hold is none of those left; and what explains children of one provenance leaves its own ones.
    let are_all_held = found.iter().all(|cause| cause.kind == CauseKind::HeldByTracer) && case.left > 0;
    if found.is_empty() || are_all_held {
        found.insert(0, unknown::cause(&case, &missing));
    } else if !are_own_found && case.own_left() > 0 {
        found.push(unknown::cause(&case, &missing));
    }
    found
}
