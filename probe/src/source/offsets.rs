//! Finds, in a kernel's BTF, where the members the programs read are. Must not load anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use probe_common::offsets::Offsets;

use super::{
    SetupError,
    types::{Kind, Type, Types},
};

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

/// What goes when a member is missing that is not required.
const FEATURES: &[(&str, &str)] = &[
    ("task_struct.mm", "command lines of programs started while watching"),
    ("mm_struct.", "command lines of programs started while watching"),
    ("linux_binprm.", "paths of programs started while watching"),
    ("task_struct.sighand", "autoreap on the tracepoint rung"),
    ("sighand_struct.", "autoreap on the tracepoint rung"),
    ("signal_struct.pids", "waits and pids inside PID namespaces"),
    ("pid", "waits and pids inside PID namespaces"),
    ("upid", "waits and pids inside PID namespaces"),
    ("pt_regs.", "kprobe hooks"),
];

/// The offsets of a kernel, and what cannot be done for want of a member.
#[derive(Debug)]
pub struct Found {
    pub offsets: Offsets,
    /// (feature that goes, members that are missing for it).
    pub lost: BTreeMap<&'static str, Vec<&'static str>>,
}

/// Opens a kernel's BTF.
pub fn open(path: &Path) -> Result<Types, SetupError> {
    Types::open(path).map_err(|error| SetupError {
        what: format!("cannot read the kernel's type information (BTF) at {}: {error}", path.display()),
        remedy: "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel is), or name the \
                 running kernel's BTF with --btf PATH"
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
    for (path, offset) in offsets.paths() {
        if is_in_tracefs(path) {
            continue;
        }
        match path.split('|').find_map(|path| resolve(types, &structs, path)) {
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

/// Byte offset of `struct.member[.member…]`, array elements as `[n]`; of a bare struct name, its size.
fn resolve(types: &Types, structs: &BTreeMap<&str, Type>, path: &str) -> Option<u32> {
    let mut parts = path.split('.');
    let mut current = *structs.get(parts.next()?)?;
    let mut offset = 0;
    let mut depth = 0;
    for part in parts {
        depth += 1;
        let (member, element) = match part.split_once('[') {
            Some((member, rest)) => (member, rest.trim_end_matches(']').parse::<u32>().ok()?),
            None => (part, 0),
        };
        let (at, found) = find_member(types, &current, member)?;
        offset += at;
        current = strip(types, found)?;
        if let Some(item) = types.element(&current) {
            let item = strip(types, item)?;
            offset += element * size_of_type(&item);
            // Only an indexed array is descended into; `numbers` itself is what is asked for otherwise.
            if part.contains('[') {
                current = item;
            }
        }
    }
    Some(if depth == 0 { size_of_type(&current) } else { offset })
}

fn size_of_type(found: &Type) -> u32 {
    match found.kind {
        Kind::Struct | Kind::Union | Kind::Int => found.size(),
        Kind::Pointer => 8,
        _ => 0,
    }
}

/// Follows typedefs and qualifiers.
fn strip(types: &Types, mut id: u32) -> Option<Type> {
    loop {
        let found = types.get(id)?;
        if !matches!(found.kind, Kind::Typedef | Kind::Qualifier) {
            return Some(found);
        }
        id = found.next();
    }
}

/// Offset and type of a member, also inside anonymous structs and unions.
fn find_member(types: &Types, parent: &Type, name: &str) -> Option<(u32, u32)> {
    for member in types.members(parent) {
        let at = member.bit_offset / 8;
        if member.name == name.as_bytes() {
            return Some((at, member.type_id));
        }
        if member.name.is_empty() {
            let inner = strip(types, member.type_id)?;
            if let Some((inside, found)) = find_member(types, &inner, name) {
                return Some((at + inside, found));
            }
        }
    }
    None
}
