//! Dead children that their parent does not reap.
//!
//! Owns who is to blame. /proc does not say when a process died: so only who was dead at both looks counts.

use super::{
    Finding,
    scene::{Scene, named, others},
};
use crate::{
    model::Resident,
    report::{
        audit::{Confidence, GhostKind, Role, Way},
        words::{children, duration},
    },
};

pub fn find(scene: &Scene<'_>, found: &mut Vec<Finding>) {
    let mut zombies: Vec<&Resident> = scene
        .residents()
        .filter(|one| one.is_zombie() && scene.before(one).is_some_and(|before| before.is_zombie()))
        .collect();
    zombies.sort_by_key(|one| (one.parent, one.identity.start_boottime_ns, one.identity.tgid));
    for of_one in zombies.chunk_by(|one, other| one.parent == other.parent) {
        found.push(of_parent(scene, of_one));
    }
}

fn of_parent(scene: &Scene<'_>, zombies: &[&Resident]) -> Finding {
    let oldest = zombies[0];
    let parent = scene.parent(oldest);
    let reaped = scene.reaped_of(oldest.parent);
    let mut evidence = vec![format!(
        "{} for at least {}, and at most {}, since the oldest was started",
        children(zombies.len() as u64, "dead and unreaped "),
        duration(scene.looked_for_ns()),
        duration(scene.age_ns(oldest)),
    )];
    if reaped > 0 {
        evidence.push(format!("it reaped {} meanwhile: it reaps late", children(reaped, "other ")));
    }
    match parent {
        Some(parent) if b"Tt".contains(&parent.state) => {
            evidence.push(format!("{} is stopped: it can reap them when it goes on", named(parent)));
        }
        None => evidence.push("their parent is outside of this PID namespace, or hidden".into()),
        _ => {}
    }
    let held = zombies.iter().filter(|one| one.tracer != 0 && one.tracer != one.parent);
    for one in held.take(3) {
        let tracer = scene.with_pid(one.tracer).map_or_else(|| format!("pid {}", one.tracer), named);
        evidence.push(format!("{} is held by its tracer, {tracer}, which has to let go first", named(one)));
    }
    let commands = parent.map_or_else(Vec::new, |parent| {
        let pid = parent.identity.tgid;
        let explain = Way {
            command: format!("sudo reapwatch explain {pid}"),
            does: "says why it does not reap, and what to change",
        };
        // Nobody may hold up PID 1.
        let reap = (pid != 1).then(|| Way {
            command: format!("sudo reapwatch reap {pid}"),
            does: "has it reap them now, and go on",
        });
        std::iter::once(explain).chain(reap).collect()
    });
    Finding {
        kind: GhostKind::Zombie,
        confidence: Confidence::Certain,
        inferred: false,
        about: parent.unwrap_or(oldest).identity,
        takes_long: true,
        count: zombies.len() as u64,
        related: others(Role::Zombie, zombies),
        evidence,
        commands,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::audit::tests::{census, later, only, resident};

    fn zombie(pid: u32, parent: u32) -> Resident {
        Resident { state: b'Z', threads: 1, details: None, command_line: Vec::new(), ..resident(pid, parent) }
    }

    #[test]
    fn zombies_are_their_parents_and_listed_once() {
        let first = census(vec![resident(7, 1), zombie(8, 7), zombie(9, 7), resident(10, 1), zombie(11, 10)]);
        let found =
            crate::analysis::audit::audit(&first, &later(&first), crate::analysis::audit::Asked::default())
                .findings;
        let pids: Vec<(u32, u64)> = found.iter().map(|one| (one.process.pid, one.count)).collect();
        assert_eq!(pids, [(7, 2), (10, 1)]);
        assert_eq!(found[0].commands[1].command, "sudo reapwatch reap 7");
        assert!(found[0].evidence[0].starts_with("2 dead and unreaped children for at least 5.0 s"));
    }

    #[test]
    fn a_parent_that_reaps_meanwhile_reaps_late() {
        let first = census(vec![resident(7, 1), zombie(8, 7), zombie(9, 7)]);
        let mut last = later(&first);
        last.residents.retain(|one| one.identity.tgid != 8);
        let found =
            crate::analysis::audit::audit(&first, &last, crate::analysis::audit::Asked::default()).findings;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].evidence[1], "it reaped 1 other child meanwhile: it reaps late");
        last.taken_ns -= 1;
        assert_eq!(only(&first, &last, GhostKind::Zombie), 0, "that is not long enough");
    }

    #[test]
    fn who_is_reaped_between_the_looks_and_a_dead_main_thread_are_none() {
        let first = census(vec![resident(7, 1), zombie(8, 7)]);
        let mut last = later(&first);
        last.residents.retain(|one| one.identity.tgid != 8);
        last.residents.push(zombie(9, 7));
        assert_eq!(only(&first, &last, GhostKind::Zombie), 0);
        let leader = census(vec![resident(7, 1), Resident { threads: 3, ..zombie(8, 7) }]);
        assert_eq!(only(&leader, &later(&leader), GhostKind::Zombie), 0);
    }
}
