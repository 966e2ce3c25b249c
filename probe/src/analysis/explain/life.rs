//! Where in its life the process is that was asked for, and what that means: a zombie, or one of those that look like one.
//!
//! Must not judge its parent.

use super::{
    super::{ns_pid, owned, text, time},
    Looks, exit, killed_by,
};
use crate::{
    engine::{State, View},
    model::{Condition, Identity, Session, Task, TaskState, WaitStatus},
    report::{
        Named,
        explain::{Asked, Life},
        words::{called, count, duration, in_namespace, killer, signal},
    },
};

/// The process that was asked for.
pub fn asked(
    view: &View<'_>,
    session: &Session,
    task: &Task,
    looks: &Looks,
    status_of: &dyn Fn(&Task) -> Option<WaitStatus>,
) -> Asked {
    let (began_ns, end_ns) = view.window();
    let process = view.process(task.identity);
    let age_ns = end_ns.saturating_sub(task.identity.start_boottime_ns);
    let parent = process.and_then(|process| named(view, process.parent));
    let named_now = process.map_or(*task, |process| process.task);
    let mut asked = Asked {
        pid: task.identity.tgid,
        ns_pid: ns_pid(task),
        start_time: time::rfc3339(session, task.identity.start_boottime_ns),
        comm: named_now.comm.text().into_owned(),
        state: Life::Running,
        about: Vec::new(),
        exit: None,
        since_ns: None,
        at_least: false,
        must_reap: None,
        kernel_function: None,
        threads_left: None,
        descriptors: None,
        now: String::new(),
        fix: String::new(),
    };
    let killer = view.kill(task.identity).map(|kill| killer(&killed_by(kill), task.identity.tgid));
    match process.map(|process| &process.state) {
        Some(State::Zombie { since_ns, held_by, at_least }) => {
            asked.since_ns = Some(end_ns.saturating_sub(*since_ns));
            asked.at_least = *at_least;
            asked.exit = status_of(task).map(exit);
            asked.must_reap = parent;
            zombie(&mut asked, age_ns, held_by.as_deref().map(owned), killer);
        }
        Some(State::Abandoned { since_ns, .. }) => {
            asked.since_ns = Some(end_ns.saturating_sub(*since_ns));
            asked.exit = status_of(task).map(exit);
            zombie(&mut asked, age_ns, None, killer);
        }
        state => {
            let ending_since_ns = match state {
                Some(State::Exited { exit_ns, .. }) => Some(*exit_ns),
                _ => None,
            };
            match &looks.last {
                Some(last) if last.state == TaskState::DeadLeader => dead_leader(&mut asked, last),
                Some(last) if last.state == TaskState::Exiting => {
                    let was_ending =
                        looks.first.as_ref().is_some_and(|first| first.state == TaskState::Exiting);
                    asked.at_least = ending_since_ns.is_none() && was_ending;
                    let since_ns = ending_since_ns.or(was_ending.then_some(began_ns));
                    asked.since_ns = since_ns.map(|since_ns| end_ns.saturating_sub(since_ns));
                    let is_stuck = asked.since_ns.is_some_and(|since_ns| since_ns > session.grace_ns);
                    ending(&mut asked, parent, Some((looks.first.as_ref(), last)), is_stuck);
                }
                None if ending_since_ns.is_some() => {
                    asked.since_ns = ending_since_ns.map(|since_ns| end_ns.saturating_sub(since_ns));
                    let is_stuck = asked.since_ns.is_some_and(|since_ns| since_ns > session.grace_ns);
                    ending(&mut asked, parent, None, is_stuck);
                }
                None if process.is_none() && has_died(view, task.identity) => {
                    asked.state = Life::Gone;
                    asked.about.push("it is gone: it ended before the window did, and is reaped".into());
                }
                _ => {}
            }
        }
    }
    asked
}

/// Of a process that is not in the process table: a parent may be known that was never seen as a process.
pub fn has_died(view: &View<'_>, identity: Identity) -> bool {
    view.parent(identity).is_none_or(|known| known.died_ns.is_some())
}

fn named(view: &View<'_>, identity: Identity) -> Option<Named<'static>> {
    let process = view.process(identity).map(|process| owned(&process.task));
    process.or_else(|| view.parent(identity).map(|parent| owned(&parent.task)))
}

fn by_name(named: &Named) -> String {
    format!("{} (pid {}{})", called(&named.comm), named.pid, in_namespace(named.ns_pid))
}

fn for_how_long(asked: &Asked) -> String {
    let at_least = if asked.at_least { "at least " } else { "" };
    asked.since_ns.map_or_else(|| "a moment".into(), |since_ns| format!("{at_least}{}", duration(since_ns)))
}

fn zombie(asked: &mut Asked, age_ns: u64, tracer: Option<Named>, killer: Option<String>) {
    asked.state = Life::Zombie;
    let born = match asked.at_least {
        true => format!(" (it was started {} ago)", duration(age_ns)),
        false => String::new(),
    };
    asked.about.push(format!(
        "it is a zombie, dead for {}{born}: it has no memory and no descriptors any more, only its pid and its entry in the \
         process table; no signal changes that",
        for_how_long(asked)
    ));
    asked.about.push(match asked.exit.map(|exit| (exit.code, exit.signal)) {
        Some((_, Some(number))) => match killer {
            Some(killer) => format!("it was killed by {}, sent by {killer}", signal(number)),
            None => format!("it was killed by {}", signal(number)),
        },
        Some((code, None)) => format!("it exited with {}", code.unwrap_or(0)),
        None => "how it ended is not known, or may not be read".into(),
    });
    let must = asked.must_reap.as_ref().map_or_else(
        || "its parent has died, and who gets it was not seen".into(),
        |parent| format!("its parent, {}, must reap it", by_name(parent)),
    );
    asked.about.push(match tracer {
        Some(tracer) => {
            format!("{must}, and cannot before its tracer, {}, has waited for it", by_name(&tracer))
        }
        None => must,
    });
}

fn dead_leader(asked: &mut Asked, seen: &Condition) {
    asked.state = Life::DeadLeader;
    asked.threads_left = Some(seen.threads_left);
    asked.descriptors = seen.descriptors;
    let (threads, live) = match seen.threads_left {
        1 => ("1 of its threads".into(), "lives"),
        more => (format!("{} of its threads", count(more)), "live"),
    };
    asked.about.push(format!(
        "it is no zombie, though ps shows it as Z: its main thread has ended, and {threads} {live}. Nobody can reap it \
         before the last of them ends"
    ));
    asked.about.push(match seen.descriptors {
        Some(1) => "it holds what it held: its memory, its locks, and 1 descriptor that is open".into(),
        Some(open) => {
            format!(
                "it holds what it held: its memory, its locks, and {} descriptors that are open",
                count(open)
            )
        }
        None => "it holds what it held: its memory, its locks and its descriptors; how many may not be read"
            .into(),
    });
    asked.now = format!("`ps -L -p {}` shows the threads that live; SIGKILL ends them", asked.pid);
}

/// `looks`: what /proc said first and last.
fn ending(
    asked: &mut Asked,
    parent: Option<Named>,
    looks: Option<(Option<&Condition>, &Condition)>,
    is_stuck: bool,
) {
    asked.state = Life::Ending;
    let stuck = if is_stuck { "stuck in its exit" } else { "ending" };
    let parent =
        parent.map_or_else(|| "its parent".into(), |parent| format!("its parent, {},", by_name(&parent)));
    asked.about.push(format!(
        "it is {stuck}, for {} so far, and no zombie yet: the kernel is taking it apart; {parent} cannot reap it before \
         that is done, and is not to blame; SIGKILL changes nothing",
        for_how_long(asked)
    ));
    let Some((first, last)) = looks else {
        asked.about.push("what it waits for and what it still holds is not in a recording".into());
        return;
    };
    let function = text(&last.kernel_function).into_owned();
    let known = meaning(&function);
    asked.about.push(match (function.as_str(), &known) {
        ("", _) => "what it waits for is not known: it does not sleep, or that may not be read".into(),
        (function, Some(known)) => format!("it waits in the kernel's {function}: {}", known.what),
        (function, None) => format!("it waits in the kernel's {function}"),
    });
    asked.kernel_function = (!function.is_empty()).then_some(function);
    // After the window, reapwatch has given up the right to look into other users' directories.
    asked.descriptors = last.descriptors.or(first.and_then(|first| {
        (first.kernel_function == last.kernel_function).then_some(first.descriptors).flatten()
    }));
    asked.about.push(match asked.descriptors {
        Some(open) => format!("it still has {} open descriptors", count(open)),
        None => "which of its descriptors are still open cannot be known: the kernel takes the table of them away and then \
                 closes one after the other; a pipe, a lock or a port of its may still be held"
            .into(),
    });
    if is_stuck {
        let stack = || {
            format!(
                "see in /proc/{}/stack which file system or driver it waits for, and free that",
                asked.pid
            )
        };
        asked.now = known.as_ref().map_or_else(stack, |known| known.now.into());
        asked.fix = known.map_or_else(String::new, |known| known.fix.into());
    }
}

struct Meaning {
    what: &'static str,
    now: &'static str,
    fix: &'static str,
}

/// What a dying process waits for in this function of the kernel, where that is sure.
fn meaning(function: &str) -> Option<Meaning> {
    match function {
        "request_wait_answer" => Some(Meaning {
            what: "a FUSE file system does not answer",
            now: "abort the connection (`umount -f` of the file system does, though it says busy), or end its server",
            fix: "have the server answer every request, and restart it where it hangs",
        }),
        "zap_pid_ns_processes" => Some(Meaning {
            what: "it is the init of a PID namespace, and a process in that namespace is not reaped yet",
            now: "find the processes that entered the namespace from outside (docker exec, nsenter) and are zombies, and \
                  end their parents",
            fix: "have whoever enters the namespace reap what it starts there",
        }),
        _ => None,
    }
}
