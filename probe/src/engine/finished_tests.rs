//! Random lives in an engine that keeps next to no finished parent: whatever is given up, nothing is lost, counted twice
//! or different the next time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{
    tests::{Table, counters, exit, fork, happenings, life, reap, simulate, task, walk, zombie},
    *,
};
use crate::model::{ChildCounts, ReapHow};

/// Gives up a parent as soon as it is finished. A child may wait 15 ns for its reap.
fn bounds(quiet_max: usize, telling_max: usize) -> Bounds {
    Bounds { quiet_max, telling_max, counters_within_ns: 0, ..Bounds::new(15) }
}

fn begun(bounds: Bounds) -> Engine {
    let mut engine = Engine::new(bounds);
    engine.apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }), &mut Vec::new());
    engine
}

fn apply(engine: &mut Engine, inputs: impl IntoIterator<Item = Input>) -> Vec<EnrichedEvent> {
    let mut enriched = Vec::new();
    for input in inputs {
        engine.apply(input, &mut enriched);
    }
    enriched
}

/// How many parents, then forked, exited, adopted, reaped, unreaped, abandoned.
type Totals = [u64; 7];

fn totals(engine: &Engine) -> Totals {
    let view = engine.view();
    let mut sum = [0; 7];
    let mut add = |parents: u64, ledger: &Ledger, unreaped: usize| {
        let Ledger { counts: ChildCounts { forked, exited, adopted, reaped, .. }, abandoned } = *ledger;
        for (sum, more) in
            sum.iter_mut().zip([parents, forked, exited, adopted, reaped, unreaped as u64, abandoned])
        {
            *sum += more;
        }
    };
    let finished = view.finished_parents();
    add(finished.parents, &Ledger { counts: finished.counts, abandoned: 0 }, 0);
    for (_, other) in view.others() {
        add(other.parents, &other.ledger, 0);
    }
    for parent in view.parents().filter(|parent| parent.ledger != Ledger::default()) {
        add(1, &parent.ledger, parent.zombies.len());
    }
    sum
}

fn truth(table: &Table) -> Totals {
    let mut sum = [0; 7];
    let mut parents: Vec<u32> = table.books.keys().chain(table.forked.keys()).copied().collect();
    parents.sort_unstable();
    parents.dedup();
    for parent in parents {
        let [exited, adopted, reaped, abandoned] = table.books.get(&parent).copied().unwrap_or_default();
        let forked = table.forked.get(&parent).copied().unwrap_or(0);
        for (sum, more) in sum.iter_mut().zip([1, forked, exited, adopted, reaped, 0, abandoned]) {
            *sum += more;
        }
    }
    sum[5] = table.zombies.len() as u64;
    sum
}

/// What a report would be made of.
type Outcome = (Totals, FinishedParents, BTreeMap<Grounds, Sum>, Vec<(Identity, Ledger)>);

fn outcome(engine: &Engine) -> Outcome {
    let view = engine.view();
    let mut kept: Vec<_> = view.parents().map(|parent| (parent.task.identity, parent.ledger)).collect();
    kept.sort_unstable_by_key(|(identity, _)| *identity);
    let others = view.others().map(|(grounds, sum)| (*grounds, *sum)).collect();
    (totals(engine), view.finished_parents(), others, kept)
}

proptest! {
    #[test]
    fn whoever_is_given_up_is_in_the_sums(happenings in happenings(), quiet in 0..3usize, telling in 0..3usize) {
        let mut engine = begun(bounds(quiet, telling));
        let mut enriched = Vec::new();
        let table = simulate(&happenings, &mut |input| engine.apply(input, &mut enriched));
        prop_assert_eq!(totals(&engine), truth(&table));
        let dead = engine.view().parents().filter(|parent| parent.died_ns.is_some()).count();
        prop_assert!(dead <= quiet + telling, "{} dead parents are kept", dead);
    }

    #[test]
    fn the_same_inputs_give_the_same_sums_and_keep_the_same_parents(happenings in happenings()) {
        let outcomes = [(); 2].map(|()| {
            let mut engine = begun(bounds(1, 1));
            let mut enriched = Vec::new();
            simulate(&happenings, &mut |input| engine.apply(input, &mut enriched));
            outcome(&engine)
        });
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
    }

    #[test]
    fn a_view_may_be_had_at_any_moment_balances_and_changes_nothing(happenings in happenings()) {
        let (mut asked, mut left_alone) = (begun(bounds(1, 1)), begun(bounds(1, 1)));
        let mut enriched = Vec::new();
        let mut unbalanced = Vec::new();
        simulate(&happenings, &mut |input| {
            left_alone.apply(input.clone(), &mut enriched);
            asked.apply(input, &mut enriched);
            for parent in asked.view().parents() {
                let Ledger { counts: ChildCounts { exited, adopted, reaped, autoreaped, .. }, abandoned } =
                    parent.ledger;
                if exited + adopted != reaped + autoreaped + abandoned + parent.zombies.len() as u64 {
                    unbalanced.push((asked.ended_ns(), parent.clone()));
                }
            }
        });
        prop_assert!(unbalanced.is_empty(), "{:?}", unbalanced);
        prop_assert_eq!(outcome(&asked), outcome(&asked));
        prop_assert_eq!(outcome(&asked), outcome(&left_alone));
    }

    #[test]
    fn in_whatever_order_inputs_come_every_ledger_balances(
        happenings in happenings(),
        moves in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..20),
    ) {
        let mut inputs = Vec::new();
        simulate(&happenings, &mut |input| inputs.push(input));
        for (from, to) in moves {
            let input = inputs.remove(from.index(inputs.len()));
            inputs.insert(to.index(inputs.len() + 1), input);
        }
        let mut engine = begun(bounds(1, 1));
        apply(&mut engine, inputs);
        let view = engine.view();
        for parent in view.parents() {
            let Ledger { counts: ChildCounts { exited, adopted, reaped, autoreaped, .. }, abandoned } =
                    parent.ledger;
            let left = abandoned + parent.zombies.len() as u64;
            prop_assert_eq!(exited + adopted, reaped + autoreaped + left, "{:?}", parent);
        }
        for sum in view.others().map(|(_, sum)| sum.ledger) {
            let counts = sum.counts;
            prop_assert_eq!(counts.exited + counts.adopted, counts.reaped + counts.autoreaped + sum.abandoned);
        }
    }

    #[test]
    fn whoever_is_retired_is_in_the_sums(happenings in happenings()) {
        let mut engine = begun(bounds(1_000, 1_000));
        let mut enriched = Vec::new();
        let table = simulate(&happenings, &mut |input| {
            engine.apply(input, &mut enriched);
            let finished: Vec<Identity> =
                engine.view().parents().filter(|parent| parent.died_ns.is_some()).map(|parent| parent.task.identity).collect();
            engine.retire(&finished);
        });
        prop_assert_eq!(totals(&engine), truth(&table));
        prop_assert!(engine.view().parents().all(|parent| parent.died_ns.is_none()));
    }

    #[test]
    fn where_events_were_lost_the_sums_are_those_that_the_kernel_counted(
        happenings in happenings(),
        keep in prop::collection::vec(any::<bool>(), 400),
    ) {
        // Counters are waited for: until they are told, nobody is given up.
        let mut engine = begun(Bounds { counters_within_ns: u64::MAX, ..bounds(1, 1) });
        let mut enriched = Vec::new();
        engine.apply(Input::Snapshot(walk(&Table { alive: vec![1], ..Table::default() }, 2)), &mut enriched);
        let mut keep = keep.into_iter().cycle();
        let mut end = None;
        let table = simulate(&happenings, &mut |input| match input {
            Input::Lifecycle(_) if keep.next() == Some(false) => {}
            Input::End { .. } => end = Some(input),
            input => engine.apply(input, &mut enriched),
        });
        let mut parents: Vec<u32> = table.books.keys().copied().collect();
        parents.sort_unstable();
        for parent in parents {
            let Input::Counters(mut counted) = counters(&table, parent) else { continue };
            counted.retired = counted.died_ns != 0;
            // Each is told once: what is in a sum already is final.
            for _ in 0..2 {
                engine.apply(Input::Counters(counted.clone()), &mut enriched);
            }
        }
        engine.apply(Input::Snapshot(walk(&table, 1_000_001)), &mut enriched);
        let losses = Losses { events: 1, ..Losses::default() };
        engine.apply(Input::Losses { time_ns: 1_000_002, losses }, &mut enriched);
        engine.apply(end.expect("an end"), &mut enriched);
        let (found, truth) = (totals(&engine), truth(&table));
        // Of a parent whose children have not died, and whose forks were lost, nobody knows.
        prop_assert_eq!(&found[2..], &truth[2..]);
    }
}

/// A parent with this pid, born to 1, has a child with the next: it reaps it after so long, or leaves it to 1. Both are
/// released in the end.
fn short_parent(pid: u32, time_ns: u64, reaped_after_ns: Option<u64>) -> Vec<Input> {
    let child = pid + 1;
    let mut inputs = vec![
        life(time_ns, pid, fork(pid, 1)),
        life(time_ns + 1, child, fork(child, pid)),
        life(time_ns + 2, child, exit(pid, false)),
        life(time_ns + 2, child, zombie(pid, 0)),
    ];
    let after_ns = reaped_after_ns.unwrap_or(50);
    if reaped_after_ns.is_some() {
        inputs.push(life(time_ns + 2 + after_ns, child, reap(pid, ReapHow::Wait)));
    }
    let end_ns = time_ns + 3 + after_ns;
    inputs.push(life(end_ns, pid, exit(1, false)));
    if reaped_after_ns.is_none() {
        let stage = Stage::Reparent { parent: task(1), from: task(pid), since_ns: 0 };
        inputs.push(life(end_ns, child, stage));
    }
    inputs.push(life(end_ns, pid, zombie(1, 0)));
    inputs.push(life(end_ns + 1, pid, reap(1, ReapHow::Wait)));
    if reaped_after_ns.is_none() {
        inputs.push(life(end_ns + 1, child, reap(1, ReapHow::Wait)));
    }
    inputs
}

#[test]
fn any_number_of_short_parents_takes_so_much_room_and_no_more() {
    let mut engine = begun(bounds(10, 10));
    for number in 0..5_000 {
        let late = (number % 7 == 0).then_some(number % 100);
        let how = if number % 2 == 0 { Some(5) } else { late.map(u64::from) };
        apply(&mut engine, short_parent(10 + 2 * number, u64::from(1_000 * (number + 1)), how));
        assert!(
            engine.parents.len() <= 42 && engine.processes.len() <= 1,
            "{} parents",
            engine.parents.len()
        );
    }
    let last = apply(&mut engine, short_parent(20_000, 6_000_000, Some(9)));
    let latency = last.iter().find_map(|one| match one {
        EnrichedEvent::Stage { reap_latency_ns, .. } => *reap_latency_ns,
        EnrichedEvent::Lost { .. } => None,
    });
    assert_eq!(latency, Some(9), "who comes after thousands is told of as the first");
    apply(&mut engine, [Input::End { time_ns: 10_000_000 }]);
    let found = totals(&engine);
    assert_eq!(
        (found[0], found[2] + found[3], found[4] + found[6]),
        (5_002, 10_002 + found[6], 10_002 + found[6])
    );
}

#[test]
fn the_worst_are_kept_and_the_youngest_of_those_that_left_nothing_to_tell() {
    let mut engine = begun(bounds(2, 3));
    let how = [Some(1), None, Some(30), Some(2), Some(3), None, Some(20), Some(99), Some(4), Some(5)];
    for (number, how) in (0u32..).zip(how) {
        apply(&mut engine, short_parent(10 + 2 * number, u64::from(1_000 * (number + 1)), how));
    }
    apply(&mut engine, [Input::End { time_ns: 1_000_000 }]);
    let view = engine.view();
    let mut kept: Vec<u32> = view.parents().map(|parent| parent.task.identity.tgid).collect();
    kept.sort_unstable();
    // Init; two that abandoned; the slowest of three slow ones; the last two.
    assert_eq!(kept, [1, 12, 20, 24, 26, 28]);
    assert_eq!(view.finished_parents().parents, 3);
    let others: Vec<_> = view.others().map(|(grounds, sum)| (grounds.reaped_late, sum.parents)).collect();
    assert_eq!(others, [(true, 2)]);
}

#[test]
fn what_comes_for_a_parent_that_was_given_up_goes_into_the_sum() {
    let mut engine = begun(bounds(0, 0));
    apply(&mut engine, short_parent(10, 1_000, Some(1)));
    apply(&mut engine, short_parent(20, 2_000, Some(1)));
    assert!(!engine.parents.contains_key(&task(10).identity));
    // A child that it is said to have had all along.
    let late = [
        life(3_000, 15, exit(10, false)),
        life(3_001, 15, zombie(10, 0)),
        life(3_002, 15, reap(1, ReapHow::Wait)),
    ];
    apply(&mut engine, late);
    apply(&mut engine, [Input::End { time_ns: 10_000 }]);
    let kept: Vec<u32> = engine.view().parents().map(|parent| parent.task.identity.tgid).collect();
    assert_eq!(kept, [1]);
    let found = totals(&engine);
    assert_eq!(found[0], 3, "a parent is counted once");
    assert_eq!(found[2] + found[3], found[4] + found[6], "{found:?}");
    assert_eq!(found[2], 5, "four deaths and the late one");
}

#[test]
fn a_parent_is_not_finished_while_a_free_of_its_child_is_to_come() {
    let mut engine = begun(bounds(0, 0));
    apply(
        &mut engine,
        [
            life(10, 2, fork(2, 1)),
            life(11, 20, fork(20, 2)),
            life(30, 20, exit(2, false)),
            life(31, 20, zombie(2, 0)),
            life(40, 2, exit(1, false)),
            life(41, 2, zombie(1, 0)),
        ],
    );
    // Meanwhile others come and go.
    apply(&mut engine, short_parent(50, 1_000, Some(1)));
    assert!(engine.parents.contains_key(&task(2).identity));
    apply(&mut engine, [life(2_000, 20, reap(2, ReapHow::Wait))]);
    apply(&mut engine, short_parent(60, 3_000, Some(1)));
    assert!(!engine.parents.contains_key(&task(2).identity));
    apply(&mut engine, [Input::End { time_ns: 10_000 }]);
    let found = totals(&engine);
    // Four short ones, and the child that was reaped before its parent died, which is a zombie.
    assert_eq!(found, [4, 6, 6, 0, 5, 1, 0]);
}

#[test]
fn beyond_the_bound_the_eldest_that_run_are_not_followed_and_zombies_are() {
    let mut engine = begun(Bounds { processes_max: 64, ..Bounds::new(1_000) });
    let zombies = [life(10, 2, fork(2, 1)), life(11, 2, exit(1, false)), life(12, 2, zombie(1, 0))];
    apply(&mut engine, zombies);
    for pid in 3..1_000 {
        apply(&mut engine, [life(u64::from(pid) * 10, pid, fork(pid, 1))]);
        assert!(engine.processes.len() <= 64);
    }
    let is_followed = |tgid| engine.processes.contains_key(&task(tgid).identity);
    assert!(is_followed(2) && is_followed(999));
    assert!(engine.losses().map_full > 0);
}

#[test]
fn a_parent_for_which_there_is_no_room_reaps_all_the_same_and_is_counted_as_lost() {
    let mut engine = begun(Bounds { parents_max: 2, ..Bounds::new(1_000) });
    for parent in [2, 3, 4] {
        apply(&mut engine, [life(10, parent + 20, fork(parent + 20, parent))]);
    }
    let lives =
        [life(20, 24, exit(4, false)), life(21, 24, zombie(4, 20)), life(28, 24, reap(4, ReapHow::Wait))];
    let observed = apply(&mut engine, lives);
    assert!(matches!(observed[2], EnrichedEvent::Stage { reap_latency_ns: Some(7), .. }), "{observed:?}");
    assert!(engine.losses().map_full > 0);
}

#[test]
fn suspects_live_and_have_children_unreaped_past_the_grace_that_no_tracer_holds() {
    let mut engine = begun(Bounds::new(100));
    for (parent, children) in [(2, 1), (3, 3), (4, 2)] {
        for child in 0..children {
            let child = 10 * parent + child;
            apply(&mut engine, [life(10, child, fork(child, parent)), life(20, child, exit(parent, false))]);
            apply(&mut engine, [life(20, child, zombie(parent, 0))]);
        }
    }
    let suspects = |engine: &Engine| {
        engine.suspects(engine.ended_ns()).iter().map(|one| one.identity.tgid).collect::<Vec<_>>()
    };
    assert_eq!(suspects(&engine), [0u32; 0], "nobody is late yet");
    let held = Stage::Zombie { parent: task(2), held_by: Some(task(9)), exit_ns: 0, again: true };
    apply(&mut engine, [life(150, 20, held)]);
    assert_eq!(suspects(&engine), [3, 4]);
    apply(&mut engine, [life(160, 30, reap(3, ReapHow::Wait)), life(160, 31, reap(3, ReapHow::Wait))]);
    assert_eq!(suspects(&engine), [4, 3]);
    apply(&mut engine, [life(170, 4, exit(1, false))]);
    assert_eq!(suspects(&engine), [3]);
}
