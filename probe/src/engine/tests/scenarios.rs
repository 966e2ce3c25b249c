//! The engine against scenarios whose outcome is known.

use super::*;

#[test]
fn a_plain_life_is_forked_dead_and_reaped_once() {
    let engine = play("10 fork 20 2\n 30 exit 20 2\n 31 zombie 20 2\n 40 reap 20 2");
    assert_eq!(books(&engine, 2), [1, 1, 0, 1, 0, 0, 0]);
    assert_eq!(engine.parents[&task(2).identity].reap_latency.max_ns(), 9);
}

#[test]
fn an_autoreap_is_never_a_zombie_even_when_its_free_comes_after_the_parents_end() {
    let engine = play("10 fork 20 2\n 30 ignored 20 2\n 40 exit 2 1\n 50 auto 20 2");
    assert_eq!(books(&engine, 2), [1, 1, 0, 0, 1, 0, 0]);
}

#[test]
fn zombies_of_a_dying_parent_are_abandoned_and_the_adopters_from_then_on() {
    let engine = play(
        "10 fork 20 2\n 30 exit 20 2\n 31 zombie 20 2\n 90 exit 2 1\n 91 reparent 20 1\n 92 zombie 2 1\n 95 reap 20 1",
    );
    assert_eq!(books(&engine, 2), [1, 1, 0, 0, 0, 0, 1]);
    assert_eq!(books(&engine, 1), [0, 1, 1, 1, 0, 1, 0]);
    assert_eq!(engine.parents[&task(1).identity].reap_latency.max_ns(), 4, "timed from the adoption");
}

#[test]
fn what_the_kernel_reaps_for_a_dying_init_is_abandoned() {
    let engine = play("10 fork 20 2\n 30 exit 20 2\n 31 zombie 20 2\n 90 exit 2 1\n 91 free 20 2");
    assert_eq!(books(&engine, 2), [1, 1, 0, 0, 0, 0, 1]);
    let engine = play(
        "9 fork 19 2\n 10 fork 20 2\n 30 exit 19 2\n 31 zombie 19 2\n 90 exit 2 1\n 91 exit 20 2\n 92 zombie 20 2\n 95 free 20 2\n 96 free 19 2",
    );
    assert_eq!(books(&engine, 2), [2, 2, 0, 0, 0, 0, 2]);
}

#[test]
fn a_held_zombie_is_timed_from_when_the_tracer_lets_go() {
    let engine = play("10 fork 20 2\n 30 exit 20 2\n 31 held 20 2 7\n 500 again 20 2\n 510 reap 20 2");
    assert_eq!(books(&engine, 2), [1, 1, 0, 1, 0, 0, 0]);
    assert_eq!(engine.parents[&task(2).identity].reap_latency.max_ns(), 10);
}

#[test]
fn a_free_that_comes_after_the_parents_end_is_its_reap_where_its_parent_took_it() {
    let script = "10 fork 2 1\n 11 fork 20 2\n 12 fork 21 2\n 30 exit 20 2\n 31 zombie 20 2\n 32 exit 21 2\n 33 zombie 21 2
        40 exit 2 1\n 41 zombie 2 1\n 50 reap 20 2\n 60 free 21 2";
    let engine = play(script);
    assert_eq!(books(&engine, 2), [2, 2, 0, 1, 0, 0, 1]);
    assert_eq!(engine.parents[&task(2).identity].reap_latency.max_ns(), 9);
}

#[test]
fn a_walk_finds_what_was_lost_and_lets_go_of_what_is_gone() {
    let engine = play("10 walk 20:2 21:2 2");
    assert_eq!(books(&engine, 2), [0, 2, 0, 0, 0, 2, 0]);
    // 20 was reaped unseen; 22's death was never told.
    let engine = play("10 fork 20 2\n 11 fork 22 2\n 30 exit 20 2\n 31 zombie 20 2\n 50 walk 22:2 2");
    assert_eq!(books(&engine, 2), [2, 2, 0, 1, 0, 1, 0]);
}

#[test]
fn init_lives_though_no_walk_finds_it() {
    // Five orphans come to it; it is not in the list, as in some sandboxes.
    let engine = play(
        "10 walk 2 20:1\n 30 reap 20 1\n 40 exit 21 1\n 41 zombie 21 1\n 50 walk 2 21:1\n 60 reap 21 1\n 70 walk 2",
    );
    assert_eq!(books(&engine, 1), [0, 2, 0, 2, 0, 0, 0]);
    assert_eq!(engine.parents[&task(1).identity].died_ns, None);
    // Another that is not there is dead, and has abandoned what it had.
    let engine = play("10 walk 2 20:2\n 40 walk 20:1");
    assert!(engine.parents[&task(2).identity].died_ns.is_some());
}

#[test]
fn what_is_known_of_the_abandoned_is_kept_with_their_parent() {
    let engine = play(
        "10 walk 2 20:2\n 30 fork 31 2\n 31 fork 32 2\n 40 exit 31 2\n 41 held 31 2 7\n 42 exit 32 2\n 43 zombie 32 2
         50 reparent 33 2\n 90 exit 2 1\n",
    );
    let parent = &engine.parents[&task(2).identity];
    assert_eq!((parent.abandoned().after.count(), parent.abandoned().held_after.count()), (3, 1));
    assert_eq!(
        (parent.abandoned().older, parent.abandoned().from.adopted, parent.abandoned().youngest_ns),
        (1, 0, 33)
    );
    assert_eq!(parent.abandoned().held_by.as_ref().map(|tracer| tracer.identity.tgid), Some(7));
    let handed_on = "30 fork 31 3\n 40 exit 31 3\n 41 zombie 31 3\n 50 reparent 31 2\n 90 exit 2 1\n";
    assert_eq!(play(handed_on).parents[&task(2).identity].abandoned().from.adopted, 1);
    let orphan = "30 fork 31 3\n 39 exit 3 2\n 40 exit 31 2\n 41 zombie 31 2\n 90 exit 2 1\n";
    assert_eq!(play(orphan).parents[&task(2).identity].abandoned().from.adopted, 1);
}

#[test]
fn where_only_exceptions_are_told_the_counters_say_whether_a_free_came_after_the_parents_end() {
    let begin = Begin { time_ns: 1, coverage: Coverage::Exceptions { slow_ns: 1 }, ..Begin::default() };
    let free = |zombie_ns, time_ns, child| {
        let stage = Stage::Reap {
            parent: task(5),
            reaper: Task::default(),
            how: ReapHow::Wait,
            precision: Precision::Coarse,
            exit_ns: 0,
            zombie_ns,
            readiness: Readiness::Unknown,
        };
        life(time_ns, child, stage)
    };
    let counters = |time_ns, died_ns| {
        let counts = ChildCounts { exited: 3, reaped: 1, ..ChildCounts::default() };
        let counters = Counters { time_ns, parent: task(5), died_ns, counts, ..Counters::default() };
        Input::Counters(Box::new(counters))
    };
    // A walk may find the parent gone before its counters are read.
    for walk in [None, Some(walk_of_zombies(190, 6, &[], 0))] {
        let mut engine = Engine::default();
        for input in [
            Some(Input::Begin(begin.clone())),
            Some(walk_of_zombies(2, 5, &[], 0)),
            Some(free(20, 60, 10)),
            Some(counters(100, 0)),
            Some(free(30, 160, 11)),
            Some(free(50, 170, 12)),
            walk,
            Some(counters(200, 150)),
            Some(Input::End { time_ns: 300 }),
        ]
        .into_iter()
        .flatten()
        {
            engine.apply(input, &mut Vec::new());
        }
        let view = engine.view();
        let parent = view.parent(task(5).identity).expect("a parent");
        assert_eq!(books(&engine, 5), [0, 3, 0, 1, 0, 0, 2]);
        assert_eq!((parent.abandoned().after.count(), parent.abandoned().after.max_ns()), (2, 120));
    }
}

#[test]
fn of_late_reaps_those_are_shown_that_are_known_to_be_late() {
    let coverage = Coverage::LateReaps { min_latency_ns: 1_000 };
    let begin = Begin { time_ns: 1, coverage, ..Begin::default() };
    let reaped = |time_ns, child, zombie_ns, reaper| {
        let stage = Stage::Reap {
            parent: task(5),
            reaper,
            how: ReapHow::Wait,
            precision: Precision::Exact,
            exit_ns: 0,
            zombie_ns,
            readiness: Readiness::Unknown,
        };
        life(time_ns, child, stage)
    };
    let mut engine = Engine::default();
    let mut shown = Vec::new();
    for input in [
        Input::Begin(begin),
        // 20 and 21 are zombies of 4, 22 of 5.
        walk_of_zombies(2, 4, &[20, 21], 0),
        walk_of_zombies(3, 5, &[22], 0),
        // 20 came into the hands of 5 at 100, which was not told.
        reaped(2_000, 20, 100, task(5)),
        reaped(2_100, 23, 300, task(5)),
        // 21 is gone, and nobody said when.
        walk_of_zombies(3_000, 5, &[], 0),
    ] {
        let mut enriched = Vec::new();
        engine.apply(input, &mut enriched);
        shown.extend(enriched.into_iter().filter_map(|enriched_event| match enriched_event {
            EnrichedEvent::Stage { event, reap_latency_ns, in_scope: true, .. } => {
                Some((event.process.identity.tgid, reap_latency_ns))
            }
            _ => None,
        }));
    }
    assert_eq!(shown, [(20, Some(1_900)), (23, Some(1_800))]);
}

#[test]
fn a_reap_is_coarse_for_the_parent_that_it_is_booked_with() {
    let engine =
        play("2 walk 5:3 2 3\n 10 fork 20 2\n 20 exit 20 2\n 21 zombie 20 2\n 30 reap 20 2\n 50 walk 2 3");
    let coarse = |tgid| engine.parents[&task(tgid).identity].ledger.counts.coarse;
    assert_eq!((coarse(2), coarse(3)), (0, 1));
}

#[test]
fn who_is_reaped_while_the_list_is_walked_is_not_brought_back() {
    let life = "10 fork 20 2\n 20 exit 20 2\n 21 zombie 20 2\n";
    let engine = play(&format!("{life} 30 reap 20 2\n 35 walk@25 20:2 2\n 50 walk 2"));
    assert_eq!(books(&engine, 2), [1, 1, 0, 1, 0, 0, 0]);
    // Nor in the first walk.
    let engine = play("30 reap 20 2\n 35 walk@25 20:2 2\n 50 walk 2");
    assert_eq!(books(&engine, 2)[1..4], [1, 0, 1]);
    // One that died and whose death was lost is.
    let engine = play("10 fork 20 2\n 10 fork 21 2\n 30 reap 21 2\n 35 walk@25 20:2 2");
    assert_eq!(books(&engine, 2), [2, 2, 0, 1, 0, 1, 0]);
}

#[test]
fn a_parent_whose_counters_are_gone_is_counted_once_in_the_sum_and_a_retired_one_is_kept() {
    let mut engine = Engine::default();
    let mut enriched = Vec::new();
    let counters = |tgid, retired| {
        let counts = ChildCounts { exited: 5, reaped: 5, ..ChildCounts::default() };
        let counted = Counters { parent: task(tgid), counts, retired, ..Counters::default() };
        Input::Counters(Box::new(counted))
    };
    let finished = |exited| {
        let counts = ChildCounts { exited, reaped: exited, ..ChildCounts::default() };
        Input::FinishedParents(FinishedParents { parents: exited, counts })
    };
    for input in [
        Input::Begin(Begin { time_ns: 1, ..Begin::default() }),
        finished(0),
        counters(7, false),
        counters(8, true),
        counters(9, false),
        finished(0),
        counters(9, false),
        // What 7 had by its end.
        finished(6),
        Input::End { time_ns: 100 },
    ] {
        engine.apply(input, &mut enriched);
    }
    let mut kept: Vec<u32> = engine.view().parents().map(|parent| parent.task.identity.tgid).collect();
    kept.sort_unstable();
    assert_eq!(kept, [8, 9]);
    assert_eq!(engine.deaths(), 6 + 5 + 5);
}

/// Counters of a parent, read at a time.
fn counted(time_ns: u64, tgid: u32, exited: u64, reaped: u64) -> Input {
    let counts = ChildCounts { forked: exited, exited, reaped, ..ChildCounts::default() };
    let counters = Counters { time_ns, parent: task(tgid), counts, ..Counters::default() };
    Input::Counters(Box::new(counters))
}

/// A walk that finds these zombies of a parent that lives; `since_ns`: when they died.
fn walk_of_zombies(time_ns: u64, parent: u32, zombies: &[u32], since_ns: u64) -> Input {
    let seen = |process, of, state, since_ns| TaskEntry {
        time_ns,
        process: task(process),
        parent: task(of),
        state,
        tracer: None,
        since_ns,
        traits: crate::model::TaskTraits::default(),
    };
    let tasks = [seen(parent, 1, TaskState::Running, 0)]
        .into_iter()
        .chain(zombies.iter().map(|zombie| seen(*zombie, parent, TaskState::Zombie, since_ns)))
        .collect();
    Input::Snapshot(Snapshot { began_ns: time_ns, ended_ns: time_ns, settle_after_ns: 0, tasks })
}

#[test]
fn a_child_reaped_between_the_reading_of_the_counters_and_the_walk_is_counted_once() {
    let begin = Begin { time_ns: 1, scope: Scope::Host, coverage: Coverage::Exceptions { slow_ns: 1_000 } };
    let play = |inputs: Vec<Input>| {
        let mut engine = Engine::default();
        let mut enriched = Vec::new();
        engine.apply(Input::Begin(begin.clone()), &mut enriched);
        engine.apply(walk_of_zombies(2, 7, &[], 0), &mut enriched);
        for input in inputs {
            engine.apply(input, &mut enriched);
        }
        engine.apply(Input::End { time_ns: 100 }, &mut enriched);
        books(&engine, 7)
    };
    // Five died, three were reaped by the reading; one more by the walk.
    let inputs = vec![counted(50, 7, 5, 3), walk_of_zombies(60, 7, &[20], 40)];
    assert_eq!(play(inputs), [5, 5, 0, 4, 0, 1, 0]);
    // One that died after the reading is no part of it.
    let inputs = vec![counted(50, 7, 5, 4), walk_of_zombies(60, 7, &[20, 21], 55)];
    assert_eq!(play(inputs), [5, 5, 0, 5, 0, 0, 0]);
    // Nor is one that was born after it, whether it is known when it died or not.
    let inputs = vec![counted(50, 7, 5, 5), walk_of_zombies(60, 7, &[55], 0)];
    assert_eq!(play(inputs), [5, 5, 0, 5, 0, 0, 0]);
    // A death that no program has seen is in the task list all the same, whether it is known when it was or not.
    for since_ns in [40, 0] {
        let inputs = vec![counted(50, 7, 5, 5), walk_of_zombies(60, 7, &[20], since_ns)];
        assert_eq!(play(inputs), [5, 6, 0, 5, 0, 1, 0]);
    }
}

#[test]
fn zombies_older_than_the_watch_that_go_with_their_parent_are_left_and_not_reaped() {
    let begin = Begin { time_ns: 1, scope: Scope::Host, coverage: Coverage::Exceptions { slow_ns: 1_000 } };
    let mut engine = Engine::default();
    let nobody = Snapshot { began_ns: 60, ended_ns: 60, settle_after_ns: 0, tasks: Vec::new() };
    for input in [
        Input::Begin(begin),
        walk_of_zombies(30, 7, &[20, 21], 0),
        Input::Snapshot(nobody),
        Input::End { time_ns: 100 },
    ] {
        engine.apply(input, &mut Vec::new());
    }
    assert_eq!(books(&engine, 7), [0, 2, 0, 0, 0, 0, 2]);
}

#[test]
fn who_died_after_the_last_walk_is_neither_reaped_nor_left_until_the_next_one() {
    let mut engine = begun_with_exceptions();
    let mut tell = |inputs: Vec<Input>| {
        for input in inputs {
            engine.apply(input, &mut Vec::new());
        }
        let (books, view) = (books(&engine, 7), engine.view());
        let parent = view.parent(task(7).identity).expect("a parent");
        (books, parent.died_in_all(), parent.has_reaped())
    };
    // A parent that never reaps, read each second and walked less often.
    let walked = tell(vec![counted(50, 7, 2, 0), walk_of_zombies(60, 7, &[20, 21], 40)]);
    assert_eq!(walked, ([2, 2, 0, 0, 0, 2, 0], 2, false));
    assert_eq!(tell(vec![counted(70, 7, 5, 0)]), ([5, 2, 0, 0, 0, 2, 0], 5, false));
    assert_eq!(tell(vec![counted(80, 7, 6, 0)]), ([6, 2, 0, 0, 0, 2, 0], 6, false));
    let all = &[20, 21, 22, 23, 24, 25];
    assert_eq!(tell(vec![walk_of_zombies(90, 7, all, 40)]), ([6, 6, 0, 0, 0, 6, 0], 6, false));
    // It reaps one of these: the kernel counts it, and one that the next walk lacks has been reaped too.
    assert_eq!(tell(vec![counted(100, 7, 7, 1)]).0[3], 1);
    let later = tell(vec![walk_of_zombies(110, 7, &all[..4], 40)]);
    assert_eq!(later, ([7, 7, 0, 3, 0, 4, 0], 7, true));
}

#[test]
fn a_free_after_a_walk_has_found_the_process_gone_is_no_second_death() {
    let life = "2 walk 2\n 10 fork 20 2\n 20 exit 20 2\n 21 zombie 20 2\n";
    for free in ["", "60 free 20 2"] {
        let engine = play(&format!("{life} 50 walk 2\n {free}"));
        assert_eq!(books(&engine, 2), [1, 1, 0, 1, 0, 0, 0]);
    }
}

#[test]
fn orphans_that_nobody_tells_the_end_of_are_kept_in_a_bounded_number() {
    let begin = Begin { time_ns: 1, coverage: Coverage::Exceptions { slow_ns: 1 }, ..Begin::default() };
    let mut engine = Engine::default();
    engine.apply(Input::Begin(begin), &mut Vec::new());
    for child in 0..40_000 {
        let stage = Stage::Orphan { from: task(2) };
        engine.apply(life(u64::from(child) + 2, child + 10, stage), &mut Vec::new());
    }
    assert_eq!(engine.view().processes().count(), 16_384);
}

/// A window that has begun, in which only exceptions are told; 5 lives, a child of 4.
fn begun_with_exceptions() -> Engine {
    let begin = Begin { time_ns: 1, scope: Scope::Host, coverage: Coverage::Exceptions { slow_ns: 1_000 } };
    let mut engine = Engine::default();
    engine.apply(Input::Begin(begin), &mut Vec::new());
    engine.apply(walk_of_zombies(2, 5, &[], 0), &mut Vec::new());
    engine
}

/// The sum over the parents that the kernel has forgotten.
fn sum_of_finished(exited: u64) -> Input {
    let counts = ChildCounts { exited, reaped: exited, ..ChildCounts::default() };
    Input::FinishedParents(FinishedParents { parents: 1, counts })
}

#[test]
fn what_a_tracer_held_and_let_go_of_is_not_abandoned_because_its_reap_in_time_is_not_told() {
    let held = Stage::Zombie { parent: task(5), held_by: Some(task(7)), exit_ns: 19, again: false };
    let again = Stage::Zombie { parent: task(5), held_by: None, exit_ns: 19, again: true };
    let traced = |child| [life(20, child, held.clone()), life(21, child, again.clone())];
    let told = || traced(10).into_iter().chain(traced(11));
    let died = |died_ns, exited, reaped| {
        let counts = ChildCounts { exited, reaped, ..ChildCounts::default() };
        let counters = Counters { time_ns: 2_000, parent: task(5), died_ns, counts, ..Counters::default() };
        Input::Counters(Box::new(counters))
    };
    let seen = |process, of, state| TaskEntry {
        time_ns: 2_100,
        process: task(process),
        parent: task(of),
        state,
        tracer: None,
        since_ns: 0,
        traits: crate::model::TaskTraits::default(),
    };
    let walk =
        |tasks| Input::Snapshot(Snapshot { began_ns: 2_100, ended_ns: 2_100, settle_after_ns: 0, tasks });
    let of_five = |last: Vec<Input>| {
        let mut engine = begun_with_exceptions();
        for input in told().chain(last) {
            engine.apply(input, &mut Vec::new());
        }
        let parent = engine.view().parent(task(5).identity).cloned();
        parent.map(|parent| {
            let [_, exited, _, reaped, _, unreaped, abandoned] = books(&engine, 5);
            let known = parent.abandoned().after.count() + parent.abandoned().held_after.count();
            ([exited, reaped, unreaped, abandoned], known, parent.abandoned().after.max_ns())
        })
    };
    // It has left the table before its counters were read: they are in the sum, and counted once.
    let gone = vec![sum_of_finished(2), walk_of_zombies(2_100, 4, &[], 0)];
    assert_eq!(of_five(gone), None);
    let mut engine = begun_with_exceptions();
    let read_again = [sum_of_finished(2), walk_of_zombies(2_100, 4, &[], 0), sum_of_finished(2)];
    for input in told().chain(read_again) {
        engine.apply(input, &mut Vec::new());
    }
    assert_eq!(engine.deaths(), 2);
    // It is a zombie by then.
    let zombie = vec![sum_of_finished(2), walk(vec![seen(5, 4, TaskState::Zombie)])];
    assert_eq!(of_five(zombie), None);
    // Its counters say that it left one behind, and no more is known of that one.
    let one = vec![died(1_500, 2, 1), sum_of_finished(0), walk_of_zombies(2_100, 4, &[], 0)];
    assert_eq!(of_five(one), Some(([2, 1, 0, 1], 0, 0)));
    // It is seen with its adopter,
    let adopted = vec![died(1_500, 2, 1), sum_of_finished(0), walk(vec![seen(11, 1, TaskState::Zombie)])];
    assert_eq!(of_five(adopted), Some(([2, 1, 0, 1], 1, 1_479)));
    // or this was told, also where it is learnt after its counters.
    let moved = life(1_500, 11, Stage::Reparent { parent: task(1), from: task(5), since_ns: 21 });
    for at in [0, 1] {
        let mut inputs = vec![died(1_500, 2, 1), sum_of_finished(0), walk_of_zombies(2_100, 4, &[], 0)];
        inputs.insert(at, moved.clone());
        assert_eq!(of_five(inputs), Some(([2, 1, 0, 1], 1, 1_479)), "{at}");
    }
    // A walk found them late, so a reap would have been told.
    let late = vec![walk_of_zombies(1_100, 5, &[10, 11], 21), died(1_500, 2, 0), sum_of_finished(0)];
    assert_eq!(of_five(late), Some(([2, 0, 0, 2], 2, 1_479)));
    let soon = vec![walk_of_zombies(1_000, 5, &[10, 11], 21), died(1_500, 2, 0), sum_of_finished(0)];
    assert_eq!(of_five(soon), Some(([2, 0, 0, 2], 0, 0)));
    // Where every reap is told, it was abandoned.
    let every = play("2 walk 5\n 19 exit 10 5\n 20 held 10 5 7\n 21 again 10 5\n 1500 exit 5 1");
    assert_eq!(books(&every, 5), [0, 1, 0, 0, 0, 0, 1]);
}
