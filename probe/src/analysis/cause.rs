//! Why a parent leaks, as far as what was seen can tell. What cannot be known is `unknown`, never a guess.

use super::Unreaped;
use crate::{engine::Parent, report::Cause};

fn cause(kind: &str, evidence: Vec<String>, fix: &str) -> Cause {
    Cause { kind: kind.into(), evidence, fix: fix.into() }
}

/// All that apply, the strongest first; never empty.
pub fn causes(parent: &Parent, unreaped: &Unreaped) -> Vec<Cause> {
    let mut found = Vec::new();
    let left = unreaped.own + parent.ledger.abandoned;
    let inherited =
        parent.exec_ns.filter(|exec_ns| parent.last_fork_ns != 0 && *exec_ns > parent.last_fork_ns);
    if inherited.is_some() && left > 0 {
        found.push(cause(
            "children_inherited_through_exec",
            vec![
                "it started its children, then ran another program by exec, which does not know of them"
                    .into(),
            ],
            "wait for the background jobs before the exec, or do not exec: let the shell stay as the parent",
        ));
    }
    if let Some(waits) = parent.waits
        && left > 0
        && inherited.is_none()
    {
        if waits.any + waits.specific == 0 {
            found.push(cause(
                "never_waits",
                vec![format!("it made no wait call while {left} children died on it")],
                "call waitpid for each child, or waitpid(-1, …, WNOHANG) in a loop on SIGCHLD; where the exit status \
                 does not matter, ignore SIGCHLD (sigaction SIG_IGN) and the kernel reaps",
            ));
        } else if waits.any == 0 && waits.specific > 0 {
            found.push(cause(
                "waits_only_for_specific_children",
                vec![format!(
                    "all its {} wait calls named a child; none asked for any child",
                    waits.specific
                )],
                "wait for every child that is started, also on the error path and after a timeout",
            ));
        }
    }
    if parent.ledger.adopted > 0 && unreaped.own + unreaped.abandoned_past_grace > 0 {
        found.push(cause(
            "does_not_reap_adopted_children",
            vec![format!("{} dead children came to it from parents that died first", parent.ledger.adopted)],
            "a PID 1 or subreaper must reap any child: loop on waitpid(-1, …); in a container use an init (tini, \
             docker run --init)",
        ));
    }
    if unreaped.held > 0 {
        let tracer =
            unreaped.tracer.map(|tracer| format!("{} (pid {})", tracer.comm.text(), tracer.identity.tgid));
        found.push(cause(
            "held_by_tracer",
            vec![format!(
                "{} of its dead children are held by the tracer {}",
                unreaped.held,
                tracer.unwrap_or_default()
            )],
            "let the tracer wait for the child or detach; the parent cannot reap it before",
        ));
    }
    if found.is_empty() {
        found.push(cause(
            "unknown",
            vec!["nothing that was seen tells why".into()],
            "look at where it starts children and where it waits for them",
        ));
    }
    found
}
