//! What is kept beside the counts: what a parent's threads did when its children died, and who only looks dead.

use super::*;

#[test]
fn slow_reaps_are_split_by_what_the_parents_threads_did_and_quick_ones_are_not() {
    let mut engine = play("");
    let late_ns = engine.finished.bounds.late_ns;
    for (child, latency_ns, readiness) in [
        (20, late_ns, Readiness::NotWaiting),
        (21, late_ns + 1, Readiness::NotWaiting),
        (22, late_ns + 2, Readiness::NotWaiting),
        (23, late_ns + 3, Readiness::WaitingOtherwise),
        (24, late_ns + 4, Readiness::Unknown),
    ] {
        let stage = Stage::Reap {
            parent: task(2),
            reaper: task(2),
            how: ReapHow::Wait,
            precision: Precision::Exact,
            exit_ns: 999,
            zombie_ns: 1_000,
            readiness,
        };
        engine.apply(life(1_000 + latency_ns, child, stage), &mut Vec::new());
    }
    let part = |count, total_ns| Waited { count, total_ns };
    assert_eq!(
        engine.parents[&task(2).identity].late_reaps().slow,
        SlowReaps {
            not_waiting: part(2, 2 * late_ns + 3),
            waiting_otherwise: part(1, late_ns + 3),
            unknown: part(1, late_ns + 4),
            ..SlowReaps::default()
        }
    );
}

#[test]
fn who_looks_dead_is_told_from_the_first_walk_that_found_it_so_to_the_last_and_not_after() {
    let walk = |time_ns, state| {
        let seen = TaskEntry {
            time_ns,
            process: task(20),
            parent: task(2),
            state,
            tracer: None,
            since_ns: 0,
            traits: crate::model::TaskTraits::default(),
        };
        Input::Snapshot(Snapshot {
            began_ns: time_ns,
            ended_ns: time_ns,
            settle_after_ns: 0,
            tasks: vec![seen],
        })
    };
    let mut engine = play("");
    let mut found = Vec::new();
    for (time_ns, state) in [
        (10, TaskState::Running),
        (20, TaskState::Exiting),
        (30, TaskState::Exiting),
        (40, TaskState::DeadLeader),
        (50, TaskState::Zombie),
    ] {
        engine.apply(walk(time_ns, state), &mut Vec::new());
        found.push(engine.view().looking_dead().map(|(_, looks)| *looks).next());
    }
    let looks = |is_leader_alone, first_ns, last_ns| Some(LooksDead { is_leader_alone, first_ns, last_ns });
    assert_eq!(found, [None, looks(false, 20, 20), looks(false, 20, 30), looks(true, 40, 40), None]);
}
