//! Which workload a process is part of, by the path of its cgroup: a systemd unit, a container, a pod or a user's session.
//!
//! A path is read from the root down, and only as far as nobody but root can create what it names:
//!
//! - The root and every slice belong to root. So do the first unit below the slices, which the system's service manager made
//!   for root, and the directories that runtimes make at the root of the hierarchy (`docker`, `kubepods`, `lxc`).
//! - Everything further down may be delegated: to a user's own service manager, to a container, to a service that runs as
//!   somebody else. Whoever has it may call it `docker-….scope` or `sshd.service`. It is not read, so a container that a user
//!   runs without root is part of that user's session.
//! - One exception: what a runtime's own service keeps below itself (containerd that kubelet asks for systemd paths while it
//!   makes plain directories), by the runtime's own spelling.
//!
//! Must not read files, and must not know users: what no cgroup tells is left to who asks.

use super::cgroup::{self, BelowSlices, Path, Viewpoint};
use crate::model::{Runtime, Workload, is_workload_name};

/// How the scopes are called that runtimes ask systemd for, before the id.
const SCOPES: [(&[u8], Runtime); 4] = [
    (b"docker-", Runtime::Docker),
    (b"cri-containerd-", Runtime::Containerd),
    (b"crio-", Runtime::CriO),
    (b"libpod-", Runtime::Podman),
];
/// Directories at the root in which a runtime makes one for each container.
const DIRECTORIES: [(&[u8], Runtime); 8] = [
    (b"docker", Runtime::Docker),
    // One for each task, whose containers are below.
    (b"ecs", Runtime::Docker),
    (b"actions_job", Runtime::Docker),
    (b"libpod_parent", Runtime::Podman),
    (b"lxc", Runtime::Lxc),
    (b"lxc.payload", Runtime::Lxc),
    (b"buildkit", Runtime::BuildKit),
    (b"garden", Runtime::Garden),
];
/// The services of runtimes that run as root and may keep pods below themselves.
const RUNTIME_SERVICES: [&[u8]; 3] = [b"containerd.service", b"crio.service", b"kubelet.service"];
/// How many digits the id of a container has.
const ID_DIGITS: usize = 64;

/// The workload that holds the process with this cgroup file; `None` where it is in none, or where it cannot be told.
pub fn workload(cgroup: &[u8], seen_from: &Viewpoint) -> Option<Workload> {
    cgroup::paths_from_root(cgroup, seen_from).iter().find_map(in_path)
}

/// The same of a cgroup in the unified hierarchy, by the names on the way from the root down to it.
pub fn workload_in(names: Vec<&[u8]>) -> Option<Workload> {
    in_path(&Path { is_systemds: true, names })
}

fn in_path(path: &Path<'_>) -> Option<Workload> {
    let Some(BelowSlices { slices, name, below }) = cgroup::below_slices(&path.names) else {
        // In a slice itself: of a pod, kubelet and the runtime put processes there while they start and stop it.
        return pod_in(path.names.last()?).map(|uid| Workload::Pod { uid, container: None });
    };
    match cgroup::as_unit(name) {
        Some(unit) => in_unit(slices, unit, below).filter(|found| path.is_systemds || is_contained(found)),
        None if slices.is_empty() => in_directory(name, below),
        None => None,
    }
}

/// The hierarchies of controllers have the paths that runtimes make; the units in them are systemd's business.
fn is_contained(workload: &Workload) -> bool {
    matches!(workload, Workload::Container { .. } | Workload::Pod { .. })
}

fn in_unit(slices: &[&[u8]], unit: &[u8], below: &[&[u8]]) -> Option<Workload> {
    let container = SCOPES.iter().find_map(|(prefix, runtime)| {
        let id = unit.strip_prefix(*prefix)?.strip_suffix(b".scope")?;
        Some((container_id(id)?, *runtime))
    });
    let pod = slices.last().and_then(|slice| pod_in(slice));
    match (container, pod) {
        (Some((id, _)), Some(uid)) => return Some(Workload::Pod { uid, container: Some(id) }),
        (Some((id, runtime)), None) => return Some(Workload::Container { runtime, id }),
        (None, Some(uid)) => return Some(Workload::Pod { uid, container: None }),
        (None, None) => {}
    }
    if let Some(machine) = machine(unit) {
        return Some(machine);
    }
    if let Some(user) = session(slices, unit) {
        return Some(Workload::Session { user });
    }
    if RUNTIME_SERVICES.contains(&unit)
        && let Some(pod) = below.first().and_then(|name| pod_of_runtime(name))
    {
        return Some(pod);
    }
    Some(Workload::Unit(name(unit)?))
}

/// `SLICE:cri-containerd:ID`, where runtime and kubelet do not agree on who makes cgroups.
fn pod_of_runtime(name: &[u8]) -> Option<Workload> {
    let mut fields = name.split(|byte| *byte == b':');
    let (slice, _, id) = (fields.next()?, fields.next()?, fields.next()?);
    let is_whole = fields.next().is_none();
    let (uid, id) = (pod_in(slice)?, container_id(id)?);
    is_whole.then_some(Workload::Pod { uid, container: Some(id) })
}

/// What systemd-machined and systemd-nspawn register; only root may.
fn machine(unit: &[u8]) -> Option<Workload> {
    let (runtime, escaped) = match unit.strip_prefix(b"systemd-nspawn@") {
        Some(instance) => (Runtime::Nspawn, instance.strip_suffix(b".service")?),
        None => (Runtime::Machine, unit.strip_prefix(b"machine-")?.strip_suffix(b".scope")?),
    };
    let id = name(&unescaped(escaped))?;
    let runtime = if id.starts_with("qemu-") || id.starts_with("lxc-") { Runtime::Libvirt } else { runtime };
    Some(Workload::Container { runtime, id })
}

/// systemd writes other bytes than letters, digits and a few signs as `\x2d`.
fn unescaped(escaped: &[u8]) -> Vec<u8> {
    let mut rest = escaped;
    let mut out = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        let byte = (rest.strip_prefix(b"\\x"))
            .and_then(|digits| std::str::from_utf8(digits.get(..2)?).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = &rest[4..];
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

/// The user whose login session or service manager it is. Both are in that user's slice, which logind makes.
fn session(slices: &[&[u8]], unit: &[u8]) -> Option<u32> {
    let slice = slices.last()?.strip_prefix(b"user-")?.strip_suffix(b".slice")?;
    let is_session = unit.starts_with(b"session-") && unit.ends_with(b".scope");
    (is_session || unit.starts_with(b"user@")).then(|| number(slice)).flatten()
}

/// The uid of the pod that a slice is for: `kubepods-burstable-pod0a1b_….slice`, also below a slice of kubelet's own.
fn pod_in(slice: &[u8]) -> Option<String> {
    let stem = std::str::from_utf8(slice).ok()?.strip_suffix(".slice")?;
    let (above, uid) = stem.rsplit_once("-pod")?;
    let above = above.strip_suffix("-burstable").or(above.strip_suffix("-besteffort")).unwrap_or(above);
    let is_kubelets = above == "kubepods" || above.ends_with("-kubepods");
    // In the name of a slice a dash would mean another slice.
    if is_kubelets { pod_uid(&uid.replace('_', "-")) } else { None }
}

/// As the API server gives it; a pod from a file has a hash without dashes.
fn pod_uid(uid: &str) -> Option<String> {
    let is_uid =
        matches!(uid.len(), 32 | 36) && uid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uid.then(|| uid.to_owned())
}

/// In a directory that is at the root.
fn in_directory(top: &[u8], below: &[&[u8]]) -> Option<Workload> {
    if top == b"kubepods" {
        let mut below = below.iter().copied();
        let pod = below.find(|name| ![&b"burstable"[..], b"besteffort"].contains(name))?;
        let uid = pod_uid(std::str::from_utf8(pod.strip_prefix(b"pod")?).ok()?)?;
        return Some(Workload::Pod { uid, container: below.next().and_then(container_id) });
    }
    let (runtime, id) = if let Some(payload) = top.strip_prefix(b"lxc.payload.") {
        (Runtime::Lxc, payload)
    } else {
        let (_, runtime) = DIRECTORIES.iter().find(|(directory, _)| *directory == top)?;
        (*runtime, *below.first()?)
    };
    let id = id.strip_prefix(b"libpod-").filter(|_| runtime == Runtime::Podman).unwrap_or(id);
    Some(Workload::Container { runtime, id: name(id)? })
}

fn container_id(id: &[u8]) -> Option<String> {
    (id.len() == ID_DIGITS && id.iter().all(u8::is_ascii_hexdigit)).then(|| name(id)).flatten()
}

fn name(bytes: &[u8]) -> Option<String> {
    is_workload_name(bytes).then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn number(digits: &[u8]) -> Option<u32> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
#[path = "workload_tests.rs"]
mod tests;
