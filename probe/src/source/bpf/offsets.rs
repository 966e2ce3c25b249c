//! Finds, in a kernel's BTF, where the members the programs read are. Must not load anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use probe_common::offsets::Offsets;

use super::btf::{Kind, Type, Types};
use crate::source::{SetupError, shortage_of};

/// Members without which nothing can be measured.
const REQUIRED: &[&str] = &[
    "task_struct.pid",
    "task_struct.tgid",
    "task_struct.start_boottime",
    "task_struct.comm",
    "task_struct.group_leader",
    "task_struct.real_parent",
    "task_struct.parent",
    "task_struct.signal",
    "task_struct.exit_code",
    "task_struct.exit_signal",
    "task_struct.exit_state",
    "task_struct.flags",
    "signal_struct.live",
    "signal_struct.nr_threads",
    "signal_struct.flags",
    "signal_struct.group_exit_code",
    "kernel_siginfo.si_code",
    "kernel_siginfo._sifields._sigchld._pid",
];

const WAIT_ARGUMENTS: &str = "arguments of wait calls";
const FORK_SITES: &str = "where in a program a child was forked";
/// On the exact rungs.
const MERGED_SIGNALS: &str = "signals that were merged into one that was pending";

const KILLERS: &str = "who killed a child";
const READINESS: &str = "whether a parent waited when its child died";

const ACCOUNTS: &str = "who the dead were and what they used";

/// What goes when a member is missing that is not required. The first that fits.
const FEATURES: &[(&str, &str)] = &[
    ("task_struct.real_cred", ACCOUNTS),
    ("cred.", ACCOUNTS),
    ("signal_struct.pids[3]", ACCOUNTS),
    ("signal_struct.tty", ACCOUNTS),
    ("tty_struct.", ACCOUNTS),
    ("task_struct.cgroups", ACCOUNTS),
    ("css_set.", ACCOUNTS),
    ("cgroup.", ACCOUNTS),
    ("kernfs_node.", ACCOUNTS),
    ("signal_struct.maxrss", ACCOUNTS),
    ("task_struct.se.", ACCOUNTS),
    ("signal_struct.sum_sched_runtime", ACCOUNTS),
    ("signal_struct.stats_lock", ACCOUNTS),
    ("signal_struct.thread_head", ACCOUNTS),
    ("task_struct.thread_node", ACCOUNTS),
    ("task_struct.mm", "command lines of programs started while watching"),
    ("mm_struct.", "command lines of programs started while watching"),
    ("linux_binprm.", "paths of programs started while watching"),
    ("task_struct.children", "which living children a dying parent leaves"),
    ("task_struct.sibling", "which living children a dying parent leaves"),
    ("task_struct.parent_exec_id", "which program started a zombie"),
    ("task_struct.self_exec_id", "which program started a zombie"),
    ("signal_struct.is_child_subreaper", "who is a subreaper"),
    ("task_struct.sighand", "autoreap on the tracepoint rung"),
    ("sighand_struct.", "autoreap on the tracepoint rung"),
    ("signal_struct.pids", "waits and pids inside PID namespaces"),
    ("pid", "waits and pids inside PID namespaces"),
    ("upid", "waits and pids inside PID namespaces"),
    ("task_struct.stack", WAIT_ARGUMENTS),
    ("pt_regs.orig_ax", WAIT_ARGUMENTS),
    ("pt_regs.dx", WAIT_ARGUMENTS),
    ("pt_regs.r10", WAIT_ARGUMENTS),
    ("pt_regs.ip", FORK_SITES),
    ("pt_regs.sp", FORK_SITES),
    ("pt_regs.bp", FORK_SITES),
    ("task_struct.thread", FORK_SITES),
    ("pt_regs.", "kprobe hooks"),
    ("pt_regs", WAIT_ARGUMENTS),
    ("signal_struct.shared_pending", MERGED_SIGNALS),
    ("signal_struct.wait_chldexit", READINESS),
    ("wait_queue_entry.", READINESS),
    ("wait_opts.", READINESS),
    ("task_struct.io_uring", "whether io_uring waited"),
    ("signal_struct.oom_mm", "whether memory ran out when the kernel killed a child"),
    ("task_struct.ptrace", KILLERS),
    ("list_head", MERGED_SIGNALS),
    ("sigqueue", MERGED_SIGNALS),
    ("kernel_siginfo.si_signo", MERGED_SIGNALS),
];

/// The offsets of a kernel, and what cannot be done for want of a member.
#[derive(Debug)]
pub struct Found {
    pub offsets: Offsets,
    /// (feature that goes, members that are missing for it).
    pub lost: BTreeMap<&'static str, Vec<&'static str>>,
}

impl Found {
    /// Whether the queue of pending signals can be read.
    pub fn shows_merged_signals(&self) -> bool {
        !self.lost.contains_key(MERGED_SIGNALS)
    }
}

/// Opens a kernel's BTF.
pub fn open(path: &Path) -> Result<Types, SetupError> {
    Types::open(path).map_err(|error| SetupError {
        what: format!("cannot read the kernel's type information (BTF) at {}: {error}", path.display()),
        remedy: shortage_of(&error)
            .unwrap_or(
                "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel is), or name the \
                 running kernel's BTF with --btf PATH",
            )
            .into(),
    })
}

/// Whether a path of [`Offsets`] is a field of a tracepoint's record, not a member in BTF.
pub fn is_in_tracefs(path: &str) -> bool {
    path.contains(':')
}

/// All offsets this BTF has. Fails when one that nothing works without is missing; names it.
pub fn find(types: &Types) -> Result<Found, SetupError> {
    let mut offsets = Offsets::NONE;
    let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut missing = Vec::new();
    let structs = structs(types, offsets.paths().into_iter().flat_map(|(path, _)| path.split('|')));
    let mut search = Search { types, structs, steps_left: Search::STEPS };
    for (path, offset) in offsets.paths() {
        if is_in_tracefs(path) {
            continue;
        }
        match search.first_of(path).map_err(|Malformed| malformed(path))? {
            Some(found) => *offset = found,
            None if REQUIRED.contains(&path) => missing.push(path),
            None => {
                let feature = FEATURES.iter().find(|(members, _)| path.starts_with(members));
                lost.entry(feature.map_or("some detail", |(_, feature)| feature)).or_default().push(path);
            }
        }
    }
    if missing.is_empty() {
        return Ok(Found { offsets, lost });
    }
    Err(SetupError {
        what: format!("this kernel's BTF has no {}", missing.join(", ")),
        remedy:
            "check that the BTF belongs to the running kernel; if it does, this kernel is newer than this \
                 reapwatch: please report it"
                .into(),
    })
}

fn malformed(path: &str) -> SetupError {
    SetupError {
        what: format!(
            "this BTF is no kernel's: the types in which {path} was looked for contain themselves, refer to each other in a \
             circle, or lie outside each other"
        ),
        remedy: "leave out --btf, or name the running kernel's BTF with it (/sys/kernel/btf/vmlinux)".into(),
    }
}

/// The structures that the paths begin with, by name. A search goes through all types of the kernel: one for all.
fn structs<'a>(types: &Types, paths: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, Type> {
    let names: BTreeSet<&str> = paths.filter_map(|path| path.split('.').next()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let mut found = BTreeMap::new();
    types.named(&names, |which, id, kind| {
        if kind == Kind::Struct
            && let Some(one) = types.get(id)
        {
            found.entry(names[which]).or_insert(one);
        }
    });
    found
}

/// What no compiler writes: types that contain themselves, that refer to each other in a circle, or deeper or wider than
/// any kernel's, or members behind the end of the largest structure.
#[derive(Debug, PartialEq, Eq)]
struct Malformed;

/// A search in one BTF. Its types may refer to each other however they like: there is an end to the steps.
struct Search<'a> {
    types: &'a Types,
    structs: BTreeMap<&'a str, Type>,
    steps_left: u32,
}

impl Search<'_> {
    /// All paths together take 1,600 in a 6.18.
    const STEPS: u32 = 1 << 16;
    /// Structures within structures, without a name of their own. Kernels have four.
    const NESTED_MAX: u32 = 32;

    fn step(&mut self) -> Result<(), Malformed> {
        self.steps_left = self.steps_left.checked_sub(1).ok_or(Malformed)?;
        Ok(())
    }

    /// The offset of the first of several paths that this kernel has.
    fn first_of(&mut self, paths: &str) -> Result<Option<u32>, Malformed> {
        for path in paths.split('|') {
            if let Some(found) = self.resolve(path)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Byte offset of `struct.member[.member…]`, array elements as `[n]`; of a bare struct name, its size. `None` where
    /// this kernel has no such member.
    fn resolve(&mut self, path: &str) -> Result<Option<u32>, Malformed> {
        let mut parts = path.split('.');
        let Some(mut current) = parts.next().and_then(|name| self.structs.get(name)).copied() else {
            return Ok(None);
        };
        let mut offset = None;
        for part in parts {
            let (member, element) = match part.split_once('[') {
                Some((member, rest)) => (member, rest.trim_end_matches(']').parse::<u32>().ok()),
                None => (part, None),
            };
            let Some((at, found)) = self.find_member(&current, member, 0)? else { return Ok(None) };
            let mut within = offset.unwrap_or(0u32).checked_add(at).ok_or(Malformed)?;
            let Some(stripped) = self.strip(found)? else { return Ok(None) };
            current = stripped;
            // Only an indexed array is descended into; `numbers` itself is what is asked for otherwise.
            if let Some((number, item)) = element.zip(self.types.element(&current)) {
                let Some(item) = self.strip(item)? else { return Ok(None) };
                let before = number.checked_mul(size_of_type(&item)).ok_or(Malformed)?;
                within = within.checked_add(before).ok_or(Malformed)?;
                current = item;
            }
            offset = Some(within);
        }
        Ok(Some(offset.unwrap_or_else(|| size_of_type(&current))))
    }

    /// Follows typedefs and qualifiers.
    fn strip(&mut self, mut id: u32) -> Result<Option<Type>, Malformed> {
        loop {
            self.step()?;
            let Some(found) = self.types.get(id) else { return Ok(None) };
            if !matches!(found.kind, Kind::Typedef | Kind::Qualifier) {
                return Ok(Some(found));
            }
            id = found.next();
        }
    }

    /// Offset and type of a member, also inside anonymous structs and unions.
    fn find_member(
        &mut self,
        parent: &Type,
        name: &str,
        nested: u32,
    ) -> Result<Option<(u32, u32)>, Malformed> {
        if nested > Self::NESTED_MAX {
            return Err(Malformed);
        }
        let types = self.types;
        for member in types.members(parent) {
            self.step()?;
            let at = member.bit_offset / 8;
            if member.name == name.as_bytes() {
                return Ok(Some((at, member.type_id)));
            }
            if member.name.is_empty()
                && let Some(inner) = self.strip(member.type_id)?
                && let Some((inside, found)) = self.find_member(&inner, name, nested + 1)?
            {
                return Ok(Some((at.checked_add(inside).ok_or(Malformed)?, found)));
            }
        }
        Ok(None)
    }
}

fn size_of_type(found: &Type) -> u32 {
    match found.kind {
        Kind::Struct | Kind::Union | Kind::Int => found.size(),
        Kind::Pointer => 8,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRUCT: u32 = 4;
    const TYPEDEF: u32 = 8;
    const INT: u32 = 1;
    /// Offsets in [`STRINGS`].
    const TASK_STRUCT: u32 = 1;
    const PID: u32 = 13;
    const STRINGS: &[u8] = b"\0task_struct\0pid\0";

    /// One type: name, kind and number of members, size or next type; and what follows it.
    fn one(name: u32, kind: u32, members: u32, size_or_next: u32, rest: &[u32]) -> Vec<u32> {
        [&[name, kind << 24 | members, size_or_next][..], rest].concat()
    }

    fn types(types: &[Vec<u32>]) -> Types {
        let words: Vec<u8> = types.concat().iter().flat_map(|word| word.to_ne_bytes()).collect();
        let head = [0x1_eb9f, 24, 0, words.len() as u32, words.len() as u32, STRINGS.len() as u32];
        let head: Vec<u8> = head.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Types::read([&head, &words, STRINGS].concat()).expect("BTF")
    }

    fn resolve(types: &Types, path: &str) -> Result<Option<u32>, Malformed> {
        let structs = structs(types, ["task_struct"].into_iter());
        Search { types, structs, steps_left: Search::STEPS }.resolve(path)
    }

    #[test]
    fn a_member_is_found_in_what_has_no_name_of_its_own() {
        let found = types(&[
            one(TASK_STRUCT, STRUCT, 1, 8, &[0, 2, 4 * 8]),
            one(0, STRUCT, 1, 4, &[PID, 3, 2 * 8]),
            one(0, INT, 0, 4, &[32]),
        ]);
        assert_eq!(resolve(&found, "task_struct.pid"), Ok(Some(6)));
        assert_eq!(resolve(&found, "task_struct"), Ok(Some(8)));
        assert_eq!(resolve(&found, "task_struct.tgid"), Ok(None));
        assert_eq!(resolve(&found, "upid.nr"), Ok(None));
    }

    #[test]
    fn what_contains_itself_or_goes_in_a_circle_is_refused() {
        let typedefs = [
            one(0, TYPEDEF, 0, 2, &[]),
            one(0, TYPEDEF, 0, 1, &[]),
            one(TASK_STRUCT, STRUCT, 1, 8, &[0, 1, 0]),
        ];
        let itself = [one(TASK_STRUCT, STRUCT, 1, 8, &[0, 1, 0])];
        // Twice the next one, forty times over.
        let doubling: Vec<_> = (0..40)
            .map(|level| {
                let next = [0, level + 2, 0];
                one(if level == 0 { TASK_STRUCT } else { 0 }, STRUCT, 2, 8, &[next, next].concat())
            })
            .chain([one(0, INT, 0, 4, &[32])])
            .collect();
        // Never so deep that depth alone ends it.
        let wide: Vec<_> = doubling[..25].iter().cloned().chain([one(0, INT, 0, 4, &[32])]).collect();
        for hostile in [&typedefs[..], &itself, &doubling, &wide] {
            assert_eq!(resolve(&types(hostile), "task_struct.pid"), Err(Malformed));
        }
        let error = find(&types(&itself)).expect_err("no kernel's");
        assert!(error.what.contains("contain themselves"), "{error}");
    }

    #[test]
    fn offsets_that_add_up_to_more_than_there_is_are_refused() {
        // A member's offset is at most 512 MiB: nine structures of one another reach past the 4 GiB.
        let deep: Vec<_> = (0..9)
            .map(|level| {
                one(if level == 0 { TASK_STRUCT } else { 0 }, STRUCT, 1, 8, &[0, level + 2, u32::MAX])
            })
            .chain([one(0, STRUCT, 1, 8, &[PID, 11, u32::MAX]), one(0, INT, 0, 4, &[32])])
            .collect();
        assert_eq!(resolve(&types(&deep), "task_struct.pid"), Err(Malformed));
    }
}
