//! The engine against random lives whose books are kept beside it.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// One random thing that may happen to the process table.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Happening {
    Fork { parent: usize },
    Die { who: usize },
    Reap { who: usize },
    Walk,
}

pub(in crate::engine) fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec(
        prop_oneof![
            4 => any::<usize>().prop_map(|parent| Happening::Fork { parent }),
            4 => any::<usize>().prop_map(|who| Happening::Die { who }),
            3 => any::<usize>().prop_map(|who| Happening::Reap { who }),
            1 => Just(Happening::Walk),
        ],
        0..120,
    )
}

/// The process table as it is: the truth the engine is held to. Process 1 adopts and never dies.
#[derive(Default)]
pub(in crate::engine) struct Table {
    pub(in crate::engine) parent: HashMap<u32, u32>,
    pub(in crate::engine) alive: Vec<u32>,
    pub(in crate::engine) zombies: Vec<u32>,
    /// exited, adopted, reaped, abandoned.
    pub(in crate::engine) books: HashMap<u32, [u64; 4]>,
    pub(in crate::engine) forked: HashMap<u32, u64>,
}

impl Table {
    fn book(&mut self, parent: u32, column: usize) {
        self.books.entry(parent).or_default()[column] += 1;
    }
}

pub(in crate::engine) fn simulate(happenings: &[Happening], tell: &mut impl FnMut(Input)) -> Table {
    let mut table = Table { alive: vec![1], ..Table::default() };
    let (mut time, mut next) = (100u64, 2u32);
    for happening in happenings {
        time += 10;
        match happening {
            Happening::Fork { parent } => {
                let parent = table.alive[parent % table.alive.len()];
                // Identities must be younger than their parents', as the kernel's are.
                tell(life(time, next, fork(next, parent)));
                table.parent.insert(next, parent);
                *table.forked.entry(parent).or_default() += 1;
                table.alive.push(next);
                next += 1;
            }
            Happening::Die { who } => {
                let who = table.alive[who % table.alive.len()];
                if who == 1 {
                    continue;
                }
                let parent = table.parent[&who];
                tell(life(time, who, exit(parent, false)));
                table.alive.retain(|one| *one != who);
                let children: Vec<u32> = table
                    .parent
                    .iter()
                    .filter(|(_, parent)| **parent == who)
                    .map(|(child, _)| *child)
                    .collect();
                for child in children {
                    table.parent.insert(child, 1);
                    if table.zombies.contains(&child) {
                        table.book(who, 3);
                        table.book(1, 1);
                        tell(life(
                            time + 1,
                            child,
                            Stage::Reparent { parent: task(1), from: task(who), since_ns: 0 },
                        ));
                    }
                }
                tell(life(time + 2, who, zombie(parent, time)));
                table.book(parent, 0);
                table.zombies.push(who);
            }
            Happening::Reap { who } => {
                if table.zombies.is_empty() {
                    continue;
                }
                let who = table.zombies.remove(who % table.zombies.len());
                let parent = table.parent.remove(&who).expect("a zombie has a parent");
                tell(life(time, who, reap(parent, ReapHow::Wait)));
                table.book(parent, 2);
            }
            Happening::Walk => tell(Input::Snapshot(walk(&table, time))),
        }
    }
    tell(Input::Snapshot(walk(&table, time + 100)));
    tell(Input::End { time_ns: time + 200 });
    table
}

/// What the kernel's own counters would say.
pub(in crate::engine) fn counters(table: &Table, tgid: u32) -> Input {
    let [exited, adopted, reaped, _] = table.books.get(&tgid).copied().unwrap_or_default();
    Input::Counters(Box::new(Counters {
        time_ns: 1_000_000,
        parent: task(tgid),
        died_ns: if table.alive.contains(&tgid) { 0 } else { 900 },
        counts: ChildCounts {
            forked: table.forked.get(&tgid).copied().unwrap_or(0),
            exited,
            adopted,
            reaped,
            ..ChildCounts::default()
        },
        ..Counters::default()
    }))
}

pub(in crate::engine) fn walk(table: &Table, time: u64) -> Snapshot {
    let seen = |tgid: &u32, state| TaskEntry {
        time_ns: time,
        process: task(*tgid),
        parent: task(table.parent.get(tgid).copied().unwrap_or(0)),
        state,
        tracer: None,
        since_ns: 0,
        traits: crate::model::TaskTraits::default(),
    };
    let tasks = (table.alive.iter().map(|tgid| seen(tgid, TaskState::Running)))
        .chain(table.zombies.iter().map(|tgid| seen(tgid, TaskState::Zombie)))
        .collect();
    Snapshot { began_ns: time, ended_ns: time, settle_after_ns: 0, tasks }
}

proptest! {
    #[test]
    fn random_lives_are_booked_as_they_happened(happenings in happenings()) {
        let mut engine = Engine::default();
        let mut enriched = Vec::new();
        engine.apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }), &mut enriched);
        let table = simulate(&happenings, &mut |input| engine.apply(input, &mut enriched));
        for (tgid, [exited, adopted, reaped, abandoned]) in &table.books {
            let unreaped = table.zombies.iter().filter(|zombie| table.parent[*zombie] == *tgid).count() as u64;
            let forked = table.forked.get(tgid).copied().unwrap_or(0);
            prop_assert_eq!(books(&engine, *tgid), [forked, *exited, *adopted, *reaped, 0, unreaped, *abandoned]);
        }
    }

    #[test]
    fn whatever_is_lost_the_books_balance_and_the_unreaped_are_those_of_the_last_walk(
        happenings in happenings(),
        keep in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut engine = Engine::default();
        let mut enriched = Vec::new();
        engine.apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }), &mut enriched);
        let mut keep = keep.into_iter().cycle();
        let table = simulate(&happenings, &mut |input| {
            if matches!(input, Input::Lifecycle(_)) && keep.next() == Some(false) {
                return;
            }
            engine.apply(input, &mut enriched);
        });
        for identity in engine.parents.keys() {
            let found = books(&engine, identity.tgid);
            let unreaped = table.zombies.iter().filter(|zombie| table.parent[*zombie] == identity.tgid).count() as u64;
            prop_assert_eq!(found[5], unreaped, "unreaped of {}", identity.tgid);
        }
    }

    #[test]
    fn whatever_is_lost_the_kernels_counters_make_the_books_exact(
        happenings in happenings(),
        keep in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut engine = Engine::default();
        let mut enriched = Vec::new();
        let mut end = None;
        engine.apply(Input::Begin(Begin { time_ns: 1, ..Begin::default() }), &mut enriched);
        engine.apply(Input::Snapshot(walk(&Table { alive: vec![1], ..Table::default() }, 2)), &mut enriched);
        let mut keep = keep.into_iter().cycle();
        let table = simulate(&happenings, &mut |input| match input {
            Input::Lifecycle(_) if keep.next() == Some(false) => {}
            Input::End { .. } => end = Some(input),
            input => engine.apply(input, &mut enriched),
        });
        for tgid in table.books.keys() {
            engine.apply(counters(&table, *tgid), &mut enriched);
        }
        let losses = Losses { events: 1, ..Losses::default() };
        engine.apply(Input::Losses { time_ns: 1_000, losses }, &mut enriched);
        engine.apply(end.expect("an end"), &mut enriched);
        for (tgid, [exited, adopted, reaped, abandoned]) in &table.books {
            let unreaped = table.zombies.iter().filter(|zombie| table.parent[*zombie] == *tgid).count() as u64;
            let forked = table.forked.get(tgid).copied().unwrap_or(0);
            prop_assert_eq!(books(&engine, *tgid), [forked, *exited, *adopted, *reaped, 0, unreaped, *abandoned]);
        }
    }
}
