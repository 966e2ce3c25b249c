//! The path of a process's cgroup, from the text of its /proc/PID/cgroup, and the systemd unit in it.
//!
//! Believes only names that the system's service manager gave: it is followed from the root of the hierarchy down to the
//! first unit that is no slice. Everything below belongs to whoever that unit is delegated to (a user's own manager, a
//! container), who may name it as they like. Must not read files. `workload` finds containers and pods in the same paths.

/// The hierarchies in which systemd keeps its units, as the second field of a line names them: its own where there is one
/// (cgroup v1 and hybrid hosts), else the unified one.
const HIERARCHIES: [&[u8]; 2] = [b"name=systemd", b""];
/// The kinds of units that hold processes, apart from slices, which hold units.
const KINDS: [&[u8]; 5] = [b".service", b".scope", b".socket", b".mount", b".swap"];
/// Longest name of a unit, in bytes (systemd's UNIT_NAME_MAX).
const UNIT_NAME_MAX: usize = 255;
/// What the kernel appends to the path of a cgroup that was removed while a process, a zombie, was in it.
const REMOVED: &[u8] = b" (deleted)";

/// Where the reader of cgroup files stands: the paths in them begin at the root of the reader's cgroup namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Viewpoint {
    /// The initial cgroup namespace: paths begin at the root of the hierarchy.
    #[default]
    Root,
    /// Another one, from which the cgroup file of the host's PID 1 reads so.
    Below { init: Vec<u8> },
}

impl Viewpoint {
    /// How many `..` lead from the reader's root to the hierarchy's. `None` where that cannot be told.
    fn levels_to_root(&self, hierarchy: &[u8]) -> Option<usize> {
        let Self::Below { init } = self else { return Some(0) };
        let up = |part: &&[u8]| *part == b"..";
        let path = path_in(init, hierarchy)?;
        let levels = parts(path).take_while(up).count();
        // PID 1 of a host is in init.scope, or, without systemd, at the root.
        let rest: Vec<&[u8]> = parts(path).skip(levels).collect();
        (levels > 0 && (rest.is_empty() || rest == [b"init.scope"])).then_some(levels)
    }
}

/// The unit of the system's service manager that holds the process with this cgroup file; empty where there is none, or
/// where it cannot be told.
pub fn unit(cgroup: &[u8], seen_from: &Viewpoint) -> Vec<u8> {
    let in_hierarchy = |hierarchy: &&[u8]| unit_in(&names_from_root(cgroup, hierarchy, seen_from)?);
    HIERARCHIES.iter().find_map(in_hierarchy).unwrap_or_default().to_vec()
}

/// The names on the way from the root of each hierarchy down to the cgroup: first those of systemd's hierarchies, then those
/// of the controllers. A hierarchy of which that cannot be told is left out.
pub(super) fn paths_from_root<'a>(cgroup: &'a [u8], seen_from: &Viewpoint) -> Vec<Path<'a>> {
    let others = lines(cgroup).map(|(controllers, _)| controllers);
    let others = others.filter(|controllers| !HIERARCHIES.contains(controllers));
    (HIERARCHIES.iter().copied().map(|hierarchy| (hierarchy, true)))
        .chain(others.map(|hierarchy| (hierarchy, false)))
        .filter_map(|(hierarchy, is_systemds)| {
            Some(Path { is_systemds, names: names_from_root(cgroup, hierarchy, seen_from)? })
        })
        .collect()
}

/// The way to a cgroup.
pub(super) struct Path<'a> {
    /// It is in a hierarchy in which systemd keeps its units.
    pub is_systemds: bool,
    /// From the root down.
    pub names: Vec<&'a [u8]>,
}

fn names_from_root<'a>(cgroup: &'a [u8], hierarchy: &[u8], seen_from: &Viewpoint) -> Option<Vec<&'a [u8]>> {
    let levels = seen_from.levels_to_root(hierarchy)?;
    let path = path_in(cgroup, hierarchy)?;
    let up = parts(path).take_while(|part| *part == b"..").count();
    // With fewer levels the path begins somewhere in the middle, and what is above it is not known.
    (up == levels).then(|| parts(path).skip(levels).collect())
}

/// The path in a hierarchy.
fn path_in<'a>(cgroup: &'a [u8], hierarchy: &[u8]) -> Option<&'a [u8]> {
    lines(cgroup).find_map(|(controllers, path)| (controllers == hierarchy).then_some(path))
}

/// The controllers of each hierarchy, and the path in it. A line is `ID:CONTROLLERS:PATH`, and a path may hold colons; the
/// kernel allows no newline.
fn lines(cgroup: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    cgroup.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.splitn(3, |byte| *byte == b':');
        let (_, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        Some((controllers, path.strip_suffix(REMOVED).unwrap_or(path)))
    })
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
}

fn unit_in<'a>(names: &[&'a [u8]]) -> Option<&'a [u8]> {
    as_unit(below_slices(names)?.name)
}

/// A path at the first name that is no slice.
pub(super) struct BelowSlices<'a, 'b> {
    /// The slices above it.
    pub slices: &'b [&'a [u8]],
    pub name: &'a [u8],
    /// What is below it.
    pub below: &'b [&'a [u8]],
}

/// `None` where there are only slices.
pub(super) fn below_slices<'a, 'b>(names: &'b [&'a [u8]]) -> Option<BelowSlices<'a, 'b>> {
    let slices = names.iter().take_while(|name| is_unit(unescaped(name), b".slice")).count();
    let (slices, rest) = names.split_at(slices);
    let (name, below) = rest.split_first()?;
    Some(BelowSlices { slices, name, below })
}

/// The unit that has a cgroup of this name, if it is one that holds processes.
pub(super) fn as_unit(name: &[u8]) -> Option<&[u8]> {
    let name = unescaped(name);
    KINDS.iter().any(|kind| is_unit(name, kind)).then_some(name)
}

/// systemd escapes names that begin as a controller's files do.
fn unescaped(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"_").unwrap_or(name)
}

/// Whether it is the name of a unit of that kind, as systemd writes them.
fn is_unit(name: &[u8], kind: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(byte);
    name.strip_suffix(kind).is_some_and(|stem| !stem.is_empty() && !stem.starts_with(b"@"))
        && name.len() <= UNIT_NAME_MAX
        && name.iter().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_at(path: &str) -> String {
        unit_of(&format!("0::{path}\n"))
    }

    fn unit_of(cgroup: &str) -> String {
        String::from_utf8(unit(cgroup.as_bytes(), &Viewpoint::Root)).expect("UTF-8")
    }

    #[test]
    fn the_unit_is_the_first_below_the_slices() {
        for (path, expected) in [
            ("/system.slice/worker-manager.service", "worker-manager.service"),
            ("/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"),
            ("/init.scope", "init.scope"),
            ("/user.slice/user-0.slice/session-3.scope", "session-3.scope"),
            ("/system.slice/sshd.socket", "sshd.socket"),
            ("/system.slice/docker-4f0c.scope", "docker-4f0c.scope"),
            ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-9a.scope", "cri-containerd-9a.scope"),
            (
                r"/system.slice/system-dbus\x2d:1.2\x2dorg.x.slice/dbus-:1.2-a@0.service",
                "dbus-:1.2-a@0.service",
            ),
            (r"/system.slice/run-u\x2d7.service", r"run-u\x2d7.service"),
            ("/system.slice/_memory.service", "memory.service"),
            ("/system.slice/gone.service (deleted)", "gone.service"),
        ] {
            assert_eq!(unit_at(path), expected, "{path}");
        }
    }

    #[test]
    fn what_a_unit_is_delegated_to_names_nothing() {
        for (path, expected) in [
            ("/user.slice/user-1000.slice/user@1000.service/app.slice/sshd.service", "user@1000.service"),
            ("/user.slice/user-1000.slice/user@1000.service/system.slice/sshd.service", "user@1000.service"),
            (
                "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-1.scope/container",
                "user@1000.service",
            ),
            ("/machine.slice/machine-a.scope/payload/system.slice/sshd.service", "machine-a.scope"),
            ("/system.slice/docker-4f.scope/system.slice/sshd.service", "docker-4f.scope"),
            ("/system.slice/worker.service/sshd.service", "worker.service"),
            // Not made by systemd: what is below is not, either.
            ("/docker/4f0c/system.slice/sshd.service", ""),
            ("/kubepods/burstable/pod1/9a", ""),
            ("/lxc.payload.a/system.slice/sshd.service", ""),
            ("/system.slice/my own/sshd.service", ""),
            ("/.service", ""),
            ("/@.service", ""),
            ("/system.slice/a\u{202e}.service", ""),
            ("/user.slice", ""),
            ("/", ""),
            ("", ""),
        ] {
            assert_eq!(unit_at(path), expected, "{path}");
        }
        assert_eq!(unit_at(&format!("/{}.service", "a".repeat(300))), "");
    }

    #[test]
    fn systemds_own_hierarchy_comes_before_the_unified_one_and_controllers_do_not_count() {
        assert_eq!(
            unit_of(
                "12:cpu:/system.slice/x.service\n1:name=systemd:/system.slice/a.service\n0::/b.service\n"
            ),
            "a.service"
        );
        assert_eq!(unit_of("9:name=systemd:/\n8:pids:/p.service\n0::/system.slice/b.service\n"), "b.service");
        assert_eq!(unit_of("8:pids:/system.slice/p.service\n"), "");
        assert_eq!(unit_of("0::/system.slice/a:b.service\n"), "a:b.service");
        for damaged in ["", "\n", "0", "0:", "0::", ":::", "0:name=systemd"] {
            assert_eq!(unit_of(damaged), "", "{damaged:?}");
        }
    }

    #[test]
    fn from_within_a_cgroup_namespace_only_paths_from_the_root_name_a_unit() {
        let seen = |cgroup: &str, init: &str| {
            let below = Viewpoint::Below { init: init.into() };
            String::from_utf8(unit(cgroup.as_bytes(), &below)).expect("UTF-8")
        };
        let init = "0::/../../init.scope\n";
        assert_eq!(seen("0::/../../system.slice/sshd.service\n", init), "sshd.service");
        assert_eq!(
            seen("0::/../../user.slice/user-1.slice/user@1.service/app.slice/sshd.service\n", init),
            "user@1.service"
        );
        // Somewhere beside the reader, or inside: what is above is not known.
        assert_eq!(seen("0::/../sshd.service\n", init), "");
        assert_eq!(seen("0::/sshd.service\n", init), "");
        assert_eq!(seen("0::/\n", init), "");
        // Without systemd, or with a PID 1 that is elsewhere.
        assert_eq!(seen("0::/../../a.service\n", "0::/../..\n"), "a.service");
        assert_eq!(seen("0::/../../a.service\n", "0::/../../other\n"), "");
        assert_eq!(seen("0::/../../a.service\n", "0::/init.scope\n"), "");
        assert_eq!(seen("0::/../../a.service\n", ""), "");
        // In the initial namespace no path climbs.
        assert_eq!(unit_at("/../system.slice/a.service"), "");
        assert_eq!(unit_at("/system.slice/../a.service"), "");
    }
}
