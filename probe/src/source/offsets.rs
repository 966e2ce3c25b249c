//! Finds, in a kernel's BTF, where the members the programs read are. Must not load anything.

use std::{collections::BTreeMap, path::Path};

use btf_rs::{Btf, Type};
use probe_common::offsets::Offsets;

use super::SetupError;

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
    ("task_struct.thread_pid", "waits and pids inside PID namespaces"),
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

/// Opens a kernel's BTF without copying it, or, where it cannot be mapped, with copying.
pub fn open(path: &Path) -> Result<Btf, SetupError> {
    Btf::from_file_with_backend(path, btf_rs::Backend::Mmap)
        .or_else(|_| Btf::from_file(path))
        .map_err(|error| SetupError {
            what: format!("cannot read the kernel's type information (BTF) at {}: {error}", path.display()),
            remedy: "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every current distribution kernel is), or name \
                     the running kernel's BTF with --btf PATH"
                .into(),
        })
}

/// All offsets this BTF has. Fails when one that nothing works without is missing; names it.
pub fn find(btf: &Btf) -> Result<Found, SetupError> {
    let mut offsets = Offsets::NONE;
    let mut lost: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut missing = Vec::new();
    // A search by name goes through all types of the kernel: one for each structure, not for each member.
    let mut structs = Structs::new();
    for (path, offset) in offsets.paths() {
        if path.contains(':') {
            continue;
        }
        match path.split('|').find_map(|path| resolve(btf, &mut structs, path)) {
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

/// Structures by name, once searched for.
type Structs = BTreeMap<&'static str, Option<Type>>;

/// Byte offset of `struct.member[.member…]`, array elements as `[n]`; of a bare struct name, its size.
fn resolve(btf: &Btf, structs: &mut Structs, path: &'static str) -> Option<u32> {
    let mut parts = path.split('.');
    let name = parts.next()?;
    let is_struct = |found: &Type| matches!(found, Type::Struct(_));
    let search = || btf.resolve_types_by_name(name).ok()?.into_iter().find(is_struct);
    let mut current = structs.entry(name).or_insert_with(search).clone()?;
    let mut offset = 0;
    let mut depth = 0;
    for part in parts {
        depth += 1;
        let (member, element) = match part.split_once('[') {
            Some((member, rest)) => (member, rest.trim_end_matches(']').parse::<u32>().ok()?),
            None => (part, 0),
        };
        let (at, found) = find_member(btf, &current, member)?;
        offset += at;
        current = strip(btf, found)?;
        if let Type::Array(array) = &current {
            let item = strip(btf, btf.resolve_chained_type(array).ok()?)?;
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
    match found {
        Type::Struct(found) | Type::Union(found) => found.size() as u32,
        Type::Int(found) => found.size() as u32,
        Type::Ptr(_) => 8,
        _ => 0,
    }
}

/// Follows typedefs and qualifiers.
fn strip(btf: &Btf, mut found: Type) -> Option<Type> {
    loop {
        found = match &found {
            Type::Typedef(inner) => btf.resolve_chained_type(inner).ok()?,
            Type::Volatile(inner) | Type::Const(inner) | Type::Restrict(inner) => {
                btf.resolve_chained_type(inner).ok()?
            }
            Type::TypeTag(inner) => btf.resolve_chained_type(inner).ok()?,
            _ => return Some(found),
        };
    }
}

/// Offset and type of a member, also inside anonymous structs and unions.
fn find_member(btf: &Btf, parent: &Type, name: &str) -> Option<(u32, Type)> {
    let (Type::Struct(parent) | Type::Union(parent)) = parent else { return None };
    for member in &parent.members {
        let member_name = btf.resolve_name(member).unwrap_or_default();
        let at = member.bit_offset() / 8;
        if member_name == name {
            return Some((at, btf.resolve_chained_type(member).ok()?));
        }
        if member_name.is_empty() {
            let inner = strip(btf, btf.resolve_chained_type(member).ok()?)?;
            if let Some((inside, found)) = find_member(btf, &inner, name) {
                return Some((at + inside, found));
            }
        }
    }
    None
}
