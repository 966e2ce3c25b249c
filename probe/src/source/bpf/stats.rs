//! What the programs missed, what the maps refused, and what both cost.
//!
//! Must not know who asks.

use std::os::fd::AsFd;

use aya::{
    Ebpf,
    maps::{Map, PerCpuArray},
    programs::Program,
};
use aya_obj::generated::bpf_prog_info;
use probe_common::wire::{DeadChild, Target, loss};

use super::{
    map::batch,
    programs::{Backstop, PROGRAMS},
    sys::program_info,
};
use crate::model::{MapStats, ProgramStats};

/// What a program is to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramCost {
    /// Instructions the verifier went through; 0 where the kernel does not say (before 5.16).
    pub verified_instructions: u32,
    /// Size after the verifier removed what cannot be reached.
    pub translated_bytes: u32,
}

/// How big the maps are.
pub struct Sizes {
    pub ring_bytes: u32,
    pub lives: u32,
    pub parents: u32,
    pub followed: u32,
}

/// Times something did not fit, by reason.
pub struct Refused([u64; loss::REASONS as usize]);

impl Refused {
    /// Reads them; zero where they cannot be read.
    pub fn read(ebpf: &Ebpf) -> Self {
        let mut refused = [0; loss::REASONS as usize];
        if let Some(map) = ebpf.map("LOSSES")
            && let Ok(counts) = PerCpuArray::<_, u64>::try_from(map)
        {
            for (reason, sum) in (0..).zip(&mut refused) {
                *sum = counts.get(&reason, 0).map_or(0, |values| values.iter().sum());
            }
        }
        Self(refused)
    }

    /// Events for which the ring buffer had no room.
    pub fn events(&self) -> u64 {
        self.of(loss::RING_FULL)
    }

    /// Entries for which a map had no room.
    pub fn entries(&self) -> u64 {
        self.0.iter().sum::<u64>() - self.events() - self.fork_stacks()
    }

    /// Forks for whose stack the ring buffer had no room: no count depends on them.
    pub fn fork_stacks(&self) -> u64 {
        self.of(loss::FORK_STACKS_FULL)
    }

    fn of(&self, reason: u32) -> u64 {
        self.0[reason as usize]
    }
}

/// Stages that no program reported, because the kernel skipped the one that would have. `exact`: an exact zombie hook is
/// attached, which reports also what the exit hook misses.
pub fn missed(ebpf: &Ebpf, exact: bool) -> u64 {
    let lost = PROGRAMS.iter().filter(|spec| spec.backstop == Backstop::None);
    let counted: u64 = lost.map(|spec| misses(ebpf, spec.name).unwrap_or(0)).sum();
    let mut copies = PROGRAMS.iter().filter(|spec| spec.backstop == Backstop::CopyOrZombie);
    let exits = match [copies.next(), copies.next()].map(|copy| misses(ebpf, copy?.name)) {
        // Each sees what the other missed.
        [Some(one), Some(other)] => one.min(other),
        [Some(_), None] if exact => 0,
        [misses, _] => misses.unwrap_or(0),
    };
    counted + exits
}

/// Times the kernel skipped a loaded program because it was running on the same CPU already.
pub fn misses(ebpf: &Ebpf, name: &str) -> Option<u64> {
    let misses = program_info(ebpf.program(name)?.fd().ok()?.as_fd())?.recursion_misses;
    if misses > 0 {
        tracing::debug!(program = name, misses, "skipped while it was under way on the same CPU");
    }
    Some(misses)
}

/// What each loaded program is to the kernel, by name.
pub fn costs(ebpf: &Ebpf) -> Vec<(String, ProgramCost)> {
    let cost = |(name, info): (String, bpf_prog_info)| {
        let cost = ProgramCost {
            verified_instructions: info.verified_insns,
            translated_bytes: info.xlated_prog_len,
        };
        (name, cost)
    };
    loaded(ebpf).into_iter().map(cost).collect()
}

/// Runs of each loaded program, by name.
pub fn program_upkeep(ebpf: &Ebpf) -> Vec<ProgramStats> {
    let tracer_stats = |(name, info): (String, bpf_prog_info)| ProgramStats {
        name,
        runs: info.run_cnt,
        run_time_ns: info.run_time_ns,
        recursion_misses: info.recursion_misses,
    };
    loaded(ebpf).into_iter().map(tracer_stats).collect()
}

/// The loaded programs in order of their names, and what the kernel says of them.
fn loaded(ebpf: &Ebpf) -> Vec<(String, bpf_prog_info)> {
    let info = |(name, program): (&str, &Program)| {
        Some((name.to_owned(), program_info(program.fd().ok()?.as_fd())?))
    };
    let mut programs: Vec<_> = ebpf.programs().filter_map(info).collect();
    programs.sort_by(|one, other| one.0.cmp(&other.0));
    programs
}

/// How full the maps are. `parents`: how many parents have a record.
pub fn map_upkeep(ebpf: &Ebpf, parents: u64, sizes: &Sizes) -> Vec<MapStats> {
    let refused = Refused::read(ebpf);
    let lives = entries::<u32, DeadChild>(ebpf, "DEAD_CHILDREN");
    let followed = entries::<u32, Target>(ebpf, "TARGETS");
    [
        ("EVENTS", 0, sizes.ring_bytes, loss::RING_FULL),
        ("DEAD_CHILDREN", lives, sizes.lives, loss::DEAD_CHILDREN_FULL),
        ("PARENTS", parents, sizes.parents, loss::PARENTS_FULL),
        ("TARGETS", followed, sizes.followed, loss::TARGETS_FULL),
    ]
    .map(|(name, entries, max_entries, reason)| MapStats {
        name: name.to_owned(),
        entries,
        max_entries: max_entries.into(),
        refused: refused.of(reason),
    })
    .into()
}

/// How many entries a hash map has.
fn entries<K, V>(ebpf: &Ebpf, name: &str) -> u64 {
    let mut count = 0;
    if let Some(Map::HashMap(map)) = ebpf.map(name) {
        batch::entries(name, map.fd().as_fd(), size_of::<K>(), size_of::<V>(), |_, _| count += 1);
    }
    count
}
